"""sources.yaml: where the real data are published, and how they get to data/raw/. Nothing is fetched twice."""

import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from clasnet.data.download import Unavailable, download, download_drive, wrong
from clasnet.files import replacing
from stages.schema import Section, read_checked

Checksum = Annotated[str, Field(pattern="^(sha256|md5):[0-9a-f]{6,}$")]


class File(Section):
    size: int | None
    checksum: Checksum | None


class Annotation(Section):
    base: str
    files: dict[str, File]


class Mirror(Section):
    url: str | None = None
    drive: str | None = None
    manual: str | None = None

    @model_validator(mode="after")
    def one_kind(self):
        if len(self.model_fields_set) != 1:
            raise ValueError("a mirror is one of url, drive, manual")
        return self


class Source(Section):
    """``file`` is one file, an archive if ``unpack`` names the folder for what is in it; ``folder`` is one that a
    person fills.
    """

    annotations: str
    file: str | None = None
    folder: str | None = None
    unpack: str | None = None
    size: int | None = None
    checksum: Checksum | None = None
    mirrors: list[Mirror]

    @model_validator(mode="after")
    def one_place(self):
        if (self.file is None) == (self.folder is None):
            raise ValueError("give either `file` or `folder`")
        return self


class Sources(Section):
    annotations: dict[str, Annotation]
    thumos14: dict[str, Source]
    activitynet12: dict[str, Source]
    activitynet13: dict[str, Source]


def load_sources(path="sources.yaml"):
    """The checked content of sources.yaml. Raises ``ValueError`` with one line."""
    return read_checked(Path(path), Sources)


def fetch(dataset, name):
    """Paths of the annotations and of the features of source ``name`` of ``dataset``, on this disk, fetched if they are
    not there.

    Raises ``ValueError`` with one line that says what failed, or what to fetch by hand and where to put it.
    """
    sources = load_sources()
    known = getattr(sources, dataset)
    if name not in known:
        raise ValueError(f"sources.yaml has no source {name!r} of {dataset}: must be one of {', '.join(known)}")
    source, folder = known[name], Path("data/raw") / dataset / name
    annotations = folder / "annotations"
    entry = sources.annotations[source.annotations]
    for file, facts in entry.files.items():
        try:
            download(entry.base + file, annotations / file, size=facts.size, checksum=facts.checksum)
        except Unavailable as error:
            raise ValueError(str(error)) from None
    if source.folder:
        return annotations, by_hand(folder / source.folder, source)
    path = folder / source.file
    if source.unpack and (folder / source.unpack).is_dir():
        return annotations, folder / source.unpack
    if not path.exists():
        from_mirrors(path, source)
    elif problem := wrong(path, size=source.size, checksum=source.checksum):  # put there by hand
        raise ValueError(f"{path}: {problem}; remove it and fetch it again")
    return annotations, unpacked(path, folder / source.unpack) if source.unpack else path


def from_mirrors(path, source):
    """Fetch ``path`` from the first mirror that can give it."""
    failures = []
    for mirror in source.mirrors:
        try:
            if mirror.url:
                download(mirror.url, path, size=source.size, checksum=source.checksum)
            elif mirror.drive:
                download_drive(mirror.drive, path, size=source.size, checksum=source.checksum)
            else:
                continue
            return
        except Unavailable as error:
            failures.append(str(error))
    pages = [mirror.manual for mirror in source.mirrors if mirror.manual]
    advice = (
        f"fetch {path.name} by hand from {' or '.join(pages)}, put it at {path}, and run again"
        if pages
        else "no other mirror is known"
    )
    raise ValueError("; ".join([*failures, advice]))


def by_hand(folder, source):
    """``folder``, if somebody has put feature files there."""
    if not any(folder.rglob("*.npy")):
        pages = " or ".join(mirror.manual for mirror in source.mirrors)
        raise ValueError(
            f"no program can fetch these features: open {pages}, put all .npy files into {folder}, and run again"
        )
    return folder


def unpacked(archive, folder):
    """``folder`` with the regular files in ``archive``, a tar or a zip file; none of them may lie outside."""
    try:
        with replacing(folder) as partial:
            partial.mkdir()
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as file:
                    file.extractall(partial)  # keeps names inside by itself
            else:
                with tarfile.open(archive) as file:
                    for member in filter(tarfile.TarInfo.isfile, file):  # no links, no devices
                        target = (partial / member.name).resolve()
                        if not target.is_relative_to(partial.resolve()):
                            raise ValueError(
                                f"{archive}: refused: it holds {member.name}, which lies outside the folder"
                            )
                        target.parent.mkdir(parents=True, exist_ok=True)
                        with file.extractfile(member) as source, target.open("wb") as copy:
                            shutil.copyfileobj(source, copy)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{archive}: damaged archive ({error}); remove it and fetch it again") from None
    return folder

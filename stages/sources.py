"""sources.yaml: where the real data are published, and how they get to data/raw/. Nothing is fetched twice.

What has no published checksum is pinned at its first use, in sources.lock.json, which is meant for Git.
"""

import hashlib
import lzma
import shutil
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Annotated

from filelock import FileLock
from msgspec import Meta
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from clasnet.data.download import BLOCK, Unavailable, digest, download, download_drive, wrong
from clasnet.errors import InputError
from clasnet.files import replacing, write_json
from clasnet.reading import read_json
from stages.exclusive import exclusive
from stages.schema import Origin, Section, known_dataset, read_checked

PINS = Path("sources.lock.json")  # to be committed
RAW, LOCKS = Path("data/raw"), Path("data/.locks")
COPIES = Path(".dvc/tmp/exps")  # where `dvc exp run --temp` and the workers of a queue copy a checkout to

Pin = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$", description="sha256: and 64 digits")]
Checksum = Annotated[str, Field(pattern="^(sha256|md5):[0-9a-f]{6,}$")]


def below(path):
    """``path``, which must be that of a file or folder below another one."""
    if not path.strip("./") or path.startswith("/") or ".." in path.split("/") or "\\" in path:
        raise ValueError("must be a path below the data set's own folder, with / between its parts")
    return path


Size = Annotated[int, Field(ge=1)]  # in bytes
Below = Annotated[str, AfterValidator(below)]
Address = Annotated[str, Field(pattern="^https?://")]


class File(Section):
    size: Size | None
    checksum: Checksum | None


class Annotation(Section):
    base: Address
    files: dict[Below, File]


class Mirror(Section):
    url: Address | None = None
    drive: Annotated[str, Field(min_length=1)] | None = None
    manual: Address | None = None

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
    file: Below | None = None
    folder: Below | None = None
    unpack: Below | None = None
    size: Size | None = None
    checksum: Checksum | None = None
    origin: Origin = Origin()
    mirrors: Annotated[list[Mirror], Field(min_length=1)]

    @model_validator(mode="after")
    def one_place(self):
        if (self.file is None) == (self.folder is None):
            raise ValueError("give either `file` or `folder`")
        if self.unpack and (self.folder or self.unpack == self.file):
            raise ValueError("`unpack` is the folder for what is in the archive `file`, of another name")
        if self.origin.streams != 2:
            raise ValueError("published sources are of two streams; those of one are `features` of your own")
        return self


class Sources(Section):
    """The whole of sources.yaml: annotations, and of every data set its sources by name."""

    model_config = ConfigDict(extra="allow")
    annotations: dict[str, Annotation]
    __pydantic_extra__: dict[str, dict[str, Source]]

    @model_validator(mode="after")
    def data_sets(self):
        for name, sources in self.model_extra.items():
            known_dataset(name)
            for key, source in sources.items():
                if source.annotations not in self.annotations:
                    known = ", ".join(self.annotations)
                    raise ValueError(f"{name}.{key}.annotations = {source.annotations!r}: must be one of {known}")
        return self

    def of(self, dataset):
        """Name to :class:`Source` of every published package of ``dataset``."""
        return self.model_extra.get(dataset, {})


def load_sources(path="sources.yaml"):
    """The checked content of sources.yaml. Raises ``InputError`` with one line."""
    return read_checked(Path(path), Sources)


def home():
    """The folder to which packages and pins belong: this checkout, or the one of which it is DVC's temporary copy."""
    here = Path.cwd()
    return next((folder for folder in here.parents if here.is_relative_to(folder / COPIES)), Path())


def fetch(dataset, name):
    """Paths of the annotations and of the features of source ``name`` of ``dataset``, on this disk, fetched if they are
    not there. What is there is checked however it came there.

    Raises ``InputError`` with one line that says what failed, or what to fetch by hand and where to put it.
    """
    sources = load_sources()
    known = sources.of(dataset)
    if name not in known:
        there = f"must be one of {', '.join(known)}" if known else "it has none of that data set"
        raise InputError(f"sources.yaml has no source {name!r} of {dataset}: {there}")
    with exclusive(home() / LOCKS / f"raw-{dataset}-{name}.lock"):  # experiments beside each other fetch it once
        return fetch_source(sources, known[name], home() / RAW / dataset / name)


def fetch_source(sources, source, folder):
    """Paths of the annotations and of the features of ``source``, which lie, or are to lie, in ``folder``."""
    annotations = folder / "annotations"
    entry = sources.annotations[source.annotations]
    for file, facts in entry.files.items():
        try:
            download(entry.base + file, annotations / file, size=facts.size, checksum=facts.checksum)
        except Unavailable as error:
            raise InputError(str(error)) from None
        check(annotations / file, facts)
    if source.folder:
        return annotations, as_pinned(by_hand(folder / source.folder, source))
    path = folder / source.file
    if not path.exists():
        from_mirrors(path, source)
    check(path, source)
    as_pinned(path)
    return annotations, as_pinned(unpacked(path, folder / source.unpack)) if source.unpack else path


def pin(dataset, name):
    """Keep the checksums of what source ``name`` of ``dataset`` is made of, which has now been read to its end: half a
    file must not be what a whole one is measured by.
    """
    source, folder = load_sources().of(dataset)[name], home() / RAW / dataset / name
    parts = [folder / part for part in (source.file, source.folder, source.unpack) if part]
    new = {pin_name(path): checksum(path) for path in parts if pin_name(path) not in read_pins()}
    (home() / LOCKS).mkdir(parents=True, exist_ok=True)
    with FileLock(home() / LOCKS / "sources.lock"):
        if new:
            write_json(home() / PINS, dict(sorted((new | read_pins()).items())))


def check(path, facts):
    """Raise the line about the file ``path`` if it is not what ``facts`` (of its size and checksum) say."""
    if problem := wrong(path, size=facts.size, checksum=facts.checksum):
        raise InputError(f"{path}: {problem}; remove it and fetch it again")


def as_pinned(path):
    """``path``, a file or a folder, if it is as it was at its first use: its checksum is in sources.lock.json since."""
    expected = read_pins().get(pin_name(path))
    if expected and expected != (found := checksum(path)):
        remedy = f"restore it, or take its line out of {PINS} if the change is meant"
        raise InputError(f"{path}: not as at its first use, {found[:19]}… instead of {expected[:19]}…; {remedy}")
    return path


def read_pins():
    """Name to checksum of all that is pinned."""
    pins = home() / PINS
    return read_json(pins, dict[str, Pin]) if pins.exists() else {}


def pin_name(path):
    """The name of ``path`` in sources.lock.json."""
    return path.relative_to(home()).as_posix()


def checksum(path):
    """That of a file or of a folder, as sources.lock.json has it."""
    return f"sha256:{folder_digest(path) if path.is_dir() else digest(path)}"


def folder_digest(folder):
    """Hexadecimal digest of the names and contents of all files in ``folder``."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()}\0{digest(path)}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


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
    raise InputError("; ".join([*failures, advice]))


def by_hand(folder, source):
    """``folder``, if somebody has put feature files there."""
    if not any(folder.rglob("*.npy")):
        pages = " or ".join(mirror.manual for mirror in source.mirrors)
        raise InputError(
            f"no program can fetch these features: open {pages}, put all .npy files into {folder}, and run again"
        )
    return folder


def unpacked(archive, folder):
    """``folder`` with the regular files in ``archive``, a tar or a zip file, read to its end so that its own checksum
    counts. None of them may lie outside, or be there twice.
    """
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(f"{folder}: is a file where the content of {archive.name} belongs; remove it and run again")
    try:
        with replacing(folder) as partial:
            partial.mkdir()
            with open(archive, "rb") as file:
                read = zip_members if file.read(4) == b"PK\x03\x04" else tar_members
            for name, content in read(archive):
                target = (partial / name).resolve()
                if not target.is_relative_to(partial.resolve()):
                    raise InputError(f"{archive}: refused: it holds {name}, which lies outside the folder")
                if target.exists():
                    raise InputError(f"{archive}: refused: it holds {name} twice")
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    copy = target.open("wb")
                except OSError as error:  # a file where a folder must be, a name that is too long
                    raise InputError(f"{archive}: cannot write what it holds as {name}: {error.strerror}") from None
                with copy:
                    shutil.copyfileobj(content, copy)
            if not any(partial.iterdir()):
                raise InputError(f"{archive}: there is no file in this archive; remove it and fetch it again")
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno:  # of the disk, not of the archive
            raise
        what = str(error) or type(error).__name__
        raise InputError(f"{archive}: damaged archive ({what}); remove it and fetch it again") from None
    return folder


ZIP_HEADER = 30  # bytes before a member's name
ZIP_GAPS = (0, 12, 16, 20, 24)  # bytes that may follow a member: its checksum and sizes
DAMAGE = (  # what the readers of archives raise where one is damaged, or of a kind that they do not know
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,  # a zip file with a password
    NotImplementedError,
    struct.error,
    OverflowError,
    UnicodeError,
)


def zip_members(archive):
    """Name and content, as an open file, of every file in the zip file ``archive``."""
    with zipfile.ZipFile(archive) as file, open(archive, "rb") as plain:
        members = sorted(file.infolist(), key=zip_offset)
        if not members:
            raise zipfile.BadZipFile("its list of files is empty")
        for member, end in zip(members, [*map(zip_offset, members[1:]), file.start_dir], strict=True):
            if not member.is_dir():
                with file.open(member) as content:
                    yield member.filename, content
            plain.seek(member.header_offset + 26)
            header = ZIP_HEADER + sum(struct.unpack("<2H", plain.read(4)))  # its name, and what more it says
            if end - member.header_offset - header - member.compress_size not in ZIP_GAPS:
                raise zipfile.BadZipFile(f"its list of files lacks one after {member.filename}")


def zip_offset(member):
    """Where in a zip file a member begins."""
    return member.header_offset


def tar_members(archive):
    """Name and content, as an open file, of every regular file in the tar file ``archive``, also of one that is there
    as a link to another member; no devices.
    """
    with tarfile.open(archive) as file:
        for member in file:
            if member.isfile() or member.islnk() or member.issym():
                with linked(file, member) as content:
                    yield member.name, content
        file.fileobj.seek(file.offset)
        end = 0
        while block := file.fileobj.read(BLOCK):  # where tarfile stops at damage it says nothing
            end += len(block)
            if block.strip(b"\0"):
                raise tarfile.ReadError("more follows after its last member")
        if end < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it ends without the empty block that ends such a file")


def linked(file, member):
    """The content of ``member`` of the tar ``file``, as an open file."""
    try:
        content = file.extractfile(member)
    except KeyError:
        content = None
    if content is None:
        raise tarfile.ReadError(f"{member.name} is a link to {member.linkname}, which is no file in it")
    return content

"""The feature store: what training and evaluation read.

A folder with ``features.npy`` (``[ΣT, 2D]``, RGB then flow, the snippets of all videos one after another; ``[ΣT, D]``
where there is one stream), ``index.json`` (video ids, lengths, what a snippet is of, a checksum over everything) and
``annotations.json``. The features are opened as a memory map and never loaded whole.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec import Struct, convert, to_builtins

from clasnet.data.activitynet import read_activitynet, write_activitynet
from clasnet.data.annotations import Annotations
from clasnet.errors import InputError
from clasnet.files import replacing, write_json
from clasnet.reading import read_json

HEADER = 128  # bytes of features.npy before the features
BLOCK = 1 << 20  # bytes that are read at once to verify them


class Origin(Struct, frozen=True, forbid_unknown_fields=True):
    """What a snippet's features are of: ``stride`` frames at ``rate`` a second, one or several ``crops`` (None where
    their authors do not say), in ``streams``, 2 of RGB and flow, or 1.
    """

    rate: float = 25.0
    stride: int = 16
    crops: int | None = None
    streams: int = 2

    @property
    def seconds(self):
        """That a snippet covers."""
        return self.stride / self.rate


USUAL = Origin()  # of every I3D package of this field


class Index(Struct, forbid_unknown_fields=True):
    """The content of ``index.json``."""

    ids: list[str]
    length: list[int]
    sha256: str
    origin: Origin


@dataclass(frozen=True)
class FeatureStore:
    """An open store of V videos.

    ``annotations.ids[i]`` is the video at ``features[offset[i] : offset[i] + length[i]]``.
    """

    features: np.ndarray  # memory map, [ΣT, 2D]
    offset: np.ndarray  # [V] int
    length: np.ndarray  # [V] int, snippets
    annotations: Annotations
    digest: str  # stands for all features and annotations, written with them
    origin: Origin

    @property
    def width(self):
        """D, the number of features per stream."""
        return self.features.shape[1] // self.origin.streams

    @property
    def seconds(self):
        """How long each video is by its snippets, [V]."""
        return self.length * self.origin.seconds

    def video(self, i):
        """Features ``[T, 2D]`` of the video at position ``i``, float32 and in memory."""
        start = self.offset[i]
        return np.array(self.features[start : start + self.length[i]], dtype=np.float32)

    def subset(self, name):
        """Positions of the videos of the subset ``name``."""
        return np.flatnonzero(self.annotations.subset == name)


def open_store(folder):
    """Open the store in ``folder``, whose checksum is verified: of a GB, that takes a second or two.

    A process, and those that start as copies of it, read a file of features that has not changed only once for that.
    Raises ``FileNotFoundError`` or ``InputError`` with one line if it is missing, truncated or changed.
    """
    folder = Path(folder)
    for name in ("features.npy", "index.json", "annotations.json"):
        if not (folder / name).is_file():
            remedy = f"make it with `dvc repro features@{folder.name}`"
            raise FileNotFoundError(f"{folder}: no feature store there ({name} is missing); {remedy}")
    try:
        index = read_json(folder / "index.json", Index)
        _verify(folder, index)
        features = np.load(folder / "features.npy", mmap_mode="r", allow_pickle=False)
        annotations = read_activitynet(folder / "annotations.json")
        if annotations.ids.tolist() != index.ids or len(features) != sum(index.length):
            raise ValueError("its index is of other videos")
    except ValueError as error:
        remedy = f"remove the folder and make it again with `dvc repro --force features@{folder.name}`"
        raise InputError(f"{folder}: truncated or damaged feature store ({error}); {remedy}") from None
    length = np.array(index.length, dtype=int)
    return FeatureStore(features, np.cumsum(length) - length, length, annotations, index.sha256, index.origin)


_verified = {}  # what identifies a file of features -> running checksum and header of one that was found whole


def _verify(folder, index):
    """Raise ``ValueError`` if the checksum of the store in ``folder`` is not that of its ``index``."""
    path = folder / "features.npy"
    found = path.stat()
    file = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    features = _verified.get(file) or read_checksum(path)
    if _completed(*features, index, folder / "annotations.json") != index.sha256:
        raise ValueError("its checksum is another one")
    _verified[file] = features


def read_checksum(path):
    """The running checksum of the features in the file ``path``, and its header."""
    checksum = hashlib.sha256()
    with open(path, "rb") as file:
        header = file.read(HEADER)
        while block := file.read(BLOCK):
            checksum.update(block)
    return checksum, header


def _completed(checksum, header, index, annotations):
    """The checksum of a store from the running one of its features, which come first because they are a stream."""
    checksum = checksum.copy()
    checksum.update(header)
    checksum.update(json.dumps([index.length, to_builtins(index.origin)]).encode())
    checksum.update(annotations.read_bytes())
    return checksum.hexdigest()


def write_store(folder, annotations, videos, dtype="float32", problems=None, origin=USUAL):
    """Write a store to ``folder``, which appears only when it is complete. One video is in memory at a time.

    ``videos`` yields ``(id, features [T, 2D])``, each video of ``annotations`` at most once and in any order; those
    that it leaves out are left out of the store's annotations. ``problems``: what went wrong on the way, kind to list
    of lines, which ``videos`` may still fill; kept in ``problems.json``. ``origin``: an :class:`Origin`. Raises
    ``InputError`` when there is no video, or one of another width or without snippets.
    """
    with replacing(folder) as partial:
        partial.mkdir()
        ids, length, header, checksum = write_features(partial / "features.npy", videos, dtype)
        if not ids:
            found = "; ".join(f"{kind}: {len(lines)}, such as {lines[0]}" for kind, lines in (problems or {}).items())
            none = f"none of the {len(annotations.ids)} annotated videos has features of use"
            raise InputError(f"{folder}: {none} ({found or 'no files of theirs were found'})")
        position = {id: i for i, id in enumerate(annotations.ids.tolist())}
        annotations = annotations.select([position[id] for id in ids])
        write_activitynet(partial / "annotations.json", annotations)
        index = Index(annotations.ids.tolist(), length, "", convert(to_builtins(origin), Origin))  # as it is read again
        index.sha256 = _completed(checksum, header, index, partial / "annotations.json")
        write_json(partial / "index.json", to_builtins(index), indent=None)
        write_json(partial / "problems.json", problems or {})


def write_features(path, videos, dtype):
    """Write the features of ``videos`` one after another to ``path``.

    Returns their ids, how many snippets each has, the file's header and the running checksum of all features.
    """
    ids, length, width, checksum = [], [], 0, hashlib.sha256()
    with open(path, "wb") as file:
        file.write(_npy_header((0, 0), dtype))
        for id, features in videos:
            if features.ndim != 2 or not len(features) or (ids and features.shape[1] != width):
                raise InputError(f"video {id}: features of shape {features.shape}, expected [T > 0, {width or '2D'}]")
            width = features.shape[1]
            ids.append(id)
            length.append(len(features))
            with np.errstate(over="ignore"):  # the line below says it
                content = np.ascontiguousarray(features, dtype=dtype)
            if not np.isfinite(content).all():
                raise InputError(f"video {id}: features that are not finite as {np.dtype(dtype).name}")
            content = content.data
            checksum.update(content)
            file.write(content)
        file.seek(0)
        header = _npy_header((sum(length), width), dtype)
        file.write(header)
    return ids, length, header, checksum


def _npy_header(shape, dtype):
    """A ``.npy`` version 1.0 header of 128 bytes whatever the shape.

    So it can be written again at the end of a stream.
    """
    text = repr({"descr": np.dtype(dtype).str, "fortran_order": False, "shape": tuple(shape)})
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117).encode() + b"\n"

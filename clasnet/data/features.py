"""Feature files of one video, as I3D extractors of this field write them."""

from pathlib import Path

import numpy as np

from clasnet.errors import InputError


def load_features(path, flow=None):
    """Snippet features ``[T, 2D]`` float32 (RGB, then flow) of one video.

    They lie in one ``.npy`` file of that shape, or in a pair of ``[T, D]``: RGB at ``path``, and ``flow``. A pair whose
    lengths differ by one snippet, as extractors leave it, is cut to the shorter. Raises ``FileNotFoundError`` or
    ``InputError`` with one line.
    """
    with np.errstate(over="ignore"):  # what is too large becomes infinity, which is complained of
        features = np.array(open_features(path, flow), dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        share = f"{len(bad)} of {len(features)} snippets"
        raise InputError(f"{path}: {share} hold NaN or infinity, the first is snippet {bad[0]}")
    if not len(features):
        raise InputError(f"{path}: holds no snippets")
    return features


def open_features(path, flow=None):
    """As :func:`load_features`, but as the files hold them: a memory map of one, any length, NaN and infinity too."""
    if flow is None:
        return _open(path)
    if Path(path).resolve() == Path(flow).resolve():
        raise InputError(f"{path}: is given as RGB and as flow; name the file of each")
    for place, other in ((path, "_flow"), (flow, "_rgb")):
        if Path(place).stem.endswith(other):
            raise InputError(f"{place}: its name ends in {other}: the pair is RGB first, then flow")
    rgb, other = _open(path), _open(flow)
    if abs(len(rgb) - len(other)) > 1 or rgb.shape[1] != other.shape[1]:
        shapes = f"{path} has shape {rgb.shape} and {flow} {other.shape}"
        raise InputError(f"{shapes}: not RGB and flow of one video, which agree up to one snippet")
    length = min(len(rgb), len(other))
    return np.concatenate([rgb[:length], other[:length]], 1)


def _open(path):
    try:
        features = np.lib.format.open_memmap(path, mode="r")  # unlike np.load, nothing but arrays of numbers
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # a damaged header can fail in any way
        features = _empty(path)
        if features is None:
            reason = str(error) or type(error).__name__
            raise InputError(f"{path}: not a .npy file of numbers, or a truncated one ({reason})") from None
    if features.ndim != 2 or features.dtype.kind != "f":
        raise InputError(f"{path}: expected floats of shape [T, features], found {features.dtype} {features.shape}")
    rest = Path(path).stat().st_size - features.offset - features.nbytes if isinstance(features, np.memmap) else 0
    if min(features.shape) < 0 or rest:
        raise InputError(f"{path}: its header says {features.shape}, which is not what follows; a damaged file")
    return features


def _empty(path):
    """The array of a file that holds none of its rows, which cannot be mapped; None if that is not what is wrong."""
    try:
        array = np.load(path, allow_pickle=False) if Path(path).stat().st_size < 1024 else None
    except Exception:  # as above
        return None
    return array if isinstance(array, np.ndarray) and not array.size else None


def as_long(snippets, snippet_seconds, stated):
    """Do so many ``snippets`` last about as long as it is ``stated``, in seconds: up to 2 s, or to a twentieth?"""
    return abs(snippets * snippet_seconds - stated) <= max(2.0, 0.05 * stated)


def group_files(paths):
    """Videos from feature files, and what is wrong with some of the files.

    Returns id to ``(path,)``, or to ``(rgb path, flow path)`` where names end in ``_rgb.npy`` and ``_flow.npy``; and id
    to a line about the others. Of two files for the same the first one counts.
    """
    found, wrong = {}, {}
    for path in sorted(map(Path, paths)):
        id, modality = _id_and_modality(path.stem)
        if found.setdefault(id, {}).setdefault(modality, path) != path:
            wrong[id] = f"{path} is there besides {found[id][modality]}"
    videos = {}
    for id, files in found.items():
        if "" in files:
            videos[id] = (files[""],)
            for other in [path for modality, path in files.items() if modality]:
                wrong[id] = f"{other} is there besides {files['']}"
        elif len(files) == 2:
            videos[id] = (files["_rgb"], files["_flow"])
        else:
            only = ", ".join(map(str, files.values()))
            wrong[id] = f"found only {only}; give {id}.npy, or both {id}_rgb.npy and {id}_flow.npy"
    return videos, wrong


def _id_and_modality(stem):
    """The video's id and ``"_rgb"``, ``"_flow"`` or ``""`` (both in one) from the ``stem`` of a file name."""
    for modality in ("_rgb", "_flow"):
        if stem.endswith(modality):
            return stem.removesuffix(modality), modality
    return stem, ""

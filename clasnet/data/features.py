"""Feature files of one video, as I3D extractors of this field write them."""

from pathlib import Path

import numpy as np


def load_features(path, flow=None):
    """Snippet features ``[T, 2D]`` float32 (RGB, then flow) from one ``.npy`` file of that shape, or from a pair of ``[T, D]``: RGB at ``path``, ``flow``.

    A pair whose lengths differ by one snippet, as extractors leave it, is cut to the shorter. Raises ``FileNotFoundError`` or ``ValueError``
    with one line.
    """
    if flow is None:
        return _load(path)
    rgb, other = _load(path), _load(flow)
    if abs(len(rgb) - len(other)) > 1 or rgb.shape[1] != other.shape[1]:
        raise ValueError(f"{path} has shape {rgb.shape} and {flow} {other.shape}: not RGB and flow of one video, which agree up to one snippet")
    length = min(len(rgb), len(other))
    return np.concatenate([rgb[:length], other[:length]], 1)


def _load(path):
    try:
        features = np.lib.format.open_memmap(path, mode="r")  # unlike np.load, nothing but arrays of numbers
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: not a .npy file of numbers, or a truncated one ({' '.join(str(error).split())})") from None
    if not isinstance(features, np.ndarray) or features.ndim != 2 or not len(features) or features.dtype.kind != "f":
        raise ValueError(
            f"{path}: expected floats of shape [T > 0, features], found {getattr(features, 'dtype', '')} {getattr(features, 'shape', '')}"
        )
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        raise ValueError(f"{path}: {len(bad)} of {len(features)} snippets hold NaN or infinity, the first is snippet {bad[0]}")
    return np.array(features, dtype=np.float32)


def group_files(paths):
    """Videos from feature files: ``{id: (path,)}``, or ``(rgb path, flow path)`` where names end in ``_rgb.npy`` and ``_flow.npy``."""
    videos = {}
    for path in sorted(map(Path, paths)):
        id, modality = next(((path.stem.removesuffix(m), m) for m in ("_rgb", "_flow") if path.stem.endswith(m)), (path.stem, ""))
        if modality in videos.setdefault(id, {}):
            raise ValueError(f"{path} and {videos[id][modality]} are both video {id}; localise them in two runs")
        videos[id][modality] = path
    for id, files in videos.items():
        if set(files) not in ({""}, {"_rgb", "_flow"}):
            raise ValueError(
                f"video {id}: found {', '.join(str(path) for path in files.values())}; give {id}.npy, or both {id}_rgb.npy and {id}_flow.npy"
            )
    return {id: (files[""],) if "" in files else (files["_rgb"], files["_flow"]) for id, files in videos.items()}

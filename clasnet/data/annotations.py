"""Annotations of untrimmed videos: one in-memory form for every data set, and the two layouts it is read from.

The repository's own files, and ActivityNet's, use the ActivityNet JSON layout (``database`` -> id -> ``subset``,
``duration``, ``annotations``); THUMOS14 is released as parallel object arrays (``Thumos14reduced-Annotations``).
"""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clasnet.data.safe_pickle import load_object_array
from clasnet.files import write_json


@dataclass(frozen=True)
class Annotations:
    """Videos and their labelled segments, as parallel arrays (V videos, S segments, C classes); times in seconds."""

    classes: tuple[str, ...]
    ids: np.ndarray  # [V] str
    subset: np.ndarray  # [V] str, as the files name it
    duration: np.ndarray  # [V] float
    labels: np.ndarray  # [V, C] bool, what training may see
    segments: np.ndarray  # [S, 2] float, start and end
    segment_video: np.ndarray  # [S] int, position in ids
    segment_class: np.ndarray  # [S] int, position in classes
    ambiguous: dict[str, np.ndarray] = field(default_factory=dict)  # id -> [A, 2]; predictions there do not count

    def select(self, videos):
        """The annotations of the videos at the positions ``videos`` [V'], in that order; the classes stay."""
        videos = np.asarray(videos, dtype=int)
        position = np.full(len(self.ids), -1)
        position[videos] = np.arange(len(videos))
        kept = position[self.segment_video] >= 0
        ids = self.ids[videos]
        return Annotations(
            self.classes,
            ids,
            self.subset[videos],
            self.duration[videos],
            self.labels[videos],
            self.segments[kept],
            position[self.segment_video[kept]],
            self.segment_class[kept],
            {id: self.ambiguous[id] for id in ids if id in self.ambiguous},
        )


def make_annotations(classes, videos):
    """Annotations of ``classes`` (names) from plain records.

    ``videos`` yields dicts with ``id``, ``subset``, ``duration``, ``segments`` (``[(start, end, class name)]``) and,
    where they differ from the segments' classes or where there are none, ``labels`` (names).
    """
    videos = list(videos)
    index = {name: i for i, name in enumerate(classes)}
    rows = [(v, index[name], start, end) for v, video in enumerate(videos) for start, end, name in video["segments"]]
    segment_video, segment_class = (np.array([row[i] for row in rows], dtype=int) for i in (0, 1))
    labels = np.zeros((len(videos), len(classes)), dtype=bool)
    labels[segment_video, segment_class] = True
    for v, video in enumerate(videos):
        if video.get("labels") is not None:
            labels[v] = False
            labels[v, [index[name] for name in video["labels"]]] = True
    return Annotations(
        tuple(classes),
        np.array([video["id"] for video in videos], dtype=str),
        np.array([video["subset"] for video in videos], dtype=str),
        np.array([video["duration"] for video in videos], dtype=float),
        labels,
        np.array([row[2:] for row in rows], dtype=float).reshape(-1, 2),
        segment_video,
        segment_class,
        {v["id"]: np.array(v["ambiguous"], dtype=float) for v in videos if v.get("ambiguous")},
    )


def read_annotations(path):
    """Annotations at ``path``: a file in the ActivityNet JSON layout, or a folder of one of three kinds.

    A folder holds one such file, or the arrays that THUMOS14 is released as (W-TALC has ActivityNet v1.2 so, too), or
    BMN's ``anet_anno_action.json`` and ``video_info_new.csv`` of ActivityNet v1.3.

    Raises ``ValueError`` or ``FileNotFoundError`` with one line that names the file and what is wrong in it.
    """
    path = Path(path)
    if not path.exists():
        expected = "a THUMOS14 annotation folder or an ActivityNet JSON file"
        raise FileNotFoundError(f"{path}: no such file or folder; expected {expected}")
    if not path.is_dir():
        return read_activitynet(path)
    if (path / "anet_anno_action.json").exists():
        return read_bmn(path)
    files = list(path.glob("*.json"))
    return read_activitynet(files[0]) if len(files) == 1 else read_thumos14(path)


def read_activitynet(path):
    """Annotations from an ActivityNet JSON file.

    Classes are sorted by name unless the file has its own ``classes`` list.
    """
    try:
        content = json.loads(Path(path).read_text())
        database = content["database"]
        records = [
            {
                "id": id,
                "subset": video["subset"],
                "duration": video["duration"],
                "segments": [(*a["segment"], a["label"]) for a in video["annotations"]],
                "labels": video.get("labels"),
                "ambiguous": video.get("ambiguous"),
            }
            for id, video in database.items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not in the ActivityNet JSON layout ({type(error).__name__}: {error})") from None
    named = {name for record in records for *_, name in record["segments"]}
    return make_annotations(content.get("classes") or sorted(named), records)


def write_activitynet(path, annotations):
    """Write ``annotations`` in the ActivityNet JSON layout.

    ``labels`` and ``ambiguous`` are extra keys that other tools skip.
    """
    a = annotations
    database = {
        id: {
            "subset": str(a.subset[v]),
            "duration": float(a.duration[v]),
            "labels": [a.classes[c] for c in np.flatnonzero(a.labels[v])],
            "annotations": [],
        }
        for v, id in enumerate(a.ids.tolist())
    }
    for v, c, segment in zip(a.segment_video, a.segment_class, a.segments.tolist(), strict=True):
        database[a.ids[v]]["annotations"].append({"label": a.classes[c], "segment": segment})
    for id, segments in a.ambiguous.items():
        database[id]["ambiguous"] = segments.tolist()
    write_json(path, {"version": "1", "classes": list(a.classes), "database": database}, indent=None)


def read_bmn(folder):
    """Annotations from BMN's files of ActivityNet v1.3 in ``folder``.

    Ids are without their ``v_``, as in the official file.
    """
    path, table = Path(folder) / "anet_anno_action.json", Path(folder) / "video_info_new.csv"
    try:
        database = json.loads(path.read_text())
        with table.open(newline="") as file:
            subset = {row["video"]: row["subset"] for row in csv.DictReader(file)}
        records = [
            {
                "id": id.removeprefix("v_"),
                "subset": subset[id],
                "duration": video["duration_second"],
                "segments": [(*a["segment"], a["label"]) for a in video["annotations"]],
            }
            for id, video in database.items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} and {table.name}: not in BMN's layout ({type(error).__name__}: {error})") from None
    return make_annotations(sorted({name for record in records for *_, name in record["segments"]}), records)


def read_thumos14(folder):
    """Annotations from the released ``Thumos14reduced-Annotations`` folder, or another in its layout.

    The released one has 200 validation and 212 test videos of 20 classes. Training labels are ``labels_all`` where
    there is one, as in the released code; it differs from the classes of the segments in two dozen videos.
    """
    folder = Path(folder)
    arrays = _read_parallel_arrays(folder)
    ambiguous = _read_ambiguous(folder / "Ambiguous_test.txt")
    classes = [_text(name) for name in arrays["classlist"]]
    records = []
    for i, id in enumerate(map(_text, arrays["videoname"])):
        segments, names = arrays["segments"][i], arrays["labels"][i]
        labels = None
        if "labels_all" in arrays:
            labels = [_text(name) for name in arrays["labels_all"][i] if _text(name) in classes]
        records.append(
            {
                "id": id,
                "subset": _text(arrays["subset"][i]),
                "duration": float(np.ravel(arrays["duration"][i])[0]),
                "segments": [(s[0], s[1], _text(name)) for s, name in zip(segments, names, strict=False)],
                "labels": labels,
                "ambiguous": ambiguous.get(id),
            }
        )
    return make_annotations(classes, records)


def _read_parallel_arrays(folder):
    """The arrays of a THUMOS14 folder by name, one entry a video but for ``classlist``."""
    names = ["videoname", "subset", "duration", "classlist", "segments", "labels"]
    if (folder / "labels_all.npy").exists():
        names.append("labels_all")
    arrays = {name: load_object_array(folder / f"{name}.npy") for name in names}
    lengths = {name: len(arrays[name]) for name in names if name != "classlist"}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"{folder}: the arrays are parallel and must have one length, but have {lengths}")
    return arrays


def _read_ambiguous(path):
    """Video id to ambiguous segments [(start, end)] in seconds, from lines ``id start end``; empty without the file."""
    ambiguous = {}
    if not path.exists():
        return ambiguous
    for line in path.read_text().splitlines():
        if line.strip():
            id, start, end = line.split()
            ambiguous.setdefault(id, []).append((float(start), float(end)))
    return ambiguous


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)

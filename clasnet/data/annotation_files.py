"""Annotations of every layout that they are published in: the ActivityNet JSON layout, BMN's files of ActivityNet v1.3,
and the parallel object arrays that THUMOS14 is released as (``Thumos14reduced-Annotations``).
"""

import csv
from pathlib import Path

import numpy as np
from msgspec import Struct

from clasnet.data.activitynet import Duration, Instance, Segment, annotations_of, check_segment, read_activitynet
from clasnet.data.safe_pickle import load_object_array
from clasnet.errors import InputError, shown
from clasnet.reading import check_names, expected, fits, read_json


def read_annotations(path):
    """Annotations at ``path``: a file in the ActivityNet JSON layout, or a folder of one of three kinds.

    A folder holds one such file, or the arrays that THUMOS14 is released as (W-TALC has ActivityNet v1.2 so, too), or
    BMN's ``anet_anno_action.json`` and ``video_info_new.csv`` of ActivityNet v1.3.

    Raises ``InputError`` or ``FileNotFoundError`` with one line that names the file and what is wrong in it.
    """
    path = Path(path)
    if not path.exists():
        expected = "a THUMOS14 annotation folder or an ActivityNet JSON file"
        raise FileNotFoundError(f"{path}: no such file or folder; expected {expected}")
    if not path.is_dir():
        return read_activitynet(path)
    if (path / "anet_anno_action.json").exists():
        return read_bmn(path)
    files = sorted(path.glob("*.json"))
    if len(files) > 1 and not (path / "videoname.npy").exists():
        raise InputError(f"{path}: holds {len(files)} JSON files; name the one to read, such as {files[0]}")
    return read_activitynet(files[0]) if len(files) == 1 else read_thumos14(path)


class BMNVideo(Struct):
    """A video in BMN's ``anet_anno_action.json``."""

    duration_second: Duration
    annotations: list[Instance]


def read_bmn(folder):
    """Annotations from BMN's files of ActivityNet v1.3 in ``folder``.

    Ids are without their ``v_``, as in the official file.
    """
    path = Path(folder) / "anet_anno_action.json"
    database, subset = read_json(path, dict[str, BMNVideo]), _read_subsets(Path(folder) / "video_info_new.csv")
    records = []
    for id, video in database.items():
        if id not in subset:
            raise InputError(f"{folder}/video_info_new.csv: has no video {shown(id)}, which {path.name} has")
        for k, instance in enumerate(video.annotations):
            check_segment(f"{path}: [{shown(id)}].annotations[{k}]", instance.segment)
        segments = [(*instance.segment, instance.label) for instance in video.annotations]
        record = {"id": id.removeprefix("v_"), "subset": subset[id], "duration": video.duration_second}
        records.append(record | {"segments": segments})
    return annotations_of(path, records)


def _read_subsets(path):
    """Video id to subset, from the columns ``video`` and ``subset`` of a table."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # whether or not it begins with its mark
            table = csv.DictReader(file)
            for column in ("video", "subset"):
                if (count := (table.fieldnames or []).count(column)) != 1:
                    raise InputError(f"{path}: line 1: has {count or 'no'} column{'s' * (count > 1)} {column!r}")
            subset = {}
            for row in table:
                if not row["video"] or not row["subset"] or row["video"] in subset:
                    what = "is there twice" if row["video"] in subset else "lacks a name or a subset"
                    raise InputError(f"{path}: line {table.line_num}: the video {shown(row['video'])} {what}")
                check_names([row["subset"]], f"{path}: line {table.line_num}: the subset")
                subset[row["video"]] = row["subset"]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a table: {error}") from None
    return subset


def read_thumos14(folder):
    """Annotations from the released ``Thumos14reduced-Annotations`` folder, or another in its layout.

    The released one has 200 validation and 212 test videos of 20 classes. Training labels are ``labels_all`` where
    there is one, as in the released code; it differs from the classes of the segments in 28 videos.
    """
    folder = Path(folder)
    arrays = _read_parallel_arrays(folder)
    ambiguous = _read_ambiguous(folder / "Ambiguous_test.txt")
    classes = _texts(folder / "classlist.npy", arrays["classlist"])
    ids = _texts(folder / "videoname.npy", arrays["videoname"])
    if ambiguous and ambiguous.keys().isdisjoint(ids):  # the released file names one video that the arrays lack
        raise InputError(
            f"{folder / 'Ambiguous_test.txt'}: names none of the videos, but {shown(next(iter(ambiguous)))}"
        )
    subsets = _texts(folder / "subset.npy", arrays["subset"])
    records = []
    for i, id in enumerate(ids):
        segments = _segments(folder / "segments.npy", i, arrays["segments"][i])
        names = _texts(f"{folder / 'labels.npy'}: [{i}]", arrays["labels"][i])
        if len(names) != len(segments):
            raise InputError(f"{folder / 'labels.npy'}: [{i}]: {len(names)} labels of {len(segments)} segments")
        labels = None
        if "labels_all" in arrays:
            labels = _texts(f"{folder / 'labels_all.npy'}: [{i}]", arrays["labels_all"][i])
        records.append(
            {
                "id": id,
                "subset": subsets[i],
                "duration": _duration(folder / "duration.npy", i, arrays["duration"][i]),
                "segments": [(*segment, name) for segment, name in zip(segments, names, strict=True)],
                "labels": labels,
                "ambiguous": ambiguous.get(id),
            }
        )
    return annotations_of(folder, records, classes)


def _read_parallel_arrays(folder):
    """The arrays of a THUMOS14 folder by name, one entry a video but for ``classlist``."""
    names = ["videoname", "subset", "duration", "classlist", "segments", "labels"]
    labels = folder / "labels_all.npy"
    if labels.exists() or labels.is_symlink():  # one that leads nowhere is no reason to take others
        names.append("labels_all")
    arrays = {name: load_object_array(folder / f"{name}.npy") for name in names}
    for name, array in arrays.items():
        if not array.ndim:
            raise InputError(f"{folder / name}.npy: expected an array of one entry a video, found a single value")
    lengths = {name: len(arrays[name]) for name in names if name != "classlist"}
    if len(set(lengths.values())) != 1:
        raise InputError(f"{folder}: the arrays are parallel and must have one length, but have {lengths}")
    return arrays


def _read_ambiguous(path):
    """Video id to ambiguous segments [(start, end)] in seconds, from lines ``id start end``; empty without the file."""
    ambiguous = {}
    if not path.exists() and not path.is_symlink():
        return ambiguous
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            id, *times = line.split()
            try:
                segment = tuple(map(float, times))
            except ValueError:
                segment = ()
            if not fits(segment, Segment) or segment[1] < segment[0]:
                raise InputError(f"{path}: line {number}: {shown(line)}, expected `id start end`, in seconds")
            ambiguous.setdefault(id, []).append(segment)
    return ambiguous


def _numbers(values):
    """``values``, a number or an array of them, as a list; empty where it holds anything else: truth, text, ..."""
    try:
        values = np.ravel(values)
    except ValueError:  # lists of several lengths within it
        return []
    return values.tolist() if values.dtype.kind in "iuf" else []


def _segments(path, i, rows):
    """The segments (start, end) of the ``i``-th video."""
    place, found = f"{path}: [{i}]", []
    for k, row in enumerate(_entries(place, rows)):
        segment = _numbers(row)
        if not fits(segment, Segment):
            raise InputError(f"{place}[{k}]: segment {shown(row)}, expected [start, end] in seconds")
        check_segment(f"{place}[{k}]", segment)
        found.append(segment)
    return found


def _duration(path, i, value):
    """The duration of the ``i``-th video; released as an array of one number."""
    numbers = _numbers(value)
    if len(numbers) != 1 or not fits(numbers[0], Duration):
        raise InputError(f"{path}: [{i}]: {shown(value)}, expected {expected(Duration)}")
    return numbers[0]


def _texts(place, values):
    """Names as text, released as bytes."""
    names = []
    for k, value in enumerate(_entries(place, values)):
        if isinstance(value, bytes):
            value = value.decode("utf-8", "surrogateescape")  # which is no name, if anything of it was none in UTF-8
        if not isinstance(value, str):
            raise InputError(f"{place}: [{k}]: {shown(value)}, expected a name")
        names.append(str(value))
    return names


def _entries(place, values):
    """The entries of ``values``, a list or an array of one axis or more."""
    if not isinstance(values, (list, tuple)) and not (isinstance(values, np.ndarray) and values.ndim):
        raise InputError(f"{place}: {shown(values)}, expected a list")
    return values

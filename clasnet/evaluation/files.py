"""Detection mAP of files: ground truth in the ActivityNet JSON layout, predictions in its submission layout.

What is wrong in a file raises ``ValueError`` with one line that names the file and the place. Files have millions of
predictions, so a good one is read in few steps, and what is wrong with a bad one is found out afterwards.
"""

import json
from math import isfinite
from pathlib import Path

import numpy as np

from clasnet.evaluation.metrics import detection_ap


def evaluate_files(ground_truth, predictions, subset, tious):
    """Class names and :class:`clasnet.evaluation.metrics.DetectionAP` of the file ``predictions``.

    It is compared with the videos of ``subset`` in the file ``ground_truth``.
    """
    names, position, truth = read_ground_truth(ground_truth, subset)
    found = read_predictions(predictions, names, position)
    return names, detection_ap(*truth, *found, tious)


def read_ground_truth(path, subset):
    """Class names; video id to number; segments [G, 2], video [G] and class [G] of the instances in ``subset``."""
    videos = _videos_of(path, subset)
    number = {id: n for n, id in enumerate(videos)}
    segments, rows, labels = [], [], []
    for id, video in videos.items():
        place = f"database[{id!r}]"
        for k, row in enumerate(_list(path, f"{place}.annotations", _get(path, place, video, "annotations"))):
            segments.append(_segment(path, f"{place}.annotations[{k}]", row))
            labels.append(str(_get(path, f"{place}.annotations[{k}]", row, "label")))
            rows.append(number[id])
    names = sorted(set(labels))
    index = {name: c for c, name in enumerate(names)}
    classes = np.array([index[label] for label in labels], dtype=int)
    return names, number, (_array(segments), np.array(rows, dtype=int), classes)


def read_predictions(path, names, number):
    """Segments [P, 2], video [P], class [P] and score [P]. Videos that ``number`` lacks get numbers of their own."""
    number, index = dict(number), {name: c for c, name in enumerate(names)}
    segments, videos, labels, scores = [], [], [], []
    for id, rows in _mapping(path, "results").items():
        video = number.setdefault(id, len(number))
        for k, row in enumerate(_list(path, f"results[{id!r}]", rows)):
            try:
                (start, end), score = row["segment"], row["score"]
                label = index[row["label"]]
                good = start <= end and isfinite(start) and isfinite(end) and isfinite(score)
            except (KeyError, TypeError, ValueError, OverflowError):
                good = False
            if not good:
                _complain(path, f"results[{id!r}][{k}]", row, index)
            segments.append((start, end))
            videos.append(video)
            labels.append(label)
            scores.append(score)
    return _array(segments), np.array(videos, dtype=int), np.array(labels, dtype=int), np.array(scores, dtype=float)


def _videos_of(path, subset):
    """The videos of ``subset`` in the ground truth at ``path``, by id."""
    database = _mapping(path, "database")
    videos = {id: video for id, video in database.items() if _get(path, f"database[{id!r}]", video, "subset") == subset}
    if not videos:
        known = ", ".join(map(repr, sorted({video["subset"] for video in database.values()})))
        raise ValueError(f"{path}: no video of the subset {subset!r}; it has {known}")
    return videos


def _complain(path, place, row, index):
    """Raise the line about a prediction that is wrong."""
    _segment(path, place, row)
    score, label = _get(path, place, row, "score"), _get(path, place, row, "label")
    if not _is_number(score):
        _fail(path, place, f"score {score!r}, expected a number")
    if not isinstance(label, str) or label not in index:
        _fail(path, place, f"label {label!r} is none of the {len(index)} classes of the ground truth's subset")
    _fail(path, place, f"not a prediction: {row!r}")


def _segment(path, place, row):
    """The segment (start, end) of ``row``."""
    segment = _get(path, place, row, "segment")
    if not isinstance(segment, list) or len(segment) != 2 or not all(map(_is_number, segment)):
        _fail(path, place, f"segment {segment!r}, expected [start, end] in seconds")
    if segment[1] < segment[0]:
        _fail(path, place, f"segment {segment!r} ends before it starts")
    return tuple(segment)


def _is_number(value):
    """Is it a number that floats hold?"""
    try:
        return isinstance(value, (int, float)) and isfinite(value)
    except OverflowError:
        return False


def _mapping(path, key):
    """The object under ``key`` of the JSON file ``path``."""
    try:
        content = json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not JSON, which is text") from None
    found = _get(path, "the file", content, key)
    if not isinstance(found, dict):
        _fail(path, key, "expected an object")
    return found


def _list(path, place, value):
    if not isinstance(value, list):
        _fail(path, place, "expected a list")
    return value


def _get(path, place, row, key):
    if not isinstance(row, dict) or key not in row:
        _fail(path, place, f"has no {key!r}")
    return row[key]


def _fail(path, place, what):
    raise ValueError(f"{path}: {place}: {what}")


def _array(segments):
    return np.array(segments, dtype=float).reshape(-1, 2)

"""Detection mAP of any submission in the ActivityNet layout, by the official protocol.

    python -m clasnet.evaluate --ground-truth GT.json --predictions PRED.json --subset validation --tiou 0.5:0.95:0.05

Predictions of a class are visited by falling score, those of equal score in the order of the file. Each takes the free ground truth of its video and
class that it overlaps most (of equal overlaps the first in the file) if their t-IoU reaches the threshold; else it is a false positive, as is every one in a
video that the subset does not have. AP is the area under the interpolated precision-recall curve; mAP is its mean over the classes that have ground truth.
"""

import argparse
import json
import sys
from math import isfinite
from pathlib import Path

import numpy as np

from clasnet.evaluation.metrics import DetectionAP, detection_ap


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m clasnet.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ground-truth", required=True, help="annotations, ActivityNet JSON layout")
    parser.add_argument("--predictions", required=True, help="predictions, ActivityNet submission layout")
    parser.add_argument("--subset", default="validation", help="the subset that counts (default: %(default)s)")
    parser.add_argument("--tiou", default="0.5:0.95:0.05", type=parse_tious, help="start:stop:step or a list 0.3,0.5 (default: %(default)s)")
    parser.add_argument("--format", default="table", choices=("json", "table"))
    parser.add_argument("--per-class", action="store_true", help="the table has a row a class (JSON always holds them)")
    given = parser.parse_args(arguments)
    try:
        names, result = evaluate_files(given.ground_truth, given.predictions, given.subset, given.tiou)
    except (ValueError, OSError) as error:
        sys.exit(f"clasnet.evaluate: {error}")
    print(as_json(names, result) if given.format == "json" else as_table(names, result, given.per_class))


def parse_tious(text):
    """Thresholds from ``"start:stop:step"``, both ends included, or ``"0.3,0.5"``: a tuple in (0, 1]."""
    try:
        numbers = [float(part) for part in text.replace(",", ":").split(":")]
        if ":" in text:
            start, stop, step = numbers
            numbers = (start + step * np.arange(int(np.floor((stop - start) / step + 1e-6)) + 1)).round(10).tolist()
    except (ValueError, ZeroDivisionError):
        numbers = []
    if not numbers or not all(0 < t <= 1 for t in numbers):
        raise argparse.ArgumentTypeError(f"{text!r}: expected start:stop:step, such as 0.5:0.95:0.05, or a list, such as 0.3,0.5, within (0, 1]")
    return tuple(numbers)


def evaluate_files(ground_truth, predictions, subset, tious):
    """Class names and :class:`clasnet.evaluation.metrics.DetectionAP` of the file ``predictions`` against the videos of ``subset`` in the file ``ground_truth``.

    Raises ``ValueError`` with one line that names the file and the place of the first thing that is wrong.
    """
    names, position, truth = read_ground_truth(ground_truth, subset)
    found = read_predictions(predictions, names, position)
    return names, detection_ap(*truth, *found, tious)


def read_ground_truth(path, subset):
    """Class names; video id to number; segments [G, 2], video [G] and class [G] of the instances in ``subset``."""
    database = _mapping(path, "database")
    videos = {id: video for id, video in database.items() if _get(path, f"database[{id!r}]", video, "subset") == subset}
    if not videos:
        known = sorted({video["subset"] for video in database.values()})
        raise ValueError(f"{path}: no video of the subset {subset!r}; it has {', '.join(map(repr, known))}")
    rows, number, labels, segments = [], {id: n for n, id in enumerate(videos)}, [], []
    for id, video in videos.items():
        instances = _get(path, f"database[{id!r}]", video, "annotations")
        for k, row in enumerate(instances if isinstance(instances, list) else _fail(path, f"database[{id!r}].annotations", "expected a list")):
            place = f"database[{id!r}].annotations[{k}]"
            segments.append(_segment(path, place, row))
            labels.append(str(_get(path, place, row, "label")))
            rows.append(number[id])
    names = sorted(set(labels))
    index = {name: c for c, name in enumerate(names)}
    return names, number, (_array(segments), np.array(rows, dtype=int), np.array([index[label] for label in labels], dtype=int))


def read_predictions(path, names, number):
    """Segments [P, 2], video [P], class [P] and score [P]. Videos that ``number`` lacks get numbers of their own."""
    number, index = dict(number), {name: c for c, name in enumerate(names)}
    segments, videos, labels, scores = [], [], [], []
    for id, rows in _mapping(path, "results").items():
        video = number.setdefault(id, len(number))
        for k, row in enumerate(rows if isinstance(rows, list) else _fail(path, f"results[{id!r}]", "expected a list")):
            try:  # the common case, fast; what is wrong is found out below
                (start, end), score = row["segment"], row["score"]
                label = index[row["label"]]
                good = 0 <= score and start <= end and isfinite(start) and isfinite(end) and isfinite(score)
            except (KeyError, TypeError, ValueError, OverflowError):
                good = False
            if not good:
                _complain(path, f"results[{id!r}][{k}]", row, index)
            segments.append((start, end))
            videos.append(video)
            labels.append(label)
            scores.append(score)
    return _array(segments), np.array(videos, dtype=int), np.array(labels, dtype=int), np.array(scores, dtype=float)


def _complain(path, place, row, index):
    """Raise the line about a prediction that is wrong."""
    _segment(path, place, row)
    score, label = _get(path, place, row, "score"), _get(path, place, row, "label")
    if not _number(score) or score < 0:
        _fail(path, place, f"score {score!r}, expected a number from 0 on")
    if not isinstance(label, str) or label not in index:
        _fail(path, place, f"label {label!r} is none of the {len(index)} classes of the ground truth's subset")
    _fail(path, place, f"not a prediction: {row!r}")


def _segment(path, place, row):
    segment = _get(path, place, row, "segment")
    if not isinstance(segment, list) or len(segment) != 2 or not all(map(_number, segment)):
        _fail(path, place, f"segment {segment!r}, expected [start, end] in seconds")
    if segment[1] < segment[0]:
        _fail(path, place, f"segment {segment!r} ends before it starts")
    return tuple(segment)


def _number(value):
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
    return found if isinstance(found, dict) else _fail(path, key, "expected an object")


def _get(path, place, row, key):
    if not isinstance(row, dict) or key not in row:
        _fail(path, place, f"has no {key!r}")
    return row[key]


def _fail(path, place, what):
    raise ValueError(f"{path}: {place}: {what}")


def _array(segments):
    return np.array(segments, dtype=float).reshape(-1, 2)


def as_json(names, result: DetectionAP):
    return json.dumps({
        "tiou": list(result.tious),
        "mAP": result.map.tolist(),
        "average": float(result.map.mean()),
        "ap_by_class": {names[c]: ap.tolist() for c, ap in zip(result.classes, result.ap.T)},
    }, indent=2)  # fmt: skip


def as_table(names, result: DetectionAP, per_class):
    rows = [("class", *(f"{t:g}" for t in result.tious), "average")] if per_class else [("", *(f"{t:g}" for t in result.tious), "average")]
    if per_class:
        rows += [(names[c], *(f"{100 * x:.2f}" for x in ap), f"{100 * ap.mean():.2f}") for c, ap in zip(result.classes, result.ap.T)]
    rows.append(("mAP (%)", *(f"{100 * x:.2f}" for x in result.map), f"{100 * result.map.mean():.2f}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))) for row in rows)


if __name__ == "__main__":
    main()

"""Detection mAP of files: ground truth in the ActivityNet JSON layout, predictions in its submission layout.

What is wrong in a file raises ``InputError`` with one line that names the file and the place. Files have millions of
predictions, so what their schema cannot say is checked of all at once.
"""

import sys
from typing import Annotated, Any

import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from clasnet.data.activitynet import Duration, Instance, Segment, check_segment
from clasnet.data.times import other_units
from clasnet.errors import InputError, shown
from clasnet.evaluation.metrics import detection_ap
from clasnet.reading import check_names, fits, read_json


class Video(Struct):
    subset: str
    annotations: list[Instance] | UnsetType = UNSET  # of the videos of other subsets, which are not read
    duration: Any = None  # in seconds, where there is one; no number depends on it


class GroundTruth(Struct):
    database: dict[str, Video]


class Prediction(Struct, gc=False):
    segment: Segment
    score: Annotated[float, Meta(description="a number")]
    label: str


class Submission(Struct):
    results: dict[str, list[Prediction]]
    version: Raw = Raw()
    external_data: Raw = Raw()


def evaluate_files(ground_truth, predictions, subset, tious):
    """Class names and :class:`clasnet.evaluation.metrics.DetectionAP` of the file ``predictions``.

    It is compared with the videos of ``subset`` in the file ``ground_truth``.
    """
    names, position, truth, lengths = read_ground_truth(ground_truth, subset)
    found = read_predictions(predictions, names, position)
    tell_of_times(ground_truth, "instances", *truth[:2], lengths)
    tell_of_times(predictions, "predictions", *found[:2], lengths)
    return names, detection_ap(*truth, *found, tious)


def read_ground_truth(path, subset):
    """Class names; video id to number; segments [G, 2], video [G] and class [G] of the instances in ``subset``; how
    long each of its videos is, in seconds, infinite where the file does not say.
    """
    database = read_json(path, GroundTruth).database
    videos = {id: video.annotations for id, video in database.items() if video.subset == subset}
    durations = [video.duration for video in database.values() if video.subset == subset]
    if not videos:
        known = ", ".join(map(repr, sorted({video.subset for video in database.values()})))
        raise InputError(f"{path}: no video of the subset {subset!r}; it has {known or 'no video at all'}")
    for id in (id for id, annotations in videos.items() if annotations is UNSET):
        raise InputError(f"{path}: database[{shown(id)}]: has no 'annotations'")
    segments, rows, labels = _columns(path, "database[{}].annotations", videos)
    if not labels:
        raise InputError(f"{path}: no instance in the {len(videos)} videos of the subset {subset!r}")
    names = sorted(set(labels))
    check_names(names, f"{path}: the label")
    index = {name: c for c, name in enumerate(names)}
    classes = np.array([index[label] for label in labels], dtype=int)
    again = len(rows) - len(np.unique(np.column_stack([segments, rows, classes]), axis=0))
    for count, what in ((again, "are there twice"), (int((segments[:, 0] == segments[:, 1]).sum()), "have no length")):
        if count:
            print(f"clasnet.evaluate: {path}: {count} of {len(rows)} instances {what}, and count", file=sys.stderr)
    lengths = np.array([each if fits(each, Duration) else np.inf for each in durations], dtype=float)
    return names, {id: n for n, id in enumerate(videos)}, (segments, rows, classes), lengths


def tell_of_times(path, what, segments, videos, lengths):
    """Say on standard error if ``segments`` [N, 2] of ``videos`` [N] are in other units than seconds; ``lengths`` [V]
    of those of the subset.
    """
    of_each = np.append(lengths, np.inf)[np.minimum(videos, len(lengths))]  # of those that the subset lacks, too
    if line := other_units(segments, of_each, what):
        print(f"clasnet.evaluate: {path}: {line}", file=sys.stderr)


def read_predictions(path, names, number):
    """Segments [P, 2], video [P], class [P] and score [P]. Videos that ``number`` lacks get numbers of their own."""
    results = read_json(path, Submission, count_keys).results
    segments, rows, labels = _columns(path, "results[{}]", results)
    index = {name: c for c, name in enumerate(names)}
    classes = np.array([index.get(label, -1) for label in labels], dtype=int)
    for n in np.flatnonzero(classes < 0):
        known = f"none of the {len(names)} classes of the ground truth's subset"
        raise InputError(f"{path}: {_place('results[{}]', results, n)}: label {shown(labels[n])} is {known}")
    filled = [id for id, own in results.items() if own]
    if not filled:
        raise InputError(f"{path}: holds no prediction at all")
    if number.keys().isdisjoint(filled):
        ids = f"{shown(filled[0])} here, {shown(next(iter(number)))} there"
        raise InputError(f"{path}: none of its {len(filled)} videos is in the ground truth's subset: {ids}")
    if strange := [id for id in filled if id not in number]:
        which = f"{len(strange)} of its {len(filled)} videos, such as {shown(strange[0])}"
        line = f"{which}, are not in the ground truth's subset: all that is found there is false"
        print(f"clasnet.evaluate: {path}: {line}", file=sys.stderr)
    number = dict(number)
    videos = np.array([number.setdefault(id, len(number)) for id in results], dtype=int)
    scores = np.array([row.score for own in results.values() for row in own], dtype=float)
    return segments, videos[rows], classes, scores


def count_keys(submission):
    """How many keys a ``submission`` was read from, and how many colons are in what was not read."""
    others = [bytes(raw) for raw in (submission.version, submission.external_data)]
    read = 1 + len(submission.results) + 3 * sum(map(len, submission.results.values()))
    return read + sum(1 + raw.count(b":") for raw in others if raw)


def _columns(path, place, rows):
    """Segments [N, 2], video [N], as positions in ``rows``, and labels, of the ``rows`` of every video by id."""
    segments = np.array([row.segment for own in rows.values() for row in own], dtype=float).reshape(-1, 2)
    for n in np.flatnonzero(segments[:, 1] < segments[:, 0]):
        check_segment(f"{path}: {_place(place, rows, n)}", segments[n].tolist())
    videos = np.repeat(np.arange(len(rows)), [len(own) for own in rows.values()])
    return segments, videos, [row.label for own in rows.values() for row in own]


def _place(place, rows, n):
    """How the ``n``-th of the rows of all videos is written."""
    for id, own in rows.items():
        if n < len(own):
            return f"{place.format(shown(id))}[{n}]"
        n -= len(own)

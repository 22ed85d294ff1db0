"""Metrics: detection mAP by the ActivityNet protocol, and video classification mAP. NumPy only.

Protocol: predictions of a class are visited by falling score; each takes the free ground truth of its video and class
that it overlaps most, if their t-IoU reaches the threshold, else it is a false positive; AP is the area under the
interpolated precision-recall curve; classes are those of the ground truth. Ties: predictions of equal score keep their
order in the input, and of ground truths with equal t-IoU the later in the input is taken, as in the released
evaluations, which visit them in ascending order of t-IoU, turned round.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from clasnet.errors import InputError, shown


@dataclass(frozen=True)
class DetectionAP:
    """AP by threshold and class."""

    tious: np.ndarray  # [Θ]
    classes: np.ndarray  # [K] int, the classes that have ground truth
    ap: np.ndarray  # [Θ, K]

    @property
    def map(self):
        """mAP per threshold, [Θ]."""
        return self.ap.mean(1) if len(self.classes) else np.zeros(len(self.tious))


def detection_ap(truth_segments, truth_video, truth_class, segments, video, label, scores, tious):
    """AP of scored segments: :class:`DetectionAP`.

    Ground truth: ``truth_segments`` [G, 2], ``truth_video`` and ``truth_class`` [G] int; predictions: ``segments`` [P,
    2], ``video``, ``label`` [P] int, ``scores`` [P]; ``tious`` [Θ]. Predictions of a class without ground truth do not
    count; those in videos without ground truth of their class are false positives. Raises ``InputError`` on arrays of
    other shapes, on numbers that are not finite, on segments that end before they start, on negative classes and
    videos, and on thresholds outside (0, 1].
    """
    tious = numbers("tious", tious)
    if tious.ndim != 1 or not ((tious > 0) & (tious <= 1)).all():
        raise InputError(f"tious = {shown(tious.tolist())}: must be a list of numbers above 0, at most 1")
    truth_segments, truth_video, truth_class = rows_of("ground truth", truth_segments, truth_video, truth_class)
    segments, video, label = rows_of("predictions", segments, video, label)
    scores = numbers("predictions: scores", scores)
    if scores.shape != label.shape:
        raise InputError(f"predictions: scores is {scores.shape}, not [{len(label)}], one a segment")
    classes, truth_count = np.unique(truth_class, return_counts=True)
    order, bounds = rank(label, scores, classes)
    ranked = (x[order] for x in (segments, video, label))
    hit = match(truth_segments, truth_video, truth_class, *ranked, tious) >= 0
    ap = [interpolated_ap(hit[:, a:b], n) for (a, b), n in zip(pairwise(bounds), truth_count, strict=True)]
    return DetectionAP(tious, classes, np.stack(ap, 1) if len(ap) else np.zeros((len(tious), 0)))


def rows_of(what, segments, video, label):
    """``segments`` [N, 2] float64, ``video`` and ``label`` [N] int64, if they are that; else raises ``InputError``."""
    segments = numbers(f"{what}: segments", segments)
    if segments.shape[1:] != (2,) and segments.size:
        raise InputError(f"{what}: segments are {segments.shape}, not [N, 2]")
    if (segments[..., 1:] < segments[..., :1]).any():
        raise InputError(f"{what}: a segment ends before it starts")
    found = [segments]
    for name, column in (("video", video), ("label", label)):
        column = np.asarray(column)
        if column.shape != segments.shape[:1]:
            raise InputError(f"{what}: {name} is {column.shape}, not [{len(segments)}], one a segment")
        if column.size and (column.dtype.kind not in "iu" or column.min() < 0):
            raise InputError(f"{what}: {name} must be whole numbers from 0 on")
        found.append(column.astype(np.int64))
    return found


def numbers(what, values):
    """``values`` as float64, if they are finite numbers; else raises ``InputError``."""
    try:
        values = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):  # text, or lists of several lengths
        raise InputError(f"{what}: must be an array of numbers") from None
    if not np.isfinite(values).all():
        raise InputError(f"{what}: holds NaN or infinity")
    return values


def rank(label, scores, classes):
    """Positions of the predictions of ``classes`` [K], class by class; and where each class begins, [K + 1].

    Within a class they are by falling score, ties in the order given.
    """
    label = np.asarray(label)
    order = np.argsort(-np.asarray(scores), kind="stable")
    order = order[np.isin(label[order], classes)]
    order = order[np.argsort(label[order], kind="stable")]
    return order, np.append(np.searchsorted(label[order], classes), len(order))


def match(truth_segments, truth_video, truth_class, segments, video, label, tious):
    """Which ground truth each prediction takes: [Θ, P] int, -1 for none.

    The predictions are given in falling order of score. Taking turns in that order is a stable matching in which every
    ground truth prefers the higher score, so deferred acceptance finds it.
    """
    tious = np.asarray(tious, dtype=float)
    truth = truth_segments, truth_video, truth_class
    wisher, wish, iou = overlapping_pairs(*truth, segments, video, label, tious.min(initial=1.0))
    order = np.lexsort((-wish, -iou, wisher))  # every prediction's wishes, best first, of equal ones the later
    wisher, wish, iou = wisher[order], wish[order], iou[order]
    taken = np.full((len(tious), len(segments)), -1)
    for row, tiou in zip(taken, tious, strict=True):
        near = iou >= tiou
        holder = deferred_acceptance(wisher[near], wish[near], len(segments), len(truth_segments))
        held = np.flatnonzero(holder < len(segments))
        row[holder[held]] = held
    return taken


def deferred_acceptance(wisher, wish, predictions, truths):
    """Which of P ``predictions`` holds each of G ``truths`` in the end: [G] int, P for none.

    Prediction ``wisher[n]`` wishes for the ground truth ``wish[n]``, [N] each, sorted by prediction, its best wish
    first. Every prediction asks for the best ground truth that has not refused it, every ground truth keeps the best
    prediction that asked, which is the earliest. All of them ask at once, and a few rounds settle a data set.
    """
    asking, start = np.unique(wisher, return_index=True)
    end = np.append(start[1:], len(wisher))
    holder = np.full(truths, predictions)
    cursor = start.copy()  # the wish that each asks for
    active = np.arange(len(asking))
    while len(active):
        wanted = wish[cursor[active]]
        before = holder[wanted]
        np.minimum.at(holder, wanted, asking[active])
        refused = active[holder[wanted] != asking[active]]
        ousted = before[(before != holder[wanted]) & (before != predictions)]
        ousted = np.searchsorted(asking, np.unique(ousted))
        active = np.concatenate([refused, ousted])
        cursor[active] += 1
        active = active[cursor[active] < end[active]]
    return holder


def overlapping_pairs(truth_segments, truth_video, truth_class, segments, video, label, min_iou):
    """All pairs of a prediction and a ground truth of its video and class with t-IoU of at least ``min_iou``.

    Positions of the prediction and of the ground truth, and t-IoU, each [N].
    """
    truth_segments, segments = np.reshape(truth_segments, (-1, 2)), np.reshape(segments, (-1, 2))
    base = 1 + max(np.max(truth_class, initial=0), np.max(label, initial=0))
    key = np.asarray(video, dtype=np.int64) * base + label
    truth_key = np.asarray(truth_video, dtype=np.int64) * base + truth_class
    by_key = np.argsort(truth_key, kind="stable")
    low, high = (np.searchsorted(truth_key[by_key], key, side=side) for side in ("left", "right"))
    found = [(np.empty(0, int), np.empty(0, int), np.empty(0))]
    for a in range(0, len(segments), 100_000):  # bounds the memory, however many ground truths a video has
        block = slice(a, a + 100_000)
        prediction, position = expand_ranges(low[block], high[block])
        prediction, truth = prediction + a, by_key[position]
        iou = temporal_iou(segments[prediction], truth_segments[truth])
        near = iou >= min_iou
        found.append((prediction[near], truth[near], iou[near]))
    prediction, truth, iou = zip(*found, strict=True)
    return np.concatenate(prediction), np.concatenate(truth), np.concatenate(iou)


def expand_ranges(low, high):
    """All numbers of the ranges ``low[p] ... high[p] - 1``, one range after another: p and the number, each [N]."""
    count = high - low
    owner = np.repeat(np.arange(len(low)), count)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(count) - count - low, count)


def temporal_iou(a, b):
    """t-IoU of the segments ``a`` and ``b`` [..., 2], row by row; 0 where both are empty."""
    inter = np.maximum(0, np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0]))
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def interpolated_ap(hit, positives, usual=None):
    """Area under the interpolated precision-recall curve of ``hit`` [Θ, N] bool, in falling order of score: [Θ].

    ``positives``: how many there are to find; ``usual``: precision is normalised as if there were that many.
    """
    true = np.cumsum(hit, 1)
    false = np.arange(1, hit.shape[1] + 1) - true
    scaled = true * (usual / positives) if usual else true
    precision = scaled / np.maximum(scaled + false, 1e-12)
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    return (precision * hit).sum(1) / positives  # recall rises by 1 / positives at every hit


def classification_map(labels, scores):
    """Mean over classes of the (not interpolated) average precision of ``scores`` [V, C] against ``labels`` [V, C].

    Ties keep the order of the videos; classes without a video do not count.
    """
    labels = np.asarray(labels, dtype=bool)
    labels, scores = labels[:, labels.any(0)], np.asarray(scores)[:, labels.any(0)]
    order = np.argsort(-scores, 0, kind="stable")
    hit = np.take_along_axis(labels, order, 0)
    precision = np.cumsum(hit, 0) / np.arange(1, len(hit) + 1)[:, None]
    return float(((precision * hit).sum(0) / hit.sum(0)).mean()) if hit.size else 0.0

"""Metrics: detection mAP by the ActivityNet protocol, and video classification mAP. NumPy only.

Protocol: predictions of a class are visited by falling score; each takes the free ground truth of its video and class that it overlaps
most, if their t-IoU reaches the threshold, else it is a false positive; AP is the area under the interpolated precision-recall curve; classes
are those of the ground truth. Ties: predictions of equal score keep their order in the input, and of equal t-IoU the earlier ground truth wins.
"""

from dataclasses import dataclass

import numpy as np


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
    """AP of scored segments. Ground truth: ``truth_segments`` [G, 2], ``truth_video`` and ``truth_class`` [G] int; predictions:
    ``segments`` [P, 2], ``video``, ``label`` [P] int, ``scores`` [P]; ``tious`` [Θ]. Returns :class:`DetectionAP`.

    Predictions of a class without ground truth do not count; those in videos without ground truth of their class are false positives.
    """
    tious = np.asarray(tious, dtype=float)
    classes, truth_count = np.unique(truth_class, return_counts=True)
    order, bounds = rank(label, scores, classes)
    hit = match(truth_segments, truth_video, truth_class, np.asarray(segments)[order], np.asarray(video)[order], np.asarray(label)[order], tious) >= 0
    ap = [interpolated_ap(hit[:, a:b], n) for a, b, n in zip(bounds, bounds[1:], truth_count)]
    return DetectionAP(tious, classes, np.stack(ap, 1) if len(ap) else np.zeros((len(tious), 0)))


def rank(label, scores, classes):
    """Positions of the predictions of ``classes`` [K], class by class and by falling score, ties in the order given; and where each class
    begins, [K + 1]."""
    label = np.asarray(label)
    order = np.argsort(-np.asarray(scores), kind="stable")
    order = order[np.isin(label[order], classes)]
    order = order[np.argsort(label[order], kind="stable")]
    return order, np.append(np.searchsorted(label[order], classes), len(order))


def match(truth_segments, truth_video, truth_class, segments, video, label, tious):
    """Which ground truth each prediction takes, the predictions given in falling order of score: [Θ, P] int, -1 for none.

    Taking turns in score order is a stable matching in which every ground truth prefers the higher score, so deferred acceptance finds it:
    every prediction asks for the best ground truth that has not refused it, every ground truth keeps the best that asked. All of them
    ask at once, and a few rounds settle a data set.
    """
    tious = np.asarray(tious, dtype=float)
    prediction, truth, iou = overlapping_pairs(truth_segments, truth_video, truth_class, segments, video, label, tious.min(initial=1.0))
    order = np.lexsort((truth, -iou, prediction))  # every prediction's wishes, best first
    prediction, truth, iou = prediction[order], truth[order], iou[order]
    taken = np.full((len(tious), len(segments)), -1)
    for row, tiou in zip(taken, tious):
        reach = iou >= tiou
        wish_of, wish = prediction[reach], truth[reach]
        asking, start = np.unique(wish_of, return_index=True)
        end = np.append(start[1:], len(wish_of))
        free = len(segments)
        holder = np.full(len(truth_segments), free)  # smaller is better: the position in score order
        cursor = start.copy()
        active = np.arange(len(asking))
        while len(active):
            wanted = wish[cursor[active]]
            before = holder[wanted]
            np.minimum.at(holder, wanted, asking[active])
            refused = active[holder[wanted] != asking[active]]
            ousted = before[(before != holder[wanted]) & (before != free)]
            ousted = np.searchsorted(asking, np.unique(ousted))
            active = np.concatenate([refused, ousted])
            cursor[active] += 1
            active = active[cursor[active] < end[active]]
        held = np.flatnonzero(holder != free)
        row[holder[held]] = held
    return taken


def overlapping_pairs(truth_segments, truth_video, truth_class, segments, video, label, min_iou):
    """All pairs of a prediction and a ground truth of its video and class with t-IoU of at least ``min_iou``: positions and t-IoU, each [N]."""
    truth_segments, segments = np.reshape(truth_segments, (-1, 2)), np.reshape(segments, (-1, 2))
    base = 1 + max(np.max(truth_class, initial=0), np.max(label, initial=0))
    key, truth_key = np.asarray(video, dtype=np.int64) * base + label, np.asarray(truth_video, dtype=np.int64) * base + truth_class
    by_key = np.argsort(truth_key, kind="stable")
    low, high = (np.searchsorted(truth_key[by_key], key, side=side) for side in ("left", "right"))
    found = [(np.empty(0, int), np.empty(0, int), np.empty(0))]
    for a in range(0, len(segments), 100_000):  # bounds the memory, however many ground truths a video has
        count = (high - low)[a : a + 100_000]
        prediction = np.repeat(np.arange(a, a + len(count)), count)
        truth = by_key[np.arange(len(prediction)) - np.repeat(np.cumsum(count) - count - low[a : a + 100_000], count)]
        iou = temporal_iou(segments[prediction], truth_segments[truth])
        near = iou >= min_iou
        found.append((prediction[near], truth[near], iou[near]))
    return tuple(np.concatenate(parts) for parts in zip(*found))


def temporal_iou(a, b):
    """t-IoU of the segments ``a`` and ``b`` [..., 2], row by row; 0 where both are empty."""
    inter = np.maximum(0, np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0]))
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def interpolated_ap(hit, positives, usual=None):
    """Area under the interpolated precision-recall curve of ``hit`` [Θ, N] bool, in falling order of score: [Θ]. ``usual``: precision is
    normalised as if there were that many positives."""
    true = np.cumsum(hit, 1)
    false = np.arange(1, hit.shape[1] + 1) - true
    scaled = true * (usual / positives) if usual else true
    precision = scaled / np.maximum(scaled + false, 1e-12)
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    return (precision * hit).sum(1) / positives  # recall rises by 1 / positives at every hit


def classification_map(labels, scores):
    """Mean over classes of the (not interpolated) average precision of ``scores`` [V, C] against ``labels`` [V, C]; ties keep the order of the videos."""
    labels = np.asarray(labels, dtype=bool)
    labels, scores = labels[:, labels.any(0)], np.asarray(scores)[:, labels.any(0)]
    order = np.argsort(-scores, 0, kind="stable")
    hit = np.take_along_axis(labels, order, 0)
    precision = np.cumsum(hit, 0) / np.arange(1, len(hit) + 1)[:, None]
    return float(((precision * hit).sum(0) / hit.sum(0)).mean()) if hit.size else 0.0

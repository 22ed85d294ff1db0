"""Paired bootstrap over test videos: how far their choice could move a number. NumPy only."""

from itertools import pairwise

import numpy as np

from clasnet.evaluation.metrics import match, rank


def resamples(videos, replicates, seed=0):
    """Bootstrap resamples of ``videos`` test videos: how often each is drawn, [B, V].

    The same for everything that is to be compared.
    """
    return np.random.default_rng(seed).multinomial(videos, np.full(videos, 1 / videos), replicates)


def bootstrap_map(truth_segments, truth_video, truth_class, segments, video, label, scores, tious, weights):
    """Mean over ``tious`` of the mAP in every resample ``weights`` [B, V] of the videos: [B].

    The other arguments are those of :func:`clasnet.evaluation.metrics.detection_ap`. Predictions and ground truths of
    different videos never meet, so they are matched once, and a resample only counts them anew. A class that a resample
    has no ground truth of does not count in it.
    """
    weights = np.asarray(weights, dtype=float)
    truth_class, truth_video = np.asarray(truth_class), np.asarray(truth_video)
    classes = np.unique(truth_class)
    order, bounds = rank(label, scores, classes)
    segments, video, label = (np.asarray(x)[order] for x in (segments, video, label))
    hit = match(truth_segments, truth_video, truth_class, segments, video, label, tious) >= 0
    total, counted = np.zeros(len(weights)), np.zeros(len(weights))
    for c, (a, b) in zip(classes, pairwise(bounds), strict=True):
        positives = weights[:, truth_video[truth_class == c]].sum(1)
        ap = resampled_ap(hit[:, a:b], weights[:, video[a:b]], positives)
        total += np.where(positives > 0, ap, 0)
        counted += positives > 0
    return total / np.maximum(counted, 1)


def resampled_ap(hit, weights, positives):
    """Mean over t-IoUs of the interpolated AP of one class in every resample: [B].

    ``hit`` [Θ, N] bool in falling order of score; ``weights`` [B, N]: how often each prediction counts; ``positives``
    [B]: how many instances there are.
    """
    seen = np.cumsum(weights, 1)
    ap = np.zeros(len(weights))
    for row in hit:
        at = np.flatnonzero(row)
        found = weights[:, at]
        precision = np.cumsum(found, 1) / np.maximum(seen[:, at], 1e-12)
        precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        ap += (precision * found).sum(1) / np.maximum(positives, 1) / len(hit)
    return ap

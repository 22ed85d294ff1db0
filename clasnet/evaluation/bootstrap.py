"""Paired bootstrap over test videos: how far their choice could move a number. NumPy and SciPy."""

from itertools import pairwise

import numpy as np
from scipy import sparse

from clasnet.evaluation.metrics import match, rank

BLOCK = 4_000_000  # numbers of hits × resamples that are held at once, 32 MB an array


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
    weights = np.ascontiguousarray(np.asarray(weights, dtype=np.int64).T)  # [V, B]
    truth_class, truth_video = np.asarray(truth_class), np.asarray(truth_video)
    classes = np.unique(truth_class)
    order, bounds = rank(label, scores, classes)
    segments, video, label = (np.asarray(x)[order] for x in (segments, video, label))
    hit = match(truth_segments, truth_video, truth_class, segments, video, label, tious) >= 0
    total, counted = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    for c, (a, b) in zip(classes, pairwise(bounds), strict=True):
        positives = weights[truth_video[truth_class == c]].sum(0)
        ap = resampled_ap(hit[:, a:b], video[a:b], weights, positives)
        total += np.where(positives > 0, ap, 0)
        counted += positives > 0
    return total / np.maximum(counted, 1)


def resampled_ap(hit, video, weights, positives):
    """Mean over t-IoUs of the interpolated AP of one class in every resample: [B].

    ``hit`` [Θ, N] bool in falling order of score, ``video`` [N]; ``weights`` [V, B]: how often each video counts;
    ``positives`` [B]: how many instances there are.
    """
    at = np.flatnonzero(hit.any(0))  # precision matters at hits only
    before = sparse.csr_array(  # how many predictions of each video come after the last hit, up to this one: [H, V]
        (np.ones(len(video), dtype=np.int64), video, np.concatenate([[0], at + 1])), shape=(len(at), len(weights))
    )
    hit, video, replicates = hit[:, at], video[at], len(positives)
    blocks = max(1, min(-(-len(at) * replicates // BLOCK), replicates // 2))  # one alone is summed in another order
    cuts = np.linspace(0, replicates, blocks + 1).astype(int)
    parts = [slice(*cut) for cut in pairwise(cuts.tolist())]
    return np.concatenate([block_ap(hit, video, before, weights[:, part], positives[part]) for part in parts])


def block_ap(hit, video, before, weights, positives):
    """As :func:`resampled_ap`, of the H predictions that hit at some t-IoU: [B]."""
    seen = np.maximum(np.cumsum(before @ weights, 0), 1e-12)
    ap = np.zeros(weights.shape[1])
    for row in hit:
        found = weights[video[row]]
        precision = np.cumsum(found, 0) / seen[row]
        precision = np.maximum.accumulate(precision[::-1], 0)[::-1]
        ap += (precision * found).sum(0) / np.maximum(positives, 1) / len(hit)
    return ap

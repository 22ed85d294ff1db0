"""How sure a number is: spread over seeds, a paired test over seeds, and a paired bootstrap over test videos. NumPy and SciPy."""

import numpy as np
from scipy import stats

from clasnet.evaluation.metrics import match, rank


def spread(values):
    """Standard deviation over seeds; 0 for a single one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def paired_p(before, after):
    """Two-sided p-value of a paired t-test over seeds; NaN for fewer than two seeds or identical differences."""
    difference = np.asarray(after) - np.asarray(before)
    if len(difference) < 2 or np.ptp(difference) == 0:
        return float("nan")
    return float(stats.ttest_rel(after, before).pvalue)


def resamples(videos, replicates, seed=0):
    """Bootstrap resamples of ``videos`` test videos: how often each is drawn, [B, V]. The same for everything that is to be compared."""
    return np.random.default_rng(seed).multinomial(videos, np.full(videos, 1 / videos), replicates)


def bootstrap_map(truth_segments, truth_video, truth_class, segments, video, label, scores, tious, weights):
    """Mean over ``tious`` of the mAP in every resample ``weights`` [B, V] of the videos: [B]. The other arguments are those of ``detection_ap``.

    Predictions and ground truths of different videos never meet, so they are matched once, and a resample only counts them anew. A class
    that a resample has no ground truth of does not count in it.
    """
    weights, truth_class, truth_video = np.asarray(weights, dtype=float), np.asarray(truth_class), np.asarray(truth_video)
    classes = np.unique(truth_class)
    order, bounds = rank(label, scores, classes)
    video = np.asarray(video)[order]
    hit = match(truth_segments, truth_video, truth_class, np.asarray(segments)[order], video, np.asarray(label)[order], tious) >= 0
    total, counted = np.zeros(len(weights)), np.zeros(len(weights))
    for c, a, b in zip(classes, bounds, bounds[1:]):
        positives = weights[:, truth_video[truth_class == c]].sum(1)
        seen = np.cumsum(weights[:, video[a:b]], 1)  # [B, predictions of the class]
        ap = np.zeros(len(weights))
        for row in hit[:, a:b]:
            at = np.flatnonzero(row)
            found = weights[:, video[a:b][at]]
            precision = np.cumsum(found, 1) / np.maximum(seen[:, at], 1e-12)
            precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
            ap += (precision * found).sum(1) / np.maximum(positives, 1) / len(hit)
        total += np.where(positives > 0, ap, 0)
        counted += positives > 0
    return total / np.maximum(counted, 1)


def gain_interval(gains, replicates, videos, coverage=0.95):
    """Interval (low, high) of the mean of paired ``gains`` [S] over seeds *and* test videos.

    ``replicates`` [B] is the mean gain in bootstrap resamples of the ``videos`` V test videos. The variances of both sources add up, with
    Welch and Satterthwaite's degrees of freedom: S - 1 where seeds dominate, V - 1 where videos do. A single seed leaves videos only.
    """
    over_videos, seeds = float(np.var(replicates)), len(gains)
    over_seeds = float(np.var(gains, ddof=1)) / seeds if seeds > 1 else 0.0
    total = over_seeds + over_videos
    if total == 0:
        return float(np.mean(gains)), float(np.mean(gains))
    freedom = total**2 / (over_seeds**2 / max(seeds - 1, 1) + over_videos**2 / max(videos - 1, 1))
    reach = stats.t.ppf((1 + coverage) / 2, freedom) * total**0.5
    return float(np.mean(gains) - reach), float(np.mean(gains) + reach)

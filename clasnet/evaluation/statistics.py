"""How sure a number is. NumPy and SciPy.

Spread over seeds, a paired test over seeds, and the interval of a gain over seeds and test videos.
"""

import numpy as np
from scipy import stats

from clasnet.errors import InputError


def spread(values):
    """Standard deviation over seeds; NaN for a single one, which says nothing of it."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def paired_p(before, after):
    """Two-sided p-value of a paired t-test over seeds; NaN for fewer than two seeds or identical differences."""
    difference = np.asarray(after) - np.asarray(before)
    if len(difference) < 2 or np.ptp(difference) == 0:
        return float("nan")
    return float(stats.ttest_rel(after, before).pvalue)


def gain_interval(gains, replicates, videos, coverage=0.95):
    """Interval (low, high) of the mean of paired ``gains`` [S] over seeds *and* test videos.

    ``replicates`` [B] is the mean gain in bootstrap resamples of the ``videos`` V test videos. The variances of both
    sources add up, with Welch and Satterthwaite's degrees of freedom: S - 1 where seeds dominate, V - 1 where videos
    do. A single seed leaves videos only. Raises ``InputError`` for fewer than two replicates: they have no variance.
    """
    if len(replicates) < 2:
        raise InputError(f"{len(replicates)} bootstrap replicates: an interval over test videos needs at least two")
    over_videos, seeds = float(np.var(replicates)), len(gains)
    over_seeds = float(np.var(gains, ddof=1)) / seeds if seeds > 1 else 0.0
    total = over_seeds + over_videos
    if total == 0:
        return float(np.mean(gains)), float(np.mean(gains))
    freedom = total**2 / (over_seeds**2 / max(seeds - 1, 1) + over_videos**2 / max(videos - 1, 1))
    reach = stats.t.ppf((1 + coverage) / 2, freedom) * total**0.5
    return float(np.mean(gains) - reach), float(np.mean(gains) + reach)

"""What replicates say: each is a new draw of the data and a new seed, and models are compared within it.

Gains are paired: baseline and variant share draw and seed. NumPy and SciPy.
"""

import numpy as np
from scipy import optimize, stats


def mean_interval(values, coverage=0.95):
    """Student's interval (low, high) of the mean of ``values`` [R]; (NaN, NaN) for fewer than two."""
    if len(values) < 2:
        return float("nan"), float("nan")
    reach = stats.t.ppf((1 + coverage) / 2, len(values) - 1) * stats.sem(values)
    return float(np.mean(values) - reach), float(np.mean(values) + reach)


def holm(p):
    """Holm's corrected p of ``p`` [K], in the same order (Scandinavian Journal of Statistics, 1979): [K].

    At most a share α of studies without any effect have one of the K below α.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty(len(p))
    found[order] = np.minimum(corrected, 1)
    return found


def interquartile_mean(values, axis=None):
    """Mean of the middle half of all ``values``, or of those along an ``axis``."""
    return stats.trim_mean(values, 0.25, axis=axis)


def stratified_bootstrap(gains, statistic, resamples=10_000, coverage=0.95, seed=0):
    """Percentile interval (low, high) of ``statistic(values, axis)`` of all ``gains``, drawn anew within every cell.

    ``gains`` [K, R]; as Agarwal et al. do over runs within tasks (NeurIPS 2021).
    """
    gains = np.asarray(gains, dtype=float)
    drawn = np.random.default_rng(seed).integers(gains.shape[1], size=(resamples, *gains.shape))
    values = statistic(np.take_along_axis(gains[None], drawn, 2).reshape(resamples, -1), axis=1)
    low, high = np.quantile(values, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def probability_of_improvement(before, after):
    """How often a run of ``after`` [K, R] beats one of ``before`` [K, R] of the same cell, ties half; mean over cells.

    All pairs of runs, not only those of one replicate: what a reader who draws one of each would meet (Agarwal et al.).
    """
    before, after = np.asarray(before)[:, None, :], np.asarray(after)[:, :, None]
    return float(((after > before) + 0.5 * (after == before)).mean())


def smallest_visible_gain(deviation, replicates, alpha=0.05, power=0.8):
    """The mean gain that a two-sided paired t-test at ``alpha`` finds with probability ``power``.

    ``deviation``: the standard deviation of the paired gains, in their unit.
    """
    freedom, root = replicates - 1, replicates**0.5
    limit = stats.t.ppf(1 - alpha / 2, freedom)

    def missing(effect):
        return stats.nct.sf(limit, freedom, effect * root) - power

    largest = (2 * limit + 4) / root  # found almost surely, and near enough for the distribution to be finite
    return float(deviation * optimize.brentq(missing, 1e-6, largest))

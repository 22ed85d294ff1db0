"""Proposals: the runs of snippets above a threshold, and how much their inside differs from their surroundings."""

import numpy as np


def interpolate(values, frames):
    """``values`` [N, C] at the positions ``j N / frames``, clipped to [0, 1]: [frames, C].

    Linear interpolation, and extrapolation past the last value.
    """
    if len(values) == 1:
        return np.clip(np.repeat(values, frames, 0), 0, 1)
    position = np.arange(frames) * (len(values) / frames)
    left = np.minimum(position.astype(int), len(values) - 2)
    weight = (position - left)[:, None]
    return np.clip(values[left] * (1 - weight) + values[left + 1] * weight, 0, 1)


def find_runs(activity, thresholds, strict=True):
    """All runs of consecutive positions of ``activity`` [T, K] above each of ``thresholds``.

    ``strict``: above is ``>``, else ``>=``. Returns first and last position and column, each [P].
    """
    exceeds = np.greater if strict else np.greater_equal
    active = exceeds(activity.T[None], thresholds[:, None, None])  # [threshold, K, T]
    edges = np.diff(np.pad(active, ((0, 0), (0, 0), (1, 1))).astype(np.int8), axis=-1)
    _, column, first = np.nonzero(edges == 1)
    last = np.nonzero(edges == -1)[2] - 1
    return first, last, column


def outer_inner_score(score, first, last, column, margin=0.25):
    """Mean of ``score`` [T, K] in ``first ... last`` minus its mean in the margins on both sides: [P].

    A margin is ``margin`` times as long as the run, or as far as the video goes; without any, the outside counts as 0.
    """
    total = np.concatenate([np.zeros((1, score.shape[1])), np.cumsum(score, 0, dtype=np.float64)])

    def between(a, b):
        """Sums over the positions a ... b - 1."""
        return total[b, column] - total[a, column]

    length = last - first + 1
    low = np.maximum(0, (first - margin * length).astype(int))
    high = np.minimum(len(score) - 1, (last + margin * length).astype(int))
    outside = (first - low) + (high - last)
    inner = between(first, last + 1) / length
    outer = (between(low, first) + between(last + 1, high + 1)) / np.maximum(outside, 1)
    return inner - outer

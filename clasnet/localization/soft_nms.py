"""Gaussian soft-NMS, vectorised over groups (classes) that advance together."""

import numpy as np

SMALLEST = -700.0  # exponent of a factor that is not 0, by which an empty slot, -inf, would become NaN
PAIRS = 2_000_000  # of proposals whose overlaps are held at once, 16 MB


def soft_nms(start, end, scores, group, sigma, pixel=False, min_iou=0.0):
    """Gaussian soft-NMS (Bodla et al., ICCV 2017) within each ``group``: the lowered scores [P].

    The best of the rest is taken in turn, and every later one is multiplied by ``exp(-iou² / sigma)`` if their IoU
    exceeds ``min_iou``. ``pixel`` counts both ends as covered positions, ``end - start + 1``. Groups advance together,
    one pick a step.
    """
    lowered = np.array(scores, dtype=np.float64)
    for member, filled in batches_of_groups(group):
        value = np.where(filled, lowered[member], -np.inf)
        decay = decay_of_picks(start[member].astype(float), end[member].astype(float), sigma, pixel, min_iou)
        lowered[member[filled]] = lower_in_turn(value, decay, filled.sum(0))[filled]
    return lowered


def batches_of_groups(group):
    """Groups that advance together, larger ones first, as many as ``PAIRS`` has room for, but at least one.

    Yields the positions of their members [G, S], a group a row, and which of these slots are filled [G, S].
    """
    order = np.argsort(group, kind="stable")
    _, first, size = np.unique(group[order], return_index=True, return_counts=True)
    largest = np.argsort(-size, kind="stable")
    first, size = first[largest], size[largest]
    g = 0
    while g < len(size):
        batch = slice(g, g + max(1, PAIRS // int(size[g]) ** 2))
        slot = np.arange(size[g])
        filled = slot < size[batch, None]
        yield order[np.where(filled, first[batch, None] + slot, 0)], filled
        g = batch.stop


def decay_of_picks(start, end, sigma, pixel, min_iou):
    """A function ``(rows [R], best [R])`` to the factors [R, S] of those groups when slot ``best`` of each is taken.

    ``start`` and ``end`` [G, S] are the slots' segments. The factors of all pairs are computed at once where they find
    room; where a single group has too many, as they are needed.
    """

    def computed(rows, best):
        taken = start[rows, best, None], end[rows, best, None]
        return gaussian_decay(start[rows], end[rows], *taken, sigma, pixel, min_iou)

    if start.size * start.shape[1] > PAIRS:
        return computed
    table = gaussian_decay(start[:, :, None], end[:, :, None], start[:, None], end[:, None], sigma, pixel, min_iou)

    def looked_up(rows, best):
        return table[rows, best]

    return looked_up


def gaussian_decay(start, end, other_start, other_end, sigma, pixel, min_iou):
    """By what one proposal lowers another, when it is taken; the four arrays broadcast."""
    inter = np.maximum(np.minimum(end, other_end) - np.maximum(start, other_start) + pixel, 0)
    iou = inter / ((end - start + pixel) + (other_end - other_start + pixel) - inter)
    decay = np.exp(np.maximum(-(iou**2) / sigma, SMALLEST))
    return np.where(iou > min_iou, decay, 1) if min_iou else decay


def lower_in_turn(value, decay, open_groups):
    """Soft-NMS itself, on ``value`` [G, S], where -inf is an empty slot: the lowered values [G, S].

    Step ``n`` still has ``open_groups[n]`` groups to pick from, larger ones first.
    """
    done = np.empty_like(value)
    groups = np.arange(len(value))
    for count in open_groups.tolist():  # each pick depends on the one before
        rows, left = groups[:count], value[:count]
        best = left.argmax(1)
        done[rows, best] = left[rows, best]
        left *= decay(rows, best)
        left[rows, best] = -np.inf
    return done

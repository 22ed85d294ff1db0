"""Gaussian soft-NMS, vectorised over groups (classes) that advance together."""

import numpy as np

PAIRS = 2_000_000  # of proposals whose overlaps are held at once, 16 MB


def soft_nms(start, end, scores, group, sigma, pixel=False, min_iou=0.0):
    """Gaussian soft-NMS (Bodla et al., ICCV 2017) within each ``group``: the lowered scores [P].

    The best of the rest is taken in turn, and every later one is multiplied by ``exp(-iou² / sigma)`` if their IoU exceeds ``min_iou``.
    ``pixel`` counts both ends as covered positions, ``end - start + 1``. Groups advance together, one pick a step.
    """
    lowered = np.array(scores, dtype=np.float64)
    if not len(lowered):
        return lowered
    order = np.argsort(group, kind="stable")
    _, first, size = np.unique(group[order], return_index=True, return_counts=True)
    largest = np.argsort(-size, kind="stable")
    first, size = first[largest], size[largest]
    g = 0
    while g < len(size):
        together = max(1, PAIRS // int(size[g]) ** 2)
        slot = np.arange(size[g])
        filled = slot < size[g : g + together, None]
        member = order[np.where(filled, first[g : g + together, None] + slot, 0)]  # [group, slot]
        s, e = start[member].astype(np.float64), end[member].astype(np.float64)
        lowers = lambda s1, e1, s2, e2: gaussian_decay(s1, e1, s2, e2, sigma, pixel, min_iou)
        if s.size * len(slot) <= PAIRS:
            table = lowers(s[:, :, None], e[:, :, None], s[:, None], e[:, None])
            decay = lambda rows, best, table=table: table[rows, best]
        else:  # one group with more proposals than all their pairs find room for: as they are needed
            decay = lambda rows, best, s=s, e=e: lowers(s[rows], e[rows], s[rows, best, None], e[rows, best, None])
        lowered[member[filled]] = lower_in_turn(np.where(filled, lowered[member], -np.inf), decay, filled.sum(0))[filled]
        g += together
    return lowered


def gaussian_decay(start, end, other_start, other_end, sigma, pixel, min_iou):
    """By what one proposal lowers another, when it is taken; the four arrays broadcast."""
    inter = np.maximum(np.minimum(end, other_end) - np.maximum(start, other_start) + pixel, 0)
    iou = inter / ((end - start + pixel) + (other_end - other_start + pixel) - inter)
    decay = np.exp(-(iou**2) / sigma)
    return np.where(iou > min_iou, decay, 1) if min_iou else decay


def lower_in_turn(value, decay, open_groups):
    """Soft-NMS itself: ``value`` [G, S] (-inf: an empty slot), of which step ``n`` still has ``open_groups[n]`` groups to pick from, larger ones first."""
    done = np.empty_like(value)
    groups = np.arange(len(value))
    for count in open_groups.tolist():  # each pick depends on the one before
        rows, left = groups[:count], value[:count]
        best = left.argmax(1)
        done[rows, best] = left[rows, best]
        left *= decay(rows, best)
        left[rows, best] = -np.inf
    return done

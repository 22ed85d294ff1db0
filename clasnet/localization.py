"""Localisation: from the scores of one video to scored segments.

Proposals are the runs of snippets (ACRNet: frames) above each of several thresholds; a proposal's score is the mean class score inside
minus the mean just outside, plus a share of the video's class score; soft-NMS then lowers what overlaps a better one. One code path serves
CO2-Net, DELU and ACRNet: :class:`Localization` holds what differs. All of it is vectorised over thresholds, classes and proposals.
"""

from dataclasses import dataclass

import numpy as np

from clasnet.data.datasets import SNIPPET_SECONDS


@dataclass(frozen=True)
class Localization:
    """The settings of a localisation. The defaults are CO2-Net's."""

    thresholds: tuple[float, float] = (0.1, 0.9)  # first and last threshold on the activity
    num_thresholds: int = 10
    strict: bool = True  # activity > threshold, else >=
    by_class: bool = False  # is the activity per class (ACRNet) or one for all (attention)?
    class_threshold: float = 0.2  # classes whose video score reaches it; at least the best one
    frames_per_snippet: int = 1  # scores are interpolated to this rate before thresholding
    first_frame: int = 0  # added to both ends of a run (ACRNet counts frames from 1)
    min_length: int = 1  # shorter runs are no proposals
    min_length_kept: int = 1  # shorter proposals are dropped after soft-NMS, in which they still lower the others
    margin: float = 0.25  # the outside, on each side, in lengths of the proposal
    video_weight: float = 0.2
    nms_sigma: float = 0.3
    nms_iou: str = "pixel"  # "pixel": ends are inclusive positions, as in released code; "real": ordinary IoU
    nms_min_iou: float = 0.0  # overlaps up to this one lower nothing
    units: str = "snippets"  # the authors' THUMOS14 code compares with its annotations in whole "snippets" or in "seconds"


@dataclass(frozen=True)
class Detections:
    """Scored segments of one video, N rows."""

    segments: np.ndarray  # [N, 2] seconds
    classes: np.ndarray  # [N] int
    scores: np.ndarray  # [N]


def localize(video, snippet, activity, settings, num_snippets=None, ambiguous=None):
    """Scored segments of one video.

    ``video`` [C], ``snippet`` [N, C] and ``activity`` [N, 1 or C] are NumPy arrays, see :class:`clasnet.baselines.base.Scores`;
    ``num_snippets`` T is the true length of a video that was cut down to N snippets; ``ambiguous`` [A, 2] in seconds. Returns :class:`Detections`.
    """
    classes = np.flatnonzero(video >= settings.class_threshold)
    if not len(classes):
        classes = np.array([np.argmax(video)])
    score = snippet[:, classes]
    if settings.by_class:
        activity = activity[:, classes]
    if settings.frames_per_snippet > 1:
        frames = settings.frames_per_snippet * (num_snippets or len(snippet))
        score, activity = interpolate(score, frames), interpolate(activity, frames)
    first, last, column = find_runs(activity, np.linspace(*settings.thresholds, settings.num_thresholds), settings.strict)
    long = last - first + 1 >= settings.min_length
    first, last, column = first[long], last[long], column[long]
    if not settings.by_class:  # every run is a proposal for every class
        count = len(first)
        column = np.repeat(np.arange(len(classes)), count)
        first, last = np.tile(first, len(classes)), np.tile(last, len(classes))
    scores = outer_inner_score(score, first, last, column, settings.margin) + settings.video_weight * video[classes][column]
    start, end = first + settings.first_frame, last + 1 + settings.first_frame
    scores = soft_nms(start, end, scores, column, settings.nms_sigma, settings.nms_iou == "pixel", settings.nms_min_iou)
    kept = last - first + 1 >= settings.min_length_kept
    segments = np.stack([start, end], 1) * (SNIPPET_SECONDS / settings.frames_per_snippet)
    if ambiguous is not None and len(ambiguous):
        kept &= ~overlaps_any(segments, ambiguous, settings.units)
    return Detections(segments[kept], classes[column[kept]], scores[kept])


def interpolate(values, frames):
    """Linear interpolation (past the last value: extrapolation) of ``values`` [N, C] at positions j N / frames, clipped to [0, 1]: [frames, C]."""
    if len(values) == 1:
        return np.clip(np.repeat(values, frames, 0), 0, 1)
    position = np.arange(frames) * (len(values) / frames)
    left = np.minimum(position.astype(int), len(values) - 2)
    weight = (position - left)[:, None]
    return np.clip(values[left] * (1 - weight) + values[left + 1] * weight, 0, 1)


def find_runs(activity, thresholds, strict=True):
    """All runs of consecutive positions of ``activity`` [T, K] above each threshold: first and last position and column, each [P]."""
    columns = activity.T[None]
    active = columns > thresholds[:, None, None] if strict else columns >= thresholds[:, None, None]  # [threshold, K, T]
    edges = np.diff(np.pad(active, ((0, 0), (0, 0), (1, 1))).astype(np.int8), axis=-1)
    _, column, first = np.nonzero(edges == 1)
    last = np.nonzero(edges == -1)[2] - 1
    return first, last, column


def outer_inner_score(score, first, last, column, margin=0.25):
    """Mean of ``score`` [T, K] in ``first ... last`` minus its mean in the margins on both sides (0 where there are none): [P]."""
    total = np.concatenate([np.zeros((1, score.shape[1])), np.cumsum(score, 0, dtype=np.float64)])
    between = lambda a, b: total[b, column] - total[a, column]  # positions a ... b - 1
    length = last - first + 1
    low = np.maximum(0, (first - margin * length).astype(int))
    high = np.minimum(len(score) - 1, (last + margin * length).astype(int))
    outside = (first - low) + (high - last)
    inner = between(first, last + 1) / length
    outer = (between(low, first) + between(last + 1, high + 1)) / np.maximum(outside, 1)
    return inner - outer


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


PAIRS = 2_000_000  # of proposals whose overlaps are held at once, 16 MB


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


def to_whole_snippets(seconds):
    """Seconds rounded to whole snippets, ``round(t 25 / 16)``, as the released THUMOS14 code evaluates."""
    return np.round(np.asarray(seconds) * 25 / 16)


def overlaps_any(segments, others, unit):
    """Does each of ``segments`` [P, 2] overlap one of ``others`` [A, 2]? In ``"seconds"``, or in whole ``"snippets"`` as half-open ranges: [P] bool."""
    segments, others = np.asarray(segments), np.asarray(others)
    if unit == "snippets":
        segments, others = np.floor(segments / SNIPPET_SECONDS + 1e-6), to_whole_snippets(others)
    start = np.maximum(segments[:, None, 0], others[None, :, 0])
    end = np.minimum(segments[:, None, 1], others[None, :, 1])
    return (start < end).any(1)

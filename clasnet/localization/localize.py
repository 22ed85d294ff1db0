"""Localisation: from the scores of one video to scored segments.

Proposals are the runs of snippets (ACRNet: frames) above each of several thresholds; a proposal's score is the mean
class score inside minus the mean just outside, plus a share of the video's class score; soft-NMS then lowers what
overlaps a better one. One code path serves CO2-Net, DELU and ACRNet: :class:`Localization` holds what differs. All of
it is vectorised over thresholds, classes and proposals.
"""

from dataclasses import dataclass
from numbers import Real

import numpy as np

from clasnet.data.datasets import SNIPPET_SECONDS
from clasnet.errors import InputError, shown
from clasnet.localization.proposals import find_runs, interpolate, outer_inner_score
from clasnet.localization.soft_nms import soft_nms

LONGEST = 3600  # seconds of a snippet
DIGITS = 3  # of a time in seconds: all of a multiple of 0.64 s, or of a frame at 25 a second


@dataclass(frozen=True)
class Detections:
    """Scored segments of one video, N rows."""

    segments: np.ndarray  # [N, 2] seconds
    classes: np.ndarray  # [N] int
    scores: np.ndarray  # [N]


def localize(video, snippet, activity, settings, num_snippets=None, ambiguous=None, snippet_seconds=SNIPPET_SECONDS):
    """Scored segments of one video: :class:`Detections`.

    ``video`` [C], ``snippet`` [N, C] and ``activity`` [N, 1 or C] are NumPy arrays, see
    :class:`clasnet.models.base.Scores`; ``settings`` a :class:`clasnet.localization.settings.Localization`;
    ``num_snippets`` T is the true length of a video that was cut down to N snippets; ``ambiguous`` [A, 2] in seconds:
    detections that overlap one of them are dropped; ``snippet_seconds``: how long a snippet is. Raises ``InputError``
    on scores of other shapes, or that are not finite, and on times and lengths that are none.
    """
    check_scores(video, snippet, activity, settings)
    check_times(num_snippets, ambiguous, snippet_seconds)
    classes = present_classes(video, settings.class_threshold)
    score = snippet[:, classes]
    if settings.by_class:
        activity = activity[:, classes]
    true_length = num_snippets or len(snippet)
    units = known_units(settings.units, snippet_seconds)
    if settings.frames_per_snippet > 1:
        frames = settings.frames_per_snippet * true_length
        score, activity = interpolate(score, frames), interpolate(activity, frames)
    else:  # a position stands for as many snippets as the video was cut down by
        snippet_seconds = snippet_seconds * (true_length / len(snippet))

    first, last, column = propose(activity, len(classes), settings)
    scores = outer_inner_score(score, first, last, column, settings.margin)
    scores = scores + settings.video_weight * video[classes][column]
    start, end = first + settings.first_frame, last + 1 + settings.first_frame
    pixel = settings.nms_iou == "pixel"
    scores = soft_nms(start, end, scores, column, settings.nms_sigma, pixel, settings.nms_min_iou)

    kept = last - first + 1 >= settings.min_length_kept
    segments = in_seconds(np.stack([start, end], 1), settings.frames_per_snippet, snippet_seconds)
    if ambiguous is not None and len(ambiguous):
        kept &= ~overlaps_any(segments, ambiguous, units)
    return Detections(segments[kept], classes[column[kept]], scores[kept])


def check_scores(video, snippet, activity, settings):
    """Raise ``InputError`` unless the three arrays are as :func:`localize` needs them."""
    shapes = tuple(np.shape(array) for array in (video, snippet, activity))
    classes, length = (shapes[0] or (0,))[0], (shapes[1] or (0,))[0]
    expected = ((classes,), (length, classes), (length, classes if settings.by_class else 1))
    if shapes != expected or not classes or not length:
        columns = "C" if settings.by_class else "1"
        raise InputError(f"video, snippet and activity are {shapes}, not [C], [N, C] and [N, {columns}]")
    for name, array in (("video", video), ("snippet", snippet), ("activity", activity)):
        if not np.isfinite(array).all():
            raise InputError(f"{name} scores hold NaN or infinity")


def check_times(num_snippets, ambiguous, snippet_seconds):
    """Raise ``InputError`` unless these arguments are as :func:`localize` needs them."""
    if not isinstance(snippet_seconds, Real) or not 0 < snippet_seconds <= LONGEST:
        raise InputError(f"snippet_seconds = {snippet_seconds}: must be a number above 0, at most {LONGEST:,}")
    if num_snippets is not None and not (num_snippets >= 1 and num_snippets == int(num_snippets)):
        raise InputError(f"num_snippets = {num_snippets}: must be a whole number from 1 on")
    if ambiguous is not None and len(ambiguous):
        times = np.asarray(ambiguous, dtype=float)
        if times.shape[1:] != (2,) or not (times[:, 0] <= times[:, 1]).all():  # nor is NaN
            raise InputError(f"ambiguous = {shown(times.tolist())}: must be segments [A, 2], each [start, end]")


def in_seconds(positions, frames_per_snippet, snippet_seconds=SNIPPET_SECONDS):
    """``positions`` in snippets, or in the frames that these are cut into, in seconds.

    The nearest float to the decimal number: files hold the same number that is evaluated, and 0.64 * 3 is not 1.92.
    """
    return (positions * (snippet_seconds / frames_per_snippet)).round(DIGITS)


def present_classes(video, threshold):
    """The classes whose score in ``video`` [C] reaches ``threshold``; at least the best one."""
    classes = np.flatnonzero(video >= threshold)
    return classes if len(classes) else np.array([np.argmax(video)])


def propose(activity, num_classes, settings):
    """Proposals for each of ``num_classes`` K classes: first and last position and position of the class, each [P].

    ``activity`` [T, K], or [T, 1] where one serves all classes: then every run is a proposal for every class.
    """
    thresholds = np.linspace(*settings.thresholds, settings.num_thresholds)
    first, last, column = find_runs(activity, thresholds, settings.strict)
    long = last - first + 1 >= settings.min_length
    first, last, column = first[long], last[long], column[long]
    if settings.by_class:
        return first, last, column
    return np.tile(first, num_classes), np.tile(last, num_classes), np.repeat(np.arange(num_classes), len(first))


def known_units(units, snippet_seconds):
    """``units``, or seconds: whole snippets are those of 0.64 s that the released code knows, and no others."""
    return units if snippet_seconds == SNIPPET_SECONDS else "seconds"


def to_whole_snippets(seconds):
    """Seconds rounded to whole snippets, ``round(t 25 / 16)``, as the released THUMOS14 code evaluates."""
    return np.round(np.asarray(seconds) * 25 / 16)


def overlaps_any(segments, others, unit):
    """Does each of ``segments`` [P, 2] overlap one of ``others`` [A, 2], both in seconds? [P] bool.

    Compared in ``"seconds"``, or in whole ``"snippets"`` as half-open ranges.
    """
    segments, others = np.asarray(segments), np.asarray(others)
    if unit == "snippets":
        segments, others = np.floor(segments / SNIPPET_SECONDS + 1e-6), to_whole_snippets(others)
    start = np.maximum(segments[:, None, 0], others[None, :, 0])
    end = np.minimum(segments[:, None, 1], others[None, :, 1])
    return (start < end).any(1)

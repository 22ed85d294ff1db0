"""The evaluation protocol of a data set.

In which units predictions and truth are compared, at which t-IoUs, and the headline average.
"""

import numpy as np

from clasnet.data.datasets import SNIPPET_SECONDS, benchmark_of
from clasnet.errors import InputError
from clasnet.evaluation.metrics import detection_ap
from clasnet.localization.localize import known_units, to_whole_snippets


def evaluation_units(setting, localization, dataset, snippet_seconds=SNIPPET_SECONDS):
    """In what predictions and truth are compared: ``"seconds"`` or ``"snippets"``.

    ``setting`` is one of them, or "released": as the authors' code of a baseline with the settings ``localization``
    does on ``dataset``, in seconds where it knows no such snippets (:func:`known_units`). Raises ``InputError`` where
    ``setting`` asks for them there.
    """
    if setting == "released":
        units = localization.units if benchmark_of(dataset).like == "thumos14" else "seconds"
        return known_units(units, snippet_seconds)
    if setting != known_units(setting, snippet_seconds):
        line = f"whole snippets are of {SNIPPET_SECONDS} s, those of {dataset} of {snippet_seconds:g} s"
        raise InputError(f"evaluate.units = 'snippets': {line}; compare in seconds")
    return setting


def comparable(predictions, truth, units="seconds"):
    """The arrays that :func:`clasnet.evaluation.metrics.detection_ap` compares.

    ``predictions``: a :class:`clasnet.inference.predictions.Predictions`; ``truth``: the annotations of the same
    videos; ``units``: ``"seconds"``, or ``"snippets"``, with the truth rounded to whole ones. Whole snippets stay
    integers, as in the released THUMOS14 code: on that grid a t-IoU often *is* the threshold, and 0.64 would move it.
    """
    segments, found = truth.segments, predictions.segments
    if units == "snippets":
        segments, found = to_whole_snippets(segments), (found / SNIPPET_SECONDS).round(6)
    own = segments, truth.segment_video, truth.segment_class
    return *own, found, predictions.video, predictions.classes, predictions.scores


def detection_results(predictions, truth, dataset, units="seconds"):
    """:class:`clasnet.evaluation.metrics.DetectionAP` at the t-IoUs of ``dataset``.

    The other arguments are those of :func:`comparable`.
    """
    return detection_ap(*comparable(predictions, truth, units), benchmark_of(dataset).tious)


def headline_tious(dataset):
    """The t-IoUs of the headline average of ``dataset``."""
    return list(benchmark_of(dataset).averages.values())[-1]


def average(maps, dataset, key=None):
    """Mean [S] of ``maps`` [S, Θ] over the t-IoUs of an average of ``dataset``: ``key``, or its headline average."""
    benchmark = benchmark_of(dataset)
    wanted = benchmark.averages[key] if key else headline_tious(dataset)
    return maps[:, np.isin(benchmark.tious, wanted)].mean(1)


def headline(result, dataset):
    """The headline average of one :class:`clasnet.evaluation.metrics.DetectionAP`."""
    return float(average(result.map[None], dataset)[0])

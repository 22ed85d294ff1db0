"""The page's diagnosis: the errors of a model by kind, cost and size of the instances."""

import numpy as np

from clasnet.evaluation.diagnosis import characteristics, diagnose, sensitivity
from clasnet.evaluation.protocol import comparable


def diagnose_run(predictions, truth, units):
    """Errors of one seed: ``mAP``, ``counts`` and ``cost`` by kind, ``sensitivity`` by bin of instances.

    ``predictions``: :class:`clasnet.inference.predictions.Predictions` for the videos of ``truth``; ``units``: in what
    they are compared.
    """
    compared = comparable(predictions, truth, units)
    true, found = compared[:3], compared[3:]
    errors = diagnose(true, found)
    rows = sensitivity_rows(truth, true, found)
    return {"mAP": errors["mAP"], "counts": errors["counts"], "cost": errors["cost"], "sensitivity": rows}


def sensitivity_rows(truth, true, found):
    """A row a bin of every characteristic; the bins are in seconds, whatever ``true`` and ``found`` are compared in."""
    in_seconds = truth.segments, truth.segment_video, truth.segment_class
    return [
        {"what": what, "bin": name, **row}
        for what, (names, bins) in characteristics(in_seconds, truth.duration).items()
        for name, row in zip(names, sensitivity(true, found, bins, len(names)), strict=True)
    ]


def mean_run(runs):
    """The mean of :func:`diagnose_run` over ``runs``, one a seed; the instances in a bin are the same in all."""
    bins = zip(*(run["sensitivity"] for run in runs), strict=True)
    return {
        "mAP": mean([run["mAP"] for run in runs]),
        "counts": mean_values([run["counts"] for run in runs]),
        "cost": mean_values([run["cost"] for run in runs]),
        "sensitivity": [rows[0] | mean_values([pick(row, ("missed", "mAP_N")) for row in rows]) for rows in bins],
    }


def pick(row, keys):
    """The ``keys`` of ``row``."""
    return {key: row[key] for key in keys}


def mean_values(dicts):
    """The mean of every value over ``dicts``, which have the same keys."""
    return {key: mean([each[key] for each in dicts]) for key in dicts[0]}


def mean(values):
    """The mean of ``values``; None where there is none, in an empty bin."""
    return None if values[0] is None else float(np.mean(values))

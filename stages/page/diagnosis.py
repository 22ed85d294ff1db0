"""The page's diagnosis: the errors of every model by kind, cost and size of the instances."""

import numpy as np

from clasnet.evaluation.diagnosis import characteristics, diagnose, sensitivity
from clasnet.evaluation.protocol import comparable
from clasnet.inference.predictions import Predictions
from stages.results import VARIANTS, read_evaluation, read_predictions, read_truth


def as_arrays(results, ids, classes):
    """:class:`Predictions`, without video scores, from ``results``, video id to rows of a submission.

    ``ids`` and ``classes`` are the names of the videos and of the classes, in the order of their numbers.
    """
    number, index = {id: n for n, id in enumerate(ids)}, {name: c for c, name in enumerate(classes)}
    video, rows = [np.empty(0, dtype=int)], [np.empty((0, 4))]
    for id, actions in results.items():
        video.append(np.full(len(actions), number[id]))
        own = [(index[action["label"]], *action["segment"], action["score"]) for action in actions]
        rows.append(np.array(own, dtype=float).reshape(-1, 4))
    table = np.concatenate(rows)
    return Predictions(np.concatenate(video), table[:, 1:3], table[:, 0].astype(int), table[:, 3], video_scores=None)


def diagnosis(dataset, params):
    """Errors of every baseline without and with CLASNet at t-IoU 0.5, means over seeds: baseline to variant to them."""
    truth, _ = read_truth(dataset)
    return {
        baseline: {variant: diagnose_model(dataset, baseline, variant, truth, params.all_seeds) for variant in VARIANTS}
        for baseline in params.baselines
    }


def diagnose_model(dataset, baseline, variant, truth, seeds):
    """Errors of one model, means over its ``seeds``."""
    units = read_evaluation(dataset, baseline, variant)["units"]
    runs = [diagnose_run(read_predictions(dataset, baseline, variant, seed), truth, units) for seed in seeds]
    return mean_run(runs)


def diagnose_run(results, truth, units):
    """Errors of one submission: ``mAP``, ``counts`` and ``cost`` by kind, ``sensitivity`` by bin of instances."""
    truth = truth.select(np.flatnonzero(np.isin(truth.ids, list(results))))  # a model sets videos aside it cannot read
    compared = comparable(as_arrays(results, truth.ids.tolist(), truth.classes), truth, units)
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

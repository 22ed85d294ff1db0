"""What the page says of all test videos of a data set: every submission is read once, one at a time, and forgotten."""

import numpy as np

from clasnet.evaluation.metrics import detection_ap
from clasnet.evaluation.protocol import comparable, headline_tious
from stages.page.diagnosis import diagnose_run, mean_run
from stages.page.submission import as_predictions
from stages.results import VARIANTS, open_submission, read_evaluation, read_truth


def survey(dataset, params):
    """Baseline to variant to ``diagnosis``, means over seeds, and ``scores``, the :func:`video_scores` [S, V]."""
    truth, _ = read_truth(dataset)
    return {
        baseline: {variant: survey_model(dataset, baseline, variant, truth, params.all_seeds) for variant in VARIANTS}
        for baseline in params.baselines
    }


def survey_model(dataset, baseline, variant, truth, seeds):
    """The same of one model."""
    units = read_evaluation(dataset, baseline, variant)["units"]
    scores, runs = np.full((len(seeds), len(truth.ids)), np.nan), []
    for row, seed in zip(scores, seeds, strict=True):
        submission = open_submission(dataset, baseline, variant, seed)
        there = np.flatnonzero(np.isin(truth.ids, list(submission)))  # a model sets videos aside it cannot read
        own = truth.select(there)
        found = as_predictions(submission, own)
        row[there] = video_scores(found, own, dataset, units)
        runs.append(diagnose_run(found, own, units))
    return {"diagnosis": mean_run(runs), "scores": scores}


def video_scores(found, truth, dataset, units):
    """Each video's own average precision in percent, [V]; NaN for one without instances.

    Mean over its classes and the t-IoUs of the headline average. What competes is within the video alone: every class
    of every video is a class of its own, so what is found in other videos does not count.
    """
    truth_segments, truth_video, truth_class, segments, video, label, scores = comparable(found, truth, units)
    count = len(truth.classes)
    own_truth = truth_segments, truth_video, truth_video * count + truth_class
    found = detection_ap(*own_truth, segments, video, video * count + label, scores, headline_tious(dataset))
    of, videos = found.classes // count, len(truth.ids)
    total = np.bincount(of, 100 * found.ap.mean(0), minlength=videos)
    classes = np.bincount(of, minlength=videos)
    return np.divide(total, classes, out=np.full(videos, np.nan), where=classes > 0)

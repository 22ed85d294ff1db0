"""Results as arrays: how they are computed from predictions, and what the evaluations wrote."""

import json
from pathlib import Path

import numpy as np

from clasnet.models.registry import TITLES
from clasnet.data.datasets import BENCHMARKS, SNIPPET_SECONDS
from clasnet.localization.localize import to_whole_snippets
from clasnet.evaluation.metrics import detection_ap

SYNTHETIC = "SYNTHETIC TWIN, not a benchmark result"


def title(dataset, params):
    """The data set's name for a caption; a twin's says that it is synthetic."""
    name = BENCHMARKS[dataset].title
    return f"{name} ({SYNTHETIC})" if params.active_profile.data[dataset].twin else name


def model_title(baseline, variant):
    """A model's name in tables and figures."""
    return TITLES[baseline] + (" + CLASNet" if variant == "clasnet" else "")


def read_predictions(dataset, baseline, variant, seed):
    """Video id to rows of a submission file."""
    return json.loads(Path(f"predictions/{dataset}/{baseline}/{variant}/seed{seed}.json").read_text())["results"]


def read_evaluation(dataset, baseline, variant):
    """What the evaluation of a model wrote: mAP by seed and protocol, and how it was measured."""
    return json.loads(Path(f"predictions/{dataset}/{baseline}/{variant}/map.json").read_text())


def read_maps(dataset, baseline, variant, protocol=None):
    """mAP in percent of every seed and t-IoU, [S, Θ]: of the protocol that params.yaml asks for, or of another; None if that was not evaluated."""
    content = read_evaluation(dataset, baseline, variant)
    maps = content["protocols"].get(protocol) if protocol else content["mAP"]
    return None if maps is None else 100 * np.array(list(maps.values()))


def read_resamples(dataset, baseline, variant):
    """Headline average in percent of every bootstrap resample of the test videos, mean over seeds: [B]."""
    return 100 * np.load(f"predictions/{dataset}/{baseline}/{variant}/resamples.npy").mean(0)


def count_videos(dataset, baseline):
    """How many test videos the evaluation of ``baseline`` counts."""
    return read_evaluation(dataset, baseline, "baseline")["videos"]


def test_videos(dataset, baselines):
    """How many test videos the evaluations count, in words; by baseline where they differ."""
    counts = {TITLES[b]: count_videos(dataset, b) for b in baselines}
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values()))} test videos"
    return "test videos: " + ", ".join(f"{name} {count}" for name, count in counts.items())


def detection_results(predictions, truth, dataset, units="seconds"):
    """AP of ``predictions`` against the annotations ``truth`` of the same videos, at the t-IoUs of ``dataset``, in ``units`` of :func:`comparable`."""
    return detection_ap(*comparable(predictions, truth, units), BENCHMARKS[dataset].tious)


def comparable(predictions, truth, units="seconds"):
    """The arrays that :func:`clasnet.evaluation.metrics.detection_ap` compares: in seconds, or in ``"snippets"`` with the truth rounded to whole ones.

    Whole snippets stay integers, as in the released THUMOS14 code: on that grid a t-IoU often *is* the threshold, and 0.64 would move it.
    """
    segments, found = truth.segments, predictions.segments
    if units == "snippets":
        segments, found = to_whole_snippets(segments), (found / SNIPPET_SECONDS).round(6)
    return segments, truth.segment_video, truth.segment_class, found, predictions.video, predictions.classes, predictions.scores


def evaluation_units(setting, localization, dataset):
    """In what the truth is compared: ``setting``, or with "released" what the authors' code of a baseline with ``localization`` does on ``dataset``."""
    if setting != "released":
        return setting
    return localization.units if dataset == "thumos14" else "seconds"


def headline(result, dataset):
    """The headline average of a :class:`clasnet.evaluation.metrics.DetectionAP`."""
    return float(average(result.map[None], dataset)[0])


def headline_tious(dataset):
    """The t-IoUs of the headline average."""
    return list(BENCHMARKS[dataset].averages.values())[-1]


def average(maps, dataset, key=None):
    """Per-seed mean [S] of ``maps`` [S, Θ] over the t-IoUs of an average of the data set; its headline average without ``key``."""
    benchmark = BENCHMARKS[dataset]
    wanted = benchmark.averages[key] if key else headline_tious(dataset)
    return maps[:, np.isin(benchmark.tious, wanted)].mean(1)

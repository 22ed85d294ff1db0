"""Results as arrays: how they are computed from predictions, and what the evaluations wrote."""

import json
from pathlib import Path

import numpy as np

from clasnet.data.datasets import BENCHMARKS, SNIPPET_SECONDS
from clasnet.localization import to_whole_snippets
from clasnet.metrics import detection_ap

SYNTHETIC = "SYNTHETIC TWIN, not a benchmark result"


def title(dataset, params):
    """The data set's name for a caption; a twin's says that it is synthetic."""
    name = BENCHMARKS[dataset].title
    return f"{name} ({SYNTHETIC})" if params.active_profile.data[dataset].twin else name


def read_maps(dataset, baseline, variant, protocol=None):
    """mAP in percent of every seed and t-IoU, [S, Θ]: of the protocol that params.yaml asks for, or of another; None if that was not evaluated."""
    content = json.loads(Path(f"predictions/{dataset}/{baseline}/{variant}/map.json").read_text())
    maps = content["protocols"].get(protocol) if protocol else content["mAP"]
    return None if maps is None else 100 * np.array(list(maps.values()))


def read_resamples(dataset, baseline, variant):
    """Headline average in percent of every bootstrap resample of the test videos, mean over seeds: [B]."""
    return 100 * np.load(f"predictions/{dataset}/{baseline}/{variant}/resamples.npy").mean(0)


def test_videos(dataset, baselines, titles):
    """How many test videos the evaluations count, in words; by baseline where they differ."""
    counts = {titles[b]: json.loads(Path(f"predictions/{dataset}/{b}/baseline/map.json").read_text())["videos"] for b in baselines}
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values()))} test videos"
    return "test videos: " + ", ".join(f"{name} {count}" for name, count in counts.items())


def detection_results(predictions, truth, dataset, units="seconds"):
    """AP of ``predictions`` against the annotations ``truth`` of the same videos, at the t-IoUs of ``dataset``; ``units`` "snippets" rounds the truth."""
    return detection_ap(*truth_arrays(truth, units), *prediction_arrays(predictions), BENCHMARKS[dataset].tious)


def truth_arrays(truth, units="seconds"):
    """Segments, videos and classes of the annotations ``truth``, the segments in seconds or rounded to whole snippets."""
    segments = to_whole_snippets(truth.segments) * SNIPPET_SECONDS if units == "snippets" else truth.segments
    return segments, truth.segment_video, truth.segment_class


def prediction_arrays(predictions):
    """Segments, videos, classes and scores of ``predictions``."""
    return predictions.segments, predictions.video, predictions.classes, predictions.scores


def headline(result, dataset):
    """The headline average of a :class:`clasnet.metrics.DetectionAP`."""
    return float(average(result.map[None], dataset)[0])


def headline_tious(dataset):
    """The t-IoUs of the headline average."""
    return list(BENCHMARKS[dataset].averages.values())[-1]


def average(maps, dataset, key=None):
    """Per-seed mean [S] of ``maps`` [S, Θ] over the t-IoUs of an average of the data set; its headline average without ``key``."""
    benchmark = BENCHMARKS[dataset]
    wanted = benchmark.averages[key] if key else headline_tious(dataset)
    return maps[:, np.isin(benchmark.tious, wanted)].mean(1)

"""What the evaluations wrote, as arrays: read by the stages `tables` and `figures`."""

import json
from pathlib import Path

import numpy as np
from scipy import stats

from clasnet.data.datasets import BENCHMARKS

SYNTHETIC = "SYNTHETIC TWIN, not a benchmark result"


def title(dataset, params):
    """The data set's name for a caption; a twin's says that it is synthetic."""
    name = BENCHMARKS[dataset].title
    return f"{name} ({SYNTHETIC})" if params.active_profile.data[dataset].twin else name


def read_maps(dataset, baseline, variant):
    """mAP in percent of every seed and t-IoU: [S, Θ]."""
    content = json.loads(Path(f"predictions/{dataset}/{baseline}/{variant}/map.json").read_text())
    return 100 * np.array(list(content["mAP"].values()))


def test_videos(dataset, baselines, titles):
    """How many test videos the evaluations count, in words; by baseline where they differ."""
    counts = {titles[b]: json.loads(Path(f"predictions/{dataset}/{b}/baseline/map.json").read_text())["videos"] for b in baselines}
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values()))} test videos"
    return "test videos: " + ", ".join(f"{name} {count}" for name, count in counts.items())


def average(maps, dataset, key=None):
    """Per-seed mean [S] of ``maps`` [S, Θ] over the t-IoUs of an average of the data set; its headline average without ``key``."""
    benchmark = BENCHMARKS[dataset]
    wanted = benchmark.averages[key] if key else list(benchmark.averages.values())[-1]
    return maps[:, np.isin(benchmark.tious, wanted)].mean(1)


def spread(values):
    """Standard deviation over seeds; 0 for a single one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def paired_p(a, b):
    """Two-sided p-value of a paired t-test over seeds; NaN for fewer than two seeds or identical differences."""
    difference = np.asarray(b) - np.asarray(a)
    if len(difference) < 2 or np.ptp(difference) == 0:
        return float("nan")
    return float(stats.ttest_rel(b, a).pvalue)

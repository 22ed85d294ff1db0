"""What the tables print of a model: means and spreads over seeds, and the gain with what makes it believable."""

import numpy as np

from clasnet.data.datasets import BENCHMARKS
from clasnet.evaluation.protocol import average
from clasnet.evaluation.statistics import gain_interval, paired_p, spread
from stages.results import averages, count_videos, read_maps, read_resamples


def mean_cell(values):
    """The mean of ``values`` [S] over seeds with its standard deviation, as a table prints it."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{np.mean(values):.1f} ± {spread(values):.1f}"


def map_cells(maps, dataset):
    """The cells of one row from its ``maps`` [S, Θ]: mAP at the printed t-IoUs, then the averages."""
    benchmark = BENCHMARKS[dataset]
    columns = {f"{tiou:g}": mean_cell(maps[:, benchmark.tious.index(tiou)]) for tiou in benchmark.columns}
    return columns | {f"AVG {key}": mean_cell(average(maps, dataset, key)) for key in benchmark.averages}


def model_cells(dataset, baseline, variant):
    """The cells of one model."""
    return map_cells(read_maps(dataset, baseline, variant), dataset)


def gain_cells(dataset, baseline, variant):
    """Mean gain over the bare baseline with its spread over seeds, its interval over seeds and videos, its p-value."""
    before, after = (averages(dataset, baseline, each) for each in ("baseline", variant))
    resampled = read_resamples(dataset, baseline, variant) - read_resamples(dataset, baseline, "baseline")
    low, high = gain_interval(after - before, resampled, count_videos(dataset, baseline))
    p = paired_p(before, after)
    return {
        "Gain (AVG)": f"{np.mean(after - before):+.1f} ± {spread(after - before):.1f}",
        "95 % interval": f"{low:+.1f} to {high:+.1f}",
        "p": "–" if np.isnan(p) else f"{p:.2f}",
    }

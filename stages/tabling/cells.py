"""What the tables print of a model: means and spreads over seeds, and the gain with what makes it believable."""

import numpy as np

from clasnet.data.datasets import benchmark_of
from clasnet.evaluation.protocol import average
from clasnet.evaluation.statistics import gain_interval, paired_p, spread
from stages.params import ROWS
from stages.results import averages, check_pair, count_videos, read_maps, read_resamples

PART_TITLES = {"sparsity": "Sparsity", "fcsm": "FCSM", "brm": "BRM"}  # in the order of Table 4's columns


def number(value, sign=""):
    """``value`` with one digit after the point, with ``sign`` "+" signed; what rounds to zero has no sign."""
    text = f"{value:{sign}.1f}"
    return "0.0" if text in ("-0.0", "+0.0") else text


def mean_cell(values, sign=""):
    """The mean of ``values`` [S] over seeds with its standard deviation, which a single one has not, as printed."""
    if len(values) == 1:
        return number(values[0], sign)
    return f"{number(np.mean(values), sign)} ± {spread(values):.1f}"


def p_cell(p, digits=2):
    """A p-value as a table prints it, never as zero, and none is nothing."""
    if np.isnan(p):
        return "–"
    least = 10**-digits
    return f"< {least:.{digits}f}" if p < least else f"{p:.{digits}f}"


def part_marks(row):
    """The first cells of a row of Table 4: its letter, primed where the FCSM has no contrastive loss, and its parts."""
    letter, _, plain = row.partition("-")
    marks = {name: "✓" if part in ROWS[letter] else "" for part, name in PART_TITLES.items()}
    if plain:
        marks["FCSM"] = "no contrast"
    return {"Row": f"{letter}′" if plain else letter, **marks}


def map_cells(maps, dataset):
    """The cells of one row from its ``maps`` [S, Θ]: mAP at the printed t-IoUs, then the averages."""
    benchmark = benchmark_of(dataset)
    columns = {f"{tiou:g}": mean_cell(maps[:, benchmark.tious.index(tiou)]) for tiou in benchmark.columns}
    return columns | {f"AVG {key}": mean_cell(average(maps, dataset, key)) for key in benchmark.averages}


def model_cells(dataset, baseline, variant):
    """The cells of one model."""
    return map_cells(read_maps(dataset, baseline, variant), dataset)


def gain_estimate(dataset, baseline, variant):
    """What ``variant`` adds to the headline average of the bare baseline: the gains of the seeds [S] in points, the
    interval (low, high) of their mean over seeds and test videos, the p-value over seeds.
    """
    check_pair(dataset, baseline, variant)
    before, after = (averages(dataset, baseline, each) for each in ("baseline", variant))
    resampled = read_resamples(dataset, baseline, variant) - read_resamples(dataset, baseline, "baseline")
    interval = gain_interval(after - before, resampled, count_videos(dataset, baseline))
    return after - before, interval, paired_p(before, after)


def gain_cells(dataset, baseline, variant):
    """Mean gain over the bare baseline with its spread over seeds, its interval over seeds and videos, its p-value."""
    gains, (low, high), p = gain_estimate(dataset, baseline, variant)
    return {
        "Gain (AVG)": mean_cell(gains, "+"),
        "95 % interval": f"{number(low, '+')} to {number(high, '+')}",
        "p": p_cell(p),
    }

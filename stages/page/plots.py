"""What is drawn in the page as plots to hover over: the lines of a forest plot, and Figure 4."""

import numpy as np

from clasnet.data.datasets import benchmark_of
from clasnet.evaluation.statistics import spread
from clasnet.models.registry import TITLES
from stages.results import averages
from stages.tabling.cells import gain_estimate, number, p_cell


def gain_lines(params):
    """A line of the forest plot for every data set and baseline of this run: the interval is that of Tables 1 to 3."""
    return [gain_line(dataset, baseline) for dataset in params.datasets for baseline in params.baselines]


def gain_line(dataset, baseline):
    """One of them; ``values``: the gains of the seeds in points."""
    gains, (low, high), p = gain_estimate(dataset, baseline, "clasnet")
    before, after = (averages(dataset, baseline, variant).mean() for variant in ("baseline", "clasnet"))
    return {
        "data": benchmark_of(dataset).title,
        "method": TITLES[baseline],
        "mean": float(gains.mean()),
        "low": low,
        "high": high,
        "values": gains.round(3).tolist(),
        "text": f"{number(before)} without, {number(after)} with CLASNet; p {p_cell(p)} over seeds",
    }


def sweep(study):
    """Figure 4: the headline average of the study's models by their number of layers and of heads, in percent."""
    return {
        "model": TITLES[study.baseline],
        "data": benchmark_of(study.dataset).title,
        "alone": float(averages(study.dataset, study.baseline, "baseline").mean()),
        "panels": [
            {"name": name, "points": [sweep_point(study, what, n) for n in getattr(study, what)]}
            for what, name in (("layers", "dilated layers L"), ("heads", "attention heads H"))
        ],
    }


def sweep_point(study, what, n):
    """One number of ``what``: mean, standard deviation, which a single seed has not, and the value of every seed."""
    values = averages(study.dataset, study.baseline, f"{what}-{n}")
    deviation = spread(values) if len(values) > 1 else None
    return {"n": n, "mean": float(np.mean(values)), "spread": deviation, "values": values.round(3).tolist()}

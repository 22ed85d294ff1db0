"""Figure 3: the gain of CLASNet by data set and baseline, as a forest plot."""

import matplotlib.pyplot as plt
import numpy as np

from clasnet.data.datasets import benchmark_of
from clasnet.evaluation.replicates import mean_interval
from clasnet.models.registry import TITLES
from stages.drawing.style import BLUE, BROWN, GREEN, GREY, ORANGE, PURPLE, headline
from stages.results import gains

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, BROWN, GREY)  # of the baselines


def draw(params):
    """The figure of one draw of the data: dots are seeds."""
    found = {d: {b: gains(d, b) for b in params.baselines} for d in params.datasets}
    title = f"Gain of CLASNet: mean, 95 % interval over {len(params.all_seeds)} seeds, dots the seeds"
    return forest(found, headline(params, title))


def forest(found, title, overall=None):
    """A line a cell: mean, Student's interval and values of its gains.

    ``found``: data set to baseline to gains [R] in points; ``overall``: mean and (low, high) of all, drawn below.
    """
    lines = [(d, b, values) for d, models in found.items() for b, values in models.items()]
    count = len(lines) + bool(overall)
    figure, axis = plt.subplots(figsize=(8, 0.36 * count + 1.3), layout="constrained")
    baselines = list(dict.fromkeys(b for _, b, _ in lines))
    names = []
    for n, (dataset, baseline, values) in enumerate(lines):
        draw_line(axis, n, values, COLOURS[baselines.index(baseline) % len(COLOURS)])
        names.append(f"{benchmark_of(dataset).title}, {TITLES[baseline]}")
        if n and dataset != lines[n - 1][0]:
            axis.axhline(n - 0.5, color="#dddddd", linewidth=0.8)
    if overall:
        mean, (low, high) = overall
        axis.axhline(len(lines) - 0.5, color="black", linewidth=0.8)
        axis.fill([low, mean, high, mean], [count - 1, count - 1.3, count - 1, count - 0.7], color="black")
        axis.text(high, count - 1, f"  {mean:+.1f}", va="center", fontsize=9, fontweight="bold")
        names.append("All cells")
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set(yticks=range(count), yticklabels=names, ylim=(count - 0.4, -0.6))
    axis.set_xlabel("gain in average mAP (points)")
    axis.set_title(title)
    return figure


def draw_line(axis, y, values, colour):
    """One cell's ``values`` [R] at the height ``y``."""
    low, high = mean_interval(values)
    axis.plot(values, np.full(len(values), y), "o", color=colour, markersize=3.5, alpha=0.35, markeredgewidth=0)
    if low == low:  # a single value has no interval
        axis.plot([low, high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
    axis.plot(np.mean(values), y, "s", color=colour, markersize=6)
    above = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": 8}
    axis.annotate(f"{np.mean(values):+.1f}", (np.mean(values), y), **above)

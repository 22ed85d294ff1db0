"""Figure 3: the gain of CLASNet by baseline and data set."""

import matplotlib.pyplot as plt
import numpy as np

from clasnet.data.datasets import BENCHMARKS
from clasnet.evaluation.statistics import spread
from clasnet.models.registry import TITLES
from stages.drawing.style import BLUE, BROWN, GREEN, GREY, ORANGE, PURPLE, headline
from stages.results import gains

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, BROWN, GREY)  # of the baselines


def draw(params):
    """The figure."""
    figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
    count = len(params.baselines)
    width = 0.8 / count
    for b, baseline in enumerate(params.baselines):
        for d, dataset in enumerate(params.datasets):
            x = d + (b - (count - 1) / 2) * width
            label = TITLES[baseline] if d == 0 else None
            draw_gain(axis, x, gains(dataset, baseline), 0.9 * width, COLOURS[b % len(COLOURS)], label)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_xticks(range(len(params.datasets)), [BENCHMARKS[dataset].title for dataset in params.datasets])
    axis.set_ylabel("gain in average mAP (points)")
    axis.legend(ncols=count, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    seeds = len(params.all_seeds)
    axis.set_title(headline(params, f"Gain of CLASNet: bar mean, whisker ± std, dots the {seeds} seeds"))
    return figure


def draw_gain(axis, x, gain, width, colour, label):
    """The bar of one model at ``x``: mean, spread and values of its ``gain`` [S]."""
    axis.bar(x, gain.mean(), width, color=colour, label=label, alpha=0.85)
    axis.errorbar(x, gain.mean(), spread(gain), color="black", capsize=3, linewidth=1)
    axis.plot(np.full(len(gain), x), gain, "o", color="black", markersize=3, markerfacecolor="white")

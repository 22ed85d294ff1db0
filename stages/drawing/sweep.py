"""Figure 4: average mAP against the number of dilated layers and of attention heads."""

import matplotlib.pyplot as plt
import numpy as np

from clasnet.data.datasets import benchmark_of
from clasnet.evaluation.statistics import spread
from clasnet.models.registry import TITLES
from stages.drawing.style import BROWN, PURPLE, headline
from stages.results import averages


def draw(params):
    """The figure."""
    study = params.study
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
    draw_sweep(axes[0], study, "layers", "dilated layers L")
    draw_sweep(axes[1], study, "heads", "attention heads H")
    axes[0].set_ylabel("average mAP (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    text = f"Dilated layers and heads, {TITLES[study.baseline]} on {benchmark_of(study.dataset).title}"
    figure.suptitle(headline(params, text), fontsize=11)
    return figure


def draw_sweep(axis, study, what, name):
    """One panel: mean, spread and values over seeds for each number of ``what``, and the bare baseline."""
    values = getattr(study, what)
    found = [averages(study.dataset, study.baseline, f"{what}-{n}") for n in values]
    at = range(len(values))
    means, spreads = [each.mean() for each in found], [spread(each) for each in found]
    axis.errorbar(at, means, spreads, color=PURPLE, marker="o", capsize=4, label="with CLASNet, ± std")
    for x, each in zip(at, found, strict=True):
        axis.plot(np.full(len(each), x), each, "o", color=PURPLE, markersize=3, alpha=0.4)
    alone = averages(study.dataset, study.baseline, "baseline").mean()
    axis.axhline(alone, color=BROWN, linestyle="--", label=f"{TITLES[study.baseline]} alone")
    axis.set_xticks(at, values)
    axis.set_xlabel(name)

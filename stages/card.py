"""Stage `card`: what is in the feature store of one data set, on a page: counts, durations, and what was found wrong.

python -m stages.card DATASET
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import ticker

from clasnet.data.datasets import BENCHMARKS, SNIPPET_SECONDS
from clasnet.data.store import open_store
from clasnet.files import replacing
from stages.params import load_params, stage_errors
from stages.results import title
from stages.tables import markdown

COLOURS = {"train": "#0072B2", "test": "#E69F00"}


def counts(store, dataset):
    """One row a subset, and one of both."""
    a, benchmark, rows = store.annotations, BENCHMARKS[dataset], []
    sides = {f"training ({benchmark.train})": a.subset == benchmark.train, f"test ({benchmark.test})": a.subset == benchmark.test}
    for name, own in {**sides, "both": np.isin(a.subset, (benchmark.train, benchmark.test))}.items():
        inside = own[a.segment_video]
        length = np.diff(a.segments[inside], axis=1).ravel()
        rows.append({
            "subset": name, "videos": own.sum(), "snippets": f"{store.length[own].sum():,}",
            "hours": f"{store.length[own].sum() * SNIPPET_SECONDS / 3600:.1f}",
            "classes": len(np.unique(a.segment_class[inside])), "instances": inside.sum(),
            "per video": f"{inside.sum() / max(own.sum(), 1):.1f}",
            "median instance (s)": f"{np.median(length):.1f}" if len(length) else "",
            "videos of 10 snippets or fewer": (store.length[own] <= 10).sum(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def annotation_problems(store):
    """What the annotations say that the features cannot hold."""
    a, problems = store.annotations, {}
    end = store.length[a.segment_video] * SNIPPET_SECONDS
    for kind, wrong in (
        ("instances that begin after the last snippet", a.segments[:, 0] >= end),
        ("instances that end more than a second after the last snippet", a.segments[:, 1] > end + 1),
        ("instances that end before they begin", a.segments[:, 1] <= a.segments[:, 0]),
    ):
        if wrong.any():
            rows = np.flatnonzero(wrong)
            problems[kind] = [f"{a.ids[a.segment_video[i]]} at {a.segments[i, 0]:.1f} to {a.segments[i, 1]:.1f} s" for i in rows]
    return problems


def histograms(store, dataset, headline):
    """Lengths of videos and of instances."""
    a, benchmark = store.annotations, BENCHMARKS[dataset]
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    instance = np.maximum(np.diff(a.segments, axis=1).ravel(), 0.1)
    for axis, values, subset, name in ((axes[0], store.length * SNIPPET_SECONDS, a.subset, "video length (s)"),
                                       (axes[1], instance, a.subset[a.segment_video], "instance length (s)")):  # fmt: skip
        bins = np.geomspace(values.min(), values.max() * 1.001, 30)
        sides = [values[subset == side] for side in (benchmark.train, benchmark.test)]
        axis.hist(sides, bins, color=list(COLOURS.values()), label=list(COLOURS), stacked=True)
        axis.set(xscale="log", xlabel=name)
        axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(ticker.ScalarFormatter())
        axis.xaxis.set_minor_formatter(ticker.NullFormatter())
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("count")
    axes[1].legend(frameon=False)
    figure.suptitle(headline, fontsize=11)
    return figure


def main():
    (dataset,) = sys.argv[1:]
    params = load_params()
    store = open_store(f"data/{dataset}")
    problems = json.loads(Path(f"data/{dataset}/problems.json").read_text()) | annotation_problems(store)
    headline = title(dataset, params)
    lines = [f"# {headline}", markdown(counts(store, dataset)), f"Features: {store.features.shape[1]} columns, {store.features.dtype}; a snippet is "
             f"{SNIPPET_SECONDS} s. Classes: {', '.join(store.annotations.classes)}.", "![lengths of videos and instances](lengths.png)", "## Problems found"]  # fmt: skip
    lines += [f"**{kind}: {len(rows)}.** {'; '.join(rows[:50])}{' …' * (len(rows) > 50)}" for kind, rows in problems.items()] or ["None."]
    with replacing(f"reports/data/{dataset}") as folder:
        folder.mkdir(parents=True)
        figure = histograms(store, dataset, headline)
        figure.savefig(folder / "lengths.png", dpi=110, metadata={"Software": None})
        (folder / "README.md").write_text("\n\n".join(lines) + "\n")
    print(f"reports/data/{dataset}: {len(problems)} kinds of problems in {len(store.length)} videos")


if __name__ == "__main__":
    stage_errors(main)

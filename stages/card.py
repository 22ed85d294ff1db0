"""Stage `card`: what is in the feature store of one data set, on a page: counts, durations, and what was found wrong.

python -m stages.card DATASET
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import ticker

from clasnet.data.annotations import tested_classes
from clasnet.data.datasets import benchmark_of
from clasnet.data.store import open_store
from clasnet.files import replacing
from clasnet.reading import read_json
from stages.errors import argument, stage_errors
from stages.params import read_params
from stages.results import title
from stages.tabling.write import markdown

COLOURS = {"train": "#0072B2", "test": "#E69F00"}
SHOWN = 50  # problems of a kind


def count_rows(store, benchmark):
    """One row a subset, and one of both."""
    subset = store.annotations.subset
    sides = {
        f"training ({benchmark.train})": subset == benchmark.train,
        f"test ({benchmark.test})": subset == benchmark.test,
        "both": np.isin(subset, (benchmark.train, benchmark.test)),
    }
    return [{"subset": name, **counts(store, own)} for name, own in sides.items()]


def counts(store, own):
    """What is in the videos ``own`` [V] bool."""
    a = store.annotations
    inside = own[a.segment_video]
    snippets, videos, instances = store.length[own], own.sum(), inside.sum()
    seconds = np.diff(a.segments[inside], axis=1).ravel()
    return {
        "videos": videos,
        "snippets": f"{snippets.sum():,}",
        "hours": f"{store.seconds[own].sum() / 3600:.1f}",
        "classes": len(np.unique(a.segment_class[inside])),
        "instances": instances,
        "per video": f"{instances / max(videos, 1):.1f}",
        "median instance (s)": f"{np.median(seconds):.1f}" if len(seconds) else "",
        "videos of 10 snippets or fewer": (snippets <= 10).sum(),
    }


def annotation_problems(store):
    """What the annotations say that the features cannot hold: kind to list of lines."""
    a = store.annotations
    start, stop = a.segments.T
    end = store.seconds[a.segment_video]
    rows = np.column_stack([a.segments, a.segment_video, a.segment_class])
    _, first = np.unique(rows, axis=0, return_index=True)
    wrong = {
        "instances that are there twice": ~np.isin(np.arange(len(rows)), first),
        "instances that begin before the first snippet": start < 0,
        "instances that begin after the last snippet": start >= end,
        "instances that end more than a second after the last snippet": stop > end + 1,
        "instances that end before they begin": stop <= start,
    }
    return {
        kind: [f"{a.ids[a.segment_video[i]]} at {start[i]:.1f} to {stop[i]:.1f} s" for i in np.flatnonzero(rows)]
        for kind, rows in wrong.items()
        if rows.any()
    }


def class_problems(store, benchmark):
    """Which videos teach nothing, and which classes are tested and never taught: kind to list of lines."""
    a = store.annotations
    train = a.subset == benchmark.train
    _, untrained = tested_classes(a, benchmark)
    found = {
        "training videos without a label": a.ids[train & ~a.labels.any(1)].tolist(),
        "classes of the test videos that no training video has": untrained if train.any() else [],
    }
    return {kind: lines for kind, lines in found.items() if lines}


def draw_lengths(store, benchmark, headline):
    """A figure of the lengths of videos and of instances."""
    a = store.annotations
    instances = np.maximum(np.diff(a.segments, axis=1).ravel(), 0.1)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    draw_histogram(axes[0], store.seconds, a.subset, benchmark, "video length (s)")
    draw_histogram(axes[1], instances, a.subset[a.segment_video], benchmark, "instance length (s)")
    axes[0].set_ylabel("count")
    axes[1].legend(frameon=False)
    figure.suptitle(headline, fontsize=11)
    return figure


def draw_histogram(axis, values, subset, benchmark, name):
    """Both subsets' ``values`` [N] in seconds, on a logarithmic axis; ``subset`` [N] says whose they are."""
    bins = np.geomspace(values.min(), values.max() * 1.001, 30)
    sides = [values[subset == side] for side in (benchmark.train, benchmark.test)]
    axis.hist(sides, bins, color=list(COLOURS.values()), label=list(COLOURS), stacked=True)
    axis.set(xscale="log", xlabel=name)
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(ticker.ScalarFormatter())
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())
    axis.spines[["top", "right"]].set_visible(False)


def card_text(store, benchmark, headline, problems, drawn):
    """The card in Markdown; ``drawn``: are the features a generator's?"""
    classes = ", ".join(store.annotations.classes)
    paragraphs = [
        f"# {headline}",
        markdown(count_rows(store, benchmark)),
        f"{features_text(store, drawn)} Classes: {classes}.",
        "![lengths of videos and instances](lengths.png)",
        "## Problems found",
        *([problem_text(kind, rows) for kind, rows in problems.items()] or ["None."]),
    ]
    return "\n\n".join(paragraphs) + "\n"


def features_text(store, drawn):
    """What the features are, and what of the video each snippet is."""
    origin, columns = store.origin, store.features.shape[1]
    streams = "RGB and flow" if origin.streams == 2 else "a single stream"
    features = f"Features: {columns} columns ({streams}), {store.features.dtype}; a snippet is {origin.seconds:.4g} s"
    if drawn:
        return f"{features}, drawn by a generator from no frames."
    crops = "crops not stated by their authors" if origin.crops is None else f"crops: {origin.crops}"
    return f"{features}: frame rate {origin.rate:g} a second, stride {origin.stride} frames, {crops}."


def problem_text(kind, rows):
    """One kind of problem: how many there are, and the first of them."""
    more = " …" if len(rows) > SHOWN else ""
    return f"**{kind}: {len(rows)}.** {'; '.join(rows[:SHOWN])}{more}"


def main():
    dataset = argument("DATASET")
    params = read_params()
    headline, benchmark = title(dataset, params), benchmark_of(dataset)
    drawn = bool(params.active_profile.data[dataset].twin)
    store = open_store(f"data/{dataset}")
    found = read_json(Path(f"data/{dataset}/problems.json"), dict[str, list[str]])
    problems = found | class_problems(store, benchmark) | annotation_problems(store)
    with replacing(f"reports/data/{dataset}") as folder:
        folder.mkdir(parents=True)
        figure = draw_lengths(store, benchmark, headline)
        figure.savefig(folder / "lengths.png", dpi=110, metadata={"Software": None})
        (folder / "README.md").write_text(
            card_text(store, benchmark, headline, problems, drawn), encoding="utf-8", newline="\n"
        )
    print(f"reports/data/{dataset}: {len(problems)} kinds of problems in {len(store.length)} videos")


if __name__ == "__main__":
    stage_errors(main)

"""Stage `figures`: Figures 2 to 5 as PNG and SVG."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch

from clasnet.models.registry import TITLES
from clasnet.models.checkpoint import load_model
from clasnet.data.datasets import BENCHMARKS, SNIPPET_SECONDS
from clasnet.data.store import open_store
from clasnet.files import replacing
from clasnet.evaluation.metrics import temporal_iou
from clasnet.evaluation.statistics import spread
from clasnet.inference.timeline import disjoint
from stages.params import load_params, stage_errors
from stages.results import SYNTHETIC, average, model_title, read_maps, read_predictions

# Okabe and Ito's colours, which people with any colour vision can tell apart
BLUE, ORANGE, GREEN, PURPLE, BROWN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#8E4585", "#8C510A", "#D00000", "#777777"

plt.rcParams.update({
    "font.size": 10, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 150,
    "svg.hashsalt": "clasnet", "savefig.bbox": "tight", "legend.frameon": False,
})  # fmt: skip


def save(figure, folder, name):
    """Write ``figure`` as PNG and SVG, the same bytes every time."""
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def sources(params, text):
    """A figure's headline, with the mark of synthetic data."""
    return f"{text}\n{SYNTHETIC}" if params.synthetic else text


def contrast_figure(params):
    """Figure 2: action and background snippets of test videos in two dimensions, before and after the FCSM."""
    study = params.study
    store = open_store(f"data/{study.dataset}")
    model = load_model(f"models/{study.dataset}/{study.baseline}/clasnet/seed{params.seeds[0]}.pt")
    before, after, action = [], [], []
    a = store.annotations
    for v in store.subset(BENCHMARKS[study.dataset].test)[:20]:
        x = store.video(v)
        with torch.inference_mode():
            separated = model.fcsm(torch.from_numpy(x)[None])[1][0].numpy()
        middle = (np.arange(len(x)) + 0.5) * SNIPPET_SECONDS
        spans = a.segments[a.segment_video == v]
        action.append(((spans[:, :1] <= middle) & (middle < spans[:, 1:])).any(0))
        before.append(x)
        after.append(separated)
    action = np.concatenate(action)
    rng = np.random.default_rng(0)
    shown = rng.permutation(len(action))[:1500]
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
    for axis, features, name in zip(axes, (before, after), ("Input features", "Separated features (FCSM)")):
        points = first_two_components(np.concatenate(features))
        for group, colour, label, marker in ((~action, ORANGE, "background", "o"), (action, BLUE, "action", "^")):
            at = shown[group[shown]]
            axis.scatter(*points[at].T, s=9, c=colour, alpha=0.45, marker=marker, linewidths=0, label=label)
        axis.set(title=f"{name}\nFisher ratio {fisher_ratio(np.concatenate(features), action):.2f}", xticks=[], yticks=[],
                 xlabel="first component", ylabel="second component")  # fmt: skip
    figure.legend(*axes[0].get_legend_handles_labels(), markerscale=2, loc="outside lower center", ncols=2)
    figure.suptitle(
        sources(params, f"Contrast separation, {model_title(study.baseline, 'clasnet')} on {BENCHMARKS[study.dataset].title} test snippets"),
        fontsize=11,
    )
    return figure


def first_two_components(features):
    """Principal components of L2-normalised ``features`` [N, F]: [N, 2]."""
    x = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    x = x - x.mean(0)
    _, vectors = np.linalg.eigh(x.T @ x)
    top = vectors[:, :-3:-1]
    return x @ (top * np.sign(top[np.abs(top).argmax(0), [0, 1]]))  # a fixed sign


def fisher_ratio(features, action):
    """Squared distance of the two group means over the mean squared distance of the snippets to their own mean, on L2-normalised features."""
    x = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    groups = x[action], x[~action]
    within = sum(((g - g.mean(0)) ** 2).sum() for g in groups) / len(x)
    return ((groups[0].mean(0) - groups[1].mean(0)) ** 2).sum() / within


def gains_figure(params):
    """Figure 3: the gain of CLASNet per baseline and data set."""
    figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
    width, colours = 0.8 / len(params.baselines), (BLUE, ORANGE, GREEN, PURPLE, BROWN, GREY)
    for b, baseline in enumerate(params.baselines):
        for d, dataset in enumerate(params.datasets):
            before, after = (average(read_maps(dataset, baseline, v), dataset) for v in ("baseline", "clasnet"))
            gain, x = after - before, d + (b - (len(params.baselines) - 1) / 2) * width
            axis.bar(x, gain.mean(), 0.9 * width, color=colours[b % len(colours)], label=TITLES[baseline] if d == 0 else None, alpha=0.85)
            axis.errorbar(x, gain.mean(), spread(gain), color="black", capsize=3, linewidth=1)
            axis.plot(np.full(len(gain), x), gain, "o", color="black", markersize=3, markerfacecolor="white")
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_xticks(range(len(params.datasets)), [BENCHMARKS[d].title for d in params.datasets])
    axis.set_ylabel("gain in average mAP (points)")
    axis.legend(ncols=len(params.baselines), loc="upper center", bbox_to_anchor=(0.5, -0.1))
    axis.set_title(sources(params, f"Gain of CLASNet: bar mean, whisker ± std, dots the {len(params.seeds)} seeds"))
    return figure


def sweep_figure(params):
    """Figure 4: average mAP against the number of dilated layers and of heads."""
    study = params.study
    base = average(read_maps(study.dataset, study.baseline, "baseline"), study.dataset).mean()
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
    for axis, what, name in zip(axes, ("layers", "heads"), ("dilated layers L", "attention heads H")):
        values = getattr(study, what)
        maps = [average(read_maps(study.dataset, study.baseline, f"{what}-{n}"), study.dataset) for n in values]
        at = range(len(values))
        axis.errorbar(at, [m.mean() for m in maps], [spread(m) for m in maps], color=PURPLE, marker="o", capsize=4, label="with CLASNet, ± std")
        for x, m in zip(at, maps):
            axis.plot(np.full(len(m), x), m, "o", color=PURPLE, markersize=3, alpha=0.4)
        axis.axhline(base, color=BROWN, linestyle="--", label=f"{TITLES[study.baseline]} alone")
        axis.set_xticks(at, values)
        axis.set_xlabel(name)
    axes[0].set_ylabel("average mAP (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(sources(params, f"Dilated layers and heads, {TITLES[study.baseline]} on {BENCHMARKS[study.dataset].title}"), fontsize=11)
    return figure


def best_segments(actions, label, top):
    """The ``top`` best segments of class ``label`` among a video's ``actions`` that do not overlap a better one, [N, 2]."""
    found = disjoint(action for action in actions if action["label"] == label)
    return np.array([action["segment"] for action in found[:top]]).reshape(-1, 2)


def found_by(truth, segments, tiou=0.5):
    """Which ground truths [G, 2] some segment overlaps with at least ``tiou``: [G] bool."""
    if not len(segments):
        return np.zeros(len(truth), dtype=bool)
    return (temporal_iou(truth[:, None], segments[None]) >= tiou).any(1)


def timeline_figure(params):
    """Figure 5: one test video, ground truth, and what the baseline and CLASNet find in it, with their class activation."""
    study, seed = params.study, params.seeds[0]
    store = open_store(f"data/{study.dataset}")
    a = store.annotations
    variants, there = ("baseline", "clasnet"), set(a.ids[a.segment_video].tolist())
    results = {v: read_predictions(study.dataset, study.baseline, v, seed) for v in variants}
    curves = {v: np.load(f"predictions/{study.dataset}/{study.baseline}/{v}/curves.npz") for v in variants}
    shown = sorted({key.rsplit("/", 1)[0] for key in curves["baseline"].files} & there)

    def look(id):
        """Ground truth of the video's first class, and as many predictions of each model."""
        v = int(np.flatnonzero(a.ids == id)[0])
        label = a.segment_class[a.segment_video == v][0]
        truth = a.segments[(a.segment_video == v) & (a.segment_class == label)]
        return v, label, truth, {m: best_segments(found[id], a.classes[label], len(truth)) for m, found in results.items()}

    def profit(id):
        *_, truth, found = look(id)
        return int((found_by(truth, found["clasnet"]) & ~found_by(truth, found["baseline"])).sum()) if 3 <= len(truth) <= 12 else -1

    id = max(shown, key=profit)  # the most telling video, and said so in the title
    v, label, truth, found = look(id)
    rows = (("ground truth", truth, BLUE), (TITLES[study.baseline], found["baseline"], BROWN), ("with CLASNet", found["clasnet"], PURPLE))
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(9, 4.4), sharex=True, height_ratios=(1.5, 1), layout="constrained")
    for model, colour in (("baseline", BROWN), ("clasnet", PURPLE)):
        cas = curves[model][f"{id}/cas"][:, label].astype(float)
        time = (np.arange(len(cas)) + 0.5) * store.length[v] * SNIPPET_SECONDS / len(cas)
        top.plot(time, cas, color=colour, linewidth=1.3, label=model_title(study.baseline, model))
    for start, end in truth:
        top.axvspan(start, end, color=BLUE, alpha=0.12, linewidth=0)
    top.set(ylabel="class activation", ylim=(0, None))
    top.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    for row, (_, segments, colour) in enumerate(rows):
        bottom.broken_barh([(s, e - s) for s, e in segments], (-row - 0.35, 0.7), color=colour, alpha=0.85, edgecolor="white", linewidth=0.5)
    for start, end in truth[found_by(truth, found["clasnet"]) & ~found_by(truth, found["baseline"])]:
        bottom.add_patch(plt.Rectangle((start - 0.8, -2.5), end - start + 1.6, 3, fill=False, edgecolor=RED, linewidth=1.8))
    bottom.set(ylim=(-2.6, 0.6), xlabel=f"time (s); red: CLASNet finds it at t-IoU 0.5, {TITLES[study.baseline]} does not")
    bottom.set_yticks([-i for i in range(3)], [name for name, *_ in rows])
    chosen = f"the one of {len(shown)} test videos where CLASNet gains most" if profit(id) > 0 else f"one of {len(shown)} test videos"
    text = f"{id}, {a.classes[label]}: {chosen}; the {len(truth)} best disjoint segments of each model"
    figure.suptitle(sources(params, text), fontsize=10)
    return figure


def main():
    params = load_params()
    torch.set_num_threads(params.threads)
    with replacing("reports/figures") as folder:
        folder.mkdir()
        for name, draw in (("figure2", contrast_figure), ("figure3", gains_figure), ("figure4", sweep_figure), ("figure5", timeline_figure)):
            save(draw(params), folder, name)
    print("reports/figures: figure2 ... figure5 as PNG and SVG")


if __name__ == "__main__":
    stage_errors(main)

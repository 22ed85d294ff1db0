"""Figure 2: action and background snippets of test videos in two dimensions, before and after the FCSM."""

import matplotlib.pyplot as plt
import numpy as np

from clasnet.data.datasets import benchmark_of
from clasnet.data.store import open_store
from stages.drawing.style import BLUE, ORANGE, headline
from stages.results import model_title

VIDEOS, POINTS = 20, 1500  # test videos that are read, snippets that are drawn


def draw(params):
    """The figure."""
    study = params.study
    before, after, action = test_snippets(params)
    shown = np.random.default_rng(0).permutation(len(action))[:POINTS]
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
    draw_snippets(axes[0], "Input features", before, action, shown)
    draw_snippets(axes[1], "Separated features (FCSM)", after, action, shown)
    figure.legend(*axes[0].get_legend_handles_labels(), markerscale=2, loc="outside lower center", ncols=2)
    model, data = model_title(study.baseline, "clasnet"), benchmark_of(study.dataset).title
    figure.suptitle(headline(params, f"Contrast separation, {model} on {data} test snippets"), fontsize=11)
    return figure


def test_snippets(params):
    """Snippets of the first test videos: before and after the FCSM, both [N, 2D], and which lie in an action, [N]."""
    import torch

    from clasnet.evaluation.attention import true_snippets
    from clasnet.models.checkpoint import load_model

    torch.set_num_threads(params.threads)
    study, first = params.study, params.all_seeds[0]
    store = open_store(f"data/{study.dataset}")
    model = load_model(f"models/{study.dataset}/{study.baseline}/clasnet/from{first}/seed{first}.pt")
    videos = store.subset(benchmark_of(study.dataset).test)[:VIDEOS]
    before = [store.video(v) for v in videos]
    with torch.inference_mode():
        after = [model.fcsm(torch.from_numpy(x)[None])[1][0].numpy() for x in before]
    action = [true_snippets(store.annotations, v, store.length[v], store.origin.seconds) for v in videos]
    return np.concatenate(before), np.concatenate(after), np.concatenate(action)


def draw_snippets(axis, name, features, action, shown):
    """One panel: the ``shown`` of ``features`` [N, 2D], coloured by ``action`` [N]."""
    points = first_two_components(features)
    for group, colour, label, marker in ((~action, ORANGE, "background", "o"), (action, BLUE, "action", "^")):
        at = shown[group[shown]]
        axis.scatter(*points[at].T, s=9, c=colour, alpha=0.45, marker=marker, linewidths=0, label=label)
    title = f"{name}\nFisher ratio {fisher_ratio(features, action):.2f}"
    axis.set(title=title, xticks=[], yticks=[], xlabel="first component", ylabel="second component")


def normalised(features):
    """``features`` [N, F] with rows of length one."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def first_two_components(features):
    """Principal components of L2-normalised ``features`` [N, F]: [N, 2]."""
    x = normalised(features)
    x = x - x.mean(0)
    _, vectors = np.linalg.eigh(x.T @ x)
    top = vectors[:, :-3:-1]
    return x @ (top * np.sign(top[np.abs(top).argmax(0), [0, 1]]))  # a fixed sign


def fisher_ratio(features, action):
    """Squared distance of the means of the two groups over the mean squared distance of the snippets to their own mean.

    Of L2-normalised ``features`` [N, F]; ``action`` [N] parts the groups.
    """
    x = normalised(features)
    groups = x[action], x[~action]
    within = sum(((group - group.mean(0)) ** 2).sum() for group in groups) / len(x)
    return ((groups[0].mean(0) - groups[1].mean(0)) ** 2).sum() / within

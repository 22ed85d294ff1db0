"""Inference: a model over one video, or over the test videos of a store, to scored segments and video scores."""

from dataclasses import replace

import torch

from clasnet.data.datasets import SNIPPET_SECONDS
from clasnet.data.sampling import uniform_snippets
from clasnet.data.submission import actions
from clasnet.errors import InputError
from clasnet.inference.predictions import gather
from clasnet.localization.localize import localize


@torch.inference_mode()
def detect(model, x, num_segments, ambiguous=None):
    """Output, scores and :class:`Detections` of one video ``x`` [T, 2D] in memory: :func:`run`, then :func:`locate`."""
    output = run(model, x, num_segments)
    return output, *locate(model, output, len(x), ambiguous)


@torch.inference_mode()
def run(model, x, num_segments):
    """The output of ``model``, a batch of one on its device, for one video ``x`` [T, 2D] in memory.

    The network of some baselines sees ``num_segments`` snippets of it. Raises ``InputError`` if the width is another.
    """
    if x.shape[1] != 2 * model.width:
        reads = f"the model reads {2 * model.width}: {model.width} of RGB, then {model.width} of flow"
        raise InputError(f"the features have {x.shape[1]} columns, {reads}")
    seen = x[uniform_snippets(len(x), num_segments)] if model.sampling.subsample_test else x
    return model(torch.from_numpy(seen)[None].to(next(model.parameters()).device))


@torch.inference_mode()
def locate(model, output, num_snippets, ambiguous=None, labels=None):
    """Scores (a batch of one, on the model's device) and :class:`Detections` (NumPy) from one video's ``output``.

    ``num_snippets`` T is the true length of the video; ``ambiguous`` as in
    :func:`clasnet.localization.localize.localize`; ``labels`` [C] bool, where they are known, take the place of the
    video's scores.
    """
    scores = model.scores(output)
    if labels is not None:
        scores = replace(scores, video=torch.as_tensor(labels)[None].to(scores.video))
    arrays = (y[0].float().cpu().numpy() for y in (scores.video, scores.snippet, scores.activity))
    return scores, localize(*arrays, model.localization, num_snippets, ambiguous)


def localize_video(model, features, snippet_seconds=SNIPPET_SECONDS):
    """Actions in one video, best first: a list of ``{"label", "segment" [start, end] in seconds, "score"}``.

    ``model`` from :func:`clasnet.load_model`; ``features`` [T, 2D], a snippet of which covers ``snippet_seconds`` (16
    frames at 25 a second).
    """
    *_, detections = detect(model, features, model.num_segments)
    return actions(model.classes, detections, snippet_seconds / SNIPPET_SECONDS)


def predict(model, store, videos, num_segments, on_video=None):
    """Localise in the videos of ``store`` at the positions ``videos``: :class:`Predictions`.

    ``on_video(n, output, scores)`` sees the ``n``-th of them in turn. Raises ``InputError`` if there are none.
    """
    if not len(videos):
        raise InputError("there are no test videos; the data card in reports/data/ says what was found")
    model.eval()
    rows, video_scores = [], []
    for n, i in enumerate(videos):
        ambiguous = store.annotations.ambiguous.get(store.annotations.ids[i])
        output, scores, found = detect(model, store.video(i), num_segments, ambiguous)
        rows.append(found)
        video_scores.append(scores.video[0].float().cpu().numpy())
        if on_video:
            on_video(n, output, scores)
    return gather(rows, video_scores)

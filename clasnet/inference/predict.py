"""Inference: a model over one video, or over the test videos of a store, to scored segments and video scores."""

from dataclasses import dataclass

import numpy as np
import torch

from clasnet.data.datasets import SNIPPET_SECONDS
from clasnet.data.sampling import uniform_snippets
from clasnet.data.submission import actions
from clasnet.localization.localize import localize


@dataclass(frozen=True)
class Predictions:
    """Scored segments of V videos (N rows) and the videos' class scores."""

    video: np.ndarray  # [N] int, position among the videos
    segments: np.ndarray  # [N, 2] seconds
    classes: np.ndarray  # [N] int
    scores: np.ndarray  # [N]
    video_scores: np.ndarray  # [V, C]


@torch.inference_mode()
def detect(model, x, num_segments, ambiguous=None):
    """Output, scores and :class:`Detections` of one video ``x`` [T, 2D] in memory; the network of some baselines sees ``num_segments`` snippets of it.

    The detections are NumPy, the output and the scores (batch of one) stay on the model's device.
    """
    if x.shape[1] != 2 * model.width:
        raise ValueError(
            f"the features have {x.shape[1]} columns, the model reads {2 * model.width}: {model.width} of RGB, then {model.width} of flow"
        )
    seen = x[uniform_snippets(len(x), num_segments)] if model.sampling.subsample_test else x
    output = model(torch.from_numpy(seen)[None].to(next(model.parameters()).device))
    scores = model.scores(output)
    video, snippet, activity = (y[0].float().cpu().numpy() for y in (scores.video, scores.snippet, scores.activity))
    return output, scores, localize(video, snippet, activity, model.localization, len(x), ambiguous)


def localize_video(model, features, snippet_seconds=SNIPPET_SECONDS):
    """Actions in one video, best first: a list of ``{"label", "segment" [start, end] in seconds, "score"}``.

    ``model`` from :func:`clasnet.load_model`; ``features`` [T, 2D], a snippet of which covers ``snippet_seconds`` (16 frames at 25 a second).
    """
    *_, detections = detect(model, features, model.num_segments)
    return actions(model.classes, detections, snippet_seconds / SNIPPET_SECONDS)


def predict(model, store, videos, num_segments, on_video=None):
    """Localise in the videos of ``store`` at the positions ``videos``: :class:`Predictions`. ``on_video(i, output, scores)`` sees each in turn."""
    if not len(videos):
        raise ValueError("there are no test videos; the data card in reports/data/ says what was found")
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


def gather(rows, video_scores):
    """:class:`Predictions` from the :class:`Detections` and the class scores of every video in turn."""
    return Predictions(
        np.repeat(np.arange(len(rows)), [len(row.scores) for row in rows]),
        np.concatenate([row.segments for row in rows]).reshape(-1, 2),
        np.concatenate([row.classes for row in rows]).astype(int),
        np.concatenate([row.scores for row in rows]),
        np.stack(video_scores),
    )

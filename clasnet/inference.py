"""Inference: a model over the test videos of a store, to scored segments and video scores."""

from dataclasses import dataclass

import numpy as np
import torch

from clasnet.data.sampling import uniform_snippets
from clasnet.localization import localize


@dataclass(frozen=True)
class Predictions:
    """Scored segments of V videos (N rows) and the videos' class scores."""

    video: np.ndarray  # [N] int, position among the videos
    segments: np.ndarray  # [N, 2] seconds
    classes: np.ndarray  # [N] int
    scores: np.ndarray  # [N]
    video_scores: np.ndarray  # [V, C]


@torch.inference_mode()
def video_outputs(model, x, num_segments):
    """Output and scores of ``model`` for one video ``x`` [T, 2D] in memory; long videos are cut down if the baseline does so."""
    if model.sampling.subsample_test:
        x = x[uniform_snippets(len(x), num_segments)]
    device = next(model.parameters()).device
    output = model(torch.from_numpy(x)[None].to(device))
    return output, model.scores(output)


def predict(model, store, videos, num_segments, on_video=None):
    """Localise in the videos of ``store`` at the positions ``videos``: :class:`Predictions`. ``on_video(i, output, scores)`` sees each in turn."""
    model.eval()
    rows, video_scores = [], []
    for n, i in enumerate(videos):
        output, scores = video_outputs(model, store.video(i), num_segments)
        video, snippet, activity = (y[0].float().cpu().numpy() for y in (scores.video, scores.snippet, scores.activity))
        ambiguous = store.annotations.ambiguous.get(store.annotations.ids[i])
        rows.append(localize(video, snippet, activity, model.localization, int(store.length[i]), ambiguous))
        video_scores.append(video)
        if on_video:
            on_video(n, output, scores)
    return Predictions(
        np.repeat(np.arange(len(rows)), [len(row.scores) for row in rows]),
        np.concatenate([row.segments for row in rows]).reshape(-1, 2),
        np.concatenate([row.classes for row in rows]).astype(int),
        np.concatenate([row.scores for row in rows]),
        np.stack(video_scores),
    )

"""Inference: a model over one video, or over the test videos of a store, to scored segments and video scores."""

from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import torch

from clasnet.data.datasets import SNIPPET_SECONDS
from clasnet.data.sampling import moved, uniform_snippets
from clasnet.data.submission import actions
from clasnet.errors import InputError, shown
from clasnet.inference.predictions import gather
from clasnet.localization.localize import localize


@torch.inference_mode()
def detect(model, x, num_segments, **how):
    """Output, scores and :class:`Detections` of one video ``x`` [T, 2D] in memory: :func:`run`, then :func:`locate`,
    which gets ``how``.
    """
    output = run(model, x, num_segments)
    return output, *locate(model, output, len(x), **how)


@torch.inference_mode()
def run(model, x, num_segments):
    """The output of ``model``, a batch of one on its device, for one video ``x`` [T, 2D] in memory.

    The network of some baselines sees ``num_segments`` snippets of it. Raises ``InputError`` if the width is another.
    """
    if x.shape[1] != model.columns:
        parts = f"{model.width} of RGB, then {model.width} of flow" if model.streams == 2 else "of one stream"
        raise InputError(f"the features have {x.shape[1]} columns, the model reads {model.columns}: {parts}")
    if not len(x):
        raise InputError("the features hold no snippets")
    seen = x[uniform_snippets(len(x), num_segments)] if model.sampling.subsample_test else x
    seen = torch.from_numpy(seen.astype(np.float32, copy=False))
    return model(moved(seen[None], next(model.parameters()).device))


@torch.inference_mode()
def locate(model, output, num_snippets, ambiguous=None, labels=None, snippet_seconds=SNIPPET_SECONDS):
    """Scores (a batch of one, on the model's device) and :class:`Detections` (NumPy) from one video's ``output``.

    ``num_snippets`` T is the true length of the video; ``ambiguous`` and ``snippet_seconds`` as in
    :func:`clasnet.localization.localize.localize`; ``labels`` [C] bool, where they are known, take the place of the
    video's scores.
    """
    scores = model.scores(output)
    if labels is not None:
        scores = replace(scores, video=torch.as_tensor(labels)[None].to(scores.video))
    return scores, localize(*fetched(scores)(), model.localization, num_snippets, ambiguous, snippet_seconds)


def fetched(scores):
    """A function that returns the arrays of ``scores``, a batch of one, in float32: ``video`` [C], ``snippet``
    [T, C], ``activity`` [T, 1 or C]. From a CUDA device they come in one copy, for which only that function waits.
    """
    tensors = [y[0].float() for y in (scores.video, scores.snippet, scores.activity)]
    host = torch.cat([y.flatten() for y in tensors]).to("cpu", non_blocking=True)  # from a device to pinned memory
    copied = torch.cuda.Event() if tensors[0].device.type == "cuda" else None
    if copied:
        copied.record(torch.cuda.current_stream(tensors[0].device))

    def arrays():
        if copied:
            copied.synchronize()
        if not torch.isfinite(host).all():
            raise InputError("the network's scores are not finite; its features or weights are too large")
        parts = host.split([y.numel() for y in tensors])
        return [part.view(y.shape).numpy() for part, y in zip(parts, tensors, strict=True)]

    return arrays


def localize_video(model, features, snippet_seconds=SNIPPET_SECONDS):
    """Actions in one video, best first: a list of ``{"label", "segment" [start, end] in seconds, "score"}``.

    ``model`` from :func:`clasnet.load_model`; ``features`` [T, 2D], a snippet of which covers ``snippet_seconds`` (16
    frames at 25 a second).
    """
    for name in ("classes", "num_segments"):
        if not hasattr(model, name):
            raise InputError(f"the model has no {name}: take one of clasnet.load_model, or set model.{name}")
    check_classes(model.classes, model.num_classes)
    if not is_features(features):
        raise InputError(
            "features must be a NumPy array [T, 2D] of finite numbers, as clasnet.load_features gives them"
        )
    *_, detections = detect(model.eval(), features, model.num_segments, snippet_seconds=snippet_seconds)
    return actions(model.classes, detections)


def check_classes(classes, count):
    """Raise ``InputError`` unless ``classes`` are the names of ``count`` classes."""
    if isinstance(classes, str) or len(classes) != count:
        names = f"{shown(classes)}, a text" if isinstance(classes, str) else f"{len(classes)} names"
        raise InputError(f"model.classes: {names}: must be a tuple of {count} names, one a class of the model")


def is_features(x):
    """Is ``x`` a plain array [T, 2D] of finite real numbers?"""
    plain = isinstance(x, np.ndarray) and not isinstance(x, np.ma.MaskedArray)
    return plain and x.ndim == 2 and x.dtype.kind in "fiu" and bool(np.isfinite(x).all())


def predict(model, store, videos, num_segments, on_video=None):
    """Localise in the videos of ``store`` at the positions ``videos``: :class:`Predictions`.

    ``on_video(n, output, scores)`` sees the ``n``-th of them in turn. Raises ``InputError`` if there are none.
    """
    if not len(videos):
        raise InputError("there are no test videos; the data card in reports/data/ says what was found")
    if model.num_classes != len(store.annotations.classes):
        raise InputError(f"the model has {model.num_classes} classes, the store {len(store.annotations.classes)}")
    model.eval()
    annotations, rows, video_scores, each = store.annotations, [], [], store.origin.seconds
    submitted = (submit(model, store.video(v), num_segments) for v in videos)
    ahead = pairwise(chain(submitted, [None]))  # the network has the next video before one is localised
    for n, (v, ((output, scores, arrays), _)) in enumerate(zip(videos, ahead, strict=True)):
        try:
            video, snippet, activity = arrays()
        except InputError as error:
            raise InputError(f"video {annotations.ids[v]}: {error}") from None
        ambiguous = annotations.ambiguous.get(annotations.ids[v])
        rows.append(localize(video, snippet, activity, model.localization, int(store.length[v]), ambiguous, each))
        video_scores.append(video.copy())  # of memory that all three share
        if on_video:
            on_video(n, output, scores)
    return gather(rows, video_scores)


@torch.inference_mode()
def submit(model, x, num_segments):
    """Give one video ``x`` [T, 2D] to the network: its output, its scores, and :func:`fetched`. Waits for nothing."""
    output = run(model, x, num_segments)
    scores = model.scores(output)
    return output, scores, fetched(scores)

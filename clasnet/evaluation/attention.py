"""How good an attention is: its correlation with the true snippets, and what localisation would be with the truth.

Where true snippets instead of the attention raise the mAP far and true classes do not, attention is what is missing.
"""

from dataclasses import replace

import numpy as np
import torch

from clasnet.data.datasets import SNIPPET_SECONDS
from clasnet.data.sampling import uniform_snippets
from clasnet.evaluation.protocol import detection_results, headline
from clasnet.inference.predict import locate, run
from clasnet.inference.predictions import gather
from clasnet.models.brm import class_activation


def true_snippets(annotations, v, length, snippet_seconds=SNIPPET_SECONDS):
    """Which of the ``length`` T snippets of the video at position ``v`` have their middle in a true segment, [T]."""
    middle = (np.arange(length) + 0.5) * snippet_seconds
    segments = annotations.segments[annotations.segment_video == v]
    return ((segments[:, :1] <= middle) & (middle < segments[:, 1:])).any(0)


class Reader:
    """Runs ``model`` once over the ``videos`` of ``store`` and localises its outputs in any number of ways."""

    def __init__(self, model, store, videos, num_segments):
        self.model, self.store, self.videos = model.eval(), store, videos
        self.outputs = [run(model, store.video(v), num_segments) for v in videos]
        a, each = store.annotations, store.origin.seconds
        self.truth = [self.seen(true_snippets(a, v, store.length[v], each), num_segments) for v in videos]

    def seen(self, snippets, num_segments):
        """Those of ``snippets`` [T] that the network saw."""
        subsampled = self.model.sampling.subsample_test
        return snippets[uniform_snippets(len(snippets), num_segments)] if subsampled else snippets

    def predictions(self, attention=None, labels=False):
        """:class:`Predictions` from the outputs.

        ``attention(n, output)``: what takes the place of the attention [1, T] of the ``n``-th video; ``labels``: do the
        true classes take that of the video's scores?
        """
        rows, video_scores = [], []
        annotations = self.store.annotations
        for n, v in enumerate(self.videos):
            output = self.outputs[n]
            if attention:
                output = replace(output, attention=attention(n, output))
            ambiguous = annotations.ambiguous.get(annotations.ids[v])
            known = annotations.labels[v] if labels else None
            each = self.store.origin.seconds
            scores, found = locate(self.model, output, self.store.length[v], ambiguous, known, each)
            rows.append(found)
            video_scores.append(scores.video[0].float().cpu().numpy())
        return gather(rows, video_scores)

    def average(self, dataset, **how):
        """Headline average mAP (%) of :meth:`predictions`, in seconds."""
        truth = self.store.annotations.select(self.videos)
        return 100 * headline(detection_results(self.predictions(**how), truth, dataset), dataset)

    def true_attention(self, n, output):
        """The true snippets of the ``n``-th video as an attention [1, T]."""
        like = output.attention
        return torch.as_tensor(self.truth[n], dtype=like.dtype, device=like.device)[None]

    def correlations(self):
        """Pearson correlation over all snippets with the true ones.

        Of the baseline's attention ``a``, of the activation ``q`` of the true classes and, where there is an FCSM, of
        its attention ``A``.
        """
        found = {}
        for v, output in zip(self.videos, self.outputs, strict=True):
            for name, value in attentions(output, self.store.annotations.labels[v]).items():
                found.setdefault(name, []).append(value[0].float().cpu().numpy())
        truth = np.concatenate(self.truth)
        return {name: correlation(np.concatenate(values), truth) for name, values in found.items()}


def attentions(output, labels):
    """Name to attention [1, T]: ``a``, ``q`` and ``A``, see :meth:`Reader.correlations`. ``labels`` [C]."""
    own = getattr(output, "baseline", output).attention
    classes = torch.as_tensor(labels, dtype=output.cas.dtype, device=output.cas.device)[None]
    found = {"a": own, "q": class_activation(output.cas, classes)}
    separated = getattr(output, "separated", None) is not None
    return found | ({"A": output.separation} if separated else {})


def correlation(values, truth):
    """Pearson's, of ``values`` [N] and ``truth`` [N] bool; 0 where one of them is constant."""
    if np.ptp(values) == 0 or truth.all() or not truth.any():
        return 0.0
    return float(np.corrcoef(values, truth)[0, 1])

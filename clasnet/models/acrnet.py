"""ACRNet: adaptive clustering and refining network (Ren et al., ICME 2023).

Its clustering and refining are sequential over snippets in the paper and the released code. Because the scores are
visited in falling order, the action set is always a prefix of that order, so both are written here in closed form with
prefix sums.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from clasnet.data.sampling import Sampling
from clasnet.localization.settings import Localization
from clasnet.models.base import Baseline, Output, Scores, initialize
from clasnet.models.layers import BitwiseFilter, CrossModalAttention, attention_head, conv, odd, pool
from clasnet.models.settings import Count, Positive, Probability, Width

TIE = 1e-6  # values that differ from both centres by the same amount, up to rounding, are action
EPS = 1e-8


@dataclass
class ACRNetOutput(Output):
    attention_rgb: torch.Tensor  # [B, T]
    attention_flow: torch.Tensor  # [B, T]

    @property
    def segment_scores(self):
        """[B, T, C] in (0, 1): mean of class probability and attention."""
        return (self.cas.softmax(-1) + self.attention[..., None]) / 2


class ACRNet(Baseline):
    """ACRNet. ``pool`` > 1 smooths each head over time (its ActivityNet variant)."""

    sampling = Sampling(
        subsample_test=True,
        min_snippets=11,
        excluded=("video_test_0000270", "video_test_0001292", "video_test_0001496"),
    )
    localization = Localization(
        by_class=True,
        thresholds=(0.1, 0.95),
        num_thresholds=18,
        strict=False,
        frames_per_snippet=16,
        first_frame=1,
        class_threshold=0.1,
        min_length=2,
        nms_sigma=0.5,
        nms_min_iou=0.1,
        nms_iou="real",
    )

    def __init__(
        self,
        num_classes,
        width: Width,
        *,
        heads: Count = 4,
        merge: Literal["released", "concatenate"] = "concatenate",
        pool: Count = 1,
        nms_sigma: Positive = 0.5,
        dropout: Probability = 0.5,
    ):
        super().__init__(num_classes, width)
        self.pool = odd(pool)
        self.localization = replace(self.localization, nms_sigma=nms_sigma)
        self.cross_modal = CrossModalAttention(width, heads, merge)
        self.filter_rgb, self.filter_flow = BitwiseFilter(width, dropout), BitwiseFilter(width, dropout)
        self.classifier_rgb, self.classifier_flow = (
            nn.Sequential(conv(width, width, 3), nn.ReLU(), conv(width, num_classes, 1)) for _ in range(2)
        )
        self.attention_rgb, self.attention_flow = attention_head(width), attention_head(width)
        initialize(self)

    def forward(self, x):
        rgb, flow = self.cross_modal(*x.transpose(1, 2).contiguous().chunk(2, dim=1))
        rgb, flow = self.filter_rgb(rgb, flow), self.filter_flow(flow, rgb)
        cas = self.smoothed(self.classifier_rgb(rgb)) + self.smoothed(self.classifier_flow(flow))
        attention_rgb = self.smoothed(self.attention_rgb(rgb)).squeeze(-1).sigmoid()
        attention_flow = self.smoothed(self.attention_flow(flow)).squeeze(-1).sigmoid()
        return ACRNetOutput(cas, (attention_rgb + attention_flow) / 2, attention_rgb, attention_flow)

    def smoothed(self, y):
        """``y`` [B, K, T] of a head, averaged over time: [B, T, K]."""
        return pool(y.transpose(1, 2), self.pool)

    def losses(self, output, labels, progress):
        action, background, mask = cluster_scores(output.cas, output.segment_scores.detach())
        positive = -(labels * action.clamp(min=EPS).log()).sum(1) / labels.sum(1).clamp(min=1)
        pseudo = (mask * labels[:, None]).sum(-1).clamp(max=1)
        return {
            "cross_entropy": positive.mean() - (1 - background).clamp(min=EPS).log().mean(),
            "attention_rgb": 0.1 * generalized_cross_entropy(output.attention_rgb, pseudo),
            "attention_flow": 0.1 * generalized_cross_entropy(output.attention_flow, pseudo),
        }

    def scores(self, output):
        segment_scores = output.segment_scores
        return Scores(cluster_scores(output.cas, segment_scores)[0], segment_scores, segment_scores)


def cluster_actions(values):
    """Adaptive clustering of ``values`` [B, T, C]: the size of the action prefix, [B, 1, C] int.

    The values fall along dim 1. Centre of action: mean with weights 1 / (i + 1); the background's is the last value
    until the first snippet joins it, and from there on all do. Prefix sums in double precision keep long videos exact.
    """
    values = values.double()
    length = values.shape[1]
    weight = 1 / torch.arange(1, length + 1, device=values.device, dtype=values.dtype)[:, None]
    centre = (values * weight).cumsum(1) / weight.cumsum(0)
    joins = (values[:, 1:] - centre[:, :-1]).abs() <= (values[:, 1:] - values[:, -1:]).abs() + TIE
    joins = joins[:, :-1]  # the last value founds the background
    return 1 + joins.long().cumprod(1).sum(1, keepdim=True)


def refine_actions(values, cas, size):
    """Refining: how much of the action prefix of ``size`` [B, 1, C] is kept, [B, 1, C] int.

    ``values`` and ``cas`` [B, T, C] are in falling order of ``values``.
    """
    rank = torch.arange(values.shape[1], device=values.device)[:, None]
    inside = rank < size
    cas = cas.double()
    weight = inside / (rank + 2).double()
    reference = (weight * cas).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)
    mean = cas.cumsum(1) / (rank + 1)
    above = (inside & (mean >= reference)).sum(1, keepdim=True)
    last = torch.where(above == 0, size, torch.minimum(above, size)) - 1
    return (inside & (values >= values.gather(1, last))).sum(1, keepdim=True)


def cluster_scores(cas, segment_scores):
    """Clustering, refining and pooling.

    Returns class probabilities of action and of background, both [B, C], and the refined mask [B, T, C]. Gradients flow
    through ``cas`` [B, T, C] only; ``segment_scores`` [B, T, C] decide who is in.
    """
    values, order = segment_scores.sort(dim=1, descending=True, stable=True)
    ordered = cas.gather(1, order)
    kept = refine_actions(values, ordered.detach(), cluster_actions(values))
    rank = torch.arange(values.shape[1], device=values.device)[:, None]
    inside = (rank < kept).to(cas.dtype)
    weight = inside / (rank + 2)
    action = (weight * ordered).sum(1) / weight.sum(1).clamp(min=1)
    background = ((1 - inside) * ordered).sum(1) / (1 - inside).sum(1).clamp(min=1)
    return action.softmax(-1), background.softmax(-1), torch.zeros_like(inside).scatter_(1, order, inside)


def generalized_cross_entropy(attention, mask, q=0.7):
    """Noise-tolerant agreement of attention with the pseudo mask, both [B, T], action and background averaged apart."""

    def loss(p, m):
        return ((m * (1 - p.clamp(min=EPS) ** q) / q).sum(1) / m.sum(1).clamp(min=1)).mean()

    return loss(attention, mask) + loss(1 - attention, 1 - mask)

"""CO2-Net: cross-modal consensus network (Hong et al., ACM MM 2021)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from clasnet.data.sampling import Sampling
from clasnet.localization.settings import Localization
from clasnet.models.base import Baseline, Output, Scores, initialize
from clasnet.models.layers import BitwiseFilter, Dropout, conv, odd, pool
from clasnet.models.settings import Count, Probability, Weight, Width


@dataclass
class CO2NetOutput(Output):
    attention_rgb: torch.Tensor  # [B, T]
    attention_flow: torch.Tensor  # [B, T]
    features: torch.Tensor  # [B, T, 2D], fused


class ConsensusModule(nn.Module):
    """Filters one modality by the other and gives its attention."""

    def __init__(self, width, dropout):
        super().__init__()
        hidden = width // 2
        self.filter = BitwiseFilter(width, dropout)
        self.attention = nn.Sequential(
            conv(width, hidden, 3),
            nn.LeakyReLU(0.2),
            Dropout(dropout),
            conv(hidden, hidden, 3),
            nn.LeakyReLU(0.2),
            conv(hidden, 1, 1),
            Dropout(dropout),
            nn.Sigmoid(),
        )

    def forward(self, main, aux):
        """``main``, ``aux`` [B, D, T] to attention [B, T] and filtered ``main`` [B, D, T]."""
        filtered = self.filter(main, aux)
        return self.attention(filtered).squeeze(1), filtered


class CO2Net(Baseline):
    """CO2-Net.

    ``pool`` > 1 smooths the outputs over time (its ActivityNet variant); ``k``: top-k pooling takes T / k snippets.
    ``alpha1`` ... ``alpha4`` weigh the terms of its loss.
    """

    sampling = Sampling(pairs=3, inclusive=True, min_snippets=11)
    localization = Localization(units="snippets")

    def __init__(
        self,
        num_classes,
        width: Width,
        *,
        pool: Count = 1,
        k: Count = 7,
        alpha1: Weight = 0.8,
        alpha2: Weight = 0.8,
        alpha3: Weight = 1.0,
        alpha4: Weight = 1.0,
        consensus_dropout: Probability = 0.5,
        feature_dropout: Probability = 0.7,
    ):
        super().__init__(num_classes, width)
        self.pool, self.k = odd(pool), k
        self.alpha1, self.alpha2, self.alpha3, self.alpha4 = alpha1, alpha2, alpha3, alpha4
        self.consensus_rgb = ConsensusModule(width, consensus_dropout)
        self.consensus_flow = ConsensusModule(width, consensus_dropout)
        self.fusion = nn.Sequential(conv(2 * width, 2 * width, 1), nn.LeakyReLU(0.2), Dropout(feature_dropout))
        self.classifier = nn.Sequential(
            Dropout(feature_dropout),
            conv(2 * width, 2 * width, 3),
            nn.LeakyReLU(0.2),
            Dropout(feature_dropout),
            conv(2 * width, num_classes + 1, 1),
        )
        initialize(self)

    def forward(self, x):
        rgb, flow = x.transpose(1, 2).contiguous().chunk(2, dim=1)
        attention_rgb, rgb_filtered = self.consensus_rgb(rgb, flow)
        attention_flow, flow_filtered = self.consensus_flow(flow, rgb)
        features = self.fusion(torch.cat([rgb_filtered, flow_filtered], 1))
        cas = self.classifier(features).transpose(1, 2)
        attention_rgb, attention_flow, cas = (pool(y, self.pool) for y in (attention_rgb, attention_flow, cas))
        attention = (attention_rgb + attention_flow) / 2
        return CO2NetOutput(cas, attention, attention_rgb, attention_flow, features.transpose(1, 2))

    def losses(self, output, labels, progress):
        cas, rgb, flow = output.cas, output.attention_rgb, output.attention_flow
        attentions = torch.stack([output.attention, rgb, flow])
        suppressed = suppress(cas, output.attention)
        background = cas.softmax(-1)[..., -1]
        return {
            "mil": multiple_instance_loss(cas, labels, self.k, background=1.0),
            "mil_suppressed": multiple_instance_loss(suppressed, labels, self.k, background=0.0),
            "coactivity": self.alpha3 * coactivity_loss(output.features, suppressed, labels, self.sampling.pairs),
            "mutual": self.alpha4 * (F.mse_loss(rgb, flow.detach()) + F.mse_loss(flow, rgb.detach())) / 2,
            "norm": self.alpha1 * attentions.mean(),
            "guide": self.alpha2 * (1 - attentions - background).abs().mean(),
        }

    def scores(self, output):
        weighted = output.cas * output.attention[..., None]
        top = weighted.topk(max(1, weighted.shape[1] // 10), dim=1).values.mean(1)
        return Scores(top.softmax(-1)[:, :-1], weighted[..., :-1], output.attention[..., None])


def suppress(cas, attention):
    """Class logits [B, T, C + 1] drawn towards the snippet's smallest one where the attention [B, T] is low."""
    lowest = cas.amin(-1, keepdim=True)
    return attention[..., None] * (cas - lowest) + lowest


def multiple_instance_loss(cas, labels, k, background):
    """Top-k pooled cross-entropy of ``cas`` [B, T, C + 1] with ``labels`` [B, C] and a given ``background`` label."""
    pooled = cas.topk(max(1, cas.shape[1] // k), dim=1, sorted=False).values.mean(1)
    target = F.pad(labels, (0, 1), value=background)
    target = target / (target.sum(1, keepdim=True) + 1e-4)
    return -(target * pooled.log_softmax(-1)).sum(1).mean()


def coactivity_loss(features, cas, labels, pairs, margin=0.5):
    """Co-activity similarity loss over the video pairs (0, 1), (2, 3), ...

    From Paul et al., ECCV 2018, as CO2-Net uses it. ``features`` [B, T, F], suppressed logits ``cas`` [B, T, C + 1].
    Zero when no pair shares a class, where the released code divides by zero.
    """
    features, cas, labels = features[: 2 * pairs], cas[: 2 * pairs], labels[: 2 * pairs]
    inside = cas[..., :-1].softmax(1)  # over time; the background's label is 0, so its column never counts
    high = features.transpose(1, 2) @ inside  # [2P, F, C]
    low = (features.sum(1)[..., None] - high) / max(cas.shape[1] - 1, 1)  # the mean of the features by 1 - inside
    high, low = F.normalize(high, dim=1), F.normalize(low, dim=1)
    swapped = low.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)  # to every video the low one of its partner
    near = (high[::2] * high[1::2]).sum(1)  # cosine similarity [P, C]
    far = (high * swapped).sum(1)  # [2P, C]
    hinge = F.relu(far[::2] - near + margin) + F.relu(far[1::2] - near + margin)
    shared = labels[::2] * labels[1::2]
    return (hinge * shared).sum() / 2 / shared.sum().clamp(min=1)

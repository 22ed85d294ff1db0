"""FCSM, the feature contrast separation module of CLASNet: its network, its contrastive loss and the attention.

From the paper: dilated temporal convolutions over the concatenated features (TCN, Bai et al. 2018), cross-modal
multi-head attention (Ren et al. 2022), attention weights, and a contrastive loss that separates action from background
features. The paper's equations are not available as text; what was chosen instead is marked "choice" here and argued in
docs/reconstruction.md.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from clasnet.errors import InputError
from clasnet.models.base import initialize
from clasnet.models.layers import CrossModalAttention, Dropout, attention_head

# The features themselves; with gated separated ones; and these brightened and dimmed by the head's attention.
FEEDS = ("none", "gated", "modulated")
MOST_LAYERS = 16  # whose receptive field is a day of video


class DilatedStack(nn.Module):
    """``layers`` dilated convolutions (kernel 3, dilation 1, 2, 4, ...) with residuals.

    The receptive field is ``2^(layers + 1) - 1`` snippets.
    """

    def __init__(self, channels, bottleneck, layers, dropout):
        super().__init__()
        sizes = [channels, *[bottleneck] * (layers - 1), channels]  # the bottleneck is a choice: about the paper's size
        self.layers = nn.ModuleList(
            nn.Conv1d(a, b, 3, padding=2**i, dilation=2**i) for i, (a, b) in enumerate(pairwise(sizes))
        )
        self.dropout = Dropout(dropout)

    def forward(self, x):
        """[B, 2D, T] to [B, 2D, T]."""
        for layer in self.layers:
            y = F.relu(layer(self.dropout(x)))
            x = x + y if x.shape == y.shape else y
        return x


class FCSM(nn.Module):
    """Separated features and attention weights from snippet features.

    ``width`` D; ``bottleneck`` defaults to D / 2; ``feed`` is one of ``FEEDS``: what the baseline reads (choice).
    ``streams``: 2 of RGB and flow, or 1, which then attends to itself where each of the two attends to the other, z
    being the mean of both sides (choice); every 2D below is then D.
    """

    def __init__(self, width, *, layers=5, heads=8, bottleneck=None, dropout=0.3, feed="none", streams=2):
        super().__init__()
        if not 1 <= layers <= MOST_LAYERS:
            raise InputError(f"fcsm.layers = {layers}: must be from 1 to {MOST_LAYERS}")
        if feed not in FEEDS:
            raise InputError(f"fcsm.feed = {feed!r}: must be one of {', '.join(FEEDS)}")
        self.streams, columns = streams, streams * width
        self.stack = DilatedStack(columns, bottleneck or width // 2, layers, dropout)
        self.cross_modal = CrossModalAttention(width, heads)
        self.attention_rgb, self.attention_flow = attention_head(width), attention_head(width)
        # Closed at first, so that CLASNet starts as the baseline.
        self.gate = None if feed == "none" else nn.Parameter(torch.zeros(columns))
        self.modulation = nn.Parameter(torch.zeros(())) if feed == "modulated" else None
        initialize(self)
        for attention in (self.attention_rgb, self.attention_flow):  # choice: the attention starts near 1/2
            attention[-1].weight.data.mul_(0.1)

    def forward(self, x):
        """``x`` [B, T, 2D] to what the baseline reads [B, T, 2D], the separated features z [B, T, 2D] and the head's
        attention [B, T].
        """
        x = x.transpose(1, 2).contiguous()
        h = (x + self.stack(x)) / 2
        streams = h.chunk(self.streams, dim=1)
        rgb, flow = self.cross_modal(streams[0], streams[-1])
        attention_rgb = self.attention_rgb(rgb).squeeze(1).sigmoid()
        attention_flow = self.attention_flow(flow).squeeze(1).sigmoid()
        attention = (attention_rgb + attention_flow) / 2
        separated = torch.cat([rgb, flow], 1) if self.streams == 2 else (rgb + flow) / 2
        if self.gate is not None:
            x = x + self.gate[:, None] * separated
        if self.modulation is not None:
            x = x * (1 + self.modulation * (2 * attention - 1))[:, None]
        return x.transpose(1, 2), separated.transpose(1, 2), attention


def split_features(separated, selection, ratio):
    """Mean feature of the top and of the bottom ``ceil(ratio T)`` snippets by ``selection`` [B, T] (choice).

    ``separated`` [B, T, 2D]; returns two [B, 2D], L2-normalised.
    """
    k = min(math.ceil(ratio * selection.shape[1]), selection.shape[1])
    order = selection.detach().argsort(1, descending=True)
    chosen = torch.stack([order[:, :k], order[:, -k:]], 1)  # [B, 2, k]
    weight = selection.new_zeros(len(order), 2, order.shape[1]).scatter_(2, chosen, 1 / k)
    return F.normalize(weight @ separated, dim=-1).unbind(1)


def separation_score(separated, action, background, temperature):
    """How much nearer a snippet is to the video's action than to its background, in (0, 1): [B, T] (choice).

    The logistic of the difference of its cosine similarities with the two, over ``temperature``. ``separated``
    [B, T, 2D]; ``action`` and ``background`` [B, 2D] of :func:`split_features`.
    """
    nearer = F.normalize(separated, dim=-1) @ (action - background)[..., None]
    return torch.sigmoid(nearer.squeeze(-1) / temperature)


def contrastive_loss(action, background, alpha=0.25):
    """Separation of action from background features over the batch (C²AM, Xie et al., CVPR 2022).

    ``action`` and ``background`` [B, F] are L2-normalised. Those of all videos are pushed apart; actions, and
    backgrounds, are drawn together, the more the more similar they are: the ``n``-th most similar one counts
    ``exp(-alpha n)``.
    """
    apart = -(1 - _similarity(action, background)).log().mean()
    both = torch.stack([action, background])
    return apart + _together(_similarity(both, both), alpha)


def _similarity(u, v):
    """Cosine similarity [..., B, B] of the normalised rows of ``u`` and ``v``, kept where logarithms are finite."""
    return (u @ v.transpose(-1, -2)).clamp(0.0005, 0.9995)


def _together(similarity, alpha):
    """Rank-weighted attraction of sets to themselves, summed, from their similarity matrices [..., B, B]."""
    batch = similarity.shape[-1]
    own = torch.eye(batch, dtype=torch.bool, device=similarity.device)
    rank = similarity.detach().masked_fill(own, -1).argsort(descending=True, stable=True).argsort()
    weight = torch.exp(-alpha * rank).masked_fill(own, 0)
    return -(weight * similarity.log()).sum() / batch**2

"""FCSM, the feature contrast separation module of CLASNet, and its contrastive loss.

From the paper: dilated temporal convolutions over the concatenated features (TCN, Bai et al. 2018), cross-modal multi-head attention (Ren et al.
2022), attention weights, and a contrastive loss that separates action from background features. The paper's equations are not available as
text; what was chosen instead is marked "choice" here and listed in the README.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from clasnet.models.base import initialize
from clasnet.models.layers import CrossModalAttention, conv


class DilatedStack(nn.Module):
    """``layers`` dilated convolutions (kernel 3, dilation 1, 2, 4, ...) with residuals; receptive field ``2^(layers + 1) - 1`` snippets."""

    def __init__(self, channels, bottleneck, layers, dropout):
        super().__init__()
        sizes = [channels, *[bottleneck] * (layers - 1), channels]  # the bottleneck is a choice: it gives about the paper's size
        self.layers = nn.ModuleList(nn.Conv1d(a, b, 3, padding=2**i, dilation=2**i) for i, (a, b) in enumerate(zip(sizes, sizes[1:])))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        """[B, 2D, T] to [B, 2D, T]."""
        for layer in self.layers:
            y = F.relu(layer(self.dropout(x)))
            x = x + y if x.shape == y.shape else y
        return x


class FCSM(nn.Module):
    """Separated features and attention weights from snippet features. ``width`` D; ``bottleneck`` defaults to D / 2."""

    def __init__(self, width, *, layers=5, heads=8, bottleneck=None, dropout=0.3):
        super().__init__()
        if layers < 1:
            raise ValueError(f"fcsm.layers = {layers}: must be at least 1")
        self.stack = DilatedStack(2 * width, bottleneck or width // 2, layers, dropout)
        self.cross_modal = CrossModalAttention(width, heads)
        head = lambda: nn.Sequential(conv(width, width // 2, 1), nn.ReLU(), conv(width // 2, 1, 1))
        self.attention_rgb, self.attention_flow = head(), head()
        self.gate = nn.Parameter(torch.zeros(2 * width))  # choice: closed at first, so CLASNet starts as the baseline
        initialize(self)
        for attention in (self.attention_rgb, self.attention_flow):  # choice: the attention starts near 1/2
            attention[-1].weight.data.mul_(0.1)

    def forward(self, x):
        """``x`` [B, T, 2D] to what the baseline reads [B, T, 2D], separated features z [B, T, 2D] and attention A [B, T]."""
        h = (x + self.stack(x.transpose(1, 2)).transpose(1, 2)) / 2
        rgb, flow = self.cross_modal(*h.chunk(2, dim=-1))
        attend = lambda head, z: head(z.transpose(1, 2)).squeeze(1).sigmoid()
        attention = (attend(self.attention_rgb, rgb) + attend(self.attention_flow, flow)) / 2
        separated = torch.cat([rgb, flow], -1)
        return x + self.gate * separated, separated, attention


def split_features(separated, selection, ratio):
    """Mean feature of the top and of the bottom ``ceil(ratio T)`` snippets by ``selection`` [B, T] (choice): two [B, 2D], L2-normalised."""
    k = min(math.ceil(ratio * selection.shape[1]), selection.shape[1])
    order = selection.detach().argsort(1, descending=True)
    mean = lambda index: F.normalize(separated.gather(1, index[..., None].expand(-1, -1, separated.shape[-1])).mean(1), dim=-1)
    return mean(order[:, :k]), mean(order[:, -k:])


def contrastive_loss(action, background, alpha=0.25):
    """Separation of action from background features, both [B, F] and L2-normalised, over the batch (C²AM, Xie et al., CVPR 2022).

    Action and background of all videos are pushed apart; actions, and backgrounds, are drawn together, the more the more similar they are.
    """
    similarity = lambda u, v: (u @ v.T).clamp(0.0005, 0.9995)
    return -(1 - similarity(action, background)).log().mean() + sum(_together(similarity(v, v), alpha) for v in (action, background))


def _together(similarity, alpha):
    """Rank-weighted attraction of a set to itself from its similarity matrix [B, B]."""
    batch = len(similarity)
    own = torch.eye(batch, dtype=torch.bool, device=similarity.device)
    rank = similarity.detach().masked_fill(own, -1).argsort(dim=1, descending=True, stable=True).argsort(1)
    weight = torch.exp(-alpha * rank).masked_fill(own, 0)
    return -(weight * similarity.log()).sum() / batch**2

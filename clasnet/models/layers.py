"""Layers that the baselines (and CLASNet) share. Convolutions run over time on channels first, ``[B, D, T]``."""

import torch
import torch.nn.functional as F
from torch import nn


def conv(inputs, outputs, kernel):
    """A 1-D convolution over time that keeps the length."""
    return nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)


def attention_head(width):
    """Two convolutions from features ``[B, width, T]`` to the logit ``[B, 1, T]`` of an attention."""
    return nn.Sequential(conv(width, width // 2, 1), nn.ReLU(), conv(width // 2, 1, 1))


def pool(x, kernel):
    """Average over ``kernel`` snippets, zero padding counted, along the time axis of ``[B, T, ...]``.

    ``kernel`` 1 is the identity.
    """
    if kernel == 1:
        return x
    flat = x.flatten(2) if x.ndim > 2 else x[..., None]
    return F.avg_pool1d(flat.transpose(1, 2), kernel, stride=1, padding=kernel // 2).transpose(1, 2).reshape(x.shape)


class BitwiseFilter(nn.Module):
    """Cross-modal filter of CO2-Net and, as "bit-wise attention", of ACRNet.

    ``sigmoid(local(aux) * global(main)) * main``.
    """

    def __init__(self, width, dropout):
        super().__init__()
        self.global_conv, self.local_conv = conv(width, width, 3), conv(width, width, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, main, aux):
        """``main``, ``aux`` [B, D, T] to filtered ``main`` [B, D, T]."""
        whole = self.dropout(F.leaky_relu(self.global_conv(main.mean(-1, keepdim=True)), 0.2))
        local = self.dropout(F.leaky_relu(self.local_conv(aux), 0.2))
        return torch.sigmoid(local * whole) * main


class CrossModalAttention(nn.Module):
    """Multi-head cross-modal attention of ACRNet (Ren et al., ICME 2023), the module that CLASNet's FCSM reuses.

    ``merge="released"`` joins the heads as the released code does: the transposed heads are *reshaped* in memory order,
    which its checkpoints need. ``merge="concatenate"`` joins them plainly.
    """

    def __init__(self, width, heads, merge="concatenate"):
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"heads = {heads}: must be a positive divisor of the width {width}")
        if merge not in ("released", "concatenate"):
            raise ValueError(f"merge = {merge!r}: must be 'released' or 'concatenate'")
        head = width // heads
        self.merge = merge
        self.project_rgb = nn.Parameter(torch.empty(heads, width, head).uniform_(-(width**0.5), width**0.5))
        self.project_flow = nn.Parameter(torch.empty(heads, width, head).uniform_(-(width**0.5), width**0.5))
        self.relation = nn.Parameter(torch.empty(heads, head, head).uniform_(-(head**0.5), head**0.5))

    def forward(self, rgb, flow):
        """``rgb``, ``flow`` [B, T, D] to the same shapes, in (-1, 1)."""
        r, f = self._project(rgb, self.project_rgb), self._project(flow, self.project_flow)  # [B, H, T, D / H]
        relation = r @ self.relation @ f.transpose(-1, -2)  # [B, H, T, T]
        r = F.gelu(relation.softmax(-1) @ r)
        f = F.gelu(relation.transpose(-1, -2).softmax(-1) @ f)
        return torch.tanh(self._join(r) + rgb), torch.tanh(self._join(f) + flow)

    @staticmethod
    def _project(x, weights):
        return F.normalize(torch.einsum("btd,hde->bhte", x, weights), dim=-1)

    def _join(self, heads):
        batch, count, length, width = heads.shape
        order = (0, 1, 3, 2) if self.merge == "released" else (0, 2, 1, 3)
        return heads.permute(order).reshape(batch, length, count * width)

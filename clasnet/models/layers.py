"""Layers that the baselines (and CLASNet) share. Convolutions run over time on channels first, ``[B, D, T]``."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from clasnet.errors import InputError


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


def odd(kernel):
    """``kernel`` of a pool, which must be odd: an even one would not keep the length."""
    if kernel % 2 == 0:
        raise InputError(f"pool = {kernel}: must be odd")
    return kernel


class Dropout(nn.Dropout):
    """``nn.Dropout`` with draws of 16 bits on a CPU, where they cost as much as a convolution of a narrow network.

    The share that is dropped is ``p`` to the nearest 2^-16, and what is left is scaled by exactly that share.
    """

    def forward(self, x):
        """``x`` of any shape."""
        dropped = round(self.p * 2**16)  # of all values of a draw
        if not (self.training and dropped and x.device.type == "cpu"):
            return super().forward(x)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)  # to None: all 64 bits
        draws = draws.view(torch.int16)[: x.numel()].view(x.shape)
        kept = torch.gt(draws, dropped - 2**15 - 1, out=torch.empty(x.shape, dtype=x.dtype))  # cheaper than from bool
        return x * kept.mul_(2**16 / max(2**16 - dropped, 1))


class BitwiseFilter(nn.Module):
    """Cross-modal filter of CO2-Net and, as "bit-wise attention", of ACRNet.

    ``sigmoid(local(aux) * global(main)) * main``.
    """

    def __init__(self, width, dropout):
        super().__init__()
        self.global_conv, self.local_conv = conv(width, width, 3), conv(width, width, 3)
        self.dropout = Dropout(dropout)

    def forward(self, main, aux):
        """``main``, ``aux`` [B, D, T] to filtered ``main`` [B, D, T]."""
        middle = self.global_conv.weight[..., 1]  # all of the kernel that a sequence of one meets
        whole = F.linear(main.mean(-1), middle, self.global_conv.bias)[..., None]
        whole = self.dropout(F.leaky_relu(whole, 0.2))
        local = self.dropout(F.leaky_relu(self.local_conv(aux), 0.2))
        return torch.sigmoid(local * whole) * main


ROOM = 5 * 10**7  # numbers of all heads' relations that are held at once, 200 MB


def attend(a, r, f):
    """The weights of both sides of :class:`MutualAttention`, [B, H, T, T] each, and what they give."""
    relation = a.transpose(-1, -2) @ f
    rows, columns = relation.softmax(-1), relation.softmax(-2)
    return rows, columns, r @ rows.transpose(-1, -2), f @ columns


class MutualAttention(torch.autograd.Function):
    """Attention of two sequences over one relation ``a^T f``: its rows weigh ``r``, its columns weigh ``f``.

    ``a``, ``r``, ``f`` [B, H, E, T] to two of that shape. What it has over autograd: the two gradients of the relation
    come out in one layout and are summed in place, and a softmax needs no pass of its own for the mean of its gradient,
    which is the product of an output and its gradient, one more row of a product. Time is last in every product: with E
    there, which may be small, they would take several times as long.
    """

    @staticmethod
    def forward(ctx, a, r, f):
        batch, heads, _, length = a.shape
        if not any(ctx.needs_input_grad) and batch * heads * length**2 > ROOM:  # nothing is kept: a head at a time
            each = [attend(*(x[:, h : h + 1] for x in (a, r, f)))[2:] for h in range(heads)]
            return tuple(torch.cat(parts, 1) for parts in zip(*each, strict=True))
        rows, columns, from_r, from_f = attend(a, r, f)
        ctx.save_for_backward(a, r, f, rows, columns, from_r, from_f)
        return from_r, from_f

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_r, grad_f):
        # Under autocast they have several types.
        a, r, f, rows, columns, from_r, from_f = (x.to(grad_r.dtype) for x in ctx.saved_tensors)
        ones = torch.ones_like(r[:, :, :1])
        left = torch.cat([grad_r, -(grad_r * from_r).sum(2, keepdim=True)], 2)
        right = torch.cat([grad_f, -(grad_f * from_f).sum(2, keepdim=True)], 2)
        by_rows = left.transpose(-1, -2) @ torch.cat([r, ones], 2)
        by_columns = torch.cat([f, ones], 2).transpose(-1, -2) @ right
        relation = by_rows.mul_(rows).addcmul_(by_columns, columns)  # its gradient
        grad_f = grad_f @ columns.transpose(-1, -2) + a @ relation
        return f @ relation.transpose(-1, -2), grad_r @ rows, grad_f


class CrossModalAttention(nn.Module):
    """Multi-head cross-modal attention of ACRNet (Ren et al., ICME 2023), the module that CLASNet's FCSM reuses.

    ``merge="released"`` joins the heads as the released code does: the transposed heads are *reshaped* in memory order,
    which its checkpoints need. ``merge="concatenate"`` joins them plainly.
    """

    def __init__(self, width, heads, merge="concatenate"):
        super().__init__()
        if heads < 1 or width % heads:
            raise InputError(f"heads = {heads}: must be a positive divisor of the width {width}")
        if merge not in ("released", "concatenate"):
            raise InputError(f"merge = {merge!r}: must be 'released' or 'concatenate'")
        head = width // heads
        self.merge = merge
        self.project_rgb = nn.Parameter(torch.empty(heads, width, head).uniform_(-(width**0.5), width**0.5))
        self.project_flow = nn.Parameter(torch.empty(heads, width, head).uniform_(-(width**0.5), width**0.5))
        self.relation = nn.Parameter(torch.empty(heads, head, head).uniform_(-(head**0.5), head**0.5))

    def forward(self, rgb, flow):
        """``rgb``, ``flow`` [B, D, T] to the same shapes, in (-1, 1)."""
        r, f = self._project(rgb, self.project_rgb), self._project(flow, self.project_flow)  # [B, H, D / H, T]
        r, f = MutualAttention.apply(self.relation.transpose(-1, -2) @ r, r, f)
        return torch.tanh(self._join(F.gelu(r)) + rgb), torch.tanh(self._join(F.gelu(f)) + flow)

    @staticmethod
    def _project(x, weights):
        """``x`` [B, D, T] to normalised features of every head, [B, H, D / H, T]."""
        heads = (weights.transpose(-1, -2).flatten(0, 1) @ x).unflatten(1, (len(weights), -1))
        return heads * heads.square().sum(2, keepdim=True).clamp(min=1e-24).rsqrt()  # F.normalize is slow along dim 2

    def _join(self, heads):
        """``heads`` [B, H, D / H, T] to [B, D, T]."""
        batch, count, width, length = heads.shape
        if self.merge == "released":
            return heads.reshape(batch, length, count * width).transpose(1, 2)
        return heads.flatten(1, 2)

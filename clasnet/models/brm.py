"""BRM, the boundary refinement module of CLASNet.

A loss that draws the class activation sequence and the attention together. From the paper: it raises the similarity of
the baseline's class activation sequence and the attention of the FCSM. Choices (docs/reconstruction.md): the distance
is squared error, what moves does so towards a fixed copy of the other side, and the baseline's own attention is taught
by nothing but its own losses: drawn to the activation it becomes worse.
"""

import torch
import torch.nn.functional as F


def cosine_distance(a, b):
    """Mean cosine distance of the rows of ``a`` and ``b`` [B, T]."""
    return (1 - F.cosine_similarity(a, b, dim=1)).mean()


DISTANCES = {"mse": F.mse_loss, "l1": F.l1_loss, "cosine": cosine_distance}


def class_activation(cas, labels):
    """Activation of the video's true classes, scaled to [0, 1] over time: [B, T].

    ``cas`` [B, T, C or C + 1] logits, ``labels`` [B, C].
    """
    return scaled(torch.einsum("btc,bc->bt", cas.softmax(-1)[..., : labels.shape[1]], labels))


def scaled(x):
    """``x`` [B, T] from 0 to 1 over the time of every video."""
    low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
    return (x - low) / (high - low).clamp(min=1e-6)


def boundary_loss(separation, attention, cas, labels, mutual=0.0, distance="mse"):
    """Disagreement of the class activation sequence q of ``cas`` with the attentions.

    ``separation`` A [B, T] of the FCSM, or None without one; ``attention`` a [B, T] of the baseline. q moves towards
    the mean of A and a, without an FCSM towards a; A moves towards q by the share ``mutual``; ``distance`` is a key of
    ``DISTANCES``.
    """
    activation, d = class_activation(cas, labels), DISTANCES[distance]
    if separation is None:
        return d(activation, attention.detach())
    consensus = ((separation + attention) / 2).detach()
    loss = d(activation, consensus)
    return loss + mutual * d(separation, activation.detach()) if mutual else loss

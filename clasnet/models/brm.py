"""BRM, the boundary refinement module of CLASNet.

A loss that draws the class activation sequence and the attention together. From the paper: it raises the similarity of
the baseline's class activation sequence and the attention of the FCSM. Choices (docs/reconstruction.md): the distance
is squared error, each side moves towards a fixed copy of what teaches it, and the baseline's own attention is taught by
nothing but its own losses: drawn to the activation it becomes worse.
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
    p = torch.einsum("btc,bc->bt", cas.softmax(-1)[..., : labels.shape[1]], labels)
    low, high = p.amin(1, keepdim=True), p.amax(1, keepdim=True)
    return (p - low) / (high - low).clamp(min=1e-6)


def boundary_loss(separation, attention, cas, labels, teacher=0.0, distance="mse"):
    """Disagreement of the attentions with the class activation sequence q of ``cas``.

    ``separation`` A [B, T] of the FCSM, or None without one; ``attention`` a [B, T] of the baseline. A moves towards
    ``(1 - teacher) a + teacher q``, q towards the mean of A and a; without an FCSM q moves towards a. ``distance`` is a
    key of ``DISTANCES``.
    """
    activation, d = class_activation(cas, labels), DISTANCES[distance]
    if separation is None:
        return d(activation, attention.detach()) / 2
    taught = torch.lerp(attention, activation, teacher).detach()
    consensus = ((separation + attention) / 2).detach()
    return (d(separation, taught) + d(activation, consensus)) / 2

"""BRM, the boundary refinement module of CLASNet.

A loss that draws the class activation sequence and the attention together. From the paper: it raises the similarity of
the baseline's class activation sequence and the attention. The distance is a choice: squared error, each side moving
towards a fixed copy of the other. (A plain cosine distance collapsed the training of ACRNet in the prototype.)
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


def boundary_loss(attention, cas, labels, distance="mse"):
    """Disagreement of ``attention`` [B, T] with the class activation sequence of ``cas``.

    ``distance`` is a key of ``DISTANCES``.
    """
    activation, d = class_activation(cas, labels), DISTANCES[distance]
    return (d(attention, activation.detach()) + d(activation, attention.detach())) / 2

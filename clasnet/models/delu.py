"""DELU: dual-evidential learning for uncertainty modelling (Chen et al., ECCV 2022), on the network of CO2-Net."""

from dataclasses import replace
from typing import Literal

import torch

from clasnet.models.co2net import CO2Net, suppress
from clasnet.models.settings import Count, Share, Weight, Width


class DELU(CO2Net):
    """CO2-Net with two more loss terms.

    ``evidence`` is ``"exp"`` (THUMOS14) or ``"relu"`` (ActivityNet); ``r``: T / r snippets give evidence; ``alpha_edl``
    and ``alpha_guide`` weigh the two terms; ``amplitude``: how far the weights of the guide are from 1 at most.
    """

    localization = replace(CO2Net.localization, num_thresholds=20, min_length_kept=2)

    def __init__(
        self,
        num_classes,
        width: Width,
        *,
        alpha2: Weight = 0.4,
        alpha_edl: Weight = 1.3,
        alpha_guide: Weight = 0.4,
        amplitude: Share = 0.7,
        r: Count = 9,
        evidence: Literal["exp", "relu"] = "exp",
        **co2net,
    ):
        super().__init__(num_classes, width, alpha2=alpha2, **co2net)
        self.alpha_edl, self.alpha_guide, self.amplitude = alpha_edl, alpha_guide, amplitude
        self.r, self.evidence = r, evidence

    def losses(self, output, labels, progress):
        suppressed = suppress(output.cas, output.attention)
        terms = super().losses(output, labels, progress)
        logits = attended_logits(suppressed, output.attention, self.r)
        evidence = (evidence_loss if self.evidence == "exp" else evidence_loss_relu)(logits, labels)
        guide = uncertainty_guide_loss(output, suppressed, self.amplitude, progress)
        return terms | {"evidence": self.alpha_edl * evidence, "uncertainty_guide": self.alpha_guide * guide}


def attended_logits(suppressed, attention, r):
    """Mean class logits [B, C], without background, of the T / r snippets of highest attention."""
    top = attention.topk(max(1, attention.shape[1] // r), dim=1).indices
    return suppressed[..., :-1].gather(1, top[..., None].expand(-1, -1, suppressed.shape[-1] - 1)).mean(1)


def evidence_loss(logits, labels):
    """Evidential video-level loss with exponential evidence, weighted by the video's certainty (THUMOS14)."""
    alpha = logits.clamp(-10, 10).exp() + 1
    strength = alpha.sum(1, keepdim=True)
    uncertainty = (logits.shape[1] / strength).detach()
    weight = labels / alpha
    weight = labels.sum(1, keepdim=True) * weight / weight.sum(1, keepdim=True).clamp(min=1e-8)
    return ((1 - uncertainty) * weight * (strength.log() - alpha.log())).sum(1).mean()


def evidence_loss_relu(logits, labels):
    """Evidential video-level loss with rectified evidence (ActivityNet).

    Squared error of the expected probabilities.
    """
    alpha = logits.relu() + 1
    return ((labels - alpha / alpha.sum(1, keepdim=True)) ** 2).sum(1).mean()


def uncertainty_guide_loss(output, suppressed, amplitude, progress):
    """Agreement of attention and background, weighted by the rank of the snippet's uncertainty.

    The weights turn over as training goes on.
    """
    length, num_classes = output.attention.shape[1], suppressed.shape[-1] - 1
    uncertainty = num_classes / (suppressed.detach().clamp(-10, 10).exp() + 1).sum(-1)
    order = uncertainty.argsort(1)
    rank = torch.arange(length, device=order.device) + 0.5
    curve = amplitude * torch.tanh((2 * rank / length - 1) * (1 - 2 * progress)) + 1
    background = output.cas.softmax(-1)[..., -1]
    attentions = torch.stack([output.attention, output.attention_rgb, output.attention_flow])
    disagreement = (1 - attentions - background).abs().mean(0)
    return (curve[order] * disagreement).mean()  # curve[order], not its inverse: as the released code spreads it

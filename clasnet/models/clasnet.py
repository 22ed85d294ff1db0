"""CLASNet: FCSM, BRM and attention sparsity around any baseline.

Each of the three can be left out; that is all the ablation there is.
"""

from dataclasses import dataclass, replace

import torch

from clasnet.models.base import Baseline, Output
from clasnet.models.brm import DISTANCES, boundary_loss
from clasnet.models.fcsm import FCSM, contrastive_loss, split_features


@dataclass
class CLASNetOutput(Output):
    """``cas`` is the baseline's and ``attention`` what localisation uses."""

    baseline: Output
    separated: torch.Tensor | None  # z [B, T, 2D]
    separation: torch.Tensor  # A [B, T]; without an FCSM the baseline's attention


class CLASNet(Baseline):
    """A baseline with the plug-in. It is a :class:`Baseline` itself, so it trains and localises like one.

    ``fcsm``: settings of :class:`FCSM` with, for its loss, ``topk`` (share ρ of action snippets), ``alpha``, ``weight``
    (λ2) and ``beta`` (share of A in the attention at test time); ``brm``: ``weight`` (λ3) and ``distance``;
    ``sparsity``: ``weight`` (λ1). ``None`` leaves a part out. ``ramp``: the shares of the training between which the
    weights of contrast and BRM rise from 0 to 1 (choice).
    """

    def __init__(self, baseline, *, fcsm=None, brm=None, sparsity=None, ramp=(0.2, 0.4)):
        super().__init__(baseline.num_classes, baseline.width)
        self.baseline, self.sampling, self.localization = baseline, baseline.sampling, baseline.localization
        self.ramp, self.brm, self.sparsity = ramp, brm, sparsity
        if baseline.recipe:
            self.recipe = baseline.recipe | {"clasnet": {"fcsm": fcsm, "brm": brm, "sparsity": sparsity, "ramp": ramp}}
        if brm and brm["distance"] not in DISTANCES:
            raise ValueError(f"brm.distance = {brm['distance']!r}: must be one of {', '.join(DISTANCES)}")
        self.fcsm = None
        if fcsm:
            fcsm = dict(fcsm)
            self.topk, self.alpha, self.contrast, self.beta = (
                fcsm.pop(key) for key in ("topk", "alpha", "weight", "beta")
            )
            self.fcsm = FCSM(baseline.width, **fcsm)

    def forward(self, x):
        separated = separation = None
        if self.fcsm:
            x, separated, separation = self.fcsm(x)
        output = self.baseline(x)
        if separation is None:
            return CLASNetOutput(output.cas, output.attention, output, None, output.attention)
        # Only the BRM teaches A where the action is; untrained, it would blur the attention.
        beta = self.beta if self.brm else 0.0
        mixed = (1 - beta) * output.attention + beta * separation
        return CLASNetOutput(output.cas, mixed, output, separated, separation)

    def losses(self, output, labels, progress):
        terms = self.baseline.losses(output.baseline, labels, progress)
        ramp = rise(progress, *self.ramp)
        if self.sparsity:
            terms["sparsity"] = self.sparsity["weight"] * output.separation.mean()
        if self.fcsm:
            selection = (output.separation + output.baseline.attention) / 2
            action, background = split_features(output.separated, selection, self.topk)
            terms["contrast"] = self.contrast * ramp * contrastive_loss(action, background, self.alpha)
        if self.brm:
            boundary = boundary_loss(output.separation, output.cas, labels, self.brm["distance"])
            terms["boundary"] = self.brm["weight"] * ramp * boundary
        return terms

    def scores(self, output):
        return self.baseline.scores(replace(output.baseline, attention=output.attention))


def rise(progress, start, end):
    """From 0 before ``start`` to 1 after ``end``, linear between."""
    return min(max((progress - start) / max(end - start, 1e-9), 0.0), 1.0)

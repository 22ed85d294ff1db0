"""CLASNet: FCSM, BRM and attention sparsity around any baseline.

Each of the three can be left out; that is all the ablation there is.
"""

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_type_hints
from zlib import crc32

import torch
import torch.nn.functional as F
from msgspec import Meta, Struct
from msgspec.structs import asdict
from torch import nn

from clasnet.errors import InputError, shown
from clasnet.models.base import Baseline, Output
from clasnet.models.brm import boundary_loss, scaled
from clasnet.models.fcsm import FCSM, contrastive_loss, separation_score, split_features
from clasnet.models.settings import Count, Positive, Probability, Share, Weight
from clasnet.reading import check_settings

OUTSIDE = ("topk", "temperature", "alpha", "weight", "follow", "beta")  # settings of the FCSM, not of its network


class SeparationSettings(Struct):
    """Of the FCSM."""

    layers: Count = 5
    heads: Count = 8
    bottleneck: Count | None = None
    dropout: Probability = 0.3
    feed: Literal["none", "gated", "modulated"] = "none"
    topk: Annotated[float, Meta(gt=0, le=1, description="a number above 0, at most 1")] = 0.3
    temperature: Positive = 0.2
    alpha: Weight = 0.25
    weight: Weight = 0.5
    follow: Weight = 2.5
    beta: Share = 0.7


class BoundarySettings(Struct):
    """Of the BRM."""

    weight: Weight = 2.5
    mutual: Weight = 0.0
    distance: Literal["mse", "l1", "cosine"] = "mse"


class SparsitySettings(Struct):
    """Of the mean attention."""

    weight: Weight = 0.01


SETTINGS = {"fcsm": SeparationSettings, "brm": BoundarySettings, "sparsity": SparsitySettings}
Ramp = Annotated[list[Share], Meta(min_length=2, max_length=2, description="two numbers from 0 to 1")]


@dataclass
class CLASNetOutput(Output):
    """``cas`` is the baseline's and ``attention`` what localisation uses."""

    baseline: Output
    separation: torch.Tensor  # A [B, T]; without an FCSM the baseline's attention, and the fields below are None
    separated: torch.Tensor | None = None  # z [B, T, 2D], or [B, T, D] of a single stream
    head: torch.Tensor | None = None  # h [B, T], the attention of the FCSM's own head
    action: torch.Tensor | None = None  # [B, 2D], the video's action in z, of length 1
    background: torch.Tensor | None = None  # [B, 2D]


class CLASNet(Baseline):
    """A baseline with the plug-in. It is a :class:`Baseline` itself, so it trains and localises like one.

    The attention A of the FCSM is the mean of what its head says, h, and of how much nearer a snippet's separated
    feature is to the video's action than to its background (:func:`separation_score`, choice). The contrastive
    loss drives these two apart.

    ``fcsm``: settings of :class:`FCSM` with ``topk`` (share ρ of the snippets that are the video's action, and of those
    that are its background), ``temperature`` of the score and, for the losses, ``alpha``, ``weight`` (λ2) and
    ``follow`` (weight of the squared error by which h follows the baseline's attention, choice), and ``beta`` (share of
    A in the attention at test time); ``brm``: ``weight`` (λ3), ``mutual`` and ``distance`` of
    :func:`clasnet.models.brm.boundary_loss`; ``sparsity``: ``weight`` (λ1). A setting that is not given has its value
    in ``SETTINGS``; ``None`` for a part leaves it out. ``ramp``: the shares of the training between which the weights
    of contrast and BRM rise from 0 to 1 (choice). Raises ``InputError`` on a setting that is not known, or out of its
    range.
    """

    def __init__(self, baseline, *, fcsm=None, brm=None, sparsity=None, ramp=(0.2, 0.4)):
        if not isinstance(baseline, Baseline) or isinstance(baseline, CLASNet):
            raise InputError(
                f"CLASNet goes around a baseline, of build_baseline, not around a {type(baseline).__name__}"
            )
        super().__init__(baseline.num_classes, baseline.width, baseline.streams)
        check_settings({"ramp": list(ramp) if isinstance(ramp, tuple) else ramp}, {"ramp": Ramp})
        if not ramp[0] <= ramp[1] or ramp[0] == 1:
            raise InputError(f"ramp = {list(ramp)}: must not fall, and begin before 1, the end of the training")
        self.baseline, self.sampling, self.localization = baseline, baseline.sampling, baseline.localization
        fcsm, self.brm, self.sparsity = (
            complete(part, settings) for part, settings in (("fcsm", fcsm), ("brm", brm), ("sparsity", sparsity))
        )
        self.ramp = ramp
        self.settings = {"fcsm": fcsm, "brm": self.brm, "sparsity": self.sparsity, "ramp": ramp}
        self.fcsm = None
        if fcsm is not None:
            self.topk, self.temperature, self.beta = fcsm["topk"], fcsm["temperature"], fcsm["beta"]
            self.alpha, self.contrast, self.follow = fcsm["alpha"], fcsm["weight"], fcsm["follow"]
            self.baseline_draws = any(isinstance(layer, nn.Dropout) and layer.p for layer in baseline.modules())
            own = {key: value for key, value in fcsm.items() if key not in OUTSIDE}
            with draws_of_its_own(torch.device("cpu")):
                self.fcsm = FCSM(baseline.width, streams=baseline.streams, **own)

    @property
    def recipe(self):
        """As a baseline's: arguments that build it again; with the β of now, which may have been set."""
        if not self.baseline.recipe:
            return None
        fcsm = self.settings["fcsm"] and self.settings["fcsm"] | {"beta": self.beta}
        return self.baseline.recipe | {"clasnet": self.settings | {"fcsm": fcsm}}

    def forward(self, x):
        if self.fcsm is None:
            output = self.baseline(x)
            return CLASNetOutput(output.cas, output.attention, output, output.attention)
        # Around a baseline that draws nothing the FCSM's draws must move the generator: nobody else would. A compiled
        # network cannot read a generator's state.
        apart = self.baseline_draws and not torch.compiler.is_compiling()
        with draws_of_its_own(x.device) if apart else nullcontext():
            x, separated, head = self.fcsm(x)
        output = self.baseline(x)
        with full_precision(x.device):
            z, h, a = (as_float(y) for y in (separated, head, output.attention))
            action, background = split_features(z, (h + a) / 2, self.topk)
            separation = (h + separation_score(z, action, background, self.temperature)) / 2
        mixed = mix(output.attention, separation, self.beta)
        return CLASNetOutput(output.cas, mixed, output, separation, separated, head, action, background)

    def losses(self, output, labels, progress):
        terms, own = self.baseline.losses(output.baseline, labels, progress), {}
        ramp = rise(progress, *self.ramp)
        if self.sparsity is not None:
            own["sparsity"] = self.sparsity["weight"] * output.separation.mean()
        if self.fcsm is not None:
            own["contrast"] = self.contrast * ramp * contrastive_loss(output.action, output.background, self.alpha)
            own["follow"] = self.follow * ramp * F.mse_loss(output.head, output.baseline.attention.detach())
        if self.brm is not None:
            separation = output.separation if self.fcsm is not None else None
            how = {key: self.brm[key] for key in ("mutual", "distance")}
            boundary = boundary_loss(separation, output.baseline.attention, output.cas, labels, **how)
            own["boundary"] = self.brm["weight"] * ramp * boundary
        if taken := ", ".join(sorted(terms.keys() & own.keys())):
            raise InputError(f"losses of the baseline have the name of CLASNet's own: {taken}; give them another one")
        return terms | own

    def scores(self, output):
        return self.baseline.scores(replace(output.baseline, attention=output.attention))


@contextmanager
def draws_of_its_own(device):
    """What is drawn at random within, weights or dropout, moves no draw that comes after on ``device``, a CPU or a GPU
    of CUDA.

    So a baseline draws the same with the plug-in as without, and where the two end in different places the plug-in did
    it.
    """
    cuda = device.type == "cuda"
    generator = torch.cuda.default_generators[device.index] if cuda else torch.default_generator
    state = generator.get_state()
    generator.manual_seed(crc32(state.numpy()))  # else what comes after would draw the same again
    try:
        yield
    finally:
        generator.set_state(state)


def full_precision(device):
    """No mixed precision within: 1 minus a cosine near 1 is nothing but its last digits."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def as_float(x):
    """``x`` in float32, or as it is where that is more."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def complete(part, settings):
    """``settings`` of one ``part`` with the defaults for those that are not given; None stays None."""
    if settings is None:
        return None
    if not isinstance(settings, dict):
        raise InputError(f"{part} = {shown(settings)}: must be a dict of settings, {{}} for the defaults, or None")
    check_settings(settings, get_type_hints(SETTINGS[part], include_extras=True), f"{part}.")
    return asdict(SETTINGS[part]()) | settings


def mix(attention, separation, beta):
    """What localisation reads: ``beta`` of A, scaled over the video, and the rest of the baseline's attention, [B, T].

    Scaled (choice), because its half that follows an attention from afar never reaches the outermost thresholds.
    """
    return (1 - beta) * attention + beta * scaled(separation)


def rise(progress, start, end):
    """From 0 before ``start`` to 1 after ``end``, linear between."""
    return min(max((progress - start) / max(end - start, 1e-9), 0.0), 1.0)

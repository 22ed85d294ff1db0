"""The training loop: any :class:`Baseline`, one optimiser, no knowledge of where data come from or logs go."""

import math
from contextlib import nullcontext
from dataclasses import fields, is_dataclass, replace
from typing import Annotated, Literal

import torch
from msgspec import Meta
from torch.nn.utils import get_total_norm

from clasnet.models.precision import set_tf32
from clasnet.reading import check_settings
from clasnet.training.adam import Adam
from clasnet.training.first_step import check_interface, check_values, first_look

LOG_EVERY = 10  # steps
KNOWN = {  # of the settings of a training
    "steps": Annotated[int, Meta(ge=1, description="a whole number from 1 on")],
    "lr": Annotated[float, Meta(gt=0, description="a number above 0")],
    "weight_decay": Annotated[float, Meta(ge=0, description="a number from 0 on")],
    "schedule": Literal["constant", "cosine"],
    "precision": Literal["float32", "tf32", "bf16"],
}


class Stopped(Exception):
    """Raised by :func:`train` when it was asked to stop; what it had done is in its rolling checkpoint."""


def train(
    model,
    sample,
    *,
    steps,
    lr,
    weight_decay,
    schedule="constant",
    precision="float32",
    compile=False,
    log=None,
    after_step=None,
    rolling=None,
    stopping=None,
):
    """Train ``model`` in place for ``steps`` steps of Adam on batches from ``sample()``.

    ``schedule``: ``"constant"`` or ``"cosine"`` (down to 0 over the run). ``precision="bf16"`` runs the network, but
    not the losses, in mixed precision; ``"tf32"`` rounds the factors of products on CUDA devices, and ``"float32"``
    does not, whatever PyTorch was told before; ``compile`` compiles the network. ``log(step, terms)`` gets the loss,
    its terms and the norm of the gradient as floats every ``LOG_EVERY`` steps and at the last one; between logs nothing
    waits for the device. ``after_step(step)`` is called after every step, from 1 on. ``rolling``, a
    :class:`clasnet.training.rolling.RollingCheckpoint`, makes it go on where an earlier run stopped, to the same bytes;
    ``stopping()`` is asked after every step whether to stop.

    Raises ``InputError`` on a setting that it does not know and on a model that is not as :mod:`clasnet.models.base`
    says, ``FloatingPointError`` that names the step and the term if a loss or, at the end, a weight is not finite, and
    :class:`Stopped`.
    """
    how = {"steps": steps, "lr": lr, "weight_decay": weight_decay, "schedule": schedule, "precision": precision}
    check_settings(how, KNOWN)
    set_tf32(precision == "tf32")
    training = Training(model, sample, steps, lr, weight_decay, schedule, precision, compile)
    if rolling:
        rolling.restore(training)
    model.train()
    while training.step < steps:
        training.advance(measure=logged(training.step, steps))
        if logged(training.step - 1, steps):
            training.complain(rolling)
            if log:
                log(training.step - 1, as_floats(training.terms))
        if after_step:
            after_step(training.step)
        asked = bool(stopping and stopping())  # once a step: what ends a training must have saved it
        if rolling and (training.step == steps or rolling.due(training.step) or asked):
            training.complain(rolling)
            rolling.save(training)
        if asked and training.step < steps:
            raise Stopped(f"stopped after step {training.step} of {steps}")
    training.complain(rolling)
    return model


def logged(step, steps):
    """Is the step, counted from 0, one that is logged?"""
    return step % LOG_EVERY == 0 or step == steps - 1


class Training:
    """All that a training is made of: the model, the optimiser and its schedule, the batches, the step, and what it saw
    of losses that are not finite.
    """

    def __init__(self, model, sample, steps, lr, weight_decay, schedule, precision, compile):
        self.model, self.sample, self.steps, self.lr, self.precision = model, sample, steps, lr, precision
        self.device = next(model.parameters()).device
        self.optimizer, self.cosine = Adam(model.parameters(), weight_decay), schedule == "cosine"
        self.forward = torch.compile(model) if compile else model
        self.step, self.terms = 0, {}
        self.first_bad = torch.full((), -1, device=self.device)  # the first step with a loss that is not finite
        self.bad_terms = None  # [terms] bool, which they were at that step
        self.first = None  # what of the first batch is to be looked at

    def advance(self, measure=False):
        """One step. With ``measure``, the norm of the gradient is a term. Nothing here waits for the device."""
        x, labels = self.sample()
        with torch.autocast(x.device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext():
            output = self.forward(x)
        output = in_float32(output)
        terms = self.model.losses(output, labels, self.step / self.steps)
        if not self.step:
            check_interface(self.model, x, labels, output, terms)
            self.first = first_look(self.model, labels, output)
        loss = sum(terms.values())
        self.optimizer.zero_grad()
        loss.backward()
        self.terms = {"loss": loss.detach(), **{name: term.detach() for name, term in terms.items()}}
        self.watch()
        if measure:
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            self.terms["gradient_norm"] = get_total_norm(gradients)
        self.optimizer.step(self.rate())
        self.step += 1

    def rate(self):
        """The learning rate of the step that comes."""
        return self.lr * (1 + math.cos(math.pi * self.step / self.steps)) / 2 if self.cosine else self.lr

    def watch(self):
        """Note, on the device, the first step at which a term is not finite, and the terms."""
        bad = ~torch.isfinite(torch.stack(list(self.terms.values())))
        now = (self.first_bad < 0) & bad.any()
        self.first_bad = torch.where(now, self.step, self.first_bad)
        self.bad_terms = bad if self.bad_terms is None else torch.where(now, bad, self.bad_terms)

    def complain(self, rolling=None):
        """Raise ``FloatingPointError`` if a term was not finite since the start, or a weight is not, and ``InputError``
        if the first batch was not as the interface says. Waits for the device.
        """
        if self.first is not None:
            check_values(self.model, *self.first.tolist())
            self.first = None
        weights = torch.stack([torch.isfinite(p).all() for p in self.model.parameters()]).all()
        first_bad, fine = torch.stack([self.first_bad, weights]).tolist()
        if first_bad < 0 and fine:
            return
        names = [name for name in self.terms if name != "gradient_norm"]
        if first_bad >= 0:
            bad = [name for name, wrong in zip(names, self.bad_terms.tolist(), strict=True) if wrong]
            what = f"{', '.join(bad[1:] or bad)} is not finite at step {first_bad}"
        else:
            what = f"the weights are not finite after step {self.step - 1}"
        kept = rolling.step if rolling else None
        last = f"; the last good checkpoint is of step {kept}" if kept else ""
        raise FloatingPointError(f"{what}{last}; a smaller learning rate than {self.lr:g} may help")

    def state(self):
        """What :meth:`load` needs to go on from here: weights, optimiser, schedule, batches, generators, step."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state(),
            "sample": self.sample.state(),
            "generator": torch.get_rng_state(),
            "cuda_generator": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def load(self, state):
        """Go on from ``state``."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load(state["optimizer"])
        self.sample.load(state["sample"])
        torch.set_rng_state(state["generator"])
        if state["cuda_generator"] is not None:
            torch.cuda.set_rng_state(state["cuda_generator"], self.device)


def as_floats(scalars):
    """The values of named ``scalars``, fetched from the device all at once."""
    return dict(zip(scalars, torch.stack(list(scalars.values())).tolist(), strict=True))


def in_float32(output):
    """``output`` with all its tensors in float32: the losses' logarithms need it."""
    return replace(output, **{field.name: _float32(getattr(output, field.name)) for field in fields(output)})


def _float32(value):
    if is_dataclass(value):
        return in_float32(value)
    return value.float() if isinstance(value, torch.Tensor) else value

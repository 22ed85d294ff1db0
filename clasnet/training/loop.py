"""The training loop: any :class:`Baseline`, one optimiser, no knowledge of where data come from or logs go."""

from dataclasses import fields, is_dataclass, replace
from math import isfinite

import torch

PRECISIONS = ("float32", "bf16")


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
    log_every=10,
    after_step=None,
):
    """Train ``model`` in place for ``steps`` steps of Adam on batches from ``sample()``.

    ``schedule``: ``"constant"`` or ``"cosine"`` (down to 0 over the run). ``log(step, terms)`` gets the loss and its
    terms as floats every ``log_every`` steps; between logs nothing waits for the device. ``precision="bf16"`` runs the
    network, but not the losses, in mixed precision; ``compile`` compiles the network. ``after_step(step)`` is called
    after every step, from 1 on. Raises ``FloatingPointError`` when a logged loss is not finite.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if schedule == "cosine" else None
    model.train()
    forward = torch.compile(model) if compile else model
    for step in range(steps):
        x, labels = sample()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"):
            output = forward(x)
        terms = model.losses(in_float32(output), labels, step / steps)
        loss = sum(terms.values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        if log and (step % log_every == 0 or step == steps - 1):
            values = as_floats({"loss": loss, **terms})
            if not isfinite(values["loss"]):
                where = f"the loss is {values['loss']} at step {step} ({values})"
                raise FloatingPointError(f"{where}; a smaller learning rate than {lr} may help")
            log(step, values)
        if after_step:
            after_step(step + 1)
    return model


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

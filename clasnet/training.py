"""The training loop: any :class:`Baseline`, one optimiser, no knowledge of where data come from or logs go."""

import torch


def train(model, sample, *, steps, lr, weight_decay, schedule="constant", log=None, log_every=10):
    """Train ``model`` in place for ``steps`` steps of Adam on batches from ``sample()``.

    ``schedule``: ``"constant"`` or ``"cosine"`` (down to 0 over the run). ``log(step, terms)`` gets the loss and its terms as floats every
    ``log_every`` steps; between logs nothing waits for the device. Raises ``FloatingPointError`` when a logged loss is not finite.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if schedule == "cosine" else None
    model.train()
    for step in range(steps):
        x, labels = sample()
        terms = model.losses(model(x), labels, step / steps)
        loss = sum(terms.values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        if log and (step % log_every == 0 or step == steps - 1):
            names = ("loss", *terms)
            values = dict(zip(names, torch.stack([loss, *terms.values()]).tolist()))
            if not torch.isfinite(loss):
                raise FloatingPointError(f"the loss is {values['loss']} at step {step} ({values}); a smaller learning rate than {lr} may help")
            log(step, values)
    return model

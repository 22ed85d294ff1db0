"""Parameters, floating-point operations and run time of a model (Table 5)."""

import time

import torch
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model):
    """Number of parameters."""
    return sum(p.numel() for p in model.parameters())


def count_flops(model, snippets):
    """Floating-point operations of one video of ``snippets`` snippets; a multiply-add is two.

    Runs on the meta device, so it needs no memory; ``model`` stays where it is.
    """
    state = {name: value.to("meta") for name, value in (*model.named_parameters(), *model.named_buffers())}
    x = torch.empty(1, snippets, 2 * model.width, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        functional_call(model, state, (x,))
    return counter.get_total_flops()


@torch.inference_mode()
def milliseconds(models, snippets, repeats=9):
    """Median time of the forward pass of one video for each of the ``models``, after a warm-up, on the device of each.

    They take turns, so that what slows the machine down for a while slows all of them. Without dropout; the models are
    left in the mode that they are in.
    """
    training = [model.training for model in models]
    times = [[pass_of(model.eval(), snippets) for model in models] for _ in range(repeats + 1)]
    for model, mode in zip(models, training, strict=True):
        model.train(mode)
    return [sorted(own)[repeats // 2] for own in zip(*times[1:], strict=True)]


def pass_of(model, snippets):
    """Milliseconds of one pass of one video."""
    device = next(model.parameters()).device
    x = torch.rand(1, snippets, 2 * model.width, device=device)
    start = time.perf_counter()
    model(x)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)

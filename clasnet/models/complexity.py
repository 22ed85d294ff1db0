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
def milliseconds(model, snippets, repeats=9):
    """Median time of the forward pass of one video, after a warm-up, on the model's device.

    Without dropout; the model is left in the mode that it is in.
    """
    device = next(model.parameters()).device
    x = torch.rand(1, snippets, 2 * model.width, device=device)
    times, training = [], model.training
    model.eval()
    for _ in range(repeats + 1):
        start = time.perf_counter()
        model(x)
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    model.train(training)
    return sorted(times[1:])[repeats // 2]

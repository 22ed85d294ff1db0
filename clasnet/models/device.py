"""The device that a command computes on."""

import torch

from clasnet.errors import InputError


def usable_device(name=None):
    """The device called ``name``, by default a GPU if there is one; ``InputError`` if PyTorch has no such one here."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # the meta device has no numbers
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        raise InputError(f"device {name}: PyTorch sees no such device here") from None
    return device

"""The device that a command computes on."""

import torch

from clasnet.errors import InputError


def usable_device(name=None):
    """The device called ``name``, by default a GPU if there is one; ``InputError`` if PyTorch has no such one here."""
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"--device {name}: PyTorch sees no such device here") from None
    return device

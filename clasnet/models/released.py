"""The authors' checkpoints as models of this repository.

Their parameter names are turned into ours, and nothing of a file is run or trusted.
"""

import torch

from clasnet.errors import InputError
from clasnet.models.checkpoint import read_checkpoint, unusable
from clasnet.models.registry import build_baseline

# In the released CO2-Net and DELU; the networks never call it.
UNUSED = {"feat_encoder.0.weight", "feat_encoder.0.bias"}


def _acrnet_names():
    """Released name to ours. ``mca``: cross-modal attention; ``bwa``: filters; ``cas``, ``aas``: heads."""
    names = {
        "mca.rgb_proj": "cross_modal.project_rgb",
        "mca.flow_proj": "cross_modal.project_flow",
        "mca.atte": "cross_modal.relation",
    }
    layers = {f"{m}_bwa.attn.0": f"filter_{m}.local_conv" for m in ("rgb", "flow")}
    layers |= {f"{m}_bwa.conv.0": f"filter_{m}.global_conv" for m in ("rgb", "flow")}
    for theirs, ours in (("cas", "classifier"), ("aas", "attention")):
        layers |= {f"{theirs}_{m}_encoder.{i}": f"{ours}_{m}.{i}" for m in ("rgb", "flow") for i in (0, 2)}
    return names | _with_bias(layers)


def _co2net_names():
    """Released name to ours; ``v`` is RGB, ``f`` flow."""
    layers = {"fusion.0": "fusion.0", "classifier.1": "classifier.1", "classifier.4": "classifier.4"}
    for theirs, ours in (("vAttn", "consensus_rgb"), ("fAttn", "consensus_flow")):
        layers[f"{theirs}.bit_wise_attn.0"] = f"{ours}.filter.local_conv"
        layers[f"{theirs}.channel_conv.0"] = f"{ours}.filter.global_conv"
        layers |= {f"{theirs}.attention.{i}": f"{ours}.attention.{i}" for i in (0, 3, 5)}
    return _with_bias(layers)


def _with_bias(layers):
    return {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in layers.items() for kind in ("weight", "bias")}


NAMES = {"co2net": _co2net_names, "delu": _co2net_names, "acrnet": _acrnet_names}


def count_classes(name, released):
    """The number of classes that a released state dict of baseline ``name`` tells apart.

    Raises ``InputError`` if it is not one of that baseline, or of none whose checkpoints are known.
    """
    if name not in NAMES:
        raise InputError(f"no released checkpoints of {name!r} are known: must be one of {', '.join(NAMES)}")
    last = "cas_rgb_encoder.2.bias" if name == "acrnet" else "classifier.4.bias"
    if last not in released:
        raise InputError(f"not a released {name} checkpoint: {last} is missing")
    return released[last].numel() - (name != "acrnet")  # CO2-Net and DELU have a background class


def convert_state_dict(name, released):
    """A released state dict of baseline ``name`` as one for ``build_baseline`` with the ``paper`` profile.

    The class count is read off the checkpoint. Parameters that the network never uses are skipped by name; unexpected,
    missing or misshapen ones raise one ``InputError`` that lists them all.
    """
    expected = build_baseline(name, num_classes=count_classes(name, released), profile="paper").state_dict()
    names = NAMES[name]()
    problems = misfits(released, expected, names)
    if problems:
        raise InputError(f"not a released {name} checkpoint: {'; '.join(problems)}")
    return {ours: released[theirs] for theirs, ours in names.items()}


def misfits(released, expected, names):
    """What is unexpected, missing, misshapen or no weights in ``released``, a line each.

    ``names`` are its names to those of ``expected``.
    """
    unexpected = [f"unexpected {key}" for key in released if key not in names and key not in UNUSED]
    missing = [f"missing {key}" for key in names if key not in released]
    misshapen = [
        f"{theirs} has shape {tuple(released[theirs].shape)}, not {tuple(expected[ours].shape)}"
        for theirs, ours in names.items()
        if theirs in released and released[theirs].shape != expected[ours].shape
    ]
    useless = [f"{theirs} {why}" for theirs in names if theirs in released and (why := unusable(released[theirs]))]
    return unexpected + missing + (misshapen or useless)


def load_released(path, name, *, num_classes, dataset):
    """The authors' checkpoint of baseline ``name`` in the file ``path``, as a model.

    It has the ``paper`` profile for ``dataset``. Raises ``FileNotFoundError`` or ``InputError`` with one line that says
    what is wrong with the file.
    """
    released = read_checkpoint(path)
    if not isinstance(released, dict) or not all(isinstance(value, torch.Tensor) for value in released.values()):
        found = type(released).__name__
        raise InputError(f"{path}: not a state dict, which maps parameter names to tensors; found {found}")
    try:
        found = count_classes(name, released)
        if found != num_classes:
            raise InputError(f"a checkpoint for {found} classes, but {dataset} has {num_classes}")
        weights = convert_state_dict(name, released)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    model = build_baseline(name, num_classes=num_classes, dataset=dataset, profile="paper")
    model.load_state_dict(weights)
    return model

"""Model files: weights with all that is needed to use them (network, settings, class names), in the container of
safetensors, and a checksum over all of it that is verified at every read.

Reading one runs nothing that is in it.
"""

import hashlib
import io
import json
import pickle
import re
import warnings
import zipfile
from typing import Annotated, Any

import torch
from msgspec import Meta, Struct
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from clasnet.errors import InputError, shown
from clasnet.files import replacing
from clasnet.models.device import usable_device
from clasnet.models.registry import build_model
from clasnet.reading import Name, checked, parse_json

KEY = "clasnet"  # of the metadata: one entry, because the container writes several in any order


class Settings(Struct):
    """What a model file says besides the weights."""

    baseline: dict[str, Any]  # arguments of build_baseline
    clasnet: dict[str, Any] | None  # arguments of CLASNet
    classes: list[Name]
    num_segments: Annotated[int, Meta(ge=1, description="a whole number from 1 on")]
    computed: dict[str, Any]  # device and threads, for the record
    sha256: str  # of everything else in the file


def save_model(path, model, *, classes, num_segments):
    """Write ``model``, a baseline made by :func:`build_baseline` or a :class:`CLASNet` around one, to ``path``.

    ``classes``: the C class names; ``num_segments``: the training length, to which some baselines cut long test videos
    down. How it was computed (device, threads) is kept for the record. Raises ``InputError`` where :func:`load_model`
    would.
    """
    if not model.recipe:
        raise ValueError(
            f"{path}: only models of build_baseline, or CLASNet around one, can be written and built again"
        )
    if isinstance(classes, (set, frozenset, str)):
        raise InputError(f"{path}: classes = {shown(classes)}: must be a list, whose order is that of the columns")
    content = {
        **model.recipe,
        "classes": list(classes),
        "num_segments": num_segments,
        "computed": {"device": next(model.parameters()).device.type, "threads": torch.get_num_threads()},
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    settings = checked(content | {"sha256": ""}, Settings, f"{path}: settings")
    with torch.device("meta"):
        expected = build_model(settings.baseline, settings.clasnet).state_dict()
    if problem := misfit(expected, weights) or class_misfit(settings) or weights_misfit(weights):
        raise InputError(f"{path}: not written: {problem}")
    content["sha256"] = checksum(content, weights)
    whole = save(weights, {KEY: json.dumps(content, sort_keys=True)})
    with replacing(path) as partial:
        partial.write_bytes(whole)  # a full disk raises OSError, as for any file


def checksum(content, weights):
    """The checksum of a model file: over its settings ``content``, but for the checksum itself, and its ``weights``."""
    settings = {key: value for key, value in content.items() if key != "sha256"}
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(weights.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def load_model(path, device="cpu"):
    """The model in the file ``path``, in evaluation mode.

    It has the attributes ``classes`` and ``num_segments`` of :func:`save_model`. Raises ``FileNotFoundError`` or
    ``InputError`` with one line if there is none, or it is damaged, or holds something else. The baseline of an
    extension must be registered before (:func:`clasnet.models.registry.import_extensions`).
    """
    settings, weights = read_model(path)
    try:
        with torch.device("meta"):  # a network of the wrong size must not take memory
            expected = build_model(settings.baseline, settings.clasnet)
        found = {"baseline": settings.baseline, "clasnet": settings.clasnet}
        wrong = outdated(expected.recipe, found) or misfit(expected.state_dict(), weights) or class_misfit(settings)
        if wrong:
            raise InputError(wrong)
        model = build_model(settings.baseline, settings.clasnet)
        model.load_state_dict(weights)
    except Exception as error:  # settings that no network has can fail in any way
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        raise InputError(f"{path}: its settings and weights make no model: {kind}{error}") from None
    if problem := weights_misfit(weights):
        raise InputError(f"{path}: {problem}; train or import this model again")
    model.classes, model.num_segments = tuple(settings.classes), settings.num_segments
    return model.to(usable_device(device)).eval()


def class_misfit(settings):
    """A line if the class names in the :class:`Settings` are not one a class; else empty."""
    names, classes = len(set(settings.classes)), settings.baseline.get("num_classes")
    return "" if names == classes else f"{names} class names of {classes} classes"


def weights_misfit(weights):
    """A line on the first of the ``weights``, by name, that are no numbers to compute with; empty if all are."""
    return next((f"{name} {why}" for name, tensor in weights.items() if (why := unusable(tensor))), "")


def read_model(path):
    """The :class:`Settings` and the weights, by name, in the model file ``path``, which its checksum vouches for."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (IsADirectoryError, PermissionError):
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        advice = "import an author's checkpoint with stages.import_released"
        raise InputError(f"{path}: not a model of this repository, or a damaged one ({error}); {advice}") from None
    if KEY not in metadata:
        raise InputError(f"{path}: weights without settings; not a model of this repository")
    settings = parse_json(metadata[KEY].encode(), Settings, f"{path}: settings")
    if checksum(json.loads(metadata[KEY]), weights) != settings.sha256:
        raise InputError(f"{path}: damaged, its checksum is another one; train or import this model again")
    return settings, weights


def outdated(expected, found):
    """Which setting the ``found`` recipe lacks of the ``expected`` one, that of the same model built here; or empty.

    A file holds all settings that its model was made with, so one that is missing came later, and its default could
    make another network of the same weights.
    """
    for key, value in expected.items():
        if key not in found:
            return f"they are of an earlier version, which had no {key}; train this model again"
        if isinstance(value, dict) and isinstance(found[key], dict) and (problem := outdated(value, found[key])):
            return problem
    return ""


def misfit(expected, weights):
    """What is missing, unexpected or misshapen in ``weights`` beside the ``expected`` ones; empty if nothing."""
    for name in [*expected, *weights]:
        if name not in weights or name not in expected:
            return f"{name} is {'unexpected' if name in weights else 'missing'}"
        if weights[name].shape != expected[name].shape or weights[name].dtype != expected[name].dtype:
            found, wanted = (f"{x.dtype} {tuple(x.shape)}" for x in (weights[name], expected[name]))
            return f"{name} is {found}, not {wanted}"
    return ""


def as_bytes(content):
    """Tensors and plain containers in the form of a file of PyTorch.

    Given a path, torch would write its name into the file, and a full disk would end in a RuntimeError.
    """
    whole = io.BytesIO()
    torch.save(content, whole)
    return whole.getbuffer()


def read_checkpoint(path):
    """Tensors and plain containers from a file of ``torch.save``.

    Raises one line if the file is damaged or holds anything else, which is not run.
    """
    try:
        if member := damaged_member(path):
            raise InputError(f"{path}: damaged: its part {member} is not what was written; nothing of it was run")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols; what it cannot read is an error below
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        asked = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        what = (
            f"holds more than tensors ({asked[1]})"
            if asked
            else f"not a PyTorch checkpoint of tensors, or a truncated or damaged one ({type(error).__name__})"
        )
        raise InputError(f"{path}: {what}; nothing of it was run") from None


def damaged_member(path):
    """The first member of a zip file, as ``torch.save`` writes, that does not have its checksum, which PyTorch does not
    look at; None if there is none, or the file is of another kind.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as file:
        return file.testzip()


def is_repeated(tensor):
    """Does ``tensor`` show the same numbers more than once, so that it may be larger than any memory?"""
    return tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size()


def unusable(tensor):
    """Why ``tensor``, of a checkpoint, holds no weights in float32, in words; empty if it does."""
    if tensor.is_meta or tensor.is_quantized or tensor.layout is not torch.strided or is_repeated(tensor):
        return "is not stored as plain numbers"
    if not tensor.is_floating_point():
        return f"holds {str(tensor.dtype).removeprefix('torch.')} numbers, not floating point ones"
    return "" if torch.isfinite(tensor.float()).all() else "holds NaN or infinity"

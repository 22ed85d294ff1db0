"""Model files: weights with all that is needed to use them (network, settings, class names).

Reading one runs nothing that is in it.
"""

import io
import pickle
import re
import warnings
from pathlib import Path

import torch

from clasnet.files import replacing
from clasnet.models.registry import build_model

KEYS = ("baseline", "clasnet", "classes", "num_segments", "weights")


def save_model(path, model, *, classes, num_segments):
    """Write ``model``, a baseline made by :func:`build_baseline` or a :class:`CLASNet` around one, to ``path``.

    ``classes``: the C class names; ``num_segments``: the training length, to which some baselines cut long test videos
    down. How it was computed (device, threads) is kept for the record.
    """
    if not model.recipe:
        raise ValueError(
            f"{path}: only models of build_baseline, or CLASNet around one, can be written and built again"
        )
    content = {
        **model.recipe,
        "classes": list(classes),
        "num_segments": num_segments,
        "weights": model.state_dict(),
        "computed": {"device": next(model.parameters()).device.type, "threads": torch.get_num_threads()},
    }
    with replacing(path) as partial:
        write_checkpoint(partial, content)


def write_checkpoint(path, content):
    """Write tensors and plain containers to the file ``path``; a full disk raises ``OSError``, as for any file."""
    Path(path).write_bytes(as_bytes(content))


def as_bytes(content):
    """Tensors and plain containers in the form of a file of PyTorch.

    Given a path, torch would write its name into the file, and a full disk would end in a RuntimeError.
    """
    whole = io.BytesIO()
    torch.save(content, whole)
    return whole.getbuffer()


def load_model(path, device="cpu"):
    """The model in the file ``path``, in evaluation mode.

    It has the attributes ``classes`` and ``num_segments`` of :func:`save_model`. Raises ``FileNotFoundError`` or
    ``ValueError`` with one line if there is none, or it is damaged, or holds something else. The baseline of an
    extension must be registered before (:func:`clasnet.models.registry.import_extensions`).
    """
    content = read_checkpoint(path)
    if not isinstance(content, dict) or missing_keys(content):
        raise ValueError(
            f"{path}: not a model of this repository ({missing_keys(content)}); "
            "import an author's checkpoint with stages.import_released"
        )
    try:
        model = build_model(content["baseline"], content["clasnet"])
        model.load_state_dict(content["weights"])
    except (TypeError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: {type(error).__name__}: {' '.join(str(error).split())}") from None
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: the weights in {name} hold NaN or infinity; train this model again")
    model.classes, model.num_segments = tuple(content["classes"]), content["num_segments"]
    return model.to(device).eval()


def missing_keys(content):
    """Which of a model file's keys ``content`` lacks, in words; empty if none."""
    absent = [key for key in KEYS if key not in content] if isinstance(content, dict) else KEYS
    return f"without {', '.join(absent)}" if absent else ""


def read_checkpoint(path):
    """Tensors and plain containers from a file of ``torch.save``.

    Raises one line if the file is damaged or holds anything else, which is not run.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols; what it cannot read is an error below
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except Exception as error:  # a damaged pickle can fail in any way
        asked = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        what = (
            f"holds more than tensors ({asked[1]})"
            if asked
            else f"not a PyTorch checkpoint of tensors, or a truncated or damaged one ({type(error).__name__})"
        )
        raise ValueError(f"{path}: {what}; nothing of it was run") from None

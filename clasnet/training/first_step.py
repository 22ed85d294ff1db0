"""The first step of a training: is the network what :mod:`clasnet.models.base` says, and are its labels labels?

What is not would train without a word, and be found out by a number in a table, or by nobody.
"""

import re
from dataclasses import replace

import torch

from clasnet.errors import InputError

TAKEN = ("loss", "gradient_norm")  # by the sum of all terms, and by what is logged beside them


def check_interface(model, x, labels, output, terms):
    """Raise ``InputError`` if the ``labels`` of a batch ``x``, what ``model`` says of it, or the ``terms`` of its loss
    are of other shapes or names, or if nothing of the loss has a gradient.

    That takes no values, and so waits for no device; :func:`first_look` has what does.
    """
    name, batch, classes = type(model).__name__, list(x.shape[:2]), model.num_classes
    if list(labels.shape) != [batch[0], classes]:
        raise InputError(f"{name}: labels are {list(labels.shape)}: must be {[batch[0], classes]}")
    if list(output.cas.shape) not in ([*batch, classes], [*batch, classes + 1]):
        expected = [*batch, classes]
        raise InputError(f"{name}: cas is {list(output.cas.shape)}: must be {expected}, or one class more")
    if list(output.attention.shape) != batch:
        raise InputError(f"{name}: attention is {list(output.attention.shape)}: must be {batch}")
    for key, term in terms.items():
        if not isinstance(term, torch.Tensor) or term.ndim:
            found = list(term.shape) if isinstance(term, torch.Tensor) else f"a {type(term).__name__}"
            raise InputError(f"{name}: the loss {key} is {found}: must be a scalar tensor")
        if not re.fullmatch(r"\w+", str(key)) or key in TAKEN:
            raise InputError(f"{name}: a loss is called {key!r}: must be letters, digits and _, and none of {TAKEN}")
    if not any(term.requires_grad for term in terms.values()):
        raise InputError(f"{name}: no loss has a gradient: {', '.join(terms) or 'there is none'}")


@torch.no_grad()
def first_look(model, labels, output):
    """What of the values of a first batch must be looked at, [5] on their device: :func:`check_values` reads it.

    The range of the attention, that of the labels, and whether the scores follow the attention. Raises ``InputError``
    on scores of other shapes.
    """
    scores, classes = model.scores(output), model.num_classes
    other = model.scores(replace(output, attention=1 - output.attention))
    columns = classes if model.localization.by_class else 1
    batch, length = output.attention.shape
    shapes = {"video": [batch, classes], "snippet": [batch, length, classes], "activity": [batch, length, columns]}
    changes = []
    for key, shape in shapes.items():
        own = getattr(scores, key)
        if list(own.shape) != shape:
            raise InputError(f"{type(model).__name__}: the scores' {key} is {list(own.shape)}: must be {shape}")
        changes.append((own != getattr(other, key)).any())
    follow = torch.stack(changes).any()
    return torch.stack([y.float() for y in (*output.attention.aminmax(), *labels.float().aminmax(), follow)])


def check_values(model, low, high, lowest, highest, follow):
    """Raise ``InputError`` if what :func:`first_look` found is not as it must be.

    Scores need not follow the attention, but CLASNet, which mixes its own into it, would do nothing for them.
    """
    name = type(model).__name__
    if low < 0 or high > 1:
        found = f"attention is from {low:.3g} to {high:.3g}"
        raise InputError(f"{name}: {found}: must be from 0 to 1, such as a sigmoid's")
    if lowest < 0 or highest > 1:
        raise InputError(f"{name}: labels are from {lowest:.3g} to {highest:.3g}: must be from 0 to 1")
    if not follow and getattr(model, "fcsm", None) is not None:
        raise InputError(f"{name}: its baseline's scores do not follow output.attention, into which it mixes its own")

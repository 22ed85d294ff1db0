"""Settings of networks: the ranges that constructors declare beside their names."""

import inspect
from typing import Annotated, Any, get_type_hints

from msgspec import Meta

MOST = 1e9
Width = Annotated[int, Meta(ge=2, le=2**16, description=f"a whole number from 2 to {2**16}")]
Count = Annotated[int, Meta(ge=1, le=2**16, description=f"a whole number from 1 to {2**16}")]
Number = Annotated[float, Meta(ge=-MOST, le=MOST, description=f"a number, at most {MOST:.0e}")]  # no NaN, no infinity
Weight = Annotated[float, Meta(ge=0, le=MOST, description=f"a number from 0 to {MOST:.0e}")]
Positive = Annotated[float, Meta(ge=1e-6, le=MOST, description=f"a number from 1e-06 to {MOST:.0e}")]
Share = Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")]
Probability = Annotated[float, Meta(ge=0, lt=1, description="a number from 0 on, below 1")]  # of dropout


def ranges(network):
    """The settings that the class ``network`` takes, by name, each as a type of :mod:`clasnet.reading`.

    It is that by which a parameter of the constructor is annotated; without one, that of its default value. A
    constructor with ``**`` passes on to that of the class it comes from.
    """
    found = {}
    for parent in network.__mro__:
        if "__init__" not in vars(parent):
            continue
        hints = _hints(parent.__init__)
        _, _, *parameters = inspect.signature(parent.__init__).parameters.values()  # self, num_classes
        for one in parameters:
            if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD):
                found.setdefault(one.name, hints.get(one.name, _by_default(one)))
        if all(one.kind is not one.VAR_KEYWORD for one in parameters):
            break
    return found


def _hints(constructor):
    """Name to annotation of a constructor's parameters; none where they cannot be resolved."""
    try:
        hints = get_type_hints(constructor, include_extras=True)
    except (NameError, TypeError):
        return {}
    return {name: Number if hint is float else hint for name, hint in hints.items()}


def _by_default(parameter):
    """What a parameter without an annotation takes: what its default is."""
    kinds = {int: int, float: Number, str: str, bool: bool}
    return Width if parameter.name == "width" else kinds.get(type(parameter.default), Any)

"""Models by name: the three baselines of the paper, those that a researcher registers, and CLASNet around any of them.

A network's module is imported when the network is built, so names and titles need no PyTorch, and a model depends on
its own code alone.
"""

import os
import re
import sys
from importlib import import_module
from pathlib import Path

from clasnet.data.datasets import benchmark_of
from clasnet.errors import InputError
from clasnet.models.settings import Count, ranges
from clasnet.reading import check_names, check_settings

BASELINES = {  # name to class: where it is, or the class itself of a registered one
    "co2net": "clasnet.models.co2net:CO2Net",
    "delu": "clasnet.models.delu:DELU",
    "acrnet": "clasnet.models.acrnet:ACRNet",
}
CLASNET = "clasnet.models.clasnet:CLASNet"
TITLES = {"co2net": "CO2-Net", "delu": "DELU", "acrnet": "ACRNet"}

# Published settings per baseline: on THUMOS14, and what differs on ActivityNet. The pools are those of the published
# segment counts.
_THUMOS14 = {
    "co2net": {"k": 7, "alpha1": 0.8, "alpha2": 0.8, "alpha3": 1.0, "alpha4": 1.0},
    "delu": {
        "k": 7,
        "r": 9,
        "alpha1": 0.8,
        "alpha2": 0.4,
        "alpha_edl": 1.3,
        "alpha_guide": 0.4,
        "amplitude": 0.7,
        "evidence": "exp",
    },
    "acrnet": {"heads": 4, "nms_sigma": 0.5},
}
_ACTIVITYNET = {
    "co2net": {"k": 5, "pool": 13},
    "delu": {
        "k": 5,
        "r": 5,
        "pool": 13,
        "alpha2": 0.8,
        "alpha_edl": 1.2,
        "alpha_guide": 0.2,
        "amplitude": 0.2,
        "evidence": "relu",
    },
    "acrnet": {"pool": 13, "nms_sigma": 0.8},
}
WIDTHS = {"paper": 1024, "demo": 32}
_CHECKPOINTS = {"acrnet": {"merge": "released"}}  # what the authors' checkpoints need, with the `paper` profile


def register_baseline(name, baseline, title=None):
    """Make the :class:`Baseline` subclass ``baseline`` known by ``name`` to :func:`build_baseline` and to the settings.

    ``title`` is its name in tables and figures. Raises ``InputError`` on a name that is taken or is none of a folder,
    and on what is no such class.
    """
    from clasnet.models.base import Baseline  # PyTorch, which a class of that kind has loaded

    if not re.fullmatch(r"\w+", name, re.ASCII):
        raise InputError(f"baseline {name!r}: its name is one of folders and stages: letters, digits and _")
    if not isinstance(baseline, type) or not issubclass(baseline, Baseline):
        raise InputError(f"baseline {name!r}: {baseline!r} is no subclass of clasnet.Baseline")
    title = title or name
    check_names([title], f"baseline {name!r}: the title")
    if title in (taken for other, taken in TITLES.items() if other != name):
        raise InputError(f"baseline {name!r}: the title {title!r} is taken; give it another one")
    if BASELINES.get(name, baseline) is not baseline:
        raise InputError(f"baseline {name!r} is taken by {module_of(BASELINES[name])}; choose another name")
    BASELINES[name], TITLES[name] = baseline, title


def module_of(place):
    """The name of the module of ``place``, a class or a string ``module:class``."""
    return place.partition(":")[0] if isinstance(place, str) else place.__module__


def load_class(place):
    """The class at ``place``, imported if need be."""
    if not isinstance(place, str):
        return place
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def import_extensions(folder):
    """Import every module in ``folder``, a path below the working directory, so that each can register its baselines.

    Raises ``InputError`` with one line if the folder is not there or a module fails.
    """
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: no such folder of extensions")
    place = Path(os.path.abspath(folder))
    if not place.is_relative_to(Path.cwd()):
        raise InputError(f"{folder}: extensions are imported by name, so they must lie below {Path.cwd()}")
    folder = place.relative_to(Path.cwd())
    for path in sorted(folder.glob("*.py")):
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            import_module(".".join((*folder.parts, path.stem)))
        except (Exception, SystemExit) as error:  # whatever a user's module does wrong
            raise InputError(f"{path}: {type(error).__name__}: {' '.join(str(error).split())}") from None


def build_baseline(name, *, num_classes, dataset="thumos14", profile="paper", **settings):
    """A new baseline with the published settings for ``dataset``, or for the one that it is like.

    Its width is the published one (``profile="paper"``) or a small one (``"demo"``). ``settings`` (``width``, ``k``,
    ...) override any of them. Raises ``InputError`` that names an unknown name, data set, profile or
    setting.
    """
    for what, value, known in (("baseline", name, BASELINES), ("profile", profile, WIDTHS)):
        if value not in known:
            raise InputError(
                f"unknown {what} {value!r}: must be one of {', '.join(known)}"
                + "; register others first" * (what == "baseline")
            )
    long = benchmark_of(dataset).like != "thumos14"
    published = _THUMOS14.get(name, {}) | (_ACTIVITYNET.get(name, {}) if long else {})
    released = _CHECKPOINTS.get(name, {}) if profile == "paper" else {}
    settings = {"width": WIDTHS[profile]} | published | released | settings
    network = load_class(BASELINES[name])
    check_settings({"num_classes": num_classes}, {"num_classes": Count}, f"baseline {name}: ")
    check_settings(settings, ranges(network), f"baseline {name}: ")
    model = network(num_classes, **settings)
    baseline = {"name": name, "num_classes": num_classes, "dataset": dataset, "profile": profile, **settings}
    model.recipe = {"baseline": baseline, "clasnet": None}
    return model


def build_model(baseline, clasnet=None):
    """The model of a recipe.

    ``baseline`` are arguments of :func:`build_baseline`, ``clasnet`` those of ``CLASNet`` around it, or None.
    """
    model = build_baseline(**baseline)
    return load_class(CLASNET)(model, **clasnet) if clasnet else model

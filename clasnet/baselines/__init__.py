"""Baselines by name: the three of the paper, and those that a researcher registers."""

from clasnet.baselines.acrnet import ACRNet
from clasnet.baselines.base import Baseline, Output, Scores
from clasnet.baselines.co2net import CO2Net
from clasnet.baselines.delu import DELU

BASELINES = {"co2net": CO2Net, "delu": DELU, "acrnet": ACRNet}
TITLES = {"co2net": "CO2-Net", "delu": "DELU", "acrnet": "ACRNet"}

# Published settings per baseline: on THUMOS14, and what differs on ActivityNet. The pools are those of the published segment counts.
_THUMOS14 = {
    "co2net": {"k": 7, "alpha1": 0.8, "alpha2": 0.8, "alpha3": 1.0, "alpha4": 1.0},
    "delu": {"k": 7, "r": 9, "alpha1": 0.8, "alpha2": 0.4, "alpha_edl": 1.3, "alpha_guide": 0.4, "amplitude": 0.7, "evidence": "exp"},
    "acrnet": {"heads": 4, "nms_sigma": 0.5},
}
_ACTIVITYNET = {
    "co2net": {"k": 5, "pool": 13},
    "delu": {"k": 5, "r": 5, "pool": 13, "alpha2": 0.8, "alpha_edl": 1.2, "alpha_guide": 0.2, "amplitude": 0.2, "evidence": "relu"},
    "acrnet": {"pool": 13, "nms_sigma": 0.8},
}
WIDTHS = {"paper": 1024, "demo": 32}
_CHECKPOINTS = {"acrnet": {"merge": "released"}}  # what the authors' checkpoints need, with the `paper` profile


def register_baseline(name, baseline, title=None):
    """Make the :class:`Baseline` subclass ``baseline`` known as ``name`` to :func:`build_baseline`, ``params.yaml`` and the tables."""
    BASELINES[name], TITLES[name] = baseline, title or name


def build_baseline(name, *, num_classes, dataset="thumos14", profile="paper", **settings):
    """A new baseline with the published settings for ``dataset``, at the published width (``profile="paper"``) or a small one (``"demo"``).

    ``settings`` (``width``, ``k``, ...) override any of them. Raises ``ValueError`` that names an unknown name, profile or setting.
    """
    for what, value, known in (("baseline", name, BASELINES), ("profile", profile, WIDTHS)):
        if value not in known:
            raise ValueError(f"unknown {what} {value!r}: must be one of {', '.join(known)}")
    published = _THUMOS14.get(name, {}) | (_ACTIVITYNET.get(name, {}) if dataset.startswith("activitynet") else {})
    released = _CHECKPOINTS.get(name, {}) if profile == "paper" else {}
    settings = {"width": WIDTHS[profile]} | published | released | settings
    try:
        return BASELINES[name](num_classes, **settings)
    except TypeError as error:
        raise ValueError(f"baseline {name}: {error}") from None

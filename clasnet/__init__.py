"""CLASNet: a plug-in for weakly supervised temporal action localisation, with its baselines, localisation and metrics.

Names are imported when they are first used, so that what needs no PyTorch (annotations, metrics) does not load it.
"""

from importlib import import_module

_HOME = {
    "CLASNet": "clasnet.clasnet",
    "FCSM": "clasnet.fcsm",
    "Baseline": "clasnet.baselines.base",
    "Output": "clasnet.baselines.base",
    "Scores": "clasnet.baselines.base",
    "Sampling": "clasnet.data.sampling",
    "Localization": "clasnet.localization",
    "build_baseline": "clasnet.baselines",
    "register_baseline": "clasnet.baselines",
    "save_model": "clasnet.checkpoint",
    "load_model": "clasnet.checkpoint",
    "load_features": "clasnet.data.features",
    "localize_video": "clasnet.inference",
    "detection_ap": "clasnet.metrics",
    "read_annotations": "clasnet.data.annotations",
    "open_store": "clasnet.data.store",
    "BatchSampler": "clasnet.data.sampling",
    "train": "clasnet.training",
    "predict": "clasnet.inference",
}
__all__ = list(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'clasnet' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)

"""CLASNet: a plug-in for weakly supervised temporal action localisation, with its baselines, localisation and metrics.

Names are imported when they are first used, so that what needs no PyTorch (annotations, metrics) does not load it.
"""

from importlib import import_module

_HOME = {
    "CLASNet": "clasnet.models.clasnet",
    "FCSM": "clasnet.models.fcsm",
    "Baseline": "clasnet.models.base",
    "Output": "clasnet.models.base",
    "Scores": "clasnet.models.base",
    "Sampling": "clasnet.data.sampling",
    "Localization": "clasnet.localization.settings",
    "build_baseline": "clasnet.models.registry",
    "register_baseline": "clasnet.models.registry",
    "save_model": "clasnet.models.checkpoint",
    "load_model": "clasnet.models.checkpoint",
    "load_features": "clasnet.data.features",
    "localize_video": "clasnet.inference.predict",
    "detection_ap": "clasnet.evaluation.metrics",
    "read_annotations": "clasnet.data.annotations",
    "open_store": "clasnet.data.store",
    "BatchSampler": "clasnet.data.sampling",
    "train": "clasnet.training.loop",
    "predict": "clasnet.inference.predict",
}
__all__ = list(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'clasnet' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)

"""CLASNet: a plug-in for weakly supervised temporal action localisation, with its baselines, localisation and metrics.

Names are imported when they are first used, so that what needs no PyTorch (annotations, metrics) does not load it.
"""

from importlib import import_module

__version__ = "0.1.0"
_HOME = {  # room by room, in the order in which they build on one another
    "Annotations": "clasnet.data.annotations",
    "read_annotations": "clasnet.data.annotation_files",
    "load_features": "clasnet.data.features",
    "BatchSampler": "clasnet.data.sampling",
    "Sampling": "clasnet.data.sampling",
    "open_store": "clasnet.data.store",
    "Localization": "clasnet.localization.settings",
    "localize": "clasnet.localization.localize",
    "Baseline": "clasnet.models.base",
    "Output": "clasnet.models.base",
    "Scores": "clasnet.models.base",
    "build_baseline": "clasnet.models.registry",
    "register_baseline": "clasnet.models.registry",
    "load_model": "clasnet.models.checkpoint",
    "save_model": "clasnet.models.checkpoint",
    "CLASNet": "clasnet.models.clasnet",
    "FCSM": "clasnet.models.fcsm",
    "convert_state_dict": "clasnet.models.released",
    "train": "clasnet.training.loop",
    "localize_video": "clasnet.inference.predict",
    "predict": "clasnet.inference.predict",
    "detection_ap": "clasnet.evaluation.metrics",
    "I3D": "clasnet.video.i3d",
}
__all__ = list(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'clasnet' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] == "clasnet":
            raise
        raise ImportError(f"{name} needs {error.name}, which is not installed: pip install 'clasnet[torch]'") from None

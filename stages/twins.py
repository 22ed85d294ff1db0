"""A synthetic twin as a feature store, by the settings of a profile."""

import numpy as np

from clasnet.data.annotation_files import read_annotations
from clasnet.data.store import write_store
from clasnet.data.synthetic import draw_annotations, twin_videos


def write_twin(folder, dataset, twin, annotations=None, dtype="float32"):
    """Write the ``twin`` of ``dataset`` (its block of a profile) to ``folder``.

    It lies over the annotations at the path ``annotations``, or over drawn ones.
    """
    if annotations:
        known = read_annotations(annotations)
    else:
        drawing = {key: twin[key] for key in ("classes", "train_videos", "test_videos", "snippets")}
        known = draw_annotations(dataset, **drawing, rng=np.random.default_rng([twin["seed"], 0]))
    write_store(folder, known, twin_videos(known, twin["groups"], twin["width"], twin["seed"]), dtype)

"""Stage `features`: the feature store of one data set, drawn by the generator or gathered from real feature files."""

import sys
from pathlib import Path

import numpy as np

from clasnet.data.annotations import read_annotations
from clasnet.data.features import load_features
from clasnet.data.store import open_store, write_store
from clasnet.data.synthetic import draw_annotations, twin_videos
from stages.params import load_params, stage_errors


def real_videos(folder, ids):
    """Features of ``ids`` in turn from ``<id>.npy`` or the pair ``<id>_rgb.npy``, ``<id>_flow.npy``."""
    for id in ids:
        whole = folder / f"{id}.npy"
        yield load_features(whole) if whole.exists() else load_features(folder / f"{id}_rgb.npy", folder / f"{id}_flow.npy")


def main():
    (dataset,) = sys.argv[1:]
    data = load_params().active_profile.data[dataset]
    if data.annotations:
        annotations = read_annotations(data.annotations)
    else:
        annotations = draw_annotations(dataset, **data.twin.drawing, rng=np.random.default_rng([data.twin.seed, 0]))
    if data.twin:
        videos = twin_videos(annotations, data.twin.groups, data.twin.width, data.twin.seed)
    else:
        folder = Path(data.features)
        there = [any((folder / f"{id}{tail}.npy").exists() for tail in ("", "_rgb")) for id in annotations.ids]
        if not any(there):
            raise FileNotFoundError(f"{folder}: no features of the annotated videos; put <id>.npy or <id>_rgb.npy and <id>_flow.npy there")
        if missing := annotations.ids[~np.array(there)].tolist():
            print(f"{dataset}: {len(missing)} annotated videos have no features and are left out: {', '.join(missing[:5])} ...")
        annotations = annotations.select(np.flatnonzero(there))
        videos = real_videos(folder, annotations.ids)
    write_store(f"data/{dataset}", annotations, videos)
    store = open_store(f"data/{dataset}")
    print(f"data/{dataset}: {len(store.length)} videos, {store.length.sum()} snippets, {len(annotations.segments)} instances, "
          f"{len(annotations.classes)} classes, width {store.width}{' (synthetic features)' if data.twin else ''}")  # fmt: skip


if __name__ == "__main__":
    stage_errors(main)

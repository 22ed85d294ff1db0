"""Stage `features`: the feature store of one data set, drawn by the generator or converted from a published package.

python -m stages.features DATASET
"""

import sys
from pathlib import Path

import numpy as np
from filelock import FileLock

from clasnet.data.annotations import read_annotations
from clasnet.data.convert import convert
from clasnet.data.datasets import BENCHMARKS
from clasnet.data.store import open_store, write_store
from clasnet.data.synthetic import draw_annotations, twin_videos
from stages.download import fetch
from stages.params import load_params, stage_errors


def make_twin(folder, dataset, data, dtype):
    """A synthetic twin, over the annotations that ``data`` names or over drawn ones."""
    if data.annotations:
        annotations = read_annotations(data.annotations)
    else:
        annotations = draw_annotations(dataset, **data.twin.drawing, rng=np.random.default_rng([data.twin.seed, 0]))
    write_store(folder, annotations, twin_videos(annotations, data.twin.groups, data.twin.width, data.twin.seed), dtype)


def make_real(folder, dataset, params):
    """The store of a published source, fetched first if need be, or of the user's own files."""
    data, benchmark = params.active_profile.data[dataset], BENCHMARKS[dataset]
    annotations, features = fetch(dataset, data.source) if data.source else (data.annotations, Path(data.features))
    if not features.exists():
        raise FileNotFoundError(f"{features}: no such file or folder; profiles.{params.profile}.data.{dataset}.features names it")
    width = params.active_profile.train[params.baselines[0]][dataset].model["width"]
    problems = convert(folder, read_annotations(annotations), features, columns=2 * width,
                       subsets=(benchmark.train, benchmark.test), dtype=params.features.dtype)  # fmt: skip
    for kind, lines in problems.items():
        print(f"{dataset}: {kind}: {len(lines)}, {'; '.join(lines[:3])}{' ...' * (len(lines) > 3)}")


def main():
    (dataset,) = sys.argv[1:]
    params = load_params()
    data, folder = params.active_profile.data[dataset], f"data/{dataset}"
    Path("data").mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if data.twin:
            make_twin(folder, dataset, data, params.features.dtype)
        else:
            make_real(folder, dataset, params)
    store = open_store(folder)
    print(f"{folder}: {len(store.length)} videos, {store.length.sum()} snippets, {len(store.annotations.segments)} instances, "
          f"{len(store.annotations.classes)} classes, width {store.width}{' (synthetic features)' if data.twin else ''}")  # fmt: skip


if __name__ == "__main__":
    stage_errors(main)

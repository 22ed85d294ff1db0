"""Stage `import-released`: an authors' checkpoint as a model of this repository, in `models/DATASET/BASELINE/released`.

    python -m stages.import_released DATASET BASELINE FILE

The class names are those of the data set's annotations, in their order. A wrong file changes nothing in `models/`.
"""

import sys
from pathlib import Path

from clasnet.models.checkpoint import save_model
from clasnet.data.annotations import read_annotations
from clasnet.files import replacing
from clasnet.models.released import load_released
from stages.params import load_params, stage_errors


def class_names(dataset, data):
    """The class names of ``dataset``: of its feature store, or before there is one, of the annotations that params.yaml names."""
    store = Path(f"data/{dataset}/annotations.json")
    if not store.exists() and not data.annotations:
        raise FileNotFoundError(f"{store}: no classes of {dataset} yet; make them with `dvc repro features@{dataset}`")
    return read_annotations(store if store.exists() else data.annotations).classes


def main():
    if len(sys.argv) != 4:
        raise SystemExit("usage: python -m stages.import_released DATASET BASELINE FILE, for example: thumos14 acrnet downloads/acrnet.pkl")
    dataset, baseline, file = sys.argv[1:]
    profile = load_params().active_profile
    if dataset not in profile.data or dataset not in profile.train.get(baseline, {}):
        raise ValueError(f"params.yaml has no settings of {baseline} on {dataset} in the active profile")
    classes = class_names(dataset, profile.data[dataset])
    model = load_released(file, baseline, num_classes=len(classes), dataset=dataset)
    with replacing(f"models/{dataset}/{baseline}/released") as folder:
        folder.mkdir()
        save_model(folder / "seed0.pt", model, classes=classes, num_segments=profile.train[baseline][dataset].segments)
    print(f"models/{dataset}/{baseline}/released: {file}, {len(classes)} classes, {sum(p.numel() for p in model.parameters()):,} parameters")


if __name__ == "__main__":
    stage_errors(main)

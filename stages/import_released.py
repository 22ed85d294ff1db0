"""Stage `import-released`: an authors' checkpoint as a model of this repository, in `models/released/DATASET/BASELINE`.

    python -m stages.import_released DATASET BASELINE FILE

The class names are those of the data set's annotations, in their order. A wrong file changes nothing in `models/`.
"""

import sys
from pathlib import Path

from clasnet.data.annotation_files import read_annotations
from clasnet.errors import InputError
from clasnet.files import replacing
from clasnet.models.checkpoint import save_model
from clasnet.models.released import load_released
from stages.errors import stage_errors
from stages.params import load_params


def class_names(dataset, data):
    """The class names of ``dataset``: of its feature store, or before there is one, of the annotations that the profile
    names.
    """
    store = Path(f"data/{dataset}/annotations.json")
    if not store.exists() and not data.annotations:
        raise FileNotFoundError(f"{store}: no classes of {dataset} yet; make them with `dvc repro features@{dataset}`")
    return read_annotations(store if store.exists() else data.annotations).classes


def main():
    if len(sys.argv) != 4:
        example = "thumos14 acrnet downloads/acrnet.pkl"
        raise SystemExit(f"usage: python -m stages.import_released DATASET BASELINE FILE, for example: {example}")
    dataset, baseline, file = sys.argv[1:]
    profile = load_params().active_profile
    recipe = profile.train.get(baseline, {}).get(dataset)
    if not recipe or dataset not in profile.data:
        known = ", ".join(f"{name} on {place}" for name, recipes in profile.train.items() for place in recipes)
        raise InputError(f"the active profile has no settings of {baseline} on {dataset}; it has {known}")
    classes = class_names(dataset, profile.data[dataset])
    model = load_released(file, baseline, num_classes=len(classes), dataset=dataset)
    with replacing(f"models/released/{dataset}/{baseline}") as folder:
        folder.mkdir()
        save_model(folder / "seed0.pt", model, classes=classes, num_segments=recipe.segments)
    size = sum(p.numel() for p in model.parameters())
    print(f"models/released/{dataset}/{baseline}: {file}, {len(classes)} classes, {size:,} parameters")


if __name__ == "__main__":
    stage_errors(main)

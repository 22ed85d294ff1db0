"""Stage `collect`: the results that params.yaml asks for, and no others, in results/.

Whatever else lies in predictions/ or dvclive/ changes nothing that follows.
"""

import csv
import shutil
from math import isfinite
from pathlib import Path
from typing import Any

from msgspec import Struct

from clasnet.errors import InputError
from clasnet.files import replacing, write_json
from clasnet.reading import read_json
from stages.errors import stage_errors
from stages.units import read_settings


def losses(groups):
    """Loss terms as DVCLive logged them in ``groups``, folders of dvclive/: term to seed to steps and values, the sum
    first. Raises ``InputError`` where one is damaged, missing, or not as long as the others.
    """
    terms, first = {}, None
    for group in groups:
        seeds = sorted(group.glob("seed*/plots/metrics"))
        if not seeds:
            raise InputError(f"{group}: holds no logs of a training; {remedy(group)}")
        for folder in seeds:
            own = {path.stem: read_log(path, group) for path in sorted(folder.glob("*.tsv"))}
            shape = {name: log["step"] for name, log in own.items()}
            first = first or shape
            if shape != first:
                name = next((name for name in first if shape.get(name) != first[name]), "")
                raise InputError(f"{folder / name}.tsv: missing, or has other steps than another log; {remedy(group)}")
            for name, log in own.items():
                terms.setdefault(name, {})[folder.parents[1].name.removeprefix("seed")] = log
    return dict(sorted(terms.items(), key=lambda item: (item[0] != "loss", item[0])))


def read_log(path, group):
    """Steps and values of one file of DVCLive in the folder ``group``. Raises ``InputError`` where it is damaged."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    try:
        steps, values = [int(row["step"]) for row in rows], [float(f"{float(row[path.stem]):.4g}") for row in rows]
    except (KeyError, TypeError, ValueError):
        steps, values = [], []
    if not steps or steps != sorted(set(steps)) or not all(map(isfinite, values)):
        raise InputError(f"{path}: damaged, expected columns step and {path.stem}; {remedy(group)}")
    return {"step": steps, "value": values}


class Whose(Struct):
    """What a map.json says of whose it is."""

    model: str
    mAP: dict[str, Any]  # by seed


def check_model(path, model, seeds):
    """Raise ``InputError`` if the map.json at ``path`` is not of the ``seeds`` of ``model``: exchanged files would look
    right.
    """
    found = read_json(path, Whose)
    if found.model != model:
        raise InputError(f"{path}: is of {found.model}, not of {model}; {remedy(path.parent)}")
    if list(found.mAP) != (wanted := [str(seed) for seed in seeds]):
        line = f"is of the seeds {', '.join(found.mAP)}, not {', '.join(wanted)}"
        raise InputError(f"{path}: {line}; {remedy(path.parent)}")


def remedy(folder):
    """What makes the logs or the results in ``folder`` again."""
    return f"remove {folder.as_posix()} and run `dvc repro`"


def main():
    models = read_settings("collect")
    with replacing("results") as folder:
        for name, source in models.items():
            predictions = Path("predictions") / source["predictions"]
            check_model(predictions / "map.json", source["model"], source["seeds"])
            shutil.copytree(predictions, folder / name, copy_function=shutil.copyfile)
            logs = [Path("dvclive") / group for group in source["groups"]]
            write_json(folder / name / "training.json", losses(logs), indent=None)
        for dataset in dict.fromkeys(name.split("/")[0] for name in models):
            for file in (Path("predictions/control") / dataset).iterdir():
                shutil.copyfile(file, folder / dataset / file.name)
    print(f"results: {len(models)} models")


if __name__ == "__main__":
    stage_errors(main)

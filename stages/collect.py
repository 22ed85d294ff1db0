"""Stage `collect`: the results that params.yaml asks for, and no others, in results/.

Whatever else lies in predictions/ or dvclive/ changes nothing that follows.
"""

import csv
import shutil
from pathlib import Path

from clasnet.files import replacing, write_json
from stages.errors import stage_errors
from stages.units import read_settings


def losses(groups):
    """Loss terms as DVCLive logged them in ``groups``, folders of dvclive/: term to seed to steps and values, the sum
    first.
    """
    terms = {}
    for group in groups:
        for path in sorted(group.glob("seed*/plots/metrics/*.tsv")):
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file, delimiter="\t"))
            steps, values = ([row[column] for row in rows] for column in ("step", path.stem))
            values = {"step": list(map(int, steps)), "value": [float(f"{float(x):.4g}") for x in values]}
            seed = path.parents[2].name.removeprefix("seed")
            terms.setdefault(path.stem, {})[seed] = values
    return dict(sorted(terms.items(), key=lambda item: (item[0] != "loss", item[0])))


def main():
    models = read_settings("collect")
    with replacing("results") as folder:
        for name, source in models.items():
            shutil.copytree(Path("predictions") / source["predictions"], folder / name, copy_function=shutil.copyfile)
            logs = [Path("dvclive") / group for group in source["groups"]]
            write_json(folder / name / "training.json", losses(logs), indent=None)
        for dataset in dict.fromkeys(name.split("/")[0] for name in models):
            for file in (Path("predictions/control") / dataset).iterdir():
                shutil.copyfile(file, folder / dataset / file.name)
    print(f"results: {len(models)} models")


if __name__ == "__main__":
    stage_errors(main)

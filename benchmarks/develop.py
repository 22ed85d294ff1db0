"""The search behind the settings: trials on development draws, every one of them kept in benchmarks/development.jsonl.

    python -m benchmarks.develop NAME [--cells thumos14/co2net ...] [--replicates 40 41 42 43] [--variant clasnet]
        [-S KEY=VALUE ...]

NAME is that of a setting in the record; ``-S`` changes a key of params.yaml, or of the profile below ``train.*.*.`` for
all cells (``-S train.*.*.steps=800``). A trial that the record has is not run again. ``python -m benchmarks.develop
--show`` prints, for every name, the mean gain over the record's baseline of the same replicates.
"""

import argparse
import json
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from clasnet.evaluation.protocol import average
from stages.parallel import run_each
from stages.params import load_params, with_profile
from stages.tabling.cells import mean_cell
from stages.trial import replicate_store, run_trial
from stages.trial_files import DEVELOPMENT
from stages.variants import train_settings

RECORD = Path("benchmarks/development.jsonl")
CELLS = [f"{d}/{b}" for d in ("thumos14", "activitynet12", "activitynet13") for b in ("co2net", "delu", "acrnet")]


def settings_of(cell, variant, changes, params):
    """Settings of a trial of ``cell`` with ``changes``, dotted keys to values."""
    params = params.model_copy(deep=True)
    dataset, baseline = cell.split("/")
    recipe = {}
    for key, value in changes.items():
        if key.startswith("train.*.*."):
            recipe[key.removeprefix("train.*.*.")] = value
        elif not key.startswith("twin."):  # the draw's own
            section, _, name = key.rpartition(".")
            setattr(getattr(params, section) if section else params, name, value)
    settings = train_settings(dataset, baseline, variant, [], params)
    for key, value in recipe.items():
        if key.startswith("model."):
            settings["model"] = settings["model"] | {key.removeprefix("model."): value}
        else:
            settings[key] = value
    return settings


def trial(task, place, name, variant, changes, params):
    """Run one (cell, replicate) and write it to the record."""
    cell, replicate = task
    settings = settings_of(cell, variant, changes, params)
    twin = params.active_profile.data[settings["dataset"]].twin.model_dump()
    for key, value in changes.items():
        if key.startswith("twin."):
            twin[key.removeprefix("twin.")] = value
    store = replicate_store(settings["dataset"], twin, replicate)
    found = run_trial(store, settings, replicate, **place._asdict())
    row = {"name": name, "variant": variant, "cell": cell, "replicate": replicate, "changes": changes}
    row |= {"steps": settings["steps"], **found}
    with RECORD.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def read_record():
    """All rows of the record."""
    return [json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()] if RECORD.exists() else []


def headlines(row):
    """β to headline average mAP (%) of one row."""
    dataset = row["cell"].split("/")[0]
    return {beta: float(average(np.array([maps]), dataset)[0]) for beta, maps in row["maps"].items()}


def correlations(rows):
    """Mean correlation of each attention with the true snippets, as text."""
    names = rows[0]["correlation"]
    return " ".join(f"{name} {np.mean([row['correlation'][name] for row in rows]):.2f}" for name in names)


def show(reference):
    """Print the mean gain of every name over the name ``reference``, by cell and β."""
    cells = defaultdict(dict)
    for row in read_record():
        cells[row["name"], row["cell"]][row["replicate"]] = row
    for (name, cell), rows in cells.items():
        base = cells.get((reference, cell), {})
        shared = sorted(rows.keys() & base.keys())
        text = []
        for beta in next(iter(rows.values()))["maps"]:
            own = np.array([headlines(rows[n])[beta] for n in rows])
            if shared and name != reference:
                gain = np.array([headlines(rows[n])[beta] - headlines(base[n])["0"] for n in shared])
                error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else 0
                text.append(f"β {beta}: {gain.mean():+.1f} ± {error:.1f} ({(gain > 0).sum()}/{len(gain)})")
            else:
                text.append(f"{mean_cell(own)} ({' '.join(f'{x:.0f}' for x in own)})")
        print(f"{name:28} {cell:22} {'; '.join(text)}   r {correlations(list(rows.values()))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", nargs="?")
    parser.add_argument("--cells", nargs="+", default=CELLS)
    parser.add_argument("--replicates", nargs="+", type=int, default=[DEVELOPMENT + n for n in range(4)])
    parser.add_argument("--variant", default="clasnet")
    parser.add_argument("--show", metavar="REFERENCE", nargs="?", const="baseline")
    parser.add_argument("-S", "--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    if options.show:
        return show(options.show)
    params = with_profile(load_params(), "study")
    changes = {key: yaml.safe_load(value) for key, _, value in (each.partition("=") for each in options.set)}
    done = {(row["name"], row["cell"], row["replicate"]) for row in read_record()}
    tasks = [(cell, n) for cell in options.cells for n in options.replicates if (options.name, cell, n) not in done]
    work = partial(trial, name=options.name, variant=options.variant, changes=changes, params=params)
    run_each(work, tasks, {"device": "cpu", "jobs": 2, "threads": 1})


if __name__ == "__main__":
    main()

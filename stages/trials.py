"""Stage `trials` of study/dvc.yaml: all trials of one data set and baseline, over all replicates.

    python -m stages.trials DATASET/BASELINE

Every trial that is done is kept in data/trials/ until the cell is complete, so that a run goes on where it was stopped.
"""

import shutil
from functools import partial
from pathlib import Path

from msgspec import to_builtins

from clasnet.files import write_json
from clasnet.reading import read_json
from clasnet.training.run import training_memory
from stages.errors import argument, stage_errors
from stages.parallel import run_each
from stages.trial import replicate_store, run_trial
from stages.trial_files import Trial, settings_digest
from stages.units import read_machine, read_unit, unit_path

DONE = Path("data/trials")


def done_folder(cell, unit):
    """Where the trials of ``cell`` that are done are kept: of this ``unit``, its settings and code, and of no other."""
    return DONE / cell / settings_digest(unit)


def trial(task, place, folder, settings, cache):
    """One (variant, replicate), from ``folder`` if it is done."""
    variant, replicate = task
    path = folder / f"{variant}-{replicate}.json"
    if not path.exists():
        store = replicate_store(settings["dataset"], settings["twin"], replicate, settings["annotations"])
        own = settings["variants"][variant]
        found = run_trial(store, own["train"], replicate, own["betas"], cache=cache, **place._asdict())
        write_json(path, found)
    return to_builtins(read_json(path, Trial))


def main():
    cell = argument("CELL")
    unit, machine = read_unit(unit_path("trials", cell)), read_machine()
    settings = unit["settings"]
    folder = done_folder(cell, unit)
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(variant, n) for n in settings["replicates"] for variant in settings["variants"]]
    work = partial(trial, folder=folder, settings=settings, cache=machine["cache"])
    memory = max(training_memory(own["train"]) for own in settings["variants"].values())
    results = run_each(work, tasks, machine, memory)
    found = {variant: {} for variant in settings["variants"]}
    for (variant, replicate), result in zip(tasks, results, strict=True):
        found[variant][str(replicate)] = result
    path = Path("reports/study/trials") / f"{cell.replace('/', '-')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Its own name, because two exchanged files would look right; and the settings', because one of others would.
    write_json(path, {"cell": cell, "settings": settings_digest(settings), "trials": found})
    shutil.rmtree(DONE / cell)
    print(f"{path}: {len(settings['variants'])} variants, {len(settings['replicates'])} replicates")


if __name__ == "__main__":
    stage_errors(main)

"""Stages `train*`: one model of one data set, baseline and variant, from every seed of a group.

    python -m stages.train MODEL/fromSEED

MODEL is DATASET/BASELINE/VARIANT, where VARIANT is `baseline` (Table 4's row A) or `clasnet` (H); or study/VARIANT,
where it is a row B ... G, or `layers-N` or `heads-N` of Figure 4."""

import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import torch
from dvclive import Live
from tqdm import tqdm

from clasnet.data.store import open_store
from clasnet.files import replacing
from clasnet.models.checkpoint import save_model
from clasnet.training.run import train_model
from stages.errors import stage_errors
from stages.parallel import run_each
from stages.units import read_machine, read_settings


def train_seed(seed, device, key, folder, settings, machine):
    """Train from one ``seed`` into ``folder``, with its losses in DVCLive's folder. Returns the number of
    parameters."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    dataset, baseline = settings["dataset"], settings["baseline"]
    store = open_store(f"data/{dataset}")
    bar = tqdm(total=settings["steps"], desc=f"{key} seed {seed}", leave=False, disable=None)

    def log(step, terms):
        live.step = step
        for term, value in terms.items():
            live.log_metric(term, value)
        bar.update(step + 1 - bar.n)

    with Live(f"dvclive/{key}/seed{seed}", save_dvc_exp=False, dvcyaml=None) as live:
        watch = best_on_test(store, dataset, settings, folder / "best_on_test" / f"seed{seed}.pt")
        how = {"device": device, "cache": machine["cache"], "log": log, "watch": watch}
        model = train_model(store, dataset, baseline, settings, seed, **how)
    bar.close()
    classes = store.annotations.classes
    save_model(folder / f"seed{seed}.pt", model, classes=classes, num_segments=settings["segments"])
    return sum(p.numel() for p in model.parameters())


def best_on_test(store, dataset, settings, path):
    """What watches the training where params.yaml asks for the best checkpoint on the test set: its code counts only
    then."""
    if not settings["best_on_test"]:
        return None
    return import_module("stages.best_on_test").BestOnTest(store, dataset, settings, path)


def main():
    (key,) = sys.argv[1:]
    settings, machine = read_settings("train", key), read_machine()
    if "same_as" in settings:  # the sweep's value is CLASNet's own: nothing is trained twice
        for folder in (Path("models") / key, Path("dvclive") / key):
            with replacing(folder) as partial_folder:
                partial_folder.mkdir()
                (partial_folder / "same_as").write_text(settings["same_as"] + "\n")
        print(f"models/{key}: the same as {settings['same_as']}")
        return
    import_module(settings["module"])  # registers a baseline from outside
    if settings["clasnet"] and "fcsm" in settings["clasnet"]:
        settings["clasnet"]["fcsm"]["beta"] = machine["beta"]
    with replacing(f"models/{key}") as folder:
        folder.mkdir()
        train = partial(train_seed, key=key, folder=folder, settings=settings, machine=machine)
        sizes = run_each(train, settings["seeds"], machine)
    print(f"models/{key}: {len(sizes)} seeds, {settings['steps']} steps each, {sizes[0]:,} parameters")


if __name__ == "__main__":
    stage_errors(main)

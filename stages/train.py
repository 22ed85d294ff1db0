"""Stages `train*`: one model of one data set, baseline and variant, from every seed of a group.

    python -m stages.train MODEL/fromSEED

MODEL is DATASET/BASELINE/VARIANT, where VARIANT is `baseline` (Table 4's row A) or `clasnet` (H); or study/VARIANT,
where it is a row B ... G, or `layers-N` or `heads-N` of Figure 4. What is needed to go on after a kill, and the logs,
lie in models/.rolling/ until all seeds are done: then models and logs are put in place together.
"""

import hashlib
import json
import os
import shutil
from functools import partial
from importlib import import_module
from pathlib import Path

import torch
from dvclive import Live
from tqdm import tqdm

from clasnet.data.store import open_store
from clasnet.files import replacing
from clasnet.models.checkpoint import save_model
from clasnet.training.loop import Stopped
from clasnet.training.rolling import RollingCheckpoint
from clasnet.training.run import train_model, training_memory
from stages.errors import argument, stage_errors
from stages.parallel import run_each
from stages.signals import StopRequest
from stages.units import read_machine, read_unit, unit_path


class Log:
    """DVCLive's curves of one training, and a progress bar where there is a terminal. After a kill it goes on without a
    gap or a double: DVCLive empties the folder, and what was logged comes from the rolling checkpoint.
    """

    def __init__(self, live, bar):
        self.live, self.bar, self.rows = live, bar, []

    def __call__(self, step, terms):
        self.rows.append([step, terms])
        self.live.step = step
        for term, value in terms.items():
            self.live.log_metric(term, value)
        self.bar.update(step + 1 - self.bar.n)

    def state(self):
        return self.rows

    def load(self, rows):
        for step, terms in rows:
            self(step, terms)


def train_seed(seed, place, key, unit, machine):
    """Train from one ``seed``, into a folder beside its rolling checkpoint. Returns the number of parameters."""
    # One CPU thread is deterministic by itself, and to ask for it costs a second of imports.
    if place.device != "cpu" or machine["threads"] > 1:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it matrix products on CUDA are not
        torch.use_deterministic_algorithms(True, warn_only=True)
    settings = unit["settings"]
    dataset, baseline = settings["dataset"], settings["baseline"]
    store, stopping = open_store(f"data/{dataset}"), StopRequest()
    bar = tqdm(total=settings["steps"], desc=f"{key} seed {seed}", leave=False, disable=None, position=0)
    watch = best_on_test(store, dataset, settings)
    with Live(str(logs_path(key, seed)), save_dvc_exp=False, dvcyaml=None) as live:
        log = Log(live, bar)
        parts = {"log": log} | ({"watch": watch} if watch else {})
        rolling = RollingCheckpoint(rolling_path(key, seed), identity(unit, store, seed), parts)
        how = place._asdict() | {"cache": machine["cache"], "rolling": rolling, "stopping": stopping}
        try:
            model = train_model(store, dataset, baseline, settings, seed, log=log, watch=watch, **how)
        except FloatingPointError as error:
            raise FloatingPointError(f"{key} seed {seed}: {error}") from None
    bar.close()
    about = {"classes": store.annotations.classes, "num_segments": settings["segments"]}
    folder = rolling_path(key, seed).with_suffix("")
    save_model(folder / f"seed{seed}.pt", model, **about)
    if watch:
        model.load_state_dict(watch.weights)
        save_model(folder / f"best_on_test/seed{seed}.pt", model, **about)
    return sum(p.numel() for p in model.parameters())


def rolling_path(key, seed):
    """Where the rolling checkpoint of a training lies: beside the outputs, which DVC empties before a run."""
    return Path("models/.rolling") / key / f"seed{seed}.pt"


def logs_path(key, seed):
    """Where the logs of a training lie until all of the group are done."""
    return Path("models/.rolling") / key / f"logs/seed{seed}"


def identity(unit, store, seed):
    """What a rolling checkpoint belongs to: settings and code, but for the other seeds of the group; data; seed."""
    settings = {name: value for name, value in unit["settings"].items() if name != "seeds"}
    whole = json.dumps([settings, unit["code"], store.digest, seed], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def best_on_test(store, dataset, settings):
    """What watches the training where params.yaml asks for the best checkpoint on the test set: its code counts only
    then.
    """
    if not settings["best_on_test"]:
        return None
    return import_module("stages.best_on_test").BestOnTest(store, dataset, settings)


def repeat(key, twin):
    """The outputs of a model that is another one, as the point of a sweep that has CLASNet's own settings: a note."""
    for folder in (Path("models") / key, Path("dvclive") / key):
        with replacing(folder) as partial_folder:
            partial_folder.mkdir()
            (partial_folder / "same_as").write_text(twin + "\n", encoding="utf-8", newline="\n")
    print(f"models/{key}: the same as {twin}")


def train_group(key, unit, machine):
    """Train all seeds of a group, and put their models in place together."""
    settings = unit["settings"]
    import_module(settings["module"])  # registers a baseline from outside
    import_module("dvc.repo")  # DVCLive needs it: loaded once, before there is a process a seed
    if settings["clasnet"] and "fcsm" in settings["clasnet"]:
        settings["clasnet"]["fcsm"]["beta"] = machine["beta"]
    open_store(f"data/{settings['dataset']}")  # verified here, once for all seeds
    train = partial(train_seed, key=key, unit=unit, machine=machine)
    sizes = run_each(train, settings["seeds"], machine, training_memory(settings))
    with replacing(f"models/{key}") as folder, replacing(f"dvclive/{key}") as logs:
        for seed in settings["seeds"]:
            shutil.copytree(rolling_path(key, seed).with_suffix(""), folder, dirs_exist_ok=True)
            shutil.copytree(logs_path(key, seed), logs / f"seed{seed}")
    shutil.rmtree(rolling_path(key, 0).parent)
    print(f"models/{key}: {len(sizes)} seeds, {settings['steps']} steps each, {sizes[0]:,} parameters")


def main():
    key = argument("MODEL/fromSEED")
    unit = read_unit(unit_path("train", key))
    if "same_as" in unit["settings"]:
        repeat(key, unit["settings"]["same_as"])
        return
    try:
        train_group(key, unit, read_machine())
    except Stopped:
        raise KeyboardInterrupt from None


if __name__ == "__main__":
    stage_errors(main)

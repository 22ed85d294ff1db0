"""Stages `evaluate*`: all trained models of one data set and baseline, or of the study, on the test videos.

    python -m stages.evaluate CELL

CELL is DATASET/BASELINE, `study`, or released/DATASET/BASELINE. Writes, per model and seed, the predictions in the
ActivityNet submission layout and the class activation and attention curves of some test videos, which Figure 5 and the
report draw; per model in map.json the mAP per t-IoU of every seed, by every protocol there is a checkpoint for; and in
resamples.npy the headline average of every seed on bootstrap resamples of the test videos.
"""

import hashlib
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from clasnet.data.datasets import benchmark_of
from clasnet.data.sampling import usable_videos
from clasnet.data.store import open_store
from clasnet.data.submission import actions, write_submission
from clasnet.errors import InputError
from clasnet.evaluation.bootstrap import bootstrap_map, resamples
from clasnet.evaluation.metrics import classification_map
from clasnet.evaluation.protocol import comparable, detection_results, evaluation_units, headline_tious
from clasnet.files import replacing, write_json
from clasnet.inference.predict import predict
from clasnet.localization.localize import known_units
from clasnet.models.checkpoint import load_model
from stages.errors import argument, stage_errors
from stages.parallel import run_each
from stages.units import read_machine, read_settings

CURVE_VIDEOS = 60


class Curves:
    """Class activation ``<id>/cas`` [T, C] and ``<id>/attention`` [T] of the first test videos."""

    def __init__(self, truth):
        self.truth, self.found = truth, {}

    def __call__(self, n, output, scores):
        if n < CURVE_VIDEOS:
            cas = output.cas[0].softmax(-1)[:, : len(self.truth.classes)]
            self.found[f"{self.truth.ids[n]}/cas"] = cas.half().cpu().numpy()
            self.found[f"{self.truth.ids[n]}/attention"] = output.attention[0].half().cpu().numpy()


def evaluate_seed(task, place, folder, settings):
    """Evaluate every checkpoint of one ``task``, a (model, path of its group, seed); what counts goes to ``folder``.

    Returns the numbers by name.
    """
    model_name, group, seed = task
    dataset, wanted = settings["dataset"], settings["models"][model_name]
    store = open_store(f"data/{dataset}")
    chosen, files = checkpoints(Path("models") / group, seed, settings["checkpoint"])
    numbers = {"checkpoint": chosen, "protocols": {}}
    for kind, path in files.items():
        model = read_model(path, store.annotations.classes, settings, wanted, place.device)
        videos = usable_videos(store, benchmark_of(dataset).test, model.sampling)
        truth = store.annotations.select(videos)
        curves = Curves(truth)
        found = predict(model, store, videos, model.num_segments, curves)
        each = store.origin.seconds
        for units in {known_units(units, each): None for units in ("seconds", "snippets")}:
            numbers["protocols"][f"{kind}/{units}"] = detection_results(found, truth, dataset, units).map.tolist()
        if kind == chosen:
            units = evaluation_units(settings["units"], model.localization, dataset, each)
            numbers |= chosen_numbers(found, truth, units, settings)
            write_predictions(folder / model_name / f"seed{seed}.json", found, truth)
            save_file(curves.found, folder / model_name / f"curves{seed}.safetensors")  # the same bytes by any Python
    return numbers


def chosen_numbers(found, truth, units, settings):
    """What is computed of the checkpoint that counts alone."""
    weights = resamples(len(truth.ids), settings["resamples"])
    return {
        "units": units,
        "videos": len(truth.ids),
        "classification_mAP": classification_map(truth.labels, found.video_scores),
        "resampled": bootstrap_map(*comparable(found, truth, units), headline_tious(settings["dataset"]), weights),
    }


def checkpoints(models, seed, wanted):
    """Which kind of checkpoint counts, and the file of every kind there is: the last, and where it was kept the best on
    the test set.
    """
    files = {"last": models / f"seed{seed}.pt", "best_on_test": models / f"best_on_test/seed{seed}.pt"}
    there = {kind: path for kind, path in files.items() if path.exists()}
    if "last" not in there:
        raise FileNotFoundError(f"{files['last']}: no such model; `dvc repro` trains it")
    return (wanted if wanted in there else "last"), there  # an authors' checkpoint is what it is


def read_model(path, classes, settings, wanted, device):
    """The model in the file ``path``, which must be of the ``classes`` of the data set, of its baseline, and of the
    settings of CLASNet that are ``wanted``; with β of params.yaml where it has one.
    """
    model, dataset = load_model(path, device), settings["dataset"]
    if model.classes != classes:
        raise InputError(f"{path}: its {len(model.classes)} classes are not the {len(classes)} of data/{dataset}")
    problem = another(model.recipe, dataset, settings["baseline"], wanted["clasnet"], settings["network"])
    if not problem and model.num_segments != settings["segments"]:
        problem = f"it was trained on {model.num_segments} segments, not {settings['segments']}"
    if problem:
        raise InputError(f"{path}: {problem}; a file of another model lies there, remove it and run `dvc repro`")
    if wanted["beta"] is not None:
        model.beta = wanted["beta"]
    return model


def another(recipe, dataset, baseline, clasnet, network):
    """In which point the ``recipe`` of a model is of another one, in words; empty if in none.

    ``network``: settings of the baseline, where the profile has some, and ``clasnet`` those of CLASNet.
    """
    found = recipe["baseline"]
    if (found["name"], found["dataset"]) != (baseline, dataset):
        return f"its baseline is {found['name']} of {found['dataset']}, not {baseline} of {dataset}"
    for key, value in network.items():
        if found.get(key) != value:
            return f"its {baseline} has {key} {found.get(key)}, not {value}"
    found, wanted = plugin_of(recipe), clasnet or {}
    for part in [*wanted, *found]:
        if found.get(part) != wanted.get(part):
            return f"its CLASNet has {part} {found.get(part)}, not {wanted.get(part)}"
    return ""


def plugin_of(recipe):
    """The settings of CLASNet in a ``recipe`` as a unit has them: those of the parts that are there, without β."""
    parts = {part: settings for part, settings in (recipe["clasnet"] or {}).items() if settings is not None}
    if "fcsm" in parts:
        parts["fcsm"] = {key: value for key, value in parts["fcsm"].items() if key != "beta"}
    return parts


def write_predictions(path, predictions, truth):
    """Predictions in the ActivityNet submission layout."""
    found = zip(truth.ids.tolist(), predictions.by_video(len(truth.ids)), strict=True)
    write_submission(path, ((id, actions(truth.classes, own)) for id, own in found))


def merged(numbers, tious):
    """The content of map.json from the numbers of every seed."""
    first = next(iter(numbers.values()))
    protocols = {
        protocol: {seed: one["protocols"][protocol] for seed, one in numbers.items()} for protocol in first["protocols"]
    }
    return {
        "tious": tious,
        "videos": first["videos"],
        "checkpoint": first["checkpoint"],
        "units": first["units"],
        "mAP": protocols[f"{first['checkpoint']}/{first['units']}"],
        "classification_mAP": {seed: one["classification_mAP"] for seed, one in numbers.items()},
        "protocols": protocols,
    }


def tasks_of(models):
    """(model, path of its group, seed) of every model file to evaluate."""
    return [
        (name, group, seed) for name, one in models.items() for group, seeds in one["groups"].items() for seed in seeds
    ]


def check_seeds(tasks):
    """Raise ``InputError`` if two seeds of a model are one file: their spread would be none."""
    known = {}
    for model, group, seed in tasks:
        path = checkpoints(Path("models") / group, seed, "last")[1]["last"]
        key = model, hashlib.sha256(path.read_bytes()).digest()
        if (other := known.setdefault(key, path)) != path:
            advice = f"remove {path.parent.as_posix()} and run `dvc repro`"
            raise InputError(f"{path}: is the same file as {other}; {advice}")


def main():
    cell = argument("CELL")
    settings = read_settings("evaluate", cell)
    import_module(settings["module"])  # registers a baseline from outside
    tasks = tasks_of(settings["models"])
    check_seeds(tasks)
    open_store(f"data/{settings['dataset']}")  # verified here, once for all seeds
    with replacing(f"predictions/{cell}") as folder:
        for name in settings["models"]:
            (folder / name).mkdir(parents=True)
        evaluate = partial(evaluate_seed, folder=folder, settings=settings)
        results = run_each(evaluate, tasks, read_machine())
        for name in settings["models"]:
            numbers = {str(seed): one for (model, _, seed), one in zip(tasks, results, strict=True) if model == name}
            write_numbers(folder / name, numbers, settings, name)
    print(f"predictions/{cell}: {len(settings['models'])} models, {len(tasks)} seeds in all")


def write_numbers(folder, numbers, settings, model):
    """map.json and resamples.npy of one ``model`` from the ``numbers`` of every seed."""
    dataset = settings["dataset"]
    resampled = np.array([one.pop("resampled") for one in numbers.values()], dtype=np.float32)
    np.save(folder / "resamples.npy", resampled)
    whose = {"model": f"{dataset}/{settings['baseline']}/{model}"}  # or exchanged files would look right
    write_json(folder / "map.json", whose | merged(numbers, benchmark_of(dataset).tious))


if __name__ == "__main__":
    stage_errors(main)

"""Stage `check`: params.yaml and the profile as a whole, before any work; then one unit for every stage, see
stages/units.py.
"""

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

from clasnet.data.datasets import benchmark_of
from clasnet.errors import InputError
from clasnet.files import files_below, replacing
from clasnet.models.registry import BASELINES, module_of
from stages.code import code_of
from stages.errors import stage_errors
from stages.page.pictures import folder_of
from stages.params import load_params, with_profile
from stages.sources import load_sources
from stages.trial_files import settings_digest
from stages.units import UNITS, unit_path
from stages.variants import mixes, model_modules, models, plugin_settings, same_as, train_settings


def evaluate_settings(dataset, baseline, models, params):
    """What the evaluation of some ``models`` of one data set and baseline reads."""
    recipe = params.recipe(baseline, dataset)
    return {
        "network": recipe.model,
        "segments": recipe.segments,
        "dataset": dataset,
        "benchmark": asdict(benchmark_of(dataset)),
        "baseline": baseline,
        "module": module_of(BASELINES[baseline]),
        "checkpoint": params.evaluate.checkpoint,
        "resamples": params.evaluate.resamples,
        "units": params.active_profile.evaluate.units,
        "models": models,
    }


def evaluated(name, dataset, variant, params):
    """Where the seeds of a model lie, of which settings of CLASNet they must be, and its β, which counts where there is
    an FCSM.
    """
    groups = {f"{name}/from{seeds[0]}": seeds for seeds in params.seeds}
    beta = params.localization.beta if mixes(variant) else None
    return {"groups": groups, "clasnet": plugin_settings(variant, params), "beta": beta}


def unit(settings, *modules):
    """The content of a unit: what a stage reads, and the hashes of the ``modules`` that it runs and of all that they
    import.
    """
    return {"settings": settings, "code": hashes(*modules)}


@cache
def hashes(*modules):
    """As :func:`stages.code.code_of`, once for all stages that run the same ``modules``."""
    return code_of(modules)


def train_units(params):
    """Path to unit of every training of a group of seeds."""
    units = {}
    watch = ["stages.best_on_test"] if params.evaluate.checkpoint == "best_on_test" else []
    for name, (dataset, baseline, variant) in models(params).items():
        twin = same_as(variant, params)
        for seeds in params.seeds:
            if twin:  # nothing is trained twice
                content = unit({"same_as": f"{dataset}/{baseline}/{twin}"}, "stages.train")
            else:
                settings = train_settings(dataset, baseline, variant, seeds, params)
                content = unit(settings, "stages.train", *watch, *model_modules(baseline, variant))
            units[unit_path("train", f"{name}/from{seeds[0]}")] = content
    return units


def evaluate_units(params):
    """Path to unit of every evaluation: of a data set and baseline, of the study, of an authors' checkpoint."""
    units, cells = {}, {("study", params.study.dataset, params.study.baseline): {}}
    for name, (dataset, baseline, variant) in models(params).items():
        if not same_as(variant, params):
            cell, _, model = name.rpartition("/")
            cells.setdefault((cell, dataset, baseline), {})[model] = evaluated(name, dataset, variant, params)
    for (cell, dataset, baseline), found in cells.items():
        settings = evaluate_settings(dataset, baseline, found, params)
        units[unit_path("evaluate", cell)] = unit(settings, "stages.evaluate", *model_modules(baseline, "clasnet"))
    for entry in params.released.values():
        dataset, baseline = entry.dataset, entry.baseline
        cell = f"released/{dataset}/{baseline}"
        found = {"released": {"groups": {cell: [0]}, "clasnet": None, "beta": None}}
        settings = evaluate_settings(dataset, baseline, found, params)
        settings["network"] = {}  # as its authors had it
        modules = ("stages.import_released", "stages.evaluate", *model_modules(baseline, "baseline"))
        units[unit_path("evaluate", cell)] = unit(settings, *modules)
    return units


def trials_units(params):
    """Path to unit of every cell of the study, and of its verdict; none without its own profile, whatever the active
    one.
    """
    if not Path("profiles/study.yaml").exists():
        return {}
    params, units = with_profile(params, "study"), {}
    profile = params.active_profile
    trials = profile.trials
    if trials is None:
        raise InputError("profiles/study.yaml: trials: is missing")
    for baseline, recipes in profile.train.items():
        for dataset in recipes:
            ablated = dataset == params.study.dataset and baseline in trials.ablated
            rows = trials.rows if ablated else []
            settings = {
                "dataset": dataset,
                "benchmark": asdict(benchmark_of(dataset)),
                "twin": profile.data[dataset].twin.model_dump(),
                "annotations": profile.data[dataset].annotations,
                "replicates": list(range(trials.first, trials.first + trials.replicates)),
                "variants": {
                    variant: trial_settings(dataset, baseline, variant, params)
                    for variant in ("baseline", "clasnet", *rows)
                },
            }
            modules = ("stages.trials", *model_modules(baseline, "clasnet"))
            units[unit_path("trials", f"{dataset}/{baseline}")] = unit(settings, *modules)
    of = {path: settings_digest(content["settings"]) for path, content in units.items()}
    names = [(dataset, baseline) for dataset in profile.data for baseline in profile.train]
    cells = [(*name, of[unit_path("trials", "/".join(name))]) for name in names]
    judged = {"cells": cells, "dataset": params.study.dataset, "beta": params.localization.beta}
    return units | {unit_path("verdict"): unit(judged, "stages.verdict")}


def trial_settings(dataset, baseline, variant, params):
    """What the trials of one variant read: the training, and the shares β of A to localise with."""
    betas = [0.0, params.localization.beta, 1.0] if mixes(variant) else [0.0]
    train = train_settings(dataset, baseline, variant, [], params) | {"best_on_test": False}
    return {"train": train, "betas": list(dict.fromkeys(betas))}


def features_settings(dataset, params):
    """What the features of ``dataset`` are made from."""
    data = params.active_profile.data[dataset]
    settings = {**data.model_dump(), "dtype": params.features.dtype, "profile": params.profile, "files": {}}
    settings["benchmark"] = asdict(benchmark_of(dataset))
    settings["width"] = params.active_profile.train[params.baselines[0]][dataset].model["width"]
    if data.source:
        sources = load_sources()
        known = sources.of(dataset)
        if data.source not in known:
            place = f"profiles/{params.profile}.yaml: data.{dataset}.source = {data.source!r}"
            there = f"must be one of {', '.join(known)}, which sources.yaml has" if known else "sources.yaml has none"
            raise InputError(f"{place}: {there}")
        entry = known[data.source]
        settings["origin"] = entry.origin.model_dump()
        settings["published"] = [entry.model_dump(), sources.annotations[entry.annotations].model_dump()]
    settings["files"] = {path: signature(Path(path)) for path in (data.annotations, data.features) if path}
    return settings


def signature(path):
    """Sizes and times of a file, or of all files in a folder: whether it has changed. DVC itself watches what lies in
    data/own/.
    """
    files = files_below(path) if path.is_dir() else [path] if path.exists() else []
    return [[file.relative_to(path).as_posix(), *size_and_time(file)] for file in files]


def size_and_time(file):
    """Of ``file``, in bytes and nanoseconds; nothing of a link that leads nowhere."""
    try:
        return file.stat().st_size, file.stat().st_mtime_ns
    except OSError:
        return ()


def features_units(params):
    """Path to unit of the features of every data set."""
    return {
        unit_path("features", dataset): unit(features_settings(dataset, params), "stages.features")
        for dataset in params.datasets
    }


def collected(params):
    """Name in results/ of every model to where it comes from: a folder of predictions/, whose model and seeds must be
    in it, and the groups in dvclive/.
    """
    found = {}
    for name, (dataset, baseline, variant) in models(params).items():
        twin = same_as(variant, params)
        source = f"{dataset}/{baseline}/{twin}" if twin else name
        groups = [f"{source}/from{seeds[0]}" for seeds in params.seeds]
        own = f"{dataset}/{baseline}/{variant}"
        whose = {"model": source if twin else own, "seeds": params.all_seeds}
        found[own] = {"predictions": source, **whose, "groups": groups}
    for entry in params.released.values():
        cell = f"{entry.dataset}/{entry.baseline}"
        own = f"{cell}/released"
        found[own] = {"predictions": f"released/{own}", "model": own, "seeds": [0], "groups": []}
    return found


def report_units(params):
    """Path to unit of the stages that bring all results together."""
    keys = {"profile", "datasets", "baselines", "seeds", "study", "released", "fcsm", "localization"}
    shown = params.model_dump(include=keys)
    shown |= {"checkpoint": params.evaluate.checkpoint, "units": params.active_profile.evaluate.units}
    shown["twins"] = {dataset: bool(params.active_profile.data[dataset].twin) for dataset in params.datasets}
    shown["benchmarks"] = {dataset: asdict(benchmark_of(dataset)) for dataset in params.datasets}
    shown_data = {key: shown[key] for key in ("twins", "profile", "benchmarks")}
    videos = {dataset: signature(folder_of(dataset)) for dataset in params.datasets}
    aside = {"judged": digest(Path("reports/study")), "videos": videos}  # what the page shows besides
    measured = {"device": params.device, "threads": params.threads}  # Table 5's milliseconds are this machine's
    networks = [module for baseline in params.baselines for module in model_modules(baseline, "clasnet")]
    return {
        unit_path("control"): unit({"seeds": params.all_seeds, "benchmarks": shown["benchmarks"]}, "stages.control"),
        unit_path("card"): unit(shown_data, "stages.card"),
        unit_path("collect"): unit(collected(params), "stages.collect"),
        unit_path("tables"): unit(shown, "stages.tables", *networks),
        unit_path("complexity"): unit(shown | measured, "stages.complexity", *networks),
        unit_path("figures"): unit(shown, "stages.figures", *model_modules(params.study.baseline, "clasnet")),
        unit_path("report"): unit(shown | aside, "stages.report"),
    }


def digest(folder):
    """A checksum of all files in ``folder``, None without one. The page shows the study's results, and yet the stage
    `report` must not depend on them by DVC's graph: `dvc repro` would run the study.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    whole = hashlib.sha256()
    for path in files:
        whole.update(f"{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return whole.hexdigest() if files else None


def machine(params):
    """The content of machine.json."""
    how = {key: getattr(params, key) for key in ("device", "jobs", "threads", "cache")}
    return how | {"beta": params.localization.beta}


def main():
    params = load_params()
    units = train_units(params) | evaluate_units(params) | features_units(params) | report_units(params)
    units |= trials_units(params)
    for dataset in params.datasets:
        Path("data/own", dataset).mkdir(parents=True, exist_ok=True)  # on which DVC has `features` depend
    with replacing(UNITS) as folder:
        for path, content in ({UNITS / "machine.json": machine(params)} | units).items():
            file = folder / path.relative_to(UNITS)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(f"params.yaml and profiles/{params.profile}.yaml are valid: {len(units)} units in {UNITS}")


if __name__ == "__main__":
    stage_errors(main)

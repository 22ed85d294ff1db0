"""How the demo profile's rates and steps were chosen: on the baselines alone, other draws of twins, other seeds.

    python -m benchmarks.tune_demo [data set ...]
    python -m benchmarks.tune_demo steps [data set ...]

Trains every baseline without CLASNet on a twin drawn from another seed than the pipeline's, for a grid of rates, and
prints the average mAP (%). With ``steps``: ACRNet, the slowest to train, by steps and rate on several draws and seeds;
its mean and, because a mean hides a training that has not found its way yet, each.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from clasnet.data.datasets import benchmark_of
from clasnet.data.store import open_store
from clasnet.evaluation.protocol import detection_results
from clasnet.inference.predict import predict
from clasnet.training.run import train_model
from stages.params import load_params
from stages.twins import write_twin
from stages.variants import train_settings

RATES, TWIN_SEED, SEEDS = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2), 100, (100, 101)
SCHEDULES = ((200, 8e-3), (300, 8e-3), (400, 8e-3), (600, 8e-3), (200, 1.6e-2), (400, 1.6e-2))  # steps, rate
DRAWS = (100, 101, 102)  # seeds of the generator


def average_map(store, dataset, baseline, settings, seed):
    """Average mAP (%) on the test videos of ``store`` after one training."""
    model = train_model(store, dataset, baseline, settings, seed)
    videos = store.subset(benchmark_of(dataset).test)
    found = predict(model, store, videos, settings["segments"])
    return 100 * detection_results(found, store.annotations.select(videos), dataset).map.mean()


def drawn_store(folder, dataset, twin, seed):
    """The store of a twin of the profile's size, drawn from ``seed`` into ``folder``."""
    write_twin(Path(folder) / dataset, dataset, twin.model_dump() | {"seed": seed})
    return open_store(Path(folder) / dataset)


def tune_rates(dataset, params):
    """Print the average mAP of every baseline by rate."""
    with tempfile.TemporaryDirectory() as folder:
        store = drawn_store(folder, dataset, params.active_profile.data[dataset].twin, TWIN_SEED)
        for baseline in params.baselines:
            cells = []
            for rate in RATES:
                settings = train_settings(dataset, baseline, "baseline", SEEDS, params) | {"lr": rate}
                maps = [average_map(store, dataset, baseline, settings, seed) for seed in SEEDS]
                cells.append(f"{np.mean(maps):.1f}")
            print(f"| {dataset} | {baseline} | {' | '.join(cells)} |", flush=True)


def tune_steps(dataset, params):
    """Print ACRNet's average mAP by steps and rate: the mean, and every draw and seed."""
    found = {schedule: [] for schedule in SCHEDULES}
    for draw in DRAWS:
        with tempfile.TemporaryDirectory() as folder:
            store = drawn_store(folder, dataset, params.active_profile.data[dataset].twin, draw)
            for steps, rate in SCHEDULES:
                settings = train_settings(dataset, "acrnet", "baseline", SEEDS, params) | {"steps": steps, "lr": rate}
                found[steps, rate] += [average_map(store, dataset, "acrnet", settings, seed) for seed in SEEDS]
    for (steps, rate), maps in found.items():
        each = " ".join(f"{value:.0f}" for value in maps)
        print(f"| {dataset} | {steps} | {rate:g} | {np.mean(maps):.1f} | {each} |", flush=True)


def main(arguments):
    params = load_params()
    torch.set_num_threads(params.threads)
    steps, datasets = arguments[:1] == ["steps"], [name for name in arguments if name != "steps"]
    rates = " | ".join(f"{rate:g}" for rate in RATES)
    print(f"| data set | {'steps | rate | mean | each' if steps else f'baseline | {rates}'} |")
    for dataset in datasets or params.datasets:
        (tune_steps if steps else tune_rates)(dataset, params)


if __name__ == "__main__":
    main(sys.argv[1:])

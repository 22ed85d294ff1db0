"""How the learning rates of the demo profile were chosen: on the baselines alone, other draws of twins, other seeds.

    python -m benchmarks.tune_demo [data set ...]

Trains every baseline without CLASNet on a twin drawn from another seed than the pipeline's, for a grid of rates, and
prints the average mAP (%).
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


def average_map(store, dataset, baseline, settings, seed):
    """Average mAP (%) on the test videos of ``store`` after one training."""
    model = train_model(store, dataset, baseline, settings, seed)
    videos = store.subset(benchmark_of(dataset).test)
    found = predict(model, store, videos, settings["segments"])
    return 100 * detection_results(found, store.annotations.select(videos), dataset).map.mean()


def main(datasets):
    params = load_params()
    torch.set_num_threads(params.threads)
    profile = params.active_profile
    print(f"| data set | baseline | {' | '.join(f'{rate:g}' for rate in RATES)} |")
    for dataset in datasets or params.datasets:
        data = profile.data[dataset].twin
        with tempfile.TemporaryDirectory() as folder:
            write_twin(Path(folder) / dataset, dataset, data.model_dump() | {"seed": TWIN_SEED})
            store = open_store(Path(folder) / dataset)
            for baseline in params.baselines:
                cells = []
                for rate in RATES:
                    settings = train_settings(dataset, baseline, "baseline", SEEDS, params) | {"lr": rate}
                    maps = [average_map(store, dataset, baseline, settings, seed) for seed in SEEDS]
                    cells.append(f"{np.mean(maps):.1f}")
                print(f"| {dataset} | {baseline} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

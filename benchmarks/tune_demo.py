"""How the learning rates of the demo profile were chosen: on the baselines alone, on other draws of the twins and other seeds.

    python benchmarks/tune_demo.py [data set ...]

Trains every baseline without CLASNet on a twin drawn from another seed than the pipeline's, for a grid of rates, and prints the average mAP (%).
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from clasnet.data.datasets import BENCHMARKS  # noqa: E402
from clasnet.data.store import open_store, write_store  # noqa: E402
from clasnet.data.synthetic import draw_annotations, twin_videos  # noqa: E402
from clasnet.inference.predict import predict  # noqa: E402
from stages.results import detection_results  # noqa: E402
from stages.params import load_params  # noqa: E402
from stages.train import train_model  # noqa: E402

RATES, TWIN_SEED, SEEDS = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2), 100, (100, 101)


def main(datasets):
    params = load_params()
    torch.set_num_threads(params.threads)
    profile = params.active_profile
    print(f"| data set | baseline | {' | '.join(f'{rate:g}' for rate in RATES)} |")
    for dataset in datasets or params.datasets:
        data = profile.data[dataset].twin
        with tempfile.TemporaryDirectory() as folder:
            annotations = draw_annotations(dataset, **data.drawing, rng=np.random.default_rng([TWIN_SEED, 0]))
            write_store(Path(folder) / dataset, annotations, twin_videos(annotations, data.groups, data.width, TWIN_SEED))
            store = open_store(Path(folder) / dataset)
            for baseline in params.baselines:
                cells = []
                for rate in RATES:
                    settings = profile.train[baseline][dataset].model_copy(update={"lr": rate})
                    maps = []
                    for seed in SEEDS:
                        model = train_model(store, dataset, baseline, params, settings, set(), seed)
                        videos = store.subset(BENCHMARKS[dataset].test)
                        result = detection_results(predict(model, store, videos, settings.segments), store.annotations.select(videos), dataset)
                        maps.append(100 * result.map.mean())
                    cells.append(f"{np.mean(maps):.1f}")
                print(f"| {dataset} | {baseline} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Stage `control`: random scores through CO2-Net's localisation. A model that does not beat this has learnt nothing.

python -m stages.control DATASET
"""

import sys

import numpy as np

from clasnet.data.datasets import BENCHMARKS
from clasnet.data.store import open_store
from clasnet.files import replacing, write_json
from clasnet.inference.predict import gather
from clasnet.localization.localize import localize
from clasnet.localization.settings import Localization
from stages.params import load_params, stage_errors
from stages.results import detection_results


def random_predictions(length, num_classes, rng):
    """:class:`clasnet.inference.predict.Predictions` for videos of ``length`` [V] snippets from uniform random attention, class scores and video scores."""
    settings = Localization()
    video_scores = rng.dirichlet(np.ones(num_classes), len(length))
    rows = [localize(scores, rng.random((n, num_classes)), rng.random((n, 1)), settings) for scores, n in zip(video_scores, length)]
    return gather(rows, video_scores)


def main():
    (dataset,) = sys.argv[1:]
    store = open_store(f"data/{dataset}")
    videos = store.subset(BENCHMARKS[dataset].test)
    truth = store.annotations.select(videos)
    draw = lambda seed: random_predictions(store.length[videos], len(truth.classes), np.random.default_rng(seed))
    maps = {seed: detection_results(draw(seed), truth, dataset).map.tolist() for seed in load_params().seeds}
    with replacing(f"predictions/{dataset}/control") as folder:
        folder.mkdir()
        write_json(folder / "map.json", {"tious": BENCHMARKS[dataset].tious, "mAP": maps, "protocols": {}})
    print(f"predictions/{dataset}/control: average mAP {100 * np.mean(list(maps.values())):.2f} % of random scores")


if __name__ == "__main__":
    stage_errors(main)

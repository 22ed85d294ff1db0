"""Stage `control`: what every evaluation of a data set is held against: the truth of its test videos, and random scores
through CO2-Net's localisation. A model that does not beat these has learnt nothing.

    python -m stages.control DATASET
"""

import sys

import numpy as np

from clasnet.data.activitynet import write_activitynet
from clasnet.data.datasets import BENCHMARKS
from clasnet.data.store import open_store
from clasnet.evaluation.protocol import detection_results
from clasnet.files import replacing, write_json
from clasnet.inference.predictions import gather
from clasnet.localization.localize import localize
from clasnet.localization.settings import Localization
from stages.errors import stage_errors
from stages.units import read_settings


def random_predictions(length, num_classes, rng):
    """:class:`clasnet.inference.predictions.Predictions` for videos of ``length`` [V] snippets from uniform random
    attention, class scores and video scores.
    """
    settings = Localization()
    video_scores = rng.dirichlet(np.ones(num_classes), len(length))
    rows = [
        localize(scores, rng.random((n, num_classes)), rng.random((n, 1)), settings)
        for scores, n in zip(video_scores, length, strict=True)
    ]
    return gather(rows, video_scores)


def random_map(seed, store, videos, truth, dataset):
    """mAP per t-IoU of the random predictions of one ``seed``."""
    found = random_predictions(store.length[videos], len(truth.classes), np.random.default_rng(seed))
    return detection_results(found, truth, dataset).map.tolist()


def main():
    (dataset,) = sys.argv[1:]
    store = open_store(f"data/{dataset}")
    videos = store.subset(BENCHMARKS[dataset].test)
    truth = store.annotations.select(videos)
    seeds = read_settings("control")["seeds"]
    maps = {str(seed): random_map(seed, store, videos, truth, dataset) for seed in seeds}
    with replacing(f"predictions/control/{dataset}") as folder:
        folder.mkdir()
        write_json(folder / "control.json", {"tious": BENCHMARKS[dataset].tious, "mAP": maps})
        write_activitynet(folder / "truth.json", truth)
        snippets = dict(zip(truth.ids.tolist(), store.length[videos].tolist(), strict=True))
        write_json(folder / "snippets.json", snippets, indent=None)
    print(f"predictions/control/{dataset}: average mAP {100 * np.mean(list(maps.values())):.2f} % of random scores")


if __name__ == "__main__":
    stage_errors(main)

"""Stage `control`: what every evaluation of a data set is held against: the truth of its test videos, random scores
through CO2-Net's localisation, and every video cut into equal pieces for each class that it holds. A model that does
not beat the first has learnt nothing; one that does not beat the second, which is told the classes, has not learnt
where they are.

    python -m stages.control DATASET
"""

import numpy as np

from clasnet.data.activitynet import write_activitynet
from clasnet.data.datasets import SNIPPET_SECONDS, benchmark_of
from clasnet.data.store import open_store
from clasnet.evaluation.protocol import detection_results
from clasnet.files import replacing, write_json
from clasnet.inference.predictions import Predictions, gather
from clasnet.localization.localize import localize
from clasnet.localization.settings import Localization
from stages.errors import argument, stage_errors
from stages.units import read_settings


def random_predictions(length, num_classes, rng, snippet_seconds=SNIPPET_SECONDS):
    """:class:`clasnet.inference.predictions.Predictions` for videos of ``length`` [V] snippets from uniform random
    attention, class scores and video scores.
    """
    settings = Localization()
    video_scores = rng.dirichlet(np.ones(num_classes), len(length))
    rows = [
        localize(scores, rng.random((n, num_classes)), rng.random((n, 1)), settings, snippet_seconds=snippet_seconds)
        for scores, n in zip(video_scores, length, strict=True)
    ]
    return gather(rows, video_scores)


def usual_number(annotations):
    """How many instances of a class a training video that holds it has, the mean, rounded, at least 1."""
    pairs = np.stack([annotations.segment_video, annotations.segment_class], 1)
    return max(1, round(len(pairs) / max(len(np.unique(pairs, axis=0)), 1)))


def equal_pieces(truth, pieces):
    """:class:`clasnet.inference.predictions.Predictions` of ``pieces`` equal parts of every video of ``truth``.

    They are there for each of its classes, all with one score.
    """
    video, label = np.nonzero(truth.labels)
    cuts = np.arange(pieces + 1) / pieces * truth.duration[video, None]
    segments = np.stack([cuts[:, :-1], cuts[:, 1:]], 2).reshape(-1, 2)
    video, label = np.repeat(video, pieces), np.repeat(label, pieces)
    return Predictions(video, segments, label, np.ones(len(video)), truth.labels.astype(float))


def random_map(seed, store, videos, truth, dataset):
    """mAP per t-IoU of the random predictions of one ``seed``."""
    rng, each = np.random.default_rng(seed), store.origin.seconds
    found = random_predictions(store.length[videos], len(truth.classes), rng, each)
    return detection_results(found, truth, dataset).map.tolist()


def main():
    dataset = argument("DATASET")
    store = open_store(f"data/{dataset}")
    videos = store.subset(benchmark_of(dataset).test)
    truth = store.annotations.select(videos)
    seeds = read_settings("control")["seeds"]
    maps = {str(seed): random_map(seed, store, videos, truth, dataset) for seed in seeds}
    pieces = usual_number(store.annotations.select(store.subset(benchmark_of(dataset).train)))
    cut = detection_results(equal_pieces(truth, pieces), truth, dataset).map.tolist()
    content = {"tious": benchmark_of(dataset).tious, "mAP": maps, "pieces": pieces, "pieces_mAP": cut}
    with replacing(f"predictions/control/{dataset}") as folder:
        folder.mkdir()
        write_json(folder / "control.json", content)
        write_activitynet(folder / "truth.json", truth)
        seconds = dict(zip(truth.ids.tolist(), store.seconds[videos].tolist(), strict=True))
        write_json(folder / "seconds.json", seconds, indent=None)
    print(f"predictions/control/{dataset}: average mAP {100 * np.mean(list(maps.values())):.2f} % of random scores")


if __name__ == "__main__":
    stage_errors(main)

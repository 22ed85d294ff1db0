"""Stages `evaluate*`: the trained models of one data set, baseline and variant on the test videos.

    python -m stages.evaluate DATASET BASELINE VARIANT

Writes, per seed, the predictions in the ActivityNet submission layout, and in one JSON the AP per t-IoU of every seed; besides, for the first seed,
the class activation and attention curves of some test videos, which Figure 5 draws.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from clasnet.checkpoint import load_model
from clasnet.clasnet import CLASNet
from clasnet.data.datasets import BENCHMARKS, SNIPPET_SECONDS
from clasnet.data.sampling import usable_videos
from clasnet.data.store import open_store
from clasnet.data.submission import actions, write_submission
from clasnet.files import replacing, write_json
from clasnet.inference import predict
from clasnet.localization import Detections, to_whole_snippets
from clasnet.metrics import classification_map, detection_ap
from stages.params import load_params, stage_errors
from stages.train import pick_device

CURVE_VIDEOS = 60


def detection_results(predictions, truth, dataset, units="seconds"):
    """AP of ``predictions`` against the annotations ``truth`` of the same videos, at the t-IoUs of ``dataset``; ``units`` "snippets" rounds the truth."""
    p, t = predictions, truth
    segments = to_whole_snippets(t.segments) * SNIPPET_SECONDS if units == "snippets" else t.segments
    return detection_ap(segments, t.segment_video, t.segment_class, p.segments, p.video, p.classes, p.scores, BENCHMARKS[dataset].tious)


def write_predictions(path, predictions, truth):
    """Predictions in the ActivityNet submission layout."""
    p, results = predictions, {}
    for v, id in enumerate(truth.ids.tolist()):
        own = p.video == v
        results[id] = actions(truth.classes, Detections(p.segments[own], p.classes[own], p.scores[own]))
    write_submission(path, results)


def evaluation_units(setting, model, dataset):
    """In what the truth is compared: ``setting``, or with "released" what the authors' code of the model's baseline does on ``dataset``."""
    if setting != "released":
        return setting
    return model.localization.units if dataset == "thumos14" else "seconds"


def main():
    dataset, baseline, variant = sys.argv[1:]
    params = load_params()
    torch.set_num_threads(params.threads)
    store = open_store(f"data/{dataset}")
    name = f"{dataset}/{baseline}/{variant}"
    seeds, curves = {}, {}
    with replacing(f"predictions/{name}") as folder:
        folder.mkdir()
        for path in sorted(Path(f"models/{name}").glob("seed*.pt"), key=lambda path: int(path.stem.removeprefix("seed"))):
            model = load_model(path, pick_device(params))
            videos = usable_videos(store, BENCHMARKS[dataset].test, model.sampling)
            truth = store.annotations.select(videos)
            if model.classes != truth.classes:
                raise ValueError(f"{path}: its {len(model.classes)} classes are not the {len(truth.classes)} of data/{dataset}")
            if isinstance(model, CLASNet):
                model.beta = params.localization.beta

            def keep_curves(n, output, scores, first=not seeds):
                if first and n < CURVE_VIDEOS:
                    curves[f"{truth.ids[n]}/cas"] = output.cas[0].softmax(-1)[:, : len(truth.classes)].half().cpu().numpy()
                    curves[f"{truth.ids[n]}/attention"] = output.attention[0].half().cpu().numpy()

            predictions = predict(model, store, videos, model.num_segments, keep_curves)
            write_predictions(folder / f"{path.stem}.json", predictions, truth)
            units = evaluation_units(params.active_profile.evaluate.units, model, dataset)
            maps = detection_results(predictions, truth, dataset, units).map.tolist()
            seeds[path.stem.removeprefix("seed")] = maps, classification_map(truth.labels, predictions.video_scores)
        np.savez_compressed(folder / "curves.npz", **curves)
        write_json(folder / "map.json", {
            "tious": BENCHMARKS[dataset].tious,
            "units": units,
            "videos": len(videos),
            "mAP": {seed: maps for seed, (maps, _) in seeds.items()},
            "classification_mAP": {seed: value for seed, (_, value) in seeds.items()},
        })  # fmt: skip
    print(f"predictions/{name}: average mAP {100 * np.mean([maps for maps, _ in seeds.values()]):.1f} % over {len(seeds)} seeds")


if __name__ == "__main__":
    stage_errors(main)

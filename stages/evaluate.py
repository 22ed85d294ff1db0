"""Stages `evaluate*`: the trained models of one data set, baseline and variant on the test videos.

    python -m stages.evaluate DATASET BASELINE VARIANT

Writes, per seed, the predictions in the ActivityNet submission layout; in map.json the mAP per t-IoU of every seed, by every protocol there is a
checkpoint for; in resamples.npy the headline average of every seed on bootstrap resamples of the test videos; and for the first seed the
class activation and attention curves of some test videos, which Figure 5 and the report draw.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from clasnet.models.checkpoint import load_model
from clasnet.models.clasnet import CLASNet
from clasnet.data.datasets import BENCHMARKS
from clasnet.data.sampling import usable_videos
from clasnet.data.store import open_store
from clasnet.data.submission import actions, write_submission
from clasnet.files import replacing, write_json
from clasnet.inference.predict import predict
from clasnet.localization.localize import Detections
from clasnet.evaluation.metrics import classification_map
from clasnet.evaluation.statistics import bootstrap_map, resamples
from stages.params import load_params, stage_errors
from stages.results import comparable, detection_results, evaluation_units, headline_tious
from stages.train import pick_device

CURVE_VIDEOS = 60


def write_predictions(path, predictions, truth):
    """Predictions in the ActivityNet submission layout."""
    p, results = predictions, {}
    for v, id in enumerate(truth.ids.tolist()):
        own = p.video == v
        results[id] = actions(truth.classes, Detections(p.segments[own], p.classes[own], p.scores[own]))
    write_submission(path, results)


def main():
    dataset, baseline, variant = sys.argv[1:]
    params = load_params()
    torch.set_num_threads(params.threads)
    store = open_store(f"data/{dataset}")
    name, chosen = f"{dataset}/{baseline}/{variant}", params.evaluate.checkpoint
    folders = {"last": Path(f"models/{name}"), "best_on_test": Path(f"models/{name}/best_on_test")}
    if not list(folders[chosen].glob("seed*.pt")):
        chosen = "last"  # an authors' checkpoint is what it is
    protocols, classification, resampled, curves = {}, {}, [], {}
    with replacing(f"predictions/{name}") as folder:
        folder.mkdir()
        for kind, place in folders.items():
            for path in sorted(place.glob("seed*.pt"), key=lambda path: int(path.stem.removeprefix("seed"))):
                model, seed = load_model(path, pick_device(params)), path.stem.removeprefix("seed")
                videos = usable_videos(store, BENCHMARKS[dataset].test, model.sampling)
                truth = store.annotations.select(videos)
                if model.classes != truth.classes:
                    raise ValueError(f"{path}: its {len(model.classes)} classes are not the {len(truth.classes)} of data/{dataset}")
                if isinstance(model, CLASNet):
                    model.beta = params.localization.beta

                def keep_curves(n, output, scores, wanted=kind == chosen and not classification):
                    if wanted and n < CURVE_VIDEOS:
                        curves[f"{truth.ids[n]}/cas"] = output.cas[0].softmax(-1)[:, : len(truth.classes)].half().cpu().numpy()
                        curves[f"{truth.ids[n]}/attention"] = output.attention[0].half().cpu().numpy()

                found = predict(model, store, videos, model.num_segments, keep_curves)
                for each in ("seconds", "snippets"):
                    protocols.setdefault(f"{kind}/{each}", {})[seed] = detection_results(found, truth, dataset, each).map.tolist()
                units = evaluation_units(params.active_profile.evaluate.units, model.localization, dataset)
                if kind == chosen:
                    write_predictions(folder / f"{path.stem}.json", found, truth)
                    classification[seed] = classification_map(truth.labels, found.video_scores)
                    weights = resamples(len(videos), params.evaluate.resamples)
                    resampled.append(bootstrap_map(*comparable(found, truth, units), headline_tious(dataset), weights))
        if not classification:
            raise FileNotFoundError(f"models/{name}: no model there, seed<N>.pt")
        np.savez_compressed(folder / "curves.npz", **curves)
        np.save(folder / "resamples.npy", np.array(resampled, dtype=np.float32))
        maps = protocols[f"{chosen}/{units}"]
        write_json(folder / "map.json", {
            "tious": BENCHMARKS[dataset].tious,
            "videos": len(videos),
            "checkpoint": chosen,
            "units": units,
            "mAP": maps,
            "classification_mAP": classification,
            "protocols": protocols,
        })  # fmt: skip
    print(f"predictions/{name}: average mAP {100 * np.mean(list(maps.values())):.1f} % over {len(maps)} seeds")


if __name__ == "__main__":
    stage_errors(main)

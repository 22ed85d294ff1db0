"""Stages `evaluate*`: the trained models of one data set, baseline and variant on the test videos.

    python -m stages.evaluate DATASET BASELINE VARIANT

Writes, per seed, the predictions in the ActivityNet submission layout, and in one JSON the AP per t-IoU of every seed; besides, for the first seed,
the class activation and attention curves of some test videos, which Figure 5 draws.
"""

import sys

import numpy as np
import torch

from clasnet.data.datasets import BENCHMARKS
from clasnet.data.store import open_store
from clasnet.files import replacing, write_json
from clasnet.inference import predict
from clasnet.metrics import classification_map, detection_ap
from stages.params import load_params, stage_errors
from stages.train import build_model, pick_device, variant_parts

CURVE_VIDEOS = 60


def detection_results(predictions, truth, dataset):
    """AP of ``predictions`` against the annotations ``truth`` of the same videos, at the t-IoUs of ``dataset``."""
    p, t = predictions, truth
    return detection_ap(t.segments, t.segment_video, t.segment_class, p.segments, p.video, p.classes, p.scores, BENCHMARKS[dataset].tious)


def write_predictions(path, predictions, truth):
    """Predictions in the ActivityNet submission layout."""
    results = {str(id): [] for id in truth.ids}
    p = predictions
    for v, c, segment, score in zip(p.video, p.classes, p.segments.round(3).tolist(), p.scores.tolist()):
        results[str(truth.ids[v])].append({"label": truth.classes[c], "segment": segment, "score": round(score, 6)})
    write_json(path, {"version": "VERSION 1.3", "results": results, "external_data": {}}, indent=None)


def main():
    dataset, baseline, variant = sys.argv[1:]
    params = load_params()
    torch.set_num_threads(params.threads)
    settings = params.active_profile.train[baseline][dataset]
    store = open_store(f"data/{dataset}")
    videos = store.subset(BENCHMARKS[dataset].test)
    truth = store.annotations.select(videos)
    parts, changes = variant_parts(variant, params)
    name = f"{dataset}/{baseline}/{variant}"
    seeds, curves = {}, {}
    with replacing(f"predictions/{name}") as folder:
        folder.mkdir()
        for seed in params.seeds:
            model = build_model(dataset, baseline, len(truth.classes), params, settings, parts, **changes)
            model.load_state_dict(torch.load(f"models/{name}/seed{seed}.pt", weights_only=True, map_location="cpu"))
            model.to(pick_device(params))

            def keep_curves(n, output, scores):
                if seed == params.seeds[0] and n < CURVE_VIDEOS:
                    curves[f"{truth.ids[n]}/cas"] = output.cas[0].softmax(-1)[:, : len(truth.classes)].half().cpu().numpy()
                    curves[f"{truth.ids[n]}/attention"] = output.attention[0].half().cpu().numpy()

            predictions = predict(model, store, videos, settings.segments, keep_curves)
            write_predictions(folder / f"seed{seed}.json", predictions, truth)
            seeds[seed] = detection_results(predictions, truth, dataset).map.tolist(), classification_map(truth.labels, predictions.video_scores)
        np.savez_compressed(folder / "curves.npz", **curves)
        write_json(folder / "map.json", {
            "tious": BENCHMARKS[dataset].tious,
            "mAP": {seed: maps for seed, (maps, _) in seeds.items()},
            "classification_mAP": {seed: value for seed, (_, value) in seeds.items()},
        })  # fmt: skip
    print(f"predictions/{name}: average mAP {100 * np.mean([maps for maps, _ in seeds.values()]):.1f} % over {len(seeds)} seeds")


if __name__ == "__main__":
    stage_errors(main)

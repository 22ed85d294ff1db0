"""Localise actions in feature files of your own, with a trained or an imported model.

    python -m clasnet.localize models/thumos14/acrnet/clasnet/seed0.pt my_video.npy --out localized

A video is one file `<id>.npy` of `[T, 2D]` (RGB, then flow), or the pair `<id>_rgb.npy` and `<id>_flow.npy` of `[T, D]`. Writes
`predictions.json` in the ActivityNet submission layout, and a picture `<id>.png` of every video.
"""

import argparse
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from tqdm import tqdm

from clasnet.models.registry import import_extensions
from clasnet.models.checkpoint import load_model
from clasnet.data.datasets import SNIPPET_SECONDS
from clasnet.data.features import group_files, load_features
from clasnet.data.submission import actions, write_submission
from clasnet.files import replacing
from clasnet.inference.predict import detect
from clasnet.inference.timeline import draw_timeline


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m clasnet.localize", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model file, models/<data set>/<baseline>/<variant>/seed<N>.pt")
    parser.add_argument("features", nargs="+", help="feature files, .npy")
    parser.add_argument("--out", default="localized", type=Path, help="folder for predictions.json and the pictures (default: %(default)s)")
    parser.add_argument(
        "--snippet-seconds", type=float, default=SNIPPET_SECONDS, help="seconds that a snippet covers (default: 16 frames at 25 a second)"
    )
    parser.add_argument("--extensions", help="folder of modules that register baselines, if the model has one of them")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args(arguments)
    try:
        localize_files(given)
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"clasnet.localize: {' '.join(str(error).split())}")


def localize_files(given):
    """Localise in all videos, drawing each; predictions.json comes last, so it is there only if every file was good."""
    if given.snippet_seconds <= 0:
        raise ValueError(f"--snippet-seconds {given.snippet_seconds}: must be positive")
    if given.extensions:
        import_extensions(given.extensions)
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch sees no CUDA device here")
    model, results = load_model(given.model, given.device), {}
    videos, wrong = group_files(given.features)
    for id, line in wrong.items():
        raise ValueError(f"video {id}: {line}")
    for id, paths in tqdm(videos.items(), unit="video", disable=None):
        features = load_features(*paths)
        try:
            output, _, detections = detect(model, features, model.num_segments)
        except ValueError as error:
            raise ValueError(f"{paths[0]}: {error}") from None
        results[id] = actions(model.classes, detections, given.snippet_seconds / SNIPPET_SECONDS)
        seconds = len(features) * given.snippet_seconds
        figure = draw_timeline(results[id], output.attention[0].float().cpu().numpy(), seconds, f"{id}, {Path(given.model).parent}")
        with replacing(given.out / f"{id}.png") as picture:
            figure.savefig(picture, format="png", dpi=150)
        plt.close(figure)
    write_submission(given.out / "predictions.json", results)
    for id, found in results.items():
        best = f"; best: {found[0]['label']} {found[0]['segment'][0]:.1f} to {found[0]['segment'][1]:.1f} s" if found else ""
        print(f"{given.out / id}.png: {len(found)} segments{best}")
    print(f"{given.out / 'predictions.json'}: {len(results)} videos")


if __name__ == "__main__":
    main()

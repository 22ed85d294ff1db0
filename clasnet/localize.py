"""Localise actions in videos or feature files of your own, with a trained or an imported model.

    python -m clasnet.localize models/thumos14/acrnet/clasnet/from0/seed0.pt my_video.mp4 other.npy --out localized

Features of a video are one file `<id>.npy` of `[T, 2D]` (RGB, then flow), or the pair `<id>_rgb.npy` and
`<id>_flow.npy` of `[T, D]`; any other file is a video, whose I3D features are extracted first into
`<out>/features`, as `clasnet.extract` does. Writes `predictions.json` in the ActivityNet submission layout, and a
picture `<id>.png` of every video.
"""

import argparse
import sys
from pathlib import Path
from types import ModuleType

try:
    import matplotlib
    import matplotlib.pyplot as plt
    import torch
    from tqdm import tqdm
except ModuleNotFoundError as error:
    raise SystemExit(f"clasnet.localize: needs {error.name}: pip install 'clasnet[torch]'") from None

from clasnet.command import command
from clasnet.data.datasets import SNIPPET_SECONDS
from clasnet.data.features import group_files, load_features
from clasnet.data.submission import actions, write_submission
from clasnet.errors import InputError
from clasnet.files import replacing
from clasnet.inference.predict import detect
from clasnet.inference.timeline import THUMBNAILS, draw_timeline
from clasnet.localization.localize import LONGEST, localize
from clasnet.models.checkpoint import load_model
from clasnet.models.device import usable_device
from clasnet.models.precision import set_tf32
from clasnet.models.registry import import_extensions
from clasnet.video.folder import extract_videos, feature_file, videos_by_id
from clasnet.video.frames import thumbnails
from clasnet.video.i3d import WIDTH


class _CallableModule(ModuleType):
    """This module as the function `clasnet.localize`, whose name in the package it takes when it is imported."""

    def __call__(self, *arguments, **named):
        return localize(*arguments, **named)


sys.modules[__name__].__class__ = _CallableModule
SHORTEST = 0.01  # seconds, of which files hold three digits
ARRAYS = (".npy", ".npz", ".h5", ".hdf5", ".mat", ".pt", ".pth", ".pkl", ".safetensors", ".csv", ".json")  # no videos


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m clasnet.localize",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="a model file, models/<data set>/<baseline>/<variant>/from<seed>/seed<N>.pt")
    parser.add_argument("features", nargs="+", help="feature files, .npy, or videos")
    parser.add_argument(
        "--out",
        default="localized",
        type=Path,
        help="folder for predictions.json and the pictures (default: %(default)s)",
    )
    parser.add_argument(
        "--snippet-seconds",
        type=float,
        default=SNIPPET_SECONDS,
        help="seconds that a snippet of a feature file covers (default: 16 frames at 25 a second)",
    )
    parser.add_argument("--beta", type=float, help="share of the FCSM in the attention (default: the model's own)")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="of I3D, for videos, as for clasnet.extract")
    parser.add_argument("--extensions", help="folder of modules that register baselines, if the model has one of them")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args(arguments)
    set_tf32(False)
    matplotlib.use("Agg")  # no window, wherever this runs
    matplotlib.rcParams["text.parse_math"] = False  # `$` in a name is no formula
    with command("clasnet.localize"):
        localize_files(given)


def localize_files(given):
    """Localise in all videos, drawing each; predictions.json comes last, and is written only if every file was good."""
    if not SHORTEST <= given.snippet_seconds <= LONGEST:
        raise InputError(f"--snippet-seconds {given.snippet_seconds}: must be a number from {SHORTEST} to {LONGEST}")
    if given.extensions:
        import_extensions(given.extensions)
    model, results = load_model(given.model, usable_device(given.device)), {}
    if given.beta is not None:
        set_beta(model, given.beta)
    for path in given.features:
        ending = Path(path).suffix
        if Path(path).is_dir() or (ending != ".npy" and ending.lower() in ARRAYS):
            raise InputError(f"{path}: neither a video nor a file of features, which ends in .npy")
    videos, wrong = group_files(path for path in given.features if Path(path).suffix == ".npy")
    movies = videos_by_id(path for path in given.features if Path(path).suffix != ".npy")
    for path in movies.values():
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
    if given.weights and not movies:
        raise InputError(f"--weights {given.weights}: is read for videos, and there is none, but features")
    wrong |= {id: f"{movies[id]} is there besides its features" for id in movies if id in videos}
    for id in [*videos, *movies]:
        if not id or not id.isprintable():  # a surrogate stands for what is no letter
            raise InputError(f"video {id!r}: its file name is no text that JSON and a picture can show")
    for id, line in wrong.items():
        raise InputError(f"video {id}: {line}")
    if movies:
        videos |= extracted(movies, model, given)
    for id, paths in tqdm(videos.items(), unit="video", disable=None):
        title = f"{id}, {Path(given.model).parent}"
        seconds = SNIPPET_SECONDS if id in movies else given.snippet_seconds
        results[id] = localize_and_draw(model, paths, seconds, given.out / f"{id}.png", title, movies.get(id))
    write_submission(given.out / "predictions.json", results.items())
    for id, found in results.items():
        print(f"{given.out / id}.png: {len(found)} segments{in_words(found)}")
    print(f"{given.out / 'predictions.json'}: {len(results)} videos")


def set_beta(model, beta):
    """Have ``model`` mix its attention with the share ``beta`` of its FCSM's; ``InputError`` if it cannot."""
    if getattr(model, "fcsm", None) is None:
        raise InputError(f"--beta {beta}: the model has no FCSM, whose attention could be mixed in")
    if not 0 <= beta <= 1:
        raise InputError(f"--beta {beta}: must be a share from 0 to 1")
    model.beta = beta


def extracted(movies, model, given):
    """Ids to the feature files of ``movies``, which are extracted where they are not there yet."""
    if model.columns != 2 * WIDTH:
        widths = f"its model reads {model.streams} × {model.width} numbers a snippet, and a video gives 2 × {WIDTH}"
        raise InputError(f"{given.model}: {widths}; take a model trained on I3D features (profile: paper)")
    folder, device = given.out / "features", next(model.parameters()).device
    for line in extract_videos(movies, folder, weights=given.weights, device=device).values():
        raise InputError(line)
    return {id: (feature_file(folder, id),) for id in movies}


def localize_and_draw(model, paths, snippet_seconds, picture, title, movie=None):
    """Actions in the video with the feature files ``paths``, best first, and its timeline in the file ``picture``.

    With thumbnails of the video file ``movie``, if there is one.
    """
    features = load_features(*paths)
    try:
        output, _, detections = detect(model, features, model.num_segments, snippet_seconds=snippet_seconds)
    except InputError as error:
        raise InputError(f"{paths[0]}: {error}") from None
    found = actions(model.classes, detections)
    attention = output.attention[0].float().cpu().numpy()
    seconds = len(features) * snippet_seconds
    pictures = thumbnails(movie, seconds, THUMBNAILS) if movie else ()
    figure = draw_timeline(found, attention, seconds, title, pictures)
    with replacing(picture) as partial:
        figure.savefig(partial, format="png", dpi=150)
    plt.close(figure)
    return found


def in_words(found):
    """The best of the actions ``found``, for the line about its video."""
    if not found:
        return ""
    start, end = found[0]["segment"]
    return f"; best: {found[0]['label']} {start:.1f} to {end:.1f} s"


if __name__ == "__main__":
    main()

"""What the evaluations found, as the stages that tabulate and draw read it: the stage `collect` put it into
results/.
"""

from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from clasnet.data.activitynet import Duration, read_activitynet
from clasnet.data.datasets import benchmark_of
from clasnet.errors import InputError
from clasnet.evaluation.protocol import average
from clasnet.models.registry import TITLES
from clasnet.reading import checked, read_json

SYNTHETIC = "SYNTHETIC TWIN, not a benchmark result"
RESULTS = Path("results")
REMEDY = "remove the folder results and run `dvc repro collect`"
VARIANTS = ("baseline", "clasnet")


def title(dataset, params):
    """The data set's name for a caption; a twin's says that it is synthetic."""
    name = benchmark_of(dataset).title
    return f"{name} ({SYNTHETIC})" if params.active_profile.data[dataset].twin else name


def model_title(baseline, variant):
    """A model's name in tables and figures."""
    return TITLES[baseline] + (" + CLASNet" if variant == "clasnet" else "")


@contextmanager
def intact(path):
    """In the block, damage of the file ``path`` ends in one line that says what makes it again."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{error}; {REMEDY}") from None
    except (msgspec.DecodeError, SafetensorError, ValueError, EOFError) as error:
        raise InputError(f"{path}: damaged ({error}); {REMEDY}") from None


def _read(*parts):
    """The content of the JSON file that lies at ``parts`` in the folder of results."""
    path = RESULTS.joinpath(*parts)
    with intact(path):
        return read_json(path, dict[str, Any])


def read_truth(dataset):
    """The :class:`clasnet.data.annotations.Annotations` of the test videos, and how many seconds of snippets each has,
    [V].
    """
    truth = read_activitynet(RESULTS / dataset / "truth.json")
    path = RESULTS / dataset / "seconds.json"
    with intact(path):
        seconds = read_json(path, dict[str, Duration])
        if missing := set(truth.ids.tolist()) - seconds.keys():
            raise InputError(f"{path}: has no video {min(missing)}")
    return truth, np.array([seconds[id] for id in truth.ids.tolist()])


Part = Annotated[float, msgspec.Meta(ge=0, le=1, description="a number from 0 to 1")]


class Evaluation(msgspec.Struct):
    """What must be in a model's map.json: mAP by seed and t-IoU, also by protocol; and how it came."""

    mAP: dict[str, list[Part]]
    protocols: dict[str, dict[str, list[Part]]]
    classification_mAP: dict[str, Part]
    videos: int
    checkpoint: str
    units: Literal["seconds", "snippets"]


class Controls(msgspec.Struct):
    """What must be in control.json."""

    mAP: dict[str, list[Part]]
    pieces: int
    pieces_mAP: list[Part]


class Submission(msgspec.Struct):
    """A submission file with the rows of every video unread: all of a file at once take five times its size."""

    results: dict[str, msgspec.Raw]


def open_submission(dataset, baseline, variant, seed):
    """Video id to the bytes of its rows in a model's file: as little in memory as the file has bytes."""
    path = RESULTS / dataset / baseline / variant / f"seed{seed}.json"
    with intact(path):
        return msgspec.json.decode(path.read_bytes(), type=Submission).results


def read_curves(dataset, baseline, variant, seed):
    """Class activation ``<id>/cas`` [T, C] and ``<id>/attention`` [T] of some test videos."""
    path = RESULTS / dataset / baseline / variant / f"curves{seed}.safetensors"
    with intact(path):
        return load_file(path)


def read_training(dataset, baseline, variant):
    """Loss terms as DVCLive logged them: term to seed to ``{"step": [...], "value": [...]}``."""
    return _read(dataset, baseline, variant, "training.json")


def read_evaluation(dataset, baseline, variant):
    """What the evaluation of a model wrote: mAP by seed and protocol, and how it was measured."""
    path, content = RESULTS / dataset / baseline / variant / "map.json", _read(dataset, baseline, variant, "map.json")
    with intact(path):
        found = checked(content, Evaluation, path)
        for maps in (found.mAP, *found.protocols.values()):
            check_maps(path, dataset, maps)
            if list(maps) != list(found.classification_mAP):
                raise InputError(f"{path}: its numbers are not of the same seeds")
    return content


def check_maps(path, dataset, maps):
    """Raise ``InputError`` unless ``maps`` of the file ``path``, by seed, have a number for every t-IoU."""
    thresholds = len(benchmark_of(dataset).tious)
    for seed, row in maps.items():
        if len(row) != thresholds:
            raise InputError(f"{path}: seed {seed}: {len(row)} numbers, expected one for each of {thresholds} t-IoUs")
    if not maps:
        raise InputError(f"{path}: has no seed")


def read_maps(dataset, baseline, variant, protocol=None):
    """mAP in percent of every seed and t-IoU, [S, Θ]: of the protocol that params.yaml asks for, or of another; None if
    that was not evaluated.
    """
    content = read_evaluation(dataset, baseline, variant)
    maps = content["protocols"].get(protocol) if protocol else content["mAP"]
    return None if maps is None else 100 * np.array(list(maps.values()))


def read_controls(dataset):
    """mAP in percent of what no model made, [S, Θ], by its name."""
    path = RESULTS / dataset / "control.json"
    with intact(path):
        content = read_json(path, Controls)
        check_maps(path, dataset, content.mAP | {"pieces": content.pieces_mAP})
    return {
        "Random scores (control)": 100 * np.array(list(content.mAP.values())),
        f"True classes in {content.pieces} equal pieces (control)": 100 * np.array([content.pieces_mAP]),
    }


def read_classification(dataset, baseline, variant):
    """Video classification mAP in percent of every seed, [S]."""
    return 100 * np.array(list(read_evaluation(dataset, baseline, variant)["classification_mAP"].values()))


def read_resamples(dataset, baseline, variant):
    """Headline average in percent of every bootstrap resample of the test videos, mean over seeds: [B]."""
    path = RESULTS / dataset / baseline / variant / "resamples.npy"
    seeds = len(read_evaluation(dataset, baseline, variant)["mAP"])
    with intact(path):
        found = np.load(path)
        if found.ndim != 2 or len(found) != seeds or not ((found >= 0) & (found <= 1)).all():
            raise InputError(f"{path}: {found.shape}, expected a row of numbers from 0 to 1 for each of {seeds} seeds")
    return 100 * found.mean(0)


def count_videos(dataset, baseline):
    """How many test videos the evaluation of ``baseline`` counts."""
    return read_evaluation(dataset, baseline, "baseline")["videos"]


def test_videos(dataset, baselines):
    """How many test videos the evaluations count, in words; by baseline where they differ."""
    counts = {TITLES[b]: count_videos(dataset, b) for b in baselines}
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values()))} test videos"
    return "test videos: " + ", ".join(f"{name} {count}" for name, count in counts.items())


def averages(dataset, baseline, variant):
    """Headline average of every seed in percent, [S]."""
    return average(read_maps(dataset, baseline, variant), dataset)


def gains(dataset, baseline):
    """What CLASNet adds to the headline average of ``baseline``, in points, paired by seed, [S]."""
    check_pair(dataset, baseline, "clasnet")
    return averages(dataset, baseline, "clasnet") - averages(dataset, baseline, "baseline")


def check_pair(dataset, baseline, variant):
    """Raise ``InputError`` unless ``variant`` and the bare baseline were evaluated on the same seeds, in one way."""
    pair = [read_evaluation(dataset, baseline, each) for each in ("baseline", variant)]
    for what, own in {"seeds": "mAP", "units": "units", "checkpoint": "checkpoint", "test videos": "videos"}.items():
        one, other = (", ".join(each[own]) if own == "mAP" else each[own] for each in pair)
        if one != other:
            ours = f"{one} of the baseline, {other} of {variant}"
            raise InputError(f"{RESULTS / dataset / baseline}: other {what} on both sides: {ours}; {REMEDY}")


def mean_averages(params):
    """Headline averages in percent, mean over seeds: data set to baseline to (without, with CLASNet)."""
    return {
        dataset: {
            baseline: tuple(float(averages(dataset, baseline, variant).mean()) for variant in VARIANTS)
            for baseline in params.baselines
        }
        for dataset in params.datasets
    }

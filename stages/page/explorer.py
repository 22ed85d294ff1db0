"""The page's video explorer: of a sample of the test videos the truth, and every model's best segments and curves."""

from functools import partial

import numpy as np

from clasnet.data.datasets import BENCHMARKS, SNIPPET_SECONDS
from stages.results import SYNTHETIC, VARIANTS, read_curves, read_predictions, read_truth

VIDEOS, SEGMENTS = 16, 40  # videos a data set, segments a video and model


def explorer(dataset, params):
    """What the explorer shows of ``dataset``: title, note, class names, and the content of every video by its id."""
    truth, snippets = read_truth(dataset)
    curves = read_models(read_curves, dataset, params)
    sample = sample_videos(truth, curves)
    models = read_models(partial(read_model, ids=truth.ids[sample].tolist()), dataset, params)
    videos = {str(truth.ids[v]): video_content(truth, v, snippets[v] * SNIPPET_SECONDS, models) for v in sample}
    title, note = BENCHMARKS[dataset].title, describe(len(videos), len(truth.ids), params.all_seeds[0])
    if params.active_profile.data[dataset].twin:
        title, note = f"{title} (synthetic twin)", f"{note} {SYNTHETIC}."
    return {"title": title, "note": note, "classes": list(truth.classes), "videos": videos}


def describe(shown, videos, seed):
    """The note above the plot."""
    sample = f"A sample: {shown} of {videos} test videos, seed {seed}, the {SEGMENTS} best segments of each model."
    return f"{sample} Drag to pan, scroll or pinch to zoom, double-click to reset."


def read_models(read, dataset, params):
    """What ``read(dataset, baseline, variant, seed)`` gives for the first seed: baseline to variant to it."""
    seed = params.all_seeds[0]
    return {
        baseline: {variant: read(dataset, baseline, variant, seed) for variant in VARIANTS}
        for baseline in params.baselines
    }


def read_model(*key, ids):
    """Predictions, of the videos ``ids`` alone, and curves of a model: of all videos they may be too many at once."""
    results = read_predictions(*key)
    return {id: results[id] for id in ids}, read_curves(*key)


def sample_videos(truth, curves):
    """Positions of the first test videos that have true segments and ``curves`` of every model."""
    with_curves = [set(own.files) for variants in curves.values() for own in variants.values()]
    ids = truth.ids.tolist()
    shared = [v for v in np.unique(truth.segment_video) if all(f"{ids[v]}/cas" in files for files in with_curves)]
    return shared[:VIDEOS]


def video_content(truth, v, seconds, models):
    """What the page needs of the video at position ``v``, of ``seconds``."""
    own, id = truth.segment_video == v, str(truth.ids[v])
    classes = {name: c for c, name in enumerate(truth.classes)}
    present = truth.segment_class[own].tolist()
    instances = zip(truth.segments[own].tolist(), present, strict=True)
    return {
        "seconds": round(float(seconds), 2),
        "truth": [[round(start, 2), round(end, 2), c] for (start, end), c in instances],
        "models": {
            baseline: {
                variant: model_content(results[id], curves[f"{id}/cas"], curves[f"{id}/attention"], classes, present)
                for variant, (results, curves) in variants.items()
            }
            for baseline, variants in models.items()
        },
    }


def model_content(actions, cas, attention, classes, present):
    """What one model finds in a video: its best segments, its attention, and its activation of the classes in view.

    ``actions``: rows of a submission, best first; ``cas`` [T, C]; ``attention`` [T]; ``classes``: name to number;
    ``present``: the classes of the true segments.
    """
    segments = [segment_row(action, classes) for action in actions[:SEGMENTS]]
    shown = sorted({label for *_, label, _ in segments} | set(present))
    curves = {"attention": percent(attention), "cas": {label: percent(cas[:, label]) for label in shown}}
    return {"segments": segments, "curves": curves}


def segment_row(action, classes):
    """Start and end in seconds, class number and score of one row of a submission."""
    start, end = action["segment"]
    return [round(start, 2), round(end, 2), classes[action["label"]], round(action["score"], 3)]


def percent(curve):
    """``curve`` [T] of values from 0 to 1 in whole percent."""
    return np.rint(100 * curve.astype(float)).astype(int).tolist()

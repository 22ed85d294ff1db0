"""The page's video explorer: test videos that gain and lose most by CLASNet, with what every model finds in them.

The gain of a video is what CLASNet adds to its own average precision (stages/page/survey.py), in points.
"""

import base64

import numpy as np

from clasnet.data.datasets import benchmark_of
from stages.page.pictures import pictures
from stages.page.submission import read_rows
from stages.results import SYNTHETIC, VARIANTS, open_submission, read_curves, read_truth

VIDEOS, SEGMENTS = 16, 40  # videos a data set, segments a video and model


def explorer(dataset, params, scores):
    """What the explorer shows of ``dataset``: title, note, class names, how many test videos gain and lose, and the
    content of the chosen ones by id.

    ``scores``: baseline to variant to the scores of all test videos, [S, V].
    """
    truth, seconds = read_truth(dataset)
    gains = {baseline: of["clasnet"] - of["baseline"] for baseline, of in scores.items()}
    candidates = with_curves(dataset, truth, params)
    chosen = choose([np.mean(gain, 0) for gain in gains.values()], candidates)
    videos = {str(truth.ids[v]): describe_video(truth, v, seconds[v], scores) for v in chosen}
    for id, video in videos.items():
        video["pictures"] = pictures(dataset, id, video["seconds"])
    for baseline in params.baselines:
        for variant in VARIANTS:
            for seed in params.all_seeds:
                add_model(videos, truth.classes, (dataset, baseline, variant, seed))
    title, note = benchmark_of(dataset).title, describe(len(videos), len(candidates), dataset)
    if params.active_profile.data[dataset].twin:
        title, note = f"{title} (synthetic twin)", f"{note} {SYNTHETIC}."
    tallies = {baseline: [tally(row) for row in gain] for baseline, gain in gains.items()}
    return {"title": title, "note": note, "classes": list(truth.classes), "tallies": tallies, "videos": videos}


def describe(shown, candidates, dataset):
    """The note above the list."""
    tious = list(benchmark_of(dataset).averages)[-1]
    return (
        f"{shown} of the {candidates} test videos whose curves are kept: those that gain most and those that lose most "
        f"by CLASNet, in turn for every baseline (mean over seeds). The gain of a video is the difference of its own "
        f"average precision, in points: mean over its classes and the t-IoUs {tious}, its segments ranked within the "
        f"video alone. Of each model the {SEGMENTS} best segments are shown."
    )


def tally(gain):
    """How many videos gain, stay and lose, of those with a ``gain`` [V]."""
    gain = gain.round(6)  # what differs by less is arithmetic
    return [int((gain > 0).sum()), int((gain == 0).sum()), int((gain < 0).sum())]


def with_curves(dataset, truth, params):
    """Positions of the test videos that have true segments, and curves of every model."""
    models = [(baseline, variant) for baseline in params.baselines for variant in VARIANTS]
    curves = [set(read_curves(dataset, *model, params.all_seeds[0])) for model in models]
    ids = truth.ids.tolist()
    return [v for v in np.unique(truth.segment_video).tolist() if all(f"{ids[v]}/cas" in files for files in curves)]


def choose(gains, candidates, count=VIDEOS):
    """At most ``count`` of the videos ``candidates`` [N]: the best of every row of ``gains`` [V], the worst of every
    one, the second best, and so on. Of equal ones the first in the data set counts.
    """
    candidates = np.asarray(candidates, dtype=int)
    orders = [candidates[np.argsort(sign * gain[candidates], kind="stable")] for sign in (-1, 1) for gain in gains]
    return list(dict.fromkeys(np.transpose(orders).ravel().tolist()))[:count]


def describe_video(truth, v, seconds, scores):
    """What is known of the video at position ``v``, of ``seconds``, whatever a model finds; ``models`` is empty yet."""
    own = truth.segment_video == v
    instances = zip(truth.segments[own].tolist(), truth.segment_class[own].tolist(), strict=True)
    return {
        "seconds": round(float(seconds), 2),
        "truth": [[round(start, 2), round(end, 2), c] for (start, end), c in instances],
        "scores": {
            baseline: {variant: of[variant][:, v].round(1).tolist() for variant in VARIANTS}
            for baseline, of in scores.items()
        },
        "models": {},
    }


def add_model(videos, classes, key):
    """Add to the ``videos`` what one model finds in them; ``key``: data set, baseline, variant and seed."""
    submission, curves, index = open_submission(*key), read_curves(*key), {name: c for c, name in enumerate(classes)}
    _, baseline, variant, seed = key
    for id, video in videos.items():
        present = {c for *_, c in video["truth"]}
        found = model_content(read_rows(submission[id]), curves[f"{id}/cas"], curves[f"{id}/attention"], index, present)
        video["models"].setdefault(baseline, {}).setdefault(variant, {})[str(seed)] = found


def model_content(rows, cas, attention, index, present):
    """What one model finds in a video: its best segments, its attention, and its activation of the classes in view.

    ``rows`` of a submission, best first; ``cas`` [T, C]; ``attention`` [T]; ``index``: class name to number;
    ``present``: the classes of the true segments.
    """
    segments = [segment_row(row, index) for row in rows[:SEGMENTS]]
    shown = sorted({label for *_, label, _ in segments} | present)
    curves = {"attention": as_bytes(attention), "cas": {label: as_bytes(cas[:, label]) for label in shown}}
    return {"segments": segments, "curves": curves}


def segment_row(row, index):
    """Start and end in seconds, class number and score of one row of a submission."""
    start, end = row.segment
    return [round(start, 2), round(end, 2), index[row.label], round(row.score, 3)]


def as_bytes(curve):
    """``curve`` [T] of values from 0 to 1 as one byte each, 255 for 1, in base64."""
    return base64.b64encode(np.rint(255 * curve.astype(float)).astype(np.uint8).tobytes()).decode()

"""Memory and time as the data grow to ActivityNet's size, as Markdown: what the stages `evaluate` and `report` do.

    python -m benchmarks.size [VIDEOS ...]

The data have the shape of ActivityNet v1.3 and a small width: a third of the videos are test videos of 184 snippets on
average, with 1.5 instances and 400 predictions each, of 200 classes. Every cell is a process of its own: its seconds of
one core for the work alone, and its peak memory with all that both stages import. `plain` is the way of the tests'
references, up to 2,000 videos. The processes are forks, so this runs where the system can.
"""

import json
import multiprocessing
import sys
import tempfile
import time
from contextlib import chdir, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import references  # benchmarks/__init__.py says where it lies
import torch
from safetensors.numpy import save_file

from benchmarks.memory import peak_mebibytes
from clasnet import evaluate
from clasnet.data.activitynet import write_activitynet
from clasnet.data.annotations import make_annotations
from clasnet.data.store import open_store, write_store
from clasnet.evaluation.bootstrap import bootstrap_map, resamples
from clasnet.evaluation.protocol import comparable, detection_results, headline_tious
from clasnet.inference.predict import predict
from clasnet.inference.predictions import Predictions
from clasnet.models.registry import build_baseline
from stages import results
from stages.evaluate import write_predictions
from stages.page.diagnosis import diagnose_run
from stages.page.explorer import explorer
from stages.page.submission import as_predictions
from stages.page.survey import video_scores

DATASET, CLASSES, ROWS, INSTANCES = "activitynet13", 200, 400, 1.5
SNIPPETS = 184  # 21.7 GB in 14,377 videos of 2,048 numbers a snippet
VIDEOS, PLAIN = (1000, 2000, 4000, 8000, 16000), 2000
BASELINES = ("co2net", "delu", "acrnet")


def draw(videos):
    """Annotations of the test videos among ``videos``, and :class:`Predictions` around them."""
    rng, count = np.random.default_rng(0), videos // 3
    video = np.sort(rng.integers(count, size=int(INSTANCES * count)))
    start, label = rng.uniform(0, 80, len(video)), rng.integers(CLASSES, size=len(video))
    segments = np.stack([start, start + rng.gamma(2, 12, len(video))], 1).round(2)
    instances = [[] for _ in range(count)]
    for v, segment, c in zip(video.tolist(), segments.tolist(), label.tolist(), strict=True):
        instances[v].append((*segment, f"class {c}"))
    records = [
        {"id": f"v_{v:05}", "subset": "validation", "duration": 118.0, "segments": own}
        for v, own in enumerate(instances)
    ]
    truth = make_annotations([f"class {c}" for c in range(CLASSES)], records)
    pick = np.sort(rng.integers(len(video), size=ROWS * count))
    found = np.sort(segments[pick] + 8 * rng.normal(size=(len(pick), 2)), 1).clip(0).round(3)
    guess = np.where(rng.random(len(pick)) < 0.7, label[pick], rng.choice(label, len(pick)))
    scores = rng.random((count, CLASSES), dtype=np.float32)
    return truth, Predictions(video[pick], found, guess, rng.random(len(pick)), scores)


# What is measured: up to its `yield` a function prepares, what follows counts.


def write(folder, videos, plain):
    """The predictions of one model, to its file."""
    truth, found = draw(videos)
    yield
    if plain:
        text = references.submission(truth.ids.tolist(), truth.classes, found)
        (folder / "again.json").write_text(text, encoding="utf-8")
    else:
        write_predictions(folder / "again.json", found, truth)


def mean_ap(folder, videos, plain):
    """What the evaluation of one model computes by both protocols."""
    truth, found = draw(videos)
    yield
    for units in ("seconds", "snippets"):
        detection_results(found, truth, DATASET, units)


def bootstrap(folder, videos, plain):
    """The interval of one model."""
    truth, found = draw(videos)
    weights = resamples(len(truth.ids), 1000)
    arrays = comparable(found, truth)
    yield
    if plain:
        references.bootstrap_map(arrays[:3], arrays[3:], headline_tious(DATASET), weights)
    else:
        bootstrap_map(*arrays, headline_tious(DATASET), weights)


def command(folder, videos, plain):
    """The command for any submission."""
    yield
    evaluate.main(
        ["--ground-truth", str(folder / "truth.json"), "--predictions", str(folder / "p.json"), "--format", "json"]
    )


def page_explorer(folder, videos, plain):
    """The explorer of one data set."""
    twin = {DATASET: SimpleNamespace(twin=None)}
    params = SimpleNamespace(baselines=BASELINES, all_seeds=[0], active_profile=SimpleNamespace(data=twin))
    scores = np.random.default_rng(0).random((2, 1, videos // 3))
    yield
    explorer(DATASET, params, dict.fromkeys(BASELINES, {"baseline": scores[0], "clasnet": scores[1]}))


def page_survey(folder, videos, plain):
    """The errors of one model and the scores of its videos."""
    truth, _ = results.read_truth(DATASET)
    yield
    found = as_predictions(results.open_submission(DATASET, "delu", "clasnet", 0), truth)
    diagnose_run(found, truth, "seconds")
    video_scores(found, truth, DATASET, "seconds")


def localisation(folder, videos, plain):
    """The whole inference over the test videos, of a small network."""
    truth, _ = draw(videos)
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 2 * SNIPPETS - 20, len(truth.ids))
    features = ((id, rng.random((n, 16), dtype=np.float32)) for id, n in zip(truth.ids.tolist(), lengths, strict=True))
    write_store(folder / "store", truth, features)
    store = open_store(folder / "store")
    torch.manual_seed(0)
    model = build_baseline("co2net", num_classes=CLASSES, width=8, dataset=DATASET).eval()
    what = model, store, np.arange(len(truth.ids)), 60
    yield
    if plain:
        references.predict(*what, ignore)
    else:
        predict(*what)


def ignore(n, output, scores):
    """What sees a video and does nothing."""


WORK = {
    "predictions written": (write, True),
    "mAP in seconds and in snippets": (mean_ap, False),
    "bootstrap, 1,000 resamples": (bootstrap, True),
    "`clasnet.evaluate` of the file": (command, False),
    "page: explorer of six models": (page_explorer, False),
    "page: diagnosis and video scores of a model": (page_survey, False),
    "network and localisation": (localisation, True),
}


def prepared(folder, videos, plain):
    """The files that the page reads: truth, one submission under six names, curves of 60 videos."""
    yield
    truth, found = draw(videos)
    write_predictions(folder / "p.json", found, truth)
    write_activitynet(folder / "truth.json", truth)
    place = folder / "results" / DATASET
    curves = {f"{id}/cas": np.zeros((SNIPPETS, CLASSES), np.float16) for id in truth.ids[:60].tolist()}
    curves |= {f"{id}/attention": np.zeros(SNIPPETS, np.float16) for id in truth.ids[:60].tolist()}
    for baseline in BASELINES:
        for variant in ("baseline", "clasnet"):
            (place / baseline / variant).mkdir(parents=True)
            (place / baseline / variant / "seed0.json").symlink_to(folder / "p.json")
            save_file(curves, place / baseline / variant / "curves0.safetensors")
    write_activitynet(place / "truth.json", truth)
    (place / "seconds.json").write_text(json.dumps(dict.fromkeys(truth.ids.tolist(), 117.76)), encoding="utf-8")


def cell(connection, work, folder, videos, plain):
    """One cell, in a process of its own: sends its seconds and its peak memory in MB."""
    with chdir(folder), open("printed", "w", encoding="utf-8") as printed, redirect_stdout(printed):
        steps = work(folder, videos, plain)
        next(steps)
        start = time.process_time()
        for _ in steps:
            pass
        taken = time.process_time() - start
    connection.send((taken, peak_mebibytes() * 2**20 / 1e6))


def measured(*what):
    """The numbers of one cell."""
    context = multiprocessing.get_context("fork")
    connection, theirs = context.Pipe(duplex=False)
    process = context.Process(target=cell, args=(theirs, *what))
    process.start()
    theirs.close()
    try:
        return connection.recv()
    finally:
        process.join()


def main(arguments):
    sizes, cells = [int(videos) for videos in arguments] or VIDEOS, {}
    torch.set_num_threads(1)
    for videos in sizes:
        with tempfile.TemporaryDirectory() as folder:
            measured(prepared, Path(folder), videos, False)
            for name, (work, has_plain) in WORK.items():
                for plain in (False, True)[: 1 + (has_plain and videos <= PLAIN)]:
                    cells[name, plain, videos] = measured(work, Path(folder), videos, plain)
                    print(f"{name}{', plain' * plain}, {videos}: {cells[name, plain, videos]}", file=sys.stderr)
    print(f"| videos | {' | '.join(f'{videos:,}' for videos in sizes)} |\n|{'---|' * (1 + len(sizes))}")
    print(f"| predictions | {' | '.join(f'{ROWS * (videos // 3):,}' for videos in sizes)} |")
    for name, (_, has_plain) in WORK.items():
        for plain in (False, True)[: 1 + has_plain]:
            row = [cells.get((name, plain, videos)) for videos in sizes]
            text = " | ".join(f"{found[0]:.2f} s, {found[1]:,.0f} MB" if found else "–" for found in row)
            print(f"| {f'{name}, plain' if plain else f'**{name}**'} | {text} |")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Memory and time as the data grow to ActivityNet's size, as Markdown: what the stages `evaluate` and `report` do.

    python -m benchmarks.size [VIDEOS ...]

The data have the shape of ActivityNet v1.3 and a small width: a third of the videos are test videos of 184 snippets on
average, with 1.5 instances and 400 predictions each, of 200 classes. Every cell is a process of its own: its seconds of
one core for the work alone, and its peak memory with all that it imports. `plain` is the way of the tests' references,
up to 4,000 videos.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmarks import ROOT
from clasnet.data.activitynet import write_activitynet
from clasnet.data.annotations import make_annotations
from clasnet.inference.predictions import Predictions

DATASET, CLASSES, ROWS, INSTANCES = "activitynet13", 200, 400, 1.5
SNIPPETS = 184  # 21.7 GB in 14,377 videos of 2,048 numbers a snippet
VIDEOS, PLAIN = (1000, 2000, 4000, 8000, 16000), 4000
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


def write(folder, videos, plain):
    from stages.evaluate import write_predictions

    truth, found = draw(videos)
    yield
    if plain:
        (folder / "again.json").write_text(references().submission(truth.ids.tolist(), truth.classes, found))
    else:
        write_predictions(folder / "again.json", found, truth)


def mean_ap(folder, videos, plain):
    import stages.evaluate  # noqa: F401, with all that the stage has in memory
    from clasnet.evaluation.protocol import detection_results

    truth, found = draw(videos)
    yield
    for units in ("seconds", "snippets"):
        detection_results(found, truth, DATASET, units)


def bootstrap(folder, videos, plain):
    import stages.evaluate  # noqa: F401
    from clasnet.evaluation.bootstrap import bootstrap_map, resamples
    from clasnet.evaluation.protocol import comparable, headline_tious

    truth, found = draw(videos)
    weights = resamples(len(truth.ids), 1000)
    arrays = comparable(found, truth)
    yield
    if plain:
        references().bootstrap_map(arrays[:3], arrays[3:], headline_tious(DATASET), weights)
    else:
        bootstrap_map(*arrays, headline_tious(DATASET), weights)


def command(folder, videos, plain):
    from clasnet.evaluate import main

    yield
    main(["--ground-truth", str(folder / "truth.json"), "--predictions", str(folder / "p.json"), "--format", "json"])


def page_explorer(folder, videos, plain):
    import stages.report  # noqa: F401
    from stages.page import explorer

    twin = {DATASET: SimpleNamespace(twin=None)}
    active = SimpleNamespace(data=twin)
    params = SimpleNamespace(baselines=BASELINES, all_seeds=[0], active_profile=active)
    yield
    if plain:  # all six submissions at once
        models = explorer.read_models(read_whole, DATASET, params)
        explorer.read_predictions = lambda dataset, baseline, variant, seed: models[baseline][variant]
    explorer.explorer(DATASET, params)


def page_diagnosis(folder, videos, plain):
    import stages.report  # noqa: F401
    from stages.page.diagnosis import diagnose_run
    from stages.results import read_predictions, read_truth

    truth, _ = read_truth(DATASET)
    yield
    diagnose_run((read_whole if plain else read_predictions)(DATASET, "delu", "clasnet", 0), truth, "seconds")


def read_whole(dataset, baseline, variant, seed):
    """Video id to rows of a submission file, all in memory."""
    return json.loads(Path(f"results/{dataset}/{baseline}/{variant}/seed{seed}.json").read_text())["results"]


def localisation(folder, videos, plain):
    import torch

    from clasnet.data.store import open_store, write_store
    from clasnet.inference.predict import predict
    from clasnet.models.registry import build_baseline

    truth, _ = draw(videos)
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 2 * SNIPPETS - 20, len(truth.ids))
    features = ((id, rng.random((n, 16), dtype=np.float32)) for id, n in zip(truth.ids.tolist(), lengths, strict=True))
    write_store(folder / "store", truth, features)
    store = open_store(folder / "store")
    torch.manual_seed(0)
    model = build_baseline("co2net", num_classes=CLASSES, width=8, dataset=DATASET).eval()
    given = model, store, np.arange(len(truth.ids)), 60
    yield
    if plain:
        references().predict(*given, lambda *each: None)
    else:
        predict(*given)


def references():
    """The tests' plain implementations."""
    import references

    return references


WORK = {
    "predictions written": (write, True),
    "mAP in seconds and in snippets": (mean_ap, False),
    "bootstrap, 1,000 resamples": (bootstrap, True),
    "`clasnet.evaluate` of the file": (command, False),
    "page: explorer of six models": (page_explorer, True),
    "page: diagnosis of a model": (page_diagnosis, True),
    "network and localisation": (localisation, True),
}


def prepare(folder, videos):
    """The files that the page reads: truth, one submission under six names, curves of 60 videos."""
    from stages.evaluate import write_predictions

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
            np.savez_compressed(place / baseline / variant / "curves0.npz", **curves)
    write_activitynet(place / "truth.json", truth)
    (place / "snippets.json").write_text(json.dumps(dict.fromkeys(truth.ids.tolist(), SNIPPETS)))


def child(name, videos, folder, plain):
    """One cell, in a process of its own: prints its seconds and its peak memory in MB."""
    work = WORK[name][0](folder, videos, plain)
    with chdir(folder):
        next(work)
        start = time.process_time()
        for _ in work:
            pass
        taken = time.process_time() - start
    print(f"\n{taken} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}")


def run(*arguments):
    """The numbers that a child process prints last."""
    given = [sys.executable, "-m", "benchmarks.size", "--child", *map(str, arguments)]
    done = subprocess.run(given, cwd=ROOT, check=True, text=True, capture_output=True)
    return [float(x) for x in done.stdout.splitlines()[-1].split()]


def main(arguments):
    if arguments[:1] == ["--child"]:
        name, videos, folder, plain = arguments[1:]
        return child(name, int(videos), Path(folder), plain == "True")
    sizes = [int(videos) for videos in arguments] or VIDEOS
    cells = {}
    for videos in sizes:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), videos)
            for name, (_, has_plain) in WORK.items():
                for plain in (False, True)[: 1 + (has_plain and videos <= PLAIN)]:
                    cells[name, plain, videos] = run(name, videos, folder, plain)
                    print(f"{name}{', plain' * plain}, {videos}: {cells[name, plain, videos]}", file=sys.stderr)
    print(f"| videos | {' | '.join(f'{videos:,}' for videos in sizes)} |\n|{'---|' * (1 + len(sizes))}")
    print(f"| predictions | {' | '.join(f'{ROWS * (videos // 3):,}' for videos in sizes)} |")
    for name, (_, has_plain) in WORK.items():
        for plain in (False, True)[: 1 + has_plain]:
            row = [cells.get((name, plain, videos)) for videos in sizes]
            text = " | ".join(f"{cell[0]:.2f} s, {cell[1]:,.0f} MB" if cell else "–" for cell in row)
            print(f"| {f'{name}, plain' if plain else f'**{name}**'} | {text} |")


if __name__ == "__main__":
    main(sys.argv[1:])

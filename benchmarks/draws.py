"""Is it the draw of the data, or the seed of the training? One baseline, several seeds on each of several draws.

    python -m benchmarks.draws CELL [--replicates 31 33 ...] [--seeds 1000 1001 ...]

A replicate of the study changes both at once. This trains CELL (thumos14/co2net) by the study's settings from every one
of ``--seeds`` on the draw of every one of ``--replicates`` and prints the headline average mAP (%) and the correlation
of the baseline's attention with the true snippets, a draw a row. It explains results; no setting is chosen by it.
"""

import argparse
from functools import partial

from benchmarks.develop import headlines
from stages.parallel import run_each
from stages.params import load_params, with_profile
from stages.trial import replicate_store, run_trial
from stages.variants import train_settings


def trial(task, place, settings, twin):
    """(mAP, correlation of a) of one (replicate, seed)."""
    replicate, seed = task
    found = run_trial(replicate_store(settings["dataset"], twin, replicate), settings, seed, **place._asdict())
    return headlines({"cell": settings["dataset"], **found})["0"], found["correlation"]["a"]


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.draws", description=__doc__.partition("\n")[0])
    parser.add_argument("cell")
    parser.add_argument("--replicates", nargs="+", type=int, default=list(range(24, 34)))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1000, 1001, 1002])
    given = parser.parse_args()
    params = with_profile(load_params(), "study")
    dataset, baseline = given.cell.split("/")
    settings = train_settings(dataset, baseline, "baseline", [], params)
    work = partial(trial, settings=settings, twin=params.active_profile.data[dataset].twin.model_dump())
    tasks = [(replicate, seed) for replicate in given.replicates for seed in given.seeds]
    found = dict(zip(tasks, run_each(work, tasks, {"device": "cpu", "jobs": "auto", "threads": 1}), strict=True))
    print("| draw |" + "".join(f" seed {seed} |" for seed in given.seeds) + "\n|" + "---|" * (1 + len(given.seeds)))
    for replicate in given.replicates:
        cells = [found[replicate, seed] for seed in given.seeds]
        print(f"| {replicate} |" + "".join(f" {value:.1f} (r {r:.2f}) |" for value, r in cells))


if __name__ == "__main__":
    main()

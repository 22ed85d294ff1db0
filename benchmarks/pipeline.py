"""The default run as a whole, of two states of the repository side by side: where its core seconds go.

    python -m benchmarks.pipeline f9510e4 HEAD HEAD:2

Clones each revision (of `:2` with twice the training steps), runs it with `make repro` in this environment, one after
the other, and prints a table. Start-up is what importing the stage's modules takes, times the processes; waiting is
what the cores could have done besides.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml

from stages.parallel import cores

ROOT = Path(__file__).parents[1]
SHIM = """#!/bin/sh
exec {time} -a -o {log} -f "%C|%e|%U|%S" {python} "$@"
"""
CORES = cores()
STAGE = re.compile(r"-m stages\.(\w+)")
KINDS = {"train": "training", "evaluate": "evaluation"}


def checkout(revision, folder):
    """A clone of this repository at ``revision``, with this environment for its own and a python that keeps times."""
    revision, _, factor = revision.partition(":")
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    subprocess.run(["git", "checkout", "-q", revision], cwd=folder, check=True)
    (folder / "dvc.lock").unlink()
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    shim = folder / "tmp/python"
    shim.parent.mkdir()
    python, timer = Path(sys.executable), shutil.which("time")
    shim.write_text(SHIM.format(time=timer, log=folder / "tmp/log", python=python), encoding="utf-8")
    shim.chmod(0o755)
    for profile in (folder / "profiles").glob("*.yaml"):
        multiply_steps(profile, int(factor or 1))
    return folder


def multiply_steps(path, factor):
    """Every training in the profile at ``path`` takes ``factor`` times its steps."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for trainings in content["train"].values():
        for training in trainings.values():
            training["steps"] *= factor
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def run(folder):
    """Run the pipeline: seconds by the clock, and per stage module the number of processes and their core seconds."""
    makefile = (folder / "Makefile").read_text(encoding="utf-8")
    # The Makefile puts .venv first on the path; the python that keeps times goes before it.
    makefile = makefile.replace("$(CURDIR)/.venv/bin:", "$(CURDIR)/tmp:$(CURDIR)/.venv/bin:")
    (folder / "Makefile").write_text(makefile, encoding="utf-8")
    start = time.perf_counter()
    subprocess.run(["make", "repro", "-o", ".venv/installed"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    wall, count, spent = time.perf_counter() - start, Counter(), Counter()
    for line in (folder / "tmp/log").read_text(encoding="utf-8").splitlines():
        if "|" in line and (stage := STAGE.search(line)) and stage[1] != "progress":
            _, _, user, system = line.rsplit("|", 3)
            count[stage[1]] += 1
            spent[stage[1]] += float(user) + float(system)
    return wall, count, spent


def start_up(folder, module):
    """Core seconds of importing the stage ``module``."""
    before = os.times()
    for _ in range(3):
        subprocess.run([sys.executable, "-c", f"import stages.{module}"], cwd=folder, check=True)
    after = os.times()
    return (after.children_user + after.children_system - before.children_user - before.children_system) / 3


def main(revisions):
    print("| revision | processes | start-up | training | evaluation | the rest | DVC | waiting | by the clock (s) |")
    print("|---|---|---|---|---|---|---|---|---|")
    for revision in revisions:
        with tempfile.TemporaryDirectory() as temporary:
            folder = checkout(revision, Path(temporary) / "clone")
            used = os.times()
            wall, count, spent = run(folder)
            now = os.times()
            whole = now.children_user + now.children_system - used.children_user - used.children_system
            starting = {module: start_up(folder, module) * n for module, n in count.items()}
            parts = Counter()
            for module, seconds in spent.items():
                parts[KINDS.get(module, "rest")] += seconds - starting[module]
            cells = [sum(starting.values()), parts["training"], parts["evaluation"], parts["rest"]]
            cells += [whole - sum(spent.values()), CORES * wall - whole, wall]
            print(f"| {revision} | {sum(count.values())} | {' | '.join(f'{x:.0f}' for x in cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

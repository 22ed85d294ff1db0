"""Kills at random moments, each followed at once by another run: the same bytes, and nobody left at work.

    python -m benchmarks.kills [--rounds 50] [--seed 0]

A temporary clone with the tests' tiny profile runs `check`, `features` and one training, by `dvc repro` or `make repro`
in turn. A round stops it after a random time by one of SIGTERM, SIGKILL and Ctrl-C, sent to one of DVC, make, the stage
at work, one of its processes, and all of them, where DVC starts its stages in bash, which becomes the stage, or in sh,
which may wait for it. Two seconds later nobody of that run may be at work but what the first process still waits for.
The run that follows has to end well, with the models and logs of a run that nothing stopped. Prints a line a round, and
ends with an error if one was wrong.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
from pipeline import ENVIRONMENT, contents, edit, make_clone, tiny_params, tiny_profile

KEY = "thumos14/acrnet/clasnet/from0"
STEPS = 300
COMMANDS = {"dvc": ["dvc", "repro"], "make": ["make", "repro"]}
GRACE = 2.0  # seconds after which nobody may be left


def small_clone(folder):
    """A clone whose pipeline is one training and what it needs."""

    def longer(profile):
        profile = tiny_profile(profile)
        profile["train"]["acrnet"]["thumos14"]["steps"] = STEPS
        return profile

    def one_training(pipeline):
        stages = {name: pipeline["stages"][name] for name in ("check", "features", "train")}
        stages["train"]["matrix"]["variant"] = ["clasnet"]
        return {"stages": stages}

    make_clone(folder, tiny_params, longer)
    edit(folder / "dvc.yaml", one_training)
    (folder / ".venv").mkdir()
    (folder / ".venv/installed").touch()  # make finds everything installed
    return folder


def start(folder, command, shell="sh"):
    """Begin a run in a session of its own, as in a terminal; DVC starts its stages in ``shell``."""
    with open(folder / f"tmp/{command}.log", "w", encoding="utf-8") as log:
        environment = {k: v for k, v in ENVIRONMENT.items() if k != "MAKELEVEL"} | {"SHELL": shutil.which(shell)}
        return subprocess.Popen(
            COMMANDS[command], cwd=folder, env=environment, start_new_session=True, stdout=log, stderr=log
        )


def forget(folder):
    """Remove all outputs but a training that was begun, and what DVC knows of them."""
    for path in ("models/thumos14", "dvclive", "data/thumos14", "dvc.lock", ".dvc/cache", ".dvc/tmp"):
        path = folder / path
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def outputs(folder):
    """Path to bytes of all that a run makes: the store, the models, the logs."""
    rooms = (folder / "data/thumos14", folder / "models" / KEY, folder / "dvclive" / KEY)
    return {room.name + name: content for room in rooms for name, content in contents(room).items()}


def members(session):
    """Processes of the session, but for zombies."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError):
            pass
    return found


def targets(first, whom):
    """Processes of the run ``first`` that are meant by ``whom``."""
    every = members(first.pid)
    stages = [p for p in every if "stages." in line(p) and "stages.progress" not in line(p)]
    chosen = {
        "dvc": [p for p in every if "dvc" in line(p).split(" -m ")[0] and "repro" in line(p)],
        "make": [p for p in every if p.pid == first.pid],
        "stage": stages[:1],
        "process": stages[1:][:1],
        "all": every,
    }[whom]
    return chosen or every[:1]


def line(process):
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def stop(first, number, whom):
    """Send the signal; Ctrl-C goes to the whole group, as from a terminal."""
    for process in members(first.pid) if number == signal.SIGINT else targets(first, whom):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def orphans(first):
    """Those of the run ``first`` that are at work, but for the first process, if it is, and what it waits for."""
    waited = set()
    if first.poll() is None:
        try:
            top = psutil.Process(first.pid)
            waited = {top.pid, *(child.pid for child in top.children(recursive=True))}
        except psutil.NoSuchProcess:
            pass
    return [line(process) for process in members(first.pid) if process.pid not in waited]


def one_round(folder, expected, draw, longest):
    """A run that is stopped, and the run after it. Returns what was done and what was wrong, in words."""
    command, number = draw.choice(list(COMMANDS)), draw.choice([signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
    whom = "all" if number == signal.SIGINT else draw.choice([command, "dvc", "stage", "process", "all"])
    after, shell = draw.uniform(0, longest), draw.choice(["bash", "sh"])
    forget(folder)
    first = start(folder, command, shell)
    time.sleep(after)
    stop(first, number, whom)
    stopped, follower = time.monotonic(), "dvc" if command == "make" else "make"
    second = start(folder, follower)
    time.sleep(max(0.0, stopped + GRACE - time.monotonic()))
    wrong = [f"left at work: {left}" for left in orphans(first)]
    first.wait(60)
    refused = bool(second.wait(600))
    if refused:  # the first one was still ending: DVC says so, and who tries again succeeds
        second = start(folder, follower)
        if second.wait(600):
            wrong.append((folder / f"tmp/{follower}.log").read_text(encoding="utf-8")[-500:])
    if outputs(folder) != expected:
        wrong.append("other bytes")
    if left := [p for p in (folder / "models/.rolling").rglob("*") if p.is_file()]:
        wrong.append(f"left behind: {left}")
    interrupted = number == signal.SIGINT and command == "make"
    traceback = interrupted and "Traceback" in (folder / "tmp/make.log").read_text(encoding="utf-8")
    what = f"{signal.Signals(number).name} to {whom} of {command} in {shell} after {after:.1f} s"
    what += ", refused once" * refused
    return what, wrong + ["a Python traceback at Ctrl-C"] * traceback


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if os.name != "posix":
        sys.exit("kills: needs the signals of POSIX")
    with tempfile.TemporaryDirectory() as folder:
        folder = small_clone(Path(folder))
        (folder / "tmp").mkdir()
        begun = time.monotonic()
        if start(folder, "dvc").wait():
            sys.exit((folder / "tmp/dvc.log").read_text(encoding="utf-8"))
        longest, expected = time.monotonic() - begun, outputs(folder)
        draw, bad = random.Random(given.seed), 0
        for n in range(given.rounds):
            what, wrong = one_round(folder, expected, draw, longest)
            bad += bool(wrong)
            print(f"{n + 1}: {what}: {'; '.join(wrong) or 'the same bytes'}", flush=True)
    print(f"{given.rounds} stops, {bad} of them wrong; a run takes {longest:.0f} s")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()

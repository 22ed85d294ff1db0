"""`dvc repro` with one bar for the whole pipeline: stages done, the one at work, about how long the rest takes.

    python -m stages.progress [arguments of dvc repro]

A finished stage leaves its own line; without a terminal there are only those lines. How long stages took is kept in
data/seconds.json for the next estimate; nothing else depends on it.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tqdm import tqdm

from clasnet.files import write_json
from stages.signals import end_with_parent

SECONDS = Path("data/seconds.json")
RWLOCK = Path(".dvc/tmp/rwlock")
PATIENCE = 2  # seconds that Ctrl-C may take
RUNNING, SKIPPED = re.compile(r"Running stage '(.+)':"), re.compile(r"Stage '(.+)' didn't change, skipping")
DONE = re.compile(r"Updating lock file|Generating lock file")
NOISE = re.compile(r"> |$|To track the changes|\tgit add|To enable auto staging|\tdvc config|Use `dvc push`")


class Pipeline:
    """What is known of a run: the stages that are still to come, and how long each took, now or in an earlier run."""

    def __init__(self, stages, seconds):
        self.total, self.left, self.seconds, self.current, self.since = len(stages), set(stages), seconds, "", 0.0

    def begin(self, stage):
        self.current, self.since = stage, time.monotonic()

    def end(self, stage, ran=False):
        if not stage:  # DVC updates its lock once more
            return
        if ran:
            self.seconds[stage] = round(time.monotonic() - self.since, 1)
        self.left.discard(stage)
        self.current = ""

    def remaining(self):
        """Seconds that the rest takes, by what stages like them took: of the same name, or of the same kind."""
        kinds = {}
        for stage, took in self.seconds.items():
            kinds.setdefault(stage.partition("@")[0], []).append(took)
        known = [sum(took) / len(took) for took in kinds.values()]
        usual = sum(known) / len(known) if known else 0.0
        expected = 0.0
        for stage in self.left:
            alike = kinds.get(stage.partition("@")[0])
            expected += self.seconds.get(stage, sum(alike) / len(alike) if alike else usual)
        gone = time.monotonic() - self.since if self.current else 0.0
        return max(expected - gone, 0.0)


def minutes(seconds):
    """A duration in words."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def follow(lines, pipeline, bar, say):
    """Read what DVC prints, and keep ``pipeline`` and ``bar`` up to date; ``say`` prints what a person should see."""
    for line in map(str.rstrip, lines):
        if running := RUNNING.match(line):
            pipeline.end(pipeline.current, ran=True)  # DVC says nothing where the lock file stays as it is
            pipeline.begin(running[1])
        elif skipped := SKIPPED.match(line):
            pipeline.end(skipped[1])
        elif DONE.match(line):
            pipeline.end(pipeline.current, ran=True)
        elif not NOISE.match(line):
            say(line)
        bar.n = pipeline.total - len(pipeline.left)
        bar.set_description(pipeline.current or "dvc repro", refresh=False)
        bar.set_postfix_str(f"about {minutes(pipeline.remaining())} left")


def wait_or_end(process, seconds=PATIENCE):
    """Wait for ``process`` to end by itself, and end it after ``seconds``."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def leave(number, frame):
    """At SIGTERM, which nobody but this process gets."""
    raise SystemExit(128 + number)


def stages_listed():
    """Names of all stages. Where DVC cannot read the parameters, `check` says what is wrong with them."""
    if not shutil.which("dvc"):
        sys.exit("there is no `dvc` here: activate the environment, or `make repro`, which makes one")
    listed = subprocess.run(["dvc", "stage", "list", "--name-only"], capture_output=True, encoding="utf-8")
    if listed.returncode:
        checked = subprocess.run([sys.executable, "-m", "stages.check"], capture_output=True, encoding="utf-8")
        sys.exit((checked.stderr if checked.returncode else listed.stderr).strip() or "dvc stage list failed")
    return listed.stdout.split()


def seconds_taken():
    """How long stages took in earlier runs; nothing is known where the file is of no use."""
    try:
        return {str(name): float(took) for name, took in json.loads(SECONDS.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, leave)
    sys.stdout.reconfigure(errors="backslashreplace")
    if "MAKELEVEL" in os.environ:
        end_with_parent(os.getppid())
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def mend_lock():
    """Remove DVC's list of who uses which file where a kill left no JSON of it: DVC would fail from then on."""
    try:
        json.loads(RWLOCK.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except ValueError:
        RWLOCK.unlink(missing_ok=True)


def run():
    """One `dvc repro`, followed to its end."""
    mend_lock()
    stages, seconds = stages_listed(), seconds_taken()
    pipeline, own = Pipeline(stages, seconds), os.getpid()
    process = subprocess.Popen(
        ["dvc", "repro", *sys.argv[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},  # else the pipe holds back which stage began
        preexec_fn=(lambda: end_with_parent(own)) if sys.platform == "linux" else None,
    )
    bar_format = "{desc}{bar} {n}/{total} stages [{elapsed}{postfix}]"
    try:
        with tqdm(total=pipeline.total, bar_format=bar_format, disable=None) as bar:
            follow(process.stdout, pipeline, bar, bar.write)
        code = process.wait()
    except KeyboardInterrupt:  # which DVC and the stage got, too
        code = 128 + signal.SIGINT
        wait_or_end(process)
    except SystemExit as asked:
        code = asked.code
        process.terminate()  # the stage ends with it
        process.wait()
    finally:
        with suppress(OSError):  # a full disk, of which DVC has told
            write_json(SECONDS, pipeline.seconds)
    print("every stage is up to date" if code == 0 else f"stopped with {code}; `make repro` goes on from here")
    sys.exit(code)


if __name__ == "__main__":
    main()

"""Stops of every kind: what a training had done is not lost, and what comes out is the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
import torch
from conftest import needs_posix
from pipeline import ENVIRONMENT, contents, make_clone, run, stage_here, tiny_profile, until

from clasnet.data.sampling import BatchSampler
from clasnet.data.store import open_store, write_store
from clasnet.data.synthetic import draw_annotations, twin_videos
from clasnet.files import replacing
from clasnet.models.registry import build_baseline, build_model
from clasnet.training import loop
from clasnet.training.rolling import RollingCheckpoint
from clasnet.training.run import train_model

STEPS = 120
PLUGIN = {
    "fcsm": {"layers": 2, "heads": 2, "topk": 0.3, "alpha": 0.25, "weight": 0.1, "beta": 0.3, "dropout": 0.3},
    "brm": {"weight": 1.0, "distance": "mse"},
    "ramp": [0.2, 0.4],
}


class Rows(list):
    """A log that goes along with a rolling checkpoint."""

    def __call__(self, step, terms):
        self.append([step, terms])

    def state(self):
        return list(self)

    def load(self, rows):
        self[:] = rows


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    annotations = draw_annotations("thumos14", classes=3, train_videos=9, test_videos=3, snippets=(20, 30), rng=rng)
    write_store(folder / "s", annotations, twin_videos(annotations, 2, 8, 0))
    return open_store(folder / "s")


def settings(clasnet, **changes):
    how = {
        "steps": 23,
        "lr": 1e-2,
        "schedule": "cosine",
        "weight_decay": 1e-3,
        "precision": "float32",
        "compile": False,
    }
    return how | {"batch_size": 6, "segments": 12, "model": {"width": 8}, "clasnet": clasnet} | changes


def weights(model):
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("baseline", ["co2net", "delu", "acrnet"])
@pytest.mark.parametrize("clasnet", [None, PLUGIN])
def test_a_training_goes_on_to_the_same_bytes(store, tmp_path, baseline, clasnet):
    whole = Rows()
    expected = weights(train_model(store, "thumos14", baseline, settings(clasnet), 3, log=whole))
    for stops in ([1], [7, 8], [10, 22]):
        path = tmp_path / f"{len(stops)}{stops[0]}.pt"
        for stop in [*stops, None]:
            rows, asked = Rows(), []
            rolling = RollingCheckpoint(path, "mine", {"log": rows})

            def stopping(stop=stop, asked=asked, rolling=rolling):
                asked.append(None)
                return stop is not None and len(asked) + rolling.step >= stop

            try:
                model = train_model(
                    store, "thumos14", baseline, settings(clasnet), 3, log=rows, rolling=rolling, stopping=stopping
                )
            except loop.Stopped as stopped:
                assert str(stopped) == f"stopped after step {stop} of 23" and rolling.step == stop
        assert weights(model) == expected and list(rows) == list(whole)


def test_a_stop_costs_no_look_at_the_test_set(store, tmp_path):
    """What watches a training goes along with its checkpoint: it has seen every step up to that one, and once."""
    for stop in (7, None):
        seen = Rows()
        rolling = RollingCheckpoint(tmp_path / "c.pt", "mine", {"watch": seen})

        def watch(model, step, seen=seen):
            seen.append(step)

        asked = []

        def stopping(stop=stop, asked=asked):
            asked.append(None)
            return len(asked) == stop

        with suppress(loop.Stopped):
            train_model(store, "thumos14", "acrnet", settings(None), 3, watch=watch, rolling=rolling, stopping=stopping)
        assert rolling.step == (stop or 23)
    assert seen == [*range(1, 24)]


@pytest.mark.parametrize(
    ("identity", "spoil", "line"),
    [
        ("theirs", lambda whole: whole, "of other settings, data or code; set aside as c.pt.other"),
        ("mine", lambda whole: whole[:-300], "damaged checkpoint; removed"),
        ("mine", lambda whole: whole[:2000] + bytes(64) + whole[2064:], "damaged checkpoint; removed"),
        ("mine", lambda whole: b"", "damaged checkpoint; removed"),
    ],
)
def test_a_checkpoint_of_no_use_costs_its_own_work_only(store, tmp_path, capsys, identity, spoil, line):
    expected, path = weights(train_model(store, "thumos14", "acrnet", settings(None), 3)), tmp_path / "c.pt"
    before = RollingCheckpoint(path, identity, {})
    train_model(store, "thumos14", "acrnet", settings(None, lr=1.0), 3, rolling=before)
    path.write_bytes(spoil(path.read_bytes()))
    again = RollingCheckpoint(path, "mine", {})
    model = train_model(store, "thumos14", "acrnet", settings(None), 3, rolling=again)
    assert weights(model) == expected
    printed = capsys.readouterr().out
    assert line in printed and printed.count("\n") == 1


def test_a_loss_that_is_not_finite_is_named_with_its_step(store):
    class Spoilt(type(build_baseline("acrnet", num_classes=3, width=8))):
        def losses(self, output, labels, progress):
            terms = super().losses(output, labels, progress)
            bad = 5 <= round(progress * 23) < 7
            return terms | {"attention_flow": terms["attention_flow"] * float("nan" if bad else 1)}

    torch.manual_seed(0)
    model = Spoilt(3, 8)
    sample = batches(store, model)
    how = {"steps": 23, "lr": 1e-3, "weight_decay": 0.0}
    with pytest.raises(FloatingPointError, match=r"^attention_flow is not finite at step 5; a smaller learning rate"):
        loop.train(model, sample, **how)


def test_weights_that_the_last_update_spoils_are_noticed(store):
    class Spoilt(type(build_baseline("acrnet", num_classes=3, width=8))):
        def losses(self, output, labels, progress):
            if round(progress * 4) == 3:  # a finite loss whose gradient is infinite
                return {"loss": (output.cas.sum() * 0).sqrt()}
            return super().losses(output, labels, progress)

    torch.manual_seed(0)
    model = Spoilt(3, 8)
    with pytest.raises(FloatingPointError, match="the weights are not finite after step 3"):
        loop.train(model, batches(store, model), steps=4, lr=1e-3, weight_decay=0.0)


def batches(store, model):
    return BatchSampler(store, store.subset("validation"), 6, 12, model.sampling, 0)


@pytest.mark.parametrize("baseline", ["co2net", "delu", "acrnet"])
@pytest.mark.parametrize("clasnet", [None, PLUGIN])
def test_no_step_waits_for_the_device(baseline, clasnet):
    """On the meta device there are no numbers, so whatever asks for one (item, tolist, cpu, numpy, x[mask], a branch on
    a tensor) fails. What may wait is `Training.complain` and the log.
    """
    recipe = {"name": baseline, "num_classes": 3, "dataset": "thumos14", "width": 8}
    model = build_model(recipe, clasnet).to("meta").train()

    def sample():
        return torch.empty(6, 24, 16, device="meta"), torch.empty(6, 3, device="meta")

    training = loop.Training(model, sample, 9, 1e-3, 1e-3, "cosine", "float32", False)
    for _ in range(3):
        training.advance(measure=True)
    with pytest.raises((NotImplementedError, RuntimeError)):
        training.complain()


@pytest.mark.parametrize("wait", [torch.Tensor.item, torch.Tensor.cpu, torch.Tensor.numpy, lambda x: x[x > 0]])
def test_the_test_of_waiting_can_fail(wait):
    with pytest.raises((NotImplementedError, RuntimeError, TypeError)):
        wait(torch.empty((), device="meta") * 2)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone whose trainings take seconds."""

    def longer(profile):
        profile = tiny_profile(profile)
        profile["train"]["acrnet"]["thumos14"]["steps"] = STEPS
        return profile

    folder = make_clone(tmp_path_factory.mktemp("stops"), profile=longer)
    stage_here(folder, "check")
    stage_here(folder, "features", "thumos14")
    return folder


KEY = "thumos14/acrnet/clasnet/from0"
TRAIN = [sys.executable, "-m", "stages.train", KEY]


def outputs(folder):
    return contents(folder / "models" / KEY) | contents(folder / "dvclive" / KEY)


@pytest.fixture(scope="module")
def uninterrupted(clone):
    run(clone, *TRAIN)
    assert not list((clone / "models/.rolling").rglob("*.pt"))
    return outputs(clone)


def start(folder, **how):
    """Begin the training, as DVC does: with the outputs of an earlier run removed."""
    for room in ("models", "dvclive"):
        shutil.rmtree(folder / room / KEY, ignore_errors=True)
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    return subprocess.Popen(TRAIN, cwd=folder, env=ENVIRONMENT, start_new_session=True, **quiet, **how)


def checkpoints(folder):
    """When each rolling checkpoint of the training was written; none once it has ended."""
    with suppress(FileNotFoundError):  # it may end at this moment
        return {path.name: path.stat().st_mtime_ns for path in (folder / "models/.rolling" / KEY).glob("*.pt")}
    return {}


def members(group):
    """Processes of a group that are not zombies."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, check=True, encoding="utf-8").stdout
    rows = [line.split() for line in listed.splitlines()]
    return [stat for pgid, stat in rows if int(pgid) == group and not stat.startswith("Z")]


@needs_posix
def test_three_kills_at_random_moments_change_no_byte(clone, uninterrupted):
    draw, before = random.Random(7), {}
    for _ in range(3):  # the last one may come after the end
        process = start(clone)
        until(lambda before=before, process=process: checkpoints(clone) != before or process.poll() is not None)
        time.sleep(draw.uniform(0, 0.3))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        before = checkpoints(clone) or before
    assert before, "no kill fell into a training"
    run(clone, *TRAIN)
    assert outputs(clone) == uninterrupted
    assert not list((clone / "models/.rolling").rglob("*.pt")) and not list((clone / "models").rglob(".*.partial-*"))


@needs_posix
def test_stops_say_one_line_and_lose_nothing(clone, uninterrupted):
    rolling = clone / "models/.rolling" / KEY
    for number in (signal.SIGTERM, signal.SIGINT):
        shutil.rmtree(rolling / "logs", ignore_errors=True)
        process = start(clone)
        until(lambda: (rolling / "logs/seed1/plots/metrics/loss.tsv").exists())
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 130 and output.strip() == "train: stopped; the next run goes on from here"
        assert len(list(rolling.glob("seed*.pt"))) == 2 and not members(process.pid)
    run(clone, *TRAIN)
    assert outputs(clone) == uninterrupted


@needs_posix
def test_no_process_outlives_the_stage(clone):
    process = start(clone)
    until(lambda: len(members(process.pid)) >= 3)
    process.kill()
    process.wait()
    until(lambda: not members(process.pid), seconds=5)


@needs_posix
@pytest.mark.parametrize(
    ("number", "shell"),  # bash becomes the stage that DVC starts in it, sh may wait
    [(signal.SIGTERM, "bash"), (signal.SIGTERM, "sh"), (signal.SIGINT, "sh")],
)
def test_a_stop_of_the_whole_pipeline_leaves_nothing_at_work(clone, number, shell):
    command = [sys.executable, "-m", "stages.progress", "train@thumos14-acrnet-clasnet-seeds0"]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    for folder in ("dvclive", "models/.rolling"):
        shutil.rmtree(clone / folder / KEY, ignore_errors=True)
    environment = ENVIRONMENT | {"SHELL": shutil.which(shell)}
    process = subprocess.Popen(command, cwd=clone, env=environment, start_new_session=True, **quiet)
    until(lambda: (clone / "models/.rolling" / KEY / "logs/seed1/plots/metrics/loss.tsv").exists())
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 128 + number and "`make repro` goes on from here" in output
    assert "Traceback" not in output
    until(lambda: not members(process.pid), seconds=5)


@needs_posix
def test_a_second_training_waits_for_the_first(clone, uninterrupted):
    first = start(clone)
    until(lambda: len(members(first.pid)) >= 3)
    os.killpg(first.pid, signal.SIGSTOP)  # so that it is at work for as long as it takes
    second = subprocess.Popen(TRAIN, cwd=clone, env=ENVIRONMENT, stdout=subprocess.PIPE, encoding="utf-8")
    assert f"process {first.pid} on " in second.stdout.readline()
    os.killpg(first.pid, signal.SIGCONT)
    assert first.wait() == 0 and second.wait() == 0
    assert outputs(clone) == uninterrupted


@needs_posix
@pytest.mark.parametrize("room", [2_000, 30_000])  # not even for DVCLive; for the logs but not for a checkpoint
def test_a_full_disk_gives_one_line_and_leaves_nothing_half_written(clone, room):
    import resource

    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    process = start(clone, preexec_fn=little_room)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.strip() == "train: the disk is full; nothing half-written is left; make room and run again"
    assert not list((clone / "models").rglob(".*.partial-*"))


def test_what_others_left_half_written_is_removed_when_nobody_writes_it(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "vm")
    kept = [
        "vm-2-7",
        f"vm-{os.getppid()}",
        "odd",
    ]  # of another host, and fresh; of a process that runs; of nobody known
    gone = ["vm-999999", "vm-3-8"]  # of a process that is gone; of another host, and old
    left = {name: tmp_path / f".x.partial-{name}" for name in (*kept, *gone)}
    for path in left.values():
        path.mkdir()
        (path / "file").touch()
    for path in (left["vm-3-8"] / "file", left["vm-3-8"]):
        os.utime(path, (0, 0))
    with replacing(tmp_path / "x") as partial:
        partial.write_text("new", encoding="utf-8")
    assert [name for name, path in left.items() if path.exists()] == kept


def test_a_folder_that_a_kill_left_aside_is_put_back(tmp_path):
    aside = tmp_path / ".x.old-gone-4"
    aside.mkdir()
    (aside / "file").touch()
    for path in (aside, aside / "file"):
        os.utime(path, (0, 0))
    with pytest.raises(RuntimeError), replacing(tmp_path / "x"):
        raise RuntimeError
    assert (tmp_path / "x/file").exists()

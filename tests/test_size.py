"""Data of ActivityNet's size: what is done in blocks, in one pass, ahead or once gives what the plain way gives."""

import os
import threading
import time
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import references as plain
import torch

from benchmarks import gpu
from benchmarks import size as size_benchmark
from clasnet.data import store as stores
from clasnet.data.annotations import make_annotations
from clasnet.data.sampling import BatchSampler, Sampling, filled_on, roomy_cache
from clasnet.data.store import open_store, write_store
from clasnet.data.submission import actions, write_submission
from clasnet.errors import InputError
from clasnet.evaluation import bootstrap
from clasnet.inference import predict as inference
from clasnet.inference.predictions import Predictions
from clasnet.models.precision import set_tf32
from clasnet.models.registry import build_model
from clasnet.training.loop import train
from clasnet.training.run import training_memory
from stages import parallel, results
from stages import train as stage_train
from stages.page.submission import as_predictions
from stages.parallel import run_each

CLASSES = ("jump", "run", "swim")


@pytest.fixture
def store(tmp_path):
    """Nine videos of 25 to 65 snippets of width 4; one has an ambiguous segment."""
    videos = [
        {"id": f"v{v}", "subset": "validation", "duration": 30.0, "segments": [(0, 9, CLASSES[v % 3])]}
        for v in range(9)
    ]
    videos[2]["ambiguous"] = [(3.0, 9.0)]
    rng = np.random.default_rng(0)
    features = [(video["id"], rng.random((25 + 5 * v, 8), dtype=np.float32)) for v, video in enumerate(videos)]
    write_store(tmp_path / "s", make_annotations(CLASSES, videos), features)
    return open_store(tmp_path / "s")


def drawn(rng, videos):
    """Ground truth and predictions of three classes in ``videos`` V videos, as arrays; some videos have none."""
    start = rng.uniform(0, 50, 2 * videos)
    truth = np.stack([start, start + rng.gamma(2, 5, len(start))], 1), rng.integers(videos, size=len(start))
    truth = *truth, rng.integers(3, size=len(start))
    pick = rng.integers(len(start), size=12 * videos)
    segments = np.sort(truth[0][pick] + 3 * rng.normal(size=(len(pick), 2)), axis=1)
    return truth, (segments, truth[1][pick], truth[2][pick], rng.integers(30, size=len(pick)) / 30 - 0.3)


# Evaluation and report ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replicates", [1, 2, 3, 41])
@pytest.mark.parametrize("block", [1, 100, 10**9])
def test_the_bootstrap_in_blocks_is_the_same_to_the_last_bit(monkeypatch, replicates, block):
    monkeypatch.setattr(bootstrap, "BLOCK", block)
    for seed, videos in enumerate((1, 7, 30, 60, 60)):
        truth, found = drawn(np.random.default_rng(seed), videos)
        weights = bootstrap.resamples(videos, replicates)
        got = bootstrap.bootstrap_map(*truth, *found, (0.1, 0.5, 0.7), weights)
        assert got.tobytes() == plain.bootstrap_map(truth, found, (0.1, 0.5, 0.7), weights).tobytes()


def predictions_in(folder, rng, videos=20, order=None):
    """Predictions of ``videos`` videos, their ids, and the file of them in ``folder``."""
    segments, video, label, scores = drawn(rng, videos)[1]
    if order is not None:
        segments, video, label, scores = (x[order] for x in (segments, video, label, scores))
    found, ids = Predictions(video, segments, label, scores, None), [f'v"{v}é' for v in range(videos)]
    rows = zip(ids, found.by_video(videos), strict=True)
    write_submission(folder / "p.json", ((id, actions(CLASSES, own)) for id, own in rows))
    return found, ids, folder / "p.json"


def test_predictions_are_written_in_one_pass_as_video_by_video(tmp_path):
    rng = np.random.default_rng(0)
    for order in (None, rng.permutation(12 * 20), np.zeros(0, dtype=int)):
        found, ids, path = predictions_in(tmp_path, np.random.default_rng(1), order=order)
        assert path.read_text(encoding="utf-8") == plain.submission(ids, CLASSES, found)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_submission(tmp_path / "nan.json", [("a", [{"score": float("nan")}])])
    assert [p.name for p in tmp_path.iterdir()] == ["p.json"]


def test_the_page_reads_of_a_submission_what_is_in_it(tmp_path):
    found, ids, path = predictions_in(tmp_path, np.random.default_rng(0))
    submission = msgspec.json.decode(path.read_bytes(), type=results.Submission).results
    got = as_predictions(submission, SimpleNamespace(ids=np.array(ids), classes=CLASSES))
    order = np.lexsort((-found.scores, found.video))
    np.testing.assert_array_equal(got.video, found.video[order])
    for name in ("classes", "scores"):
        np.testing.assert_array_equal(getattr(got, name), getattr(found, name)[order])
    np.testing.assert_array_equal(got.segments, found.segments[order].round(3))
    empty = as_predictions({"a": msgspec.Raw(b"[]")}, SimpleNamespace(ids=np.array(["a"]), classes=CLASSES))
    assert empty.segments.shape == (0, 2)


@pytest.mark.parametrize("name", ["co2net", "acrnet"])
def test_the_network_is_a_video_ahead_of_localisation(store, monkeypatch, name):
    torch.manual_seed(0)
    model = build_model({"name": name, "num_classes": 3, "dataset": "thumos14", "width": 4}, None)
    videos, seen, expected = np.array([8, 2, 5, 0]), [], []
    rows, video_scores = plain.predict(model, store, videos, 30, lambda *each: expected.append(each))
    order, run, localize = [], inference.run, inference.localize
    monkeypatch.setattr(inference, "run", lambda *given: order.append("network") or run(*given))
    monkeypatch.setattr(inference, "localize", lambda *given: order.append("localised") or localize(*given))
    found = inference.predict(model, store, videos, 30, lambda *each: seen.append(each))
    assert order == ["network", *["network", "localised"] * 3, "localised"]
    np.testing.assert_array_equal(found.video_scores, video_scores)
    for own, row in zip(found.by_video(4), rows, strict=True):
        for part in ("segments", "classes", "scores"):
            assert getattr(own, part).tobytes() == getattr(row, part).tobytes()
    for (n, output, scores), (m, same_output, same_scores) in zip(seen, expected, strict=True):
        assert n == m and torch.equal(output.cas, same_output.cas) and torch.equal(scores.video, same_scores.video)


# Batches --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pairs", [0, 2])
def test_batches_from_the_disk_come_ahead_in_the_same_order(store, monkeypatch, pairs):
    names, gather = [], BatchSampler.gather
    monkeypatch.setattr(
        BatchSampler, "gather", lambda *given: names.append(threading.current_thread().name) or gather(*given)
    )
    disk, ram = (BatchSampler(store, np.arange(9), 4, 10, Sampling(pairs), 0, cache=c) for c in ("disk", "ram"))
    states = []
    for _ in range(4):
        states.append(ram.state())
        assert disk.state() == states[-1]
        assert all(map(torch.equal, disk(), ram()))
    disk.coming[0].result()
    assert names.count("MainThread") == 4 + 1 and len(names) == 4 + 5  # the first one from the disk is not ahead
    disk.load(states[1])
    ram.load(states[1])
    for _ in range(3):
        assert all(map(torch.equal, disk(), ram()))


def test_the_cache_is_filled_in_blocks(store, monkeypatch):
    monkeypatch.setattr("clasnet.data.sampling.BLOCK", 10 * 8 * 4)
    copied, array = [], np.array
    monkeypatch.setattr(np, "array", lambda x, *more: copied.append(len(x)) or array(x, *more))
    whole = filled_on(torch.device("cpu"), store.features)
    assert max(copied) == 10 and sum(copied) == len(store.features)
    assert torch.equal(whole, torch.from_numpy(array(store.features)))


# Stores ---------------------------------------------------------------------------------------------------------------


def open_again(folder, place):
    """In a process of its own: how often the features were read to verify them."""
    read = []
    stores.read_checksum = lambda path, read_checksum=stores.read_checksum: read.append(path) or read_checksum(path)
    open_store(folder)
    return len(read)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are no copies here")
def test_a_store_is_verified_once_for_all_processes_of_a_stage(store, tmp_path):
    machine = {"device": "cpu", "jobs": 2, "threads": 1}
    assert run_each(open_again, [tmp_path / "s"] * 3, machine) == [0, 0, 0]
    path, digest = tmp_path / "s/features.npy", store.digest
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[-3] ^= 1
    path.write_bytes(changed)
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match="its checksum is another one"):
        run_each(open_again, [tmp_path / "s"], machine)
    path.write_bytes(whole)
    os.utime(path, ns=(2, 2))
    assert run_each(open_again, [tmp_path / "s"], machine) == [1] and open_store(tmp_path / "s").digest == digest


def test_annotations_are_verified_every_time(store, tmp_path):
    path = tmp_path / "s/annotations.json"
    path.write_text(path.read_text(encoding="utf-8").replace("jump", "jumq"), encoding="utf-8")
    with pytest.raises(InputError, match="its checksum is another one"):
        open_store(tmp_path / "s")


# Several GPUs ---------------------------------------------------------------------------------------------------------

GIB = 1 << 30


@pytest.fixture
def cards(monkeypatch):
    """A machine with two cards, of 80 and 60 free GiB of 96, and 32 cores."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: ((80, 60)[int(str(device)[-1])] * GIB, 96 * GIB))
    monkeypatch.setattr(parallel, "cores", lambda: 32)


def where(item, place):
    time.sleep(0.3)  # none ends before all have started
    return place


@pytest.mark.parametrize(
    ("memory", "jobs", "items", "expected"),
    [
        (20 * GIB, "auto", 5, [0, 1]),  # twice 20 GiB fit the free memory once
        (10 * GIB, "auto", 8, [0, 1, 0, 1, 0, 1]),  # three times on the card that has less
        (10 * GIB, "auto", 3, [0, 1, 0]),
        (500 * GIB, "auto", 3, [0, 1]),
        (10 * GIB, 3, 5, [0, 1, 0]),
    ],
)
def test_processes_go_round_the_cards(cards, memory, jobs, items, expected):
    machine = {"device": "auto", "jobs": jobs, "threads": 1}
    places = run_each(where, range(items), machine, memory)
    assert [place.device for place in places][: len(expected)] == [f"cuda:{card}" for card in expected]
    assert {place.sharing for place in places} == {len(expected)}
    assert parallel.processes(machine | {"jobs": "auto", "threads": 8}, ["cuda:0", "cuda:1"], GIB) == 4  # a core each


def test_a_process_starts_where_the_fewest_are_at_work():
    assert parallel.emptiest(["cuda:0", "cuda:1"], ["cuda:0", "cuda:1", "cuda:0"]) == "cuda:1"
    assert parallel.emptiest(["cuda:0", "cuda:1"], ["cuda:1", "cuda:0"]) == "cuda:0"


def test_without_a_gpu_nothing_is_asked_of_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(parallel, "free_memory", None)
    monkeypatch.setattr(parallel, "cores", lambda: 3)
    machine = {"device": "auto", "jobs": "auto", "threads": 1}
    assert set(run_each(where, range(7), machine)) == {("cpu", 6)}


@pytest.mark.parametrize(
    ("device", "size", "sharing", "expected"),
    [
        ("cuda:0", 40, 1, "device"),  # twice in the 80 GiB that are free
        ("cuda:0", 41, 1, "ram"),
        ("cuda:0", 24, 4, "device"),  # twice in half of the 96 GiB: two of the four are on the other card
        ("cuda:0", 25, 4, "ram"),
        ("cuda:0", 24, 5, "ram"),  # a third is not enough
        ("cpu", 50, 5, "ram"),  # four times in a fifth of 1,000 GiB
        ("cpu", 51, 5, "disk"),
    ],
)
def test_the_cache_asks_for_its_share(cards, monkeypatch, device, size, sharing, expected):
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_AVPHYS_PAGES": 1000, "SC_PAGE_SIZE": GIB}[name])
    assert roomy_cache(size * GIB, torch.device(device), sharing) == expected


def test_a_training_takes_about_as_much_as_is_said():
    """By what the largest model keeps for its gradients."""
    settings = {"batch_size": 2, "segments": 100, "model": {"width": 256}}
    torch.manual_seed(0)
    recipe = {"name": "acrnet", "num_classes": 3, "dataset": "thumos14", "width": 256}
    model, kept = build_model(recipe, {"fcsm": {}, "brm": {}, "sparsity": {}}), {}

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.losses(model(torch.rand(2, 100, 512)), torch.eye(3)[[0, 0]], 0.5)
    for parameter in model.parameters():
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    assert 0.4 < sum(kept.values()) / (training_memory(settings) - 2 * GIB) < 1


# Precision ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "rounded"), [("float32", False), ("tf32", True), ("bf16", False)])
def test_float32_is_what_it_says(precision, rounded):
    x, labels = torch.rand(2, 12, 8), torch.eye(3)[[0, 0]]
    try:
        set_tf32(not rounded)
        model = build_model({"name": "acrnet", "num_classes": 3, "dataset": "thumos14", "width": 4}, None)
        train(model, lambda: (x, labels), steps=1, lr=1e-3, weight_decay=0.0, precision=precision)
        assert torch.backends.cudnn.allow_tf32 is rounded and torch.backends.cuda.matmul.allow_tf32 is rounded
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, False


def test_a_training_on_a_card_is_deterministic(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *given, **named: asked.append(given))
    monkeypatch.setattr(stage_train, "open_store", None)  # that is as far as this goes
    for device in ("cpu", "cuda:1"):
        with pytest.raises(TypeError):
            settings = {"dataset": "thumos14", "baseline": "acrnet"}
            stage_train.train_seed(0, parallel.Place(device, 1), "key", {"settings": settings}, {"threads": 1})
        assert len(asked) == (device != "cpu") and ("CUBLAS_WORKSPACE_CONFIG" in os.environ) is (device != "cpu")
    assert os.environ.pop("CUBLAS_WORKSPACE_CONFIG") == ":4096:8"


# Benchmarks -----------------------------------------------------------------------------------------------------------


def test_the_benchmark_for_a_gpu_runs_through_without_one(capsys):
    gpu.main(["--device", "cpu", "--tiny", "--no-compile"])
    printed = capsys.readouterr().out
    tables = printed.split("\n### ")[1:]
    rows = [table.count("\n| ") - 1 for table in tables]
    assert rows == [len(gpu.MODELS) * 3, 2, 3, len(gpu.MODELS), len(gpu.MODELS) * 3]
    assert "not possible" not in printed


@pytest.mark.parametrize("device", ["cuda", "cuda:7"])
def test_without_a_gpu_it_says_so(monkeypatch, capsys, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main(["--device", device])
    assert "PyTorch sees no CUDA device here" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are no copies here")
def test_the_benchmark_of_size_fills_its_table(capsys):
    size_benchmark.main(["30"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(size_benchmark.WORK) + sum(plain for _, plain in size_benchmark.WORK.values())
    assert all(row[1].endswith(" MB |") for row in rows[2:])

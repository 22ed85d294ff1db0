"""What the benchmarks print is what they measured."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import benchmarks.run as speed
from benchmarks import attention, convert, develop, draws, extract, gpu, long_video, memory, size, tune_demo
from clasnet.models import layers


def cells(line):
    """The cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_the_search_shows_what_a_setting_gains_over_the_baseline(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(develop, "RECORD", tmp_path / "record.jsonl")
    shared = {"cell": "thumos14/co2net", "replicate": 40, "correlation": {"a": 0.25}}
    rows = [{"name": name, "maps": {beta: [x] * 7}} for name, beta, x in (("baseline", "0", 20), ("wide", "0.5", 23))]
    develop.RECORD.write_text("\n".join(json.dumps(row | shared) for row in rows), encoding="utf-8")
    develop.show("baseline")
    before, after = capsys.readouterr().out.splitlines()
    assert before.split() == ["baseline", "thumos14/co2net", "20.0", "(20)", "r", "a", "0.25"]
    assert after.split() == ["wide", "thumos14/co2net", "β", "0.5:", "+3.0", "±", "0.0", "(1/1)", "r", "a", "0.25"]


class Known:
    """A reader of a model whose average is 1, 2 more with the true classes, and 4 more with the true snippets."""

    true_attention = "truth"

    def __init__(self, *_):
        pass

    def correlations(self):
        return {"a": 0.1, "A": 0.3, "q": 0.2}

    def average(self, dataset, attention=None, labels=False):
        return 1 + 2 * labels + 4 * (attention == self.true_attention)


def test_the_columns_of_the_attention_are_what_they_are_called(monkeypatch, capsys):
    model = SimpleNamespace(sampling=None, num_segments=10)
    for name, found in (("open_store", None), ("load_model", model), ("usable_videos", [])):
        monkeypatch.setattr(attention, name, lambda *_, found=found: found)
    monkeypatch.setattr(attention, "Reader", Known)
    attention.main("thumos14", "m.pt")
    header, _, row = map(cells, capsys.readouterr().out.splitlines())
    assert dict(zip(header, row, strict=True)) == {
        "model": "m.pt",
        "r, a": "0.10",
        "r, q": "0.20",
        "r, A": "0.30",
        "as it is": "1.0",
        "true classes": "3.0",
        "true snippets": "5.0",
        "both": "7.0",
    }


def test_a_conversion_is_so_many_times_as_long_as_a_copy(tmp_path, monkeypatch, capsys):
    def in_child(name, step, place):
        if step == "measure":
            Path(place, "..", "store").mkdir()
            return "8.0 300\n"
        place.mkdir()
        for file, megabytes in (("a.npy", 10), ("b.npy", 20)):
            (place / file).write_bytes(bytes(megabytes * 10**6))
        return ""

    copies = iter([0.0, 2.0] * len(convert.PACKAGES))  # each takes two seconds
    monkeypatch.setattr(convert, "in_child", in_child)
    monkeypatch.setattr(convert, "time", SimpleNamespace(perf_counter=copies.__next__))
    monkeypatch.setattr(sys, "argv", ["convert", str(tmp_path)])
    convert.main()
    header, _, *rows = map(cells, capsys.readouterr().out.splitlines())
    assert [row[0] for row in rows] == list(convert.PACKAGES)
    found = dict(zip(header, rows[0], strict=True))
    assert [found[column] for column in ("size", "copy", "conversion")] == ["0.03 GB", "2.0 s", "8.0 s"]
    assert [found[column] for column in ("ratio", "peak resident memory")] == ["4.0", "300 MB"]


# The search -----------------------------------------------------------------------------------------------------------


def test_a_gain_is_over_the_baseline_as_it_is_with_its_standard_error(tmp_path, monkeypatch, capsys):
    """At every share of A over the same baseline, whose attention is no mix."""
    monkeypatch.setattr(develop, "RECORD", tmp_path / "record.jsonl")
    shared = {"cell": "thumos14/co2net", "correlation": {"a": 0.25}}
    rows = [
        {"name": name, "replicate": n, "maps": {beta: [x + gain] * 7 for beta, x in maps.items()}}
        for n, gain in ((40, 0), (41, 2))
        for name, maps in (("baseline", {"0": 20}), ("wide", {"0": 20 + gain, "1": 23 + gain}))
    ]
    develop.RECORD.write_text("\n".join(json.dumps(row | shared) for row in rows), encoding="utf-8")
    develop.show("baseline")
    after = capsys.readouterr().out.splitlines()[1]
    assert "β 0: +1.0 ± 1.0 (1/2); β 1: +4.0 ± 1.0 (2/2)" in after


def test_the_search_is_on_development_draws(monkeypatch, tmp_path):
    tried = []
    monkeypatch.setattr(develop, "RECORD", tmp_path / "none.jsonl")
    monkeypatch.setattr(develop, "run_each", lambda work, tasks, machine: tried.extend(tasks))
    for name in ("load_params", "with_profile"):
        monkeypatch.setattr(develop, name, lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["develop", "try", "--cells", "thumos14/delu"])
    develop.main()
    assert tried == [("thumos14/delu", n) for n in (40, 41, 42, 43)]


def test_a_change_of_the_search_reaches_its_place(monkeypatch):
    monkeypatch.setattr(develop, "train_settings", lambda *given: {"steps": 1, "model": {"width": 4, "pool": 5}})
    params = SimpleNamespace(model_copy=lambda deep: SimpleNamespace(fcsm=SimpleNamespace(layers=4)))
    found = develop.settings_of("thumos14/delu", "clasnet", {"train.*.*.model.pool": 1, "train.*.*.steps": 7}, params)
    assert found == {"steps": 7, "model": {"width": 4, "pool": 1}}


def test_a_draw_is_a_row_and_a_seed_a_column(monkeypatch, capsys):
    seen = {}

    def run_each(work, tasks, machine):
        return [work(task, SimpleNamespace(_asdict=dict)) for task in tasks]

    def run_trial(store, settings, seed):
        maps = {"0": [10 * store[2] + seed] * 7, "1": [0] * 7}
        seen[store] = settings
        return {"maps": maps, "correlation": {"a": seed / 10, "q": 0.9}}

    twin = SimpleNamespace(model_dump=lambda: "twin")
    profile = SimpleNamespace(data={"thumos14": SimpleNamespace(twin=twin)})
    for name, instead in (
        ("load_params", lambda: None),
        ("with_profile", lambda params, name: SimpleNamespace(active_profile=profile)),
        ("train_settings", lambda dataset, *what: {"dataset": dataset, "what": what[:2]}),
        ("replicate_store", lambda dataset, twin, replicate: (dataset, twin, replicate)),
        ("run_trial", run_trial),
        ("run_each", run_each),
    ):
        monkeypatch.setattr(draws, name, instead)
    given = ["draws", "thumos14/co2net", "--replicates", "3", "5", "--seeds", "1", "2"]
    monkeypatch.setattr(sys, "argv", given)
    draws.main()
    header, _, *rows = map(cells, capsys.readouterr().out.splitlines())
    assert header == ["draw", "seed 1", "seed 2"]
    assert rows == [["3", "31.0 (r 0.10)", "32.0 (r 0.20)"], ["5", "51.0 (r 0.10)", "52.0 (r 0.20)"]]
    assert {one["what"] for one in seen.values()} == {("co2net", "baseline")}


def test_steps_and_rates_are_tried_on_other_draws(monkeypatch, capsys):
    """Of the demo's twins and of its seeds; each training by its own row's steps and rate."""
    drawn = []

    def write_twin(folder, dataset, twin):
        drawn.append(twin["seed"])

    twin = SimpleNamespace(seed=0, model_dump=lambda: {"seed": 0})
    profile = SimpleNamespace(data={"thumos14": SimpleNamespace(twin=twin)})
    for name, instead in (
        ("write_twin", write_twin),
        ("open_store", lambda folder: drawn[-1]),
        ("train_settings", lambda *given: {"steps": 0, "lr": 0.0}),
        ("average_map", lambda store, dataset, baseline, how, seed: how["steps"] + 1000 * how["lr"] + store + seed),
    ):
        monkeypatch.setattr(tune_demo, name, instead)
    params = SimpleNamespace(baselines=["delu"], active_profile=profile)
    tune_demo.tune_steps("thumos14", params)
    rows = [cells(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["thumos14", "200", "0.008", "409.5", "408 409 409 410 410 411"]
    assert [row[1:3] for row in rows[-2:]] == [["200", "0.016"], ["400", "0.016"]]
    tune_demo.tune_rates("thumos14", params)
    assert cells(capsys.readouterr().out)[1:4] == ["delu", "201.5", "202.5"] and drawn == [100, 101, 102, 100]


# Speed and memory -----------------------------------------------------------------------------------------------------


def clock(monkeypatch, module, *durations, name="perf_counter"):
    """Have what ``module`` measures take ``durations``, one after the other."""
    ticks = iter([tick for seconds in durations for tick in (0.0, seconds)])
    monkeypatch.setattr(module, "time", SimpleNamespace(**{name: ticks.__next__}))


def test_a_time_is_the_median_without_the_warm_up(monkeypatch, capsys):
    clock(monkeypatch, speed, 9, 1, 5, 3)
    assert speed.seconds(lambda: None, repeats=3) == 3
    clock(monkeypatch, speed, 9)
    assert speed.seconds(lambda: None, repeats=1) == 9
    clock(monkeypatch, gpu, 9, 9, 1, 5, 3)
    bench = SimpleNamespace(device=SimpleNamespace(type="cpu"), warm_ups=2, repeats=3)
    assert gpu.Bench.milliseconds(bench, lambda: None)[0] == 3000
    clock(monkeypatch, extract, 7, name="process_time")
    assert extract.core_seconds(lambda x: x, 2) == (2, 7)
    speed.row("x", 2.0, 0.5)
    assert cells(capsys.readouterr().out) == ["x", "2,000.0", "500.00", "4 ×"]


def test_a_share_of_the_rate_of_products(monkeypatch, capsys):
    """A step is a forward pass and a backward one of twice its work; a multiply-add is two operations."""
    monkeypatch.setattr(speed, "DEVICE", SimpleNamespace(type="cpu"))
    monkeypatch.setattr(speed.torch, "randn", lambda *shape, device: None)
    monkeypatch.setattr(speed, "seconds", lambda *what: 0.5)
    assert speed.matrix_rate() == pytest.approx(4 * 1024**3 / 1e12)
    for name, instead in (
        ("matrix_rate", lambda: 24.0),
        ("build_baseline", lambda *_, **how: SimpleNamespace(to=lambda device: None)),
        ("CLASNet", lambda model, **how: model),
        ("training_step", lambda *_: None),
        ("count_flops", lambda *_: 1e12),
    ):
        monkeypatch.setattr(speed, name, instead)
    monkeypatch.setattr(speed.torch, "rand", lambda *shape, device: None)
    monkeypatch.setattr(speed.torch, "eye", lambda n, device: speed.torch.zeros(n, n))
    speed.bench_step()
    rows = [cells(line) for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert rows[1] == ["co2net", "500", "12.000", "50 %", "–"] and rows[2][0] == "co2net + CLASNet"


def test_what_a_gpu_makes_of_a_step_and_of_a_training(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "set_tf32", lambda allowed: None)
    bench = SimpleNamespace(device=gpu.torch.device("cpu"), tiny=True, repeats=1, compile=False)
    bench.milliseconds = lambda function: (2.0, 0.0)
    assert gpu.Bench.matrix_rate(bench, "float32") == pytest.approx(2 * 64**3 / 2e-3 / 1e12)
    bench.settings = lambda *_: {"batch_size": 2, "segments": 5, "steps": 3000}
    bench.matrix_rate = lambda precision: {"float32": 100.0, "tf32": 50.0, "bf16": 200.0}[precision]
    bench.model = bench.batch = lambda *_: None
    bench.step = lambda *_, precision, **how: (600.0 if how else 20.0, 1.5)
    for name in ("drawn_store", "sampler"):
        monkeypatch.setattr(gpu, name, lambda *_: None)
    monkeypatch.setattr(gpu, "count_flops", lambda *_: 1e12)
    gpu.steps(bench)
    rows = [cells(line) for line in capsys.readouterr().out.splitlines() if line.startswith("| co2net |")]
    assert rows[0] == ["co2net", "2 × 5", "float32", "no", "600.0", "10", "10 %", "1.5"]
    assert [row[-2] for row in rows] == ["10 %", "20 %", "5 %"]
    gpu.minutes(bench)
    rows = [cells(line) for line in capsys.readouterr().out.splitlines() if line.startswith("| co2net |")]
    assert rows[0] == ["co2net", "3,000", "float32", "20.0", "1.0"]


def test_what_grows_is_in_the_order_of_its_columns(monkeypatch, capsys):
    """Megabytes, the store in seconds, a batch and the mAP in milliseconds; the memory."""
    draw, taken = speed.draw_annotations, iter([0.001, 2.0])
    monkeypatch.setattr(speed, "draw_annotations", lambda name, **how: draw(name, **how | {"train_videos": 40}))
    monkeypatch.setattr(speed, "seconds", lambda *what, **how: next(taken))
    speed.growth_child(1)
    features, _, batch, score, _ = capsys.readouterr().out.split()
    assert (batch, score) == ("1.00", "2000") and 3 < int(features) < 7  # 41 videos of 80 to 160 KiB


def test_peaks_of_memory_are_in_their_units(monkeypatch, tmp_path):
    held = psutil.Process().memory_info().rss / 2**20
    assert 0.9 * held < memory.peak_mebibytes() < 50 * held
    sent, times = [], iter([1.0, 3.5])
    monkeypatch.setattr(size, "peak_mebibytes", lambda: 1000)
    monkeypatch.setattr(size, "time", SimpleNamespace(process_time=times.__next__))
    size.cell(SimpleNamespace(send=sent.append), lambda *_: iter([None]), tmp_path, 1, False)
    assert sent == [(2.5, pytest.approx(1048.576))]


def test_a_long_video_is_localised_in_both_ways(monkeypatch, capsys):
    """The bound of the library is moved, to none and to nothing; a table has a row a length."""
    monkeypatch.setattr(layers, "ROOM", None)
    for way, room in (("all heads at once", float("inf")), ("one at a time", 0)):
        assert re.fullmatch(r"\d+\.\d s, [\d,]+ MiB", long_video.cell(20, way)) and room == layers.ROOM
    cells = iter(["1.5 s, 300 MiB\n", "2.5 s, 200 MiB\n"])
    monkeypatch.setattr(long_video.subprocess, "check_output", lambda *_, **how: next(cells))
    long_video.main("5000")
    assert capsys.readouterr().out.splitlines()[2] == "| 5,000 | 1.5 s, 300 MiB | 2.5 s, 200 MiB |"

"""What the tables make of the results: numbers, signs, seeds, units. Written with their mistakes in mind: each was
seen to fail with its own.
"""

import csv
import json
import shutil
import sys
from itertools import groupby
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import ROOT
from made_results import flat, settings
from safetensors.numpy import load_file

import stages.results
from clasnet.data.annotations import make_annotations
from clasnet.data.store import open_store, write_store
from clasnet.data.synthetic import draw_annotations, twin_videos
from clasnet.errors import InputError
from clasnet.evaluation.bootstrap import bootstrap_map, resamples
from clasnet.evaluation.metrics import classification_map
from clasnet.evaluation.protocol import comparable, detection_results
from clasnet.inference.predict import predict, run
from clasnet.models.registry import build_baseline
from stages import check, complexity, evaluate, tables
from stages.best_on_test import BestOnTest
from stages.errors import lock_path
from stages.exclusive import exclusive
from stages.parallel import Place
from stages.params import load_params
from stages.results import gains, mean_averages, read_resamples
from stages.tabling import claims, series, write
from stages.tabling.cells import gain_cells, mean_cell, number, p_cell, part_marks

# Cells ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [
        (-0.04, "0.0", "0.0"),
        (0.04, "0.0", "0.0"),
        (-0.06, "-0.1", "-0.1"),
        (0.06, "0.1", "+0.1"),
        (12.34, "12.3", "+12.3"),
    ],
)
def test_what_rounds_to_zero_has_no_sign(value, plain, signed):
    assert number(value) == mean_cell([value]) == plain
    assert number(value, "+") == mean_cell([value], "+") == signed


def test_a_single_seed_has_no_spread():
    assert mean_cell(np.array([41.26])) == "41.3"
    assert mean_cell(np.array([41.0, 43.0])) == "42.0 ± 1.4"


@pytest.mark.parametrize(
    ("p", "text"), [(0.004, "< 0.01"), (0.0, "< 0.01"), (0.01, "0.01"), (0.034, "0.03"), (np.nan, "–")]
)
def test_no_p_value_is_zero(p, text):
    assert p_cell(p) == text


def test_a_corrected_p_has_a_digit_more():
    assert [p_cell(p, 3) for p in (0.0004, 0.0476, np.nan)] == ["< 0.001", "0.048", "–"]


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("B", ["B", "✓", "", ""]),
        ("H", ["H", "✓", "✓", "✓"]),
        ("C-plain", ["C′", "", "no contrast", ""]),
        ("H-plain", ["H′", "✓", "no contrast", "✓"]),
    ],
)
def test_the_marks_of_table_4(row, cells):
    assert list(part_marks(row).values()) == cells


# Tables ---------------------------------------------------------------------------------------------------------------


def test_a_gain_is_what_the_plug_in_adds_and_so_is_its_interval(results):
    results.write("acrnet", "baseline", flat(20, 22, 24), seeds=(0, 1, 2))
    results.write("acrnet", "clasnet", flat(30, 31.5, 34.5), seeds=(0, 1, 2))
    cells = gain_cells("thumos14", "acrnet", "clasnet")
    assert cells["Gain (AVG)"] == "+10.0 ± 0.5" and cells["p"] == "< 0.01"
    assert cells["95 % interval"] == "+8.8 to +11.2"  # 4.303 (2 degrees of freedom) × 0.5 / √3 either side
    turned = gain_cells("thumos14", "acrnet", "baseline")
    assert turned["Gain (AVG)"] == "0.0 ± 0.0" and turned["p"] == "–"


def test_what_is_read_of_a_model_is_in_percent_and_paired_by_seed(results):
    results.write("acrnet", "baseline", flat(20, 22, 27), seeds=(0, 1, 2))
    results.write("acrnet", "clasnet", flat(24, 28, 38), seeds=(0, 1, 2))
    assert read_resamples("thumos14", "acrnet", "clasnet").tolist() == pytest.approx([29, 31])  # mean over the seeds
    assert gains("thumos14", "acrnet").tolist() == pytest.approx([4, 6, 11])
    assert mean_averages(settings(baselines=["acrnet"])) == {"thumos14": {"acrnet": pytest.approx((23, 30))}}
    means = mean_averages(settings(baselines=["acrnet"]))
    row = {"Data": "THUMOS14", "Method": "ACRNet", "without": "23.000", "with CLASNet": "30.000", "gain": "+7.000"}
    assert tables.summary_rows(means) == [row]
    (row,) = tables.summary_rows({"thumos14": {"delu": (20.04, 20.16)}})
    assert row["gain"] == "+0.120"  # of what was measured, not of what is printed elsewhere


def test_an_interval_grows_with_what_the_test_videos_leave_open(results):
    """Three seeds that agree, and resamples of the test videos that do not."""
    for variant, value in (("baseline", 20), ("clasnet", 25)):
        results.write("acrnet", variant, flat(value, value, value), seeds=(0, 1, 2))
    drawn = 0.25 + np.random.default_rng(0).normal(0, 0.01, (3, 1000))
    np.save(results.folder / "acrnet/baseline/resamples.npy", np.full((3, 1000), 0.2))
    np.save(results.folder / "acrnet/clasnet/resamples.npy", drawn)
    low, high = map(float, gain_cells("thumos14", "acrnet", "clasnet")["95 % interval"].split(" to "))
    half = 2.001 * 100 * drawn.mean(0).std()  # Student's, 59 degrees of freedom
    assert [low, high] == pytest.approx([5 - half, 5 + half], abs=0.051)  # as printed


def test_every_row_of_table_4_has_its_own_gain(results):
    for variant, value in (("baseline", 20), ("B", 21), ("C", 23), ("clasnet", 26)):
        results.write("acrnet", variant, flat(value, value + 1))
    rows = tables.ablation_rows(SimpleNamespace(dataset="thumos14", baseline="acrnet", rows=["B", "C"]))
    assert [row["Row"] for row in rows] == ["A", "B", "C", "H"]
    assert [row["AVG 0.1:0.7"] for row in rows] == ["20.5 ± 0.7", "21.5 ± 0.7", "23.5 ± 0.7", "26.5 ± 0.7"]
    assert [row.get("Gain (AVG)") for row in rows] == [None, "+1.0 ± 0.0", "+3.0 ± 0.0", "+6.0 ± 0.0"]


def test_what_a_protocol_adds_is_over_the_last_checkpoint_in_seconds(results):
    others = {"best_on_test/seconds": flat(25, 27, 35), "last/snippets": flat(18, 19, 17)}
    results.write("acrnet", "clasnet", flat(20, 22, 24), seeds=(0, 1, 2), protocols=others)
    found = tables.protocol_cells("thumos14", "acrnet", "clasnet")
    assert list(found.values()) == ["22.0 ± 2.0", "+7.0", "-4.0"]
    ten = {"best_on_test/seconds": [[23.0] * 10] * 2, "last/snippets": [[18.0] * 10] * 2}
    results.write("acrnet", "clasnet", [[20.0] * 10, [22.0] * 10], protocols=ten)
    results.folder.rename(results.folder.parent / "activitynet12")  # whose protocol rounds nothing
    found = tables.protocol_cells("activitynet12", "acrnet", "clasnet")
    assert list(found.values()) == ["21.0 ± 1.4", "+2.0", ""]
    results.folder.mkdir()
    results.write("acrnet", "clasnet", flat(20, 22))
    assert tables.protocol_cells("thumos14", "acrnet", "clasnet")["best on test adds"] == "not run"


def test_a_claim_stands_beside_what_it_is_about(results):
    alone = [[more + x for x in (70.0, 60, 50, 40, 30, 20, 10)] for more in (0, 2, 7)]
    both = [[gain + x for x in row] for gain, row in zip((4, 4, 10), alone, strict=True)]
    results.write("acrnet", "baseline", alone, seeds=(0, 1, 2))
    results.write("acrnet", "clasnet", both, seeds=(0, 1, 2))
    claim = {"dataset": "thumos14", "baseline": "acrnet", "variant": "clasnet", "claimed": "1"}
    said = [claims.reproduced(claim | {"what": what}, None) for what in ("AVG 0.1:0.5", "AVG 0.3:0.7", "gain at 0.5")]
    assert said == ["59.0 ± 7.0", "39.0 ± 7.0", "+6.0"]


def test_a_gain_of_one_seed_has_no_spread(results):
    results.write("acrnet", "baseline", flat(20), seeds=(0,))
    results.write("acrnet", "clasnet", flat(20.04), seeds=(0,))
    cells = gain_cells("thumos14", "acrnet", "clasnet")
    assert cells["Gain (AVG)"] == "0.0" and cells["p"] == "–"
    caption = tables.describe_protocol(settings(all_seeds=[0]))
    assert "1 seed," in caption and "deviation" not in caption and "t-test" not in caption


def test_the_caption_says_which_checkpoint_counts():
    params = settings()
    assert "last checkpoint;" in tables.describe_protocol(params)
    params.evaluate.checkpoint = "best_on_test"
    caption = tables.describe_protocol(params)
    assert "SCORES BEST ON THE TEST SET" in caption and "last checkpoint" not in caption


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ("seconds", "t-test over seeds"),
        ("snippets", "; ground truth rounded to whole snippets"),
        ("released", "do so (CO2-Net, DELU), as the column says"),
    ],
)
def test_the_caption_says_in_which_units(units, said):
    params = settings()
    params.active_profile.evaluate.units = units
    assert tables.describe_protocol(params).endswith(said)


def test_the_caption_says_how_many_videos_each_baseline_counts(results):
    for baseline, counted in (("co2net", 60), ("acrnet", 57), ("delu", 57)):
        results.write(baseline, "baseline", flat(20, 22), counted=counted)
    said = [stages.results.test_videos("thumos14", names) for names in (("co2net", "acrnet"), ("acrnet", "delu"))]
    assert said == ["test videos: CO2-Net 60, ACRNet 57", "57 test videos"]


def test_the_authors_checkpoint_has_a_row_of_its_own(results):
    for variant, value in (("baseline", 20), ("clasnet", 25)):
        results.write("acrnet", variant, flat(value, value + 2))
    results.write("acrnet", "released", flat(40), seeds=(0,))
    entries = {"a": SimpleNamespace(dataset="thumos14", baseline="acrnet")}
    entries["b"] = SimpleNamespace(dataset="hacs", baseline="co2net")  # of another data set
    rows = tables.model_rows("thumos14", settings(baselines=["acrnet"], released=entries))
    assert {row["Method"]: row["AVG 0.1:0.7"] for row in rows} == {
        "ACRNet (authors' checkpoint)": "40.0",
        "ACRNet": "21.0 ± 1.4",
        "ACRNet + CLASNet": "26.0 ± 1.4",
    }


def test_units_are_said_by_row_where_they_differ(results):
    for baseline, units in (("co2net", "snippets"), ("acrnet", "seconds")):
        for variant in ("baseline", "clasnet"):
            results.write(baseline, variant, flat(20, 22), units)
    rows = tables.comparison_rows("thumos14", settings())
    assert [row["Units"] for row in rows] == ["seconds"] * 2 + ["whole snippets"] * 2 + ["seconds"] * 2
    assert list(rows[0])[:3] == ["Method", "Units", "0.1"]
    results.write("co2net", "baseline", flat(20, 22))
    results.write("co2net", "clasnet", flat(20, 22))
    assert not any("Units" in row for row in tables.comparison_rows("thumos14", settings()))


def test_controls_are_no_method_of_this_repository(results):
    for baseline in ("co2net", "acrnet"):
        for variant in ("baseline", "clasnet"):
            results.write(baseline, variant, flat(20, 22))
    rows = tables.comparison_rows("thumos14", settings(twin=None))
    own = {row["Method"]: row["Supervision"] for row in rows if "[" not in row["Method"]}
    assert own == {
        "Random scores (control)": "none (control)",
        "True classes in 4 equal pieces (control)": "none (control)",
        "CO2-Net": "weak, this repository",
        "CO2-Net + CLASNet": "weak, this repository",
        "ACRNet": "weak, this repository",
        "ACRNet + CLASNet": "weak, this repository",
    }
    control_row = next(row for row in rows if row["Method"].startswith("Random"))
    assert control_row["0.3"] == "2.0 ± 1.4" and control_row["AVG 0.1:0.7"] == "2.0 ± 1.4"
    assert next(row for row in rows if row["Method"].startswith("True"))["0.5"] == "20.0"


def test_what_is_in_print_stands_above_grouped_by_supervision(results, monkeypatch):
    """Then what no model made, then this repository's."""
    monkeypatch.chdir(ROOT)
    for baseline in ("co2net", "acrnet"):
        for variant in ("baseline", "clasnet"):
            results.write(baseline, variant, flat(20, 22))
    rows = tables.comparison_rows("thumos14", settings(twin=None))
    kinds = [kind for kind, _ in groupby(row["Supervision"] for row in rows)]
    assert len(kinds) == len(set(kinds)) > 3 and kinds[-2:] == ["none (control)", "weak, this repository"]
    last = next(row for row in reversed(rows) if "[" in row["Method"])
    with open("reports/published/published.csv", newline="", encoding="utf-8") as file:
        own = [line for line in csv.DictReader(file) if line["dataset"] == "thumos14"]
    line = next(line for line in own if f"{line['method']} [{line['key']}]" == last["Method"])
    assert [last[f"0.{n}"] for n in range(1, 8)] == [line[f"iou_0.{n}"] for n in range(1, 8)]
    assert last["AVG 0.3:0.7"] == line["avg_0.3:0.7"] and last["Supervision"] == line["supervision"]


def test_every_table_is_called_what_it_is(results, tmp_path, monkeypatch, capsys):
    """Its file, the beginning and the end of its caption; the last line names the gains."""
    for variant, gain in (("baseline", 0), ("clasnet", 3.25)):
        results.write("acrnet", variant, flat(20 + gain, 22 + gain))
    counted = {"activitynet12": 33, "activitynet13": 44}
    for dataset in counted:
        shutil.copytree(results.folder, results.folder.parent / dataset)
    for path in results.folder.parent.glob("activity*/**/*.json"):  # of ten t-IoUs
        content = json.loads(path.read_text(encoding="utf-8"))
        for maps in (content.get("mAP"), *content.get("protocols", {}).values()):
            for seed in maps or ():
                maps[seed] = [maps[seed][0]] * 10
        content |= {"pieces_mAP": [0.2] * 10} if "pieces" in content else {}
        content |= {"videos": counted[path.relative_to(results.folder.parent).parts[0]]} if "videos" in content else {}
        path.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    params = settings(baselines=["acrnet"], datasets=["thumos14", "activitynet12", "activitynet13"])
    params.active_profile.data |= dict.fromkeys(params.datasets, SimpleNamespace(twin=True))
    params.study.layers = params.study.heads = []
    monkeypatch.setattr(tables, "read_params", lambda: params)
    shutil.copytree(ROOT / "reports/published", tmp_path / "reports/published")
    tables.main()
    gain = {"acrnet": 3.25}
    said = {"thumos14": gain, "activitynet12": gain, "activitynet13": gain}
    assert capsys.readouterr().out == f"reports/tables/comparison: {json.dumps(said)}\n"
    twin = "SYNTHETIC TWIN, not a benchmark result"
    expected = {
        "table1": (f"Table 1. THUMOS14 ({twin}): baselines without and with", "; 60 test videos."),
        "table2": (f"Table 2. ActivityNet v1.2 ({twin}): baselines without and with", "; 33 test videos."),
        "table3": (f"Table 3. ActivityNet v1.3 ({twin}): baselines without and with", "; 44 test videos."),
        "table4": (f"Table 4. Ablation of CLASNet on ACRNet, THUMOS14 ({twin}). mAP in %", ", against row A."),
        "protocols": (f"Protocols. {twin}. What two choices of the released", "; mean over 2 seeds."),
        "classification": (f"Classification. {twin}. Video classification mAP in %", "; mean ± spread over 2 seeds."),
        "summary": (f"Summary. {twin}. Headline average of each baseline", ", mAP in %; mean over 2 seeds."),
    }
    folder = tmp_path / "reports/tables/comparison"
    assert {path.stem for path in folder.iterdir()} == set(expected)
    for name, (start, end) in expected.items():
        caption = (folder / f"{name}.md").read_text(encoding="utf-8").partition("\n")[0].strip("*")
        assert caption.startswith(start) and caption.endswith(end), name
        latex = (folder / f"{name}.tex").read_text(encoding="utf-8")
        assert "%" not in latex.replace(r"\%", "")  # which begins a comment there
    params.synthetic = False
    captions = [caption for *_, caption in tables.all_tables(params, mean_averages(params))]
    assert not any(twin in caption for caption in captions[-3:])


def test_the_classification_map_has_a_table(results):
    for baseline in ("co2net", "acrnet"):
        for variant, videos in (("baseline", 0.625), ("clasnet", 0.75)):
            results.write(baseline, variant, flat(20, 22), videos=videos)
    row = tables.classification_rows(settings())[1]
    assert row == {"Data": "THUMOS14", "Method": "ACRNet", "without": "62.5 ± 0.0", "with CLASNet": "75.0 ± 0.0"}


def test_the_numbers_of_dvc_metrics_and_plots(results):
    """Means of means: with three cells of two data sets, none of which stands for another."""
    means = {"thumos14": {"co2net": (10.0, 12.0), "acrnet": (20.0, 19.0)}, "activitynet13": {"acrnet": (30.0, 35.5004)}}
    assert series.metrics(means) == {
        "gain": 2.167,  # over cells, not over data sets
        "thumos14": {"avg": 15.5, "gain": 0.5},
        "anet13": {"avg": 35.5, "gain": 5.5},
    }
    first, *_, last = series.gain_rows(means)
    assert first == {"model": "THUMOS14, CO2-Net", "gain": 2} and last == {
        "model": "ActivityNet v1.3, ACRNet",
        "gain": 5.5004,
    }
    by_tiou = [[10.0 * n + more for n in range(7)] for more in (0, 1, 5)]
    results.write("acrnet", "baseline", by_tiou, seeds=(0, 1, 2))
    results.write("acrnet", "clasnet", [[1 + x for x in row] for row in by_tiou], seeds=(0, 1, 2))
    for n, value in (("layers-1", 20), ("layers-3", 21), ("heads-4", 23)):
        results.write("acrnet", n, flat(value, value + 1, value + 5), seeds=(0, 1, 2))
    study = SimpleNamespace(dataset="thumos14", baseline="acrnet", layers=[1, 3], heads=[4])
    shown = series.plot_series(settings(study=study), means)
    assert shown["map_by_tiou"][0] == {"tiou": 0.1, "baseline": 2, "clasnet": 3}
    assert shown["map_by_tiou"][6] == {"tiou": 0.7, "baseline": 62, "clasnet": 63}
    assert shown["layers"] == [{"layers": 1, "mAP": 22}, {"layers": 3, "mAP": 23}]
    assert shown["heads"] == [{"heads": 4, "mAP": 25}] and shown["gains"] == series.gain_rows(means)


# Table 5 --------------------------------------------------------------------------------------------------------------


def test_a_row_of_table_5():
    measured = 3_500_000, 41_230_000_000, 12.6
    row = complexity.cost_row("co2net", "baseline", measured, {("co2net", "baseline"): "3.5"})
    encoder = 3_500_000 + 2048 * 2048 * 3 + 2048
    expected = ["CO2-Net", "3,500,000", "3.5", f"{encoder:,}", "41.23", "20.61", "13"]
    assert list(row.values()) == expected
    assert list(complexity.cost_row("acrnet", "clasnet", measured, {}).values())[2:4] == ["", ""]


def test_milliseconds_wait_for_other_stages_and_say_if_they_did_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    params = SimpleNamespace(threads=1, fcsm=SimpleNamespace(layers=5, heads=8))
    with exclusive(lock_path(["complexity", *sys.argv[1:]])):  # its own
        assert not complexity.others_at_work()
        with exclusive(lock_path(["train", "x"])):
            assert complexity.others_at_work()
            complexity.wait_for_others(patience=0.3)
            assert "waiting up to 0.3 s for other stages" in capsys.readouterr().out
        complexity.wait_for_others(patience=0)
        assert capsys.readouterr().out == "" and not complexity.others_at_work()
    for disturbed in (True, False):
        caption = complexity.describe(params, torch.device("cpu"), disturbed)
        assert ("WHILE ANOTHER STAGE WAS AT WORK" in caption) is disturbed


# Evaluation -----------------------------------------------------------------------------------------------------------


def test_the_best_checkpoint_is_the_best_and_not_the_last(monkeypatch):
    model = SimpleNamespace(
        state_dict=lambda: {"w": SimpleNamespace(detach=lambda: SimpleNamespace(clone=lambda: now[0]))}
    )
    calls, now, scores = [], [0], {2: 0.1, 4: 0.5, 6: 0.3, 7: 0.4}
    model.train = lambda: calls.append(now[0])
    watch = BestOnTest(None, "thumos14", {"best_on_test": {"every": 2}, "steps": 7})
    monkeypatch.setattr(watch, "score", lambda model: scores[now[0]])
    for step in range(1, 8):
        now[0] = step
        watch(model, step)
    assert watch.weights == {"w": 4} and watch.best == 0.5
    assert calls == [2, 4, 6, 7]  # with dropout again, after every look


def test_an_evaluation_writes_each_protocol_under_its_name(tmp_path, monkeypatch):
    """Of two checkpoints, on the test videos, against the same by hand; and the curves are those of the classes."""
    drawn = draw_annotations(
        "thumos14", classes=3, train_videos=2, test_videos=9, snippets=(40, 60), rng=np.random.default_rng(0)
    )
    write_store(tmp_path / "store", drawn, twin_videos(drawn, 2, 8, 0))
    store, models = open_store(tmp_path / "store"), {}
    for seed, name in enumerate(("last.pt", "best.pt")):
        torch.manual_seed(seed)
        models[name] = build_baseline("co2net", num_classes=3, width=8, pool=1).eval()
        models[name].num_segments = 40
    files = {"last": "last.pt", "best_on_test": "best.pt"}
    monkeypatch.setattr(evaluate, "open_store", lambda path: store)
    monkeypatch.setattr(evaluate, "checkpoints", lambda *key: ("best_on_test", files))
    monkeypatch.setattr(evaluate, "read_model", lambda path, *rest: models[path])
    (tmp_path / "m").mkdir()
    how = {"dataset": "thumos14", "models": {"m": {"beta": None}}, "checkpoint": "best_on_test", "units": "released"}
    found = evaluate.evaluate_seed(("m", "g", 5), Place("cpu", 1), tmp_path, how | {"resamples": 150})
    videos = store.subset("test")
    truth = store.annotations.select(videos)
    for kind, path in files.items():
        predictions = predict(models[path], store, videos, 40)
        for units in ("seconds", "snippets"):
            expected = detection_results(predictions, truth, "thumos14", units).map.tolist()
            assert found["protocols"][f"{kind}/{units}"] == expected
    assert len({tuple(maps) for maps in found["protocols"].values()}) == 4
    assert found["units"] == "snippets" and found["videos"] == 9 and found["checkpoint"] == "best_on_test"
    tious, weights = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], resamples(9, 150)
    compared = [comparable(predictions, truth, units) for units in ("snippets", "seconds")]
    rounded, exact = (bootstrap_map(*arrays, tious, weights) for arrays in compared)
    assert np.array_equal(found["resampled"], rounded) and not np.allclose(rounded, exact)
    right, wrong = (classification_map(truth.labels, sign * predictions.video_scores) for sign in (1, -1))
    assert found["classification_mAP"] == right != wrong
    watched = {}  # by what scores a model in training
    for units in ("seconds", "snippets", "released"):
        watch = BestOnTest(store, "thumos14", {"best_on_test": {"units": units}, "segments": 40})
        watched[units] = watch.score(models["best.pt"])
    headlines = {units: np.mean(found["protocols"][f"best_on_test/{units}"]) for units in ("seconds", "snippets")}
    assert watched == pytest.approx(headlines | {"released": headlines["snippets"]}, abs=1e-12)
    assert abs(headlines["seconds"] - headlines["snippets"]) > 1e-6
    curves = load_file(tmp_path / "m/curves5.safetensors")
    output = run(models["best.pt"], store.video(videos[1]), 40)
    cas, attention = output.cas[0].softmax(-1)[:, :3], output.attention[0]
    np.testing.assert_allclose(curves[f"{truth.ids[1]}/cas"], cas, atol=1e-3)
    np.testing.assert_allclose(curves[f"{truth.ids[1]}/attention"], attention, atol=1e-3)
    assert len(curves) == 18 and output.cas.shape[-1] == 4  # a background class is left out


@pytest.mark.parametrize("beta", [0.0, 0.75, None])
def test_beta_of_params_reaches_the_evaluated_model(monkeypatch, beta):
    recipe = {"baseline": {"name": "delu", "dataset": "thumos14"}, "clasnet": None}
    model = SimpleNamespace(classes=("jump",), beta=0.4, recipe=recipe, num_segments=9)
    monkeypatch.setattr(evaluate, "load_model", lambda path, device: model)
    settings = {"dataset": "thumos14", "baseline": "delu", "network": {}, "segments": 9}
    wanted = {"clasnet": None, "beta": beta}
    found = evaluate.read_model("m.pt", ("jump",), settings, wanted, "cpu")
    assert found.beta == (0.4 if beta is None else beta)
    with pytest.raises(InputError, match="m.pt: its CLASNet has brm None, not {}; a file of another model lies there"):
        evaluate.read_model("m.pt", ("jump",), settings, wanted | {"clasnet": {"brm": {}}}, "cpu")
    with pytest.raises(
        InputError, match="m.pt: it was trained on 9 segments, not 20; a file of another model lies there"
    ):
        evaluate.read_model("m.pt", ("jump",), settings | {"segments": 20}, wanted, "cpu")


def test_an_evaluation_counts_all_test_videos_and_cuts_them_as_in_training(tmp_path, monkeypatch):
    """One without instances, too; to the model's own number of snippets."""
    segments = {"a": [(0, 3, "run")], "b": [(2, 9, "jump")], "c": []}
    videos = [{"id": id, "subset": "test", "duration": 12.8, "segments": own} for id, own in segments.items()]
    features = [(id, np.random.default_rng(n).random((20, 8))) for n, id in enumerate(segments)]
    write_store(tmp_path / "store", make_annotations(["jump", "run"], videos), features)
    store, seen = open_store(tmp_path / "store"), []
    model = build_baseline("acrnet", num_classes=2, width=4, heads=2).eval()
    model.num_segments = 7

    def predicted(model, store, videos, num_segments, curves):
        seen.append(num_segments)
        return predict(model, store, videos, num_segments, curves)

    monkeypatch.setattr(evaluate, "open_store", lambda path: store)
    monkeypatch.setattr(evaluate, "checkpoints", lambda *key: ("last", {"last": "m.pt"}))
    monkeypatch.setattr(evaluate, "read_model", lambda *given: model)
    monkeypatch.setattr(evaluate, "predict", predicted)
    (tmp_path / "m").mkdir()
    how = {"dataset": "thumos14", "models": {"m": {"beta": None}}, "checkpoint": "last", "units": "seconds"}
    found = evaluate.evaluate_seed(("m", "g", 0), Place("cpu", 1), tmp_path, how | {"resamples": 100, "segments": 9})
    assert found["videos"] == 3 and seen == [7]


def test_curves_are_kept_of_the_first_sixty_videos():
    ids = np.array([f"v{n}" for n in range(62)])
    curves = evaluate.Curves(SimpleNamespace(ids=ids, classes=("run",)))
    alone = SimpleNamespace(attention=torch.ones(1, 3))
    output = SimpleNamespace(cas=torch.zeros(1, 3, 2), attention=torch.zeros(1, 3), baseline=alone)
    for n in range(62):
        curves(n, output, None)
    assert list(curves.found) == [f"v{n}/{what}" for n in range(60) for what in ("cas", "attention")]
    assert not curves.found["v0/attention"].any()  # what is localised with, not the bare baseline's


def test_beta_of_params_is_in_the_units_of_evaluation():
    params = load_params()
    params.localization.beta = 0.11
    for unit in check.evaluate_units(params).values():
        for variant, model in unit["settings"]["models"].items():
            mixed = variant.split("-")[0] not in ("baseline", "released", "B", "D", "F")  # it has an FCSM
            assert model["beta"] == (0.11 if mixed else None), variant


def test_what_is_in_a_cell_stays_in_it():
    rows = [{"Method": "a|b", "mAP": "$1 {2}^3~4\\5"}]
    assert write.markdown(rows).splitlines()[2] == r"| a\|b | $1 {2}^3~4\5 |"
    line = r"a|b & \$1 \{2\}\textasciicircum{}3\textasciitilde{}4\textbackslash{}5 \\"
    assert line in write.latex(rows, "caption").splitlines()

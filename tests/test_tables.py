"""What the tables, the figures and the page make of the results: numbers, signs, seeds, units. Written with their
mistakes in mind: each was seen to fail with its own.
"""

import json
import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from clasnet.data.activitynet import write_activitynet
from clasnet.data.annotations import make_annotations
from clasnet.data.datasets import BENCHMARKS
from stages import check, complexity, control, evaluate, tables
from stages.best_on_test import BestOnTest
from stages.drawing import timeline
from stages.errors import lock_path
from stages.exclusive import exclusive
from stages.page import diagnosis, explorer
from stages.params import load_params
from stages.tabling.cells import gain_cells, mean_cell, number, p_cell, part_marks

TIOUS = BENCHMARKS["thumos14"].tious


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


# Results on disk ------------------------------------------------------------------------------------------------------


class Results:
    """A folder of results of THUMOS14, as the stage `collect` leaves it; ``write`` adds a model."""

    def __init__(self, folder):
        self.folder = folder / "thumos14"
        self.videos = [
            {
                "id": "a",
                "subset": "test",
                "duration": 64.0,
                "segments": [(10, 20, "jump"), (30, 40, "jump"), (41, 50, "jump")],
            },
            {"id": "b", "subset": "test", "duration": 64.0, "segments": [(5, 25, "run")]},
        ]
        self.truth = make_annotations(["jump", "run"], self.videos)
        self.folder.mkdir(parents=True)
        write_activitynet(self.folder / "truth.json", self.truth)
        self.dump("snippets.json", {"a": 100, "b": 100})
        self.dump("control.json", {"mAP": {"0": [0.01] * 7, "1": [0.03] * 7}, "pieces": 4, "pieces_mAP": [0.2] * 7})

    def dump(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")

    def write(self, baseline, variant, maps, units="seconds", seeds=(0, 1), found=None, curve=0.5):
        """A model with the ``maps`` by seed; in its files of seed N every score and curve is N more than given."""
        name = f"{baseline}/{variant}"
        by_seed = {str(seed): [m / 100 for m in row] for seed, row in zip(seeds, maps, strict=True)}
        content = {"mAP": by_seed, "videos": 60, "units": units, "protocols": {f"last/{units}": by_seed}}
        self.dump(f"{name}/map.json", content | {"classification_mAP": dict.fromkeys(by_seed, 0.625)})
        resampled = np.array([[np.mean(row) - 1, np.mean(row) + 1] for row in maps]) / 100
        np.save(self.folder / name / "resamples.npy", resampled)
        for seed in seeds:
            rows = [{"label": c, "segment": s, "score": 10 * seed + x} for c, s, x in found or []]
            self.dump(f"{name}/seed{seed}.json", {"results": {"a": rows, "b": []}})
            curves = {"cas": np.full((100, 2), curve), "attention": np.full(100, seed / 10)}
            arrays = {f"{id}/{what}": curve for id in "ab" for what, curve in curves.items()}
            np.savez(self.folder / name / f"curves{seed}.npz", **arrays)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr("stages.results.RESULTS", tmp_path)
    return Results(tmp_path)


def flat(*values):
    """mAP of every seed, the same at all t-IoUs."""
    return [[value] * 7 for value in values]


def settings(**changes):
    """What the tables read of params.yaml."""
    study = SimpleNamespace(dataset="thumos14", baseline="acrnet", rows=[])
    profile = SimpleNamespace(
        data={"thumos14": SimpleNamespace(twin=changes.pop("twin", True))}, evaluate=SimpleNamespace(units="released")
    )
    whole = {"datasets": ["thumos14"], "baselines": ["co2net", "acrnet"], "all_seeds": [0, 1], "released": {}}
    whole |= {
        "study": study,
        "active_profile": profile,
        "evaluate": SimpleNamespace(checkpoint="last"),
        "synthetic": True,
    }
    return SimpleNamespace(**whole | changes)


def test_a_gain_is_what_the_plug_in_adds_and_so_is_its_interval(results):
    results.write("acrnet", "baseline", flat(20, 22, 24), seeds=(0, 1, 2))
    results.write("acrnet", "clasnet", flat(30, 31.5, 34.5), seeds=(0, 1, 2))
    cells = gain_cells("thumos14", "acrnet", "clasnet")
    assert cells["Gain (AVG)"] == "+10.0 ± 0.5" and cells["p"] == "< 0.01"
    assert cells["95 % interval"] == "+8.8 to +11.2"  # 4.303 (2 degrees of freedom) × 0.5 / √3 either side
    turned = gain_cells("thumos14", "acrnet", "baseline")
    assert turned["Gain (AVG)"] == "0.0 ± 0.0" and turned["p"] == "–"


def test_a_gain_of_one_seed_has_no_spread(results):
    results.write("acrnet", "baseline", flat(20), seeds=(0,))
    results.write("acrnet", "clasnet", flat(20.04), seeds=(0,))
    cells = gain_cells("thumos14", "acrnet", "clasnet")
    assert cells["Gain (AVG)"] == "0.0" and cells["p"] == "–"
    caption = tables.describe_protocol(settings(all_seeds=[0]))
    assert "1 seed," in caption and "deviation" not in caption and "t-test" not in caption


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


def test_the_classification_map_has_a_table(results):
    for baseline in ("co2net", "acrnet"):
        for variant in ("baseline", "clasnet"):
            results.write(baseline, variant, flat(20, 22))
    row = tables.classification_rows(settings())[1]
    assert row == {"Data": "THUMOS14", "Method": "ACRNet", "without": "62.5 ± 0.0", "with CLASNet": "62.5 ± 0.0"}


# The control ----------------------------------------------------------------------------------------------------------


def test_equal_pieces_are_as_many_as_a_training_video_usually_has():
    segments = [(0, 1, "jump"), (2, 3, "jump"), (4, 5, "jump"), (6, 7, "run")]
    videos = [{"id": "a", "subset": "x", "duration": 12.0, "segments": segments}]
    truth = make_annotations(["jump", "run", "swim"], videos)
    assert control.usual_number(truth) == 2
    found = control.equal_pieces(truth, 2)
    assert found.segments.tolist() == [[0, 6], [6, 12]] * 2
    assert found.classes.tolist() == [0, 0, 1, 1] and found.video.tolist() == [0] * 4


# Figure 5, the page ---------------------------------------------------------------------------------------------------

FOUND = [("jump", (9, 21), 0.9), ("jump", (33, 40), 0.8), ("jump", (45, 60), 0.7)]


def test_what_counts_as_found_overlaps_by_half():
    truth = np.array([[0.0, 10], [20, 30], [40, 50]])
    found = timeline.found_by(truth, np.array([[0.0, 20], [25, 35], [40, 50]]))
    assert found.tolist() == [True, False, True]
    scene = timeline.Scene(
        "a", 60.0, 0, truth, {"baseline": truth[:1], "clasnet": np.array([[0.0, 10], [24, 34], [40, 51]])}
    )
    assert scene.gained.tolist() == [False, False, True] and scene.profit == 1


def test_curves_and_segments_are_of_one_seed(results, monkeypatch):
    for variant in ("baseline", "clasnet"):
        results.write("acrnet", variant, flat(20, 22, 24), seeds=(2, 0, 1), found=FOUND)
    params = settings(all_seeds=[2, 0, 1], baselines=["acrnet"])
    shown = explorer.explorer("thumos14", params)["videos"]["a"]["models"]["acrnet"]["clasnet"]
    assert [row[3] for row in shown["segments"]] == [20.9, 20.8, 20.7]
    assert set(shown["curves"]["attention"]) == {20}
    read = []
    for name in ("read_predictions", "read_curves"):
        original = getattr(timeline, name)
        monkeypatch.setattr(timeline, name, lambda *key, original=original: read.append(key[-1]) or original(*key))
    plt.close(timeline.draw(params))
    assert set(read) == {2} and len(read) == 4


def test_costs_are_what_would_be_gained(results):
    """Without the wrong prediction, which comes first, the mAP would be higher."""
    rows = [{"label": "run", "segment": [40, 60], "score": 0.9}, {"label": "run", "segment": [5, 25], "score": 0.8}]
    run = diagnosis.diagnose_run({"a": [], "b": rows}, results.truth, "seconds")
    assert run["mAP"] == pytest.approx(25) and run["counts"]["background"] == 1
    assert run["cost"]["background"] == pytest.approx(25) and run["cost"]["localisation"] == 0
    two = diagnosis.mean_run([run, run | {"cost": dict.fromkeys(run["cost"], 1.0)}])
    assert two["cost"]["background"] == pytest.approx(13)


# Table 5 --------------------------------------------------------------------------------------------------------------


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
    model.train, now, scores = lambda: None, [0], {2: 0.1, 4: 0.5, 6: 0.3, 7: 0.4}
    watch = BestOnTest(None, "thumos14", {"best_on_test": {"every": 2}, "steps": 7})
    monkeypatch.setattr(watch, "score", lambda model: scores[now[0]])
    for step in range(1, 8):
        now[0] = step
        watch(model, step)
    assert watch.weights == {"w": 4} and watch.best == 0.5


@pytest.mark.parametrize("beta", [0.0, 0.75, None])
def test_beta_of_params_reaches_the_evaluated_model(monkeypatch, beta):
    model = SimpleNamespace(classes=("jump",), beta=0.4)
    monkeypatch.setattr(evaluate, "load_model", lambda path, device: model)
    store = SimpleNamespace(annotations=SimpleNamespace(classes=("jump",)))
    assert evaluate.read_model("m.pt", "thumos14", store, beta, "cpu").beta == (0.4 if beta is None else beta)


def test_beta_of_params_is_in_the_units_of_evaluation():
    params = load_params()
    params.localization.beta = 0.11
    for unit in check.evaluate_units(params).values():
        for variant, model in unit["settings"]["models"].items():
            mixed = variant.split("-")[0] not in ("baseline", "released", "B", "D", "F")  # it has an FCSM
            assert model["beta"] == (0.11 if mixed else None), variant

"""What the tables, the figures and the page make of the results: numbers, signs, seeds, units. Written with their
mistakes in mind: each was seen to fail with its own.
"""

import base64
import io
import json
import re
import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from test_video import LOSSLESS, greys, numbered, write_video

from clasnet.data.activitynet import write_activitynet
from clasnet.data.annotation_files import read_annotations
from clasnet.data.annotations import make_annotations
from clasnet.data.datasets import benchmark_of
from clasnet.data.store import write_store
from clasnet.evaluation.protocol import detection_results
from clasnet.localization.localize import localize
from clasnet.localization.settings import Localization
from stages import check, complexity, control, evaluate, tables
from stages.best_on_test import BestOnTest
from stages.drawing import timeline
from stages.errors import lock_path
from stages.exclusive import exclusive
from stages.page import answer, diagnosis, explorer, submission, survey
from stages.page.pictures import folder_of, pictures
from stages.params import load_params
from stages.tabling import series
from stages.tabling.cells import gain_cells, mean_cell, number, p_cell, part_marks
from stages.tabling.write import write_csv
from stages.units import unit_path

TIOUS = benchmark_of("thumos14").tious


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
        self.dump("seconds.json", {"a": 64.0, "b": 64.0})
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
    by_tiou = [[10.0 * n + seed for n in range(7)] for seed in (0, 1)]
    results.write("acrnet", "baseline", by_tiou)
    results.write("acrnet", "clasnet", [[1 + x for x in row] for row in by_tiou])
    for n, value in (("layers-1", 20), ("layers-3", 21), ("heads-4", 23)):
        results.write("acrnet", n, flat(value, value + 1))
    study = SimpleNamespace(dataset="thumos14", baseline="acrnet", layers=[1, 3], heads=[4])
    shown = series.plot_series(settings(study=study), means)
    assert shown["map_by_tiou"][0] == {"tiou": 0.1, "baseline": 0.5, "clasnet": 1.5}
    assert shown["map_by_tiou"][6] == {"tiou": 0.7, "baseline": 60.5, "clasnet": 61.5}
    assert shown["layers"] == [{"layers": 1, "mAP": 20.5}, {"layers": 3, "mAP": 21.5}]
    assert shown["heads"] == [{"heads": 4, "mAP": 23.5}] and shown["gains"] == series.gain_rows(means)


# The control ----------------------------------------------------------------------------------------------------------


def test_equal_pieces_are_as_many_as_a_training_video_usually_has():
    segments = [(0, 1, "jump"), (2, 3, "jump"), (4, 5, "jump"), (6, 7, "run")]
    videos = [{"id": "a", "subset": "x", "duration": 12.0, "segments": segments}]
    truth = make_annotations(["jump", "run", "swim"], videos)
    assert control.usual_number(truth) == 2
    found = control.equal_pieces(truth, 2)
    assert found.segments.tolist() == [[0, 6], [6, 12]] * 2
    assert found.classes.tolist() == [0, 0, 1, 1] and found.video.tolist() == [0] * 4


def test_the_control_is_of_the_test_videos_and_reproduces_its_numbers(tmp_path, monkeypatch):
    """Its file against the same made in plain steps: random scores by seed, and pieces as training videos have them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    records = []
    for n in range(9):
        subset, actions = ("validation", 3) if n < 5 else ("test", 2)
        segments = [(3 * i, 3 * i + 2, "jump" if n % 2 else "run") for i in range(actions)]
        records.append({"id": f"v{n}", "subset": subset, "duration": 12.8, "segments": segments})
    annotations = make_annotations(["jump", "run"], records)
    write_store("data/thumos14", annotations, [(f"v{n}", rng.random((20, 4))) for n in range(9)])
    unit = {"settings": {"seeds": [3, 4]}, "code": {}}
    path = unit_path("control")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(unit), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["control", "thumos14"])
    control.main()

    folder = tmp_path / "predictions/control/thumos14"
    found = json.loads((folder / "control.json").read_text(encoding="utf-8"))
    truth = annotations.select([5, 6, 7, 8])
    assert found["tious"] == list(TIOUS) and found["pieces"] == 3
    pieces = control.equal_pieces(truth, 3)
    assert (
        found["pieces_mAP"] == detection_results(pieces, truth, "thumos14").map.tolist() and found["pieces_mAP"][0] > 0
    )
    for seed in (3, 4):
        drawn = control.random_predictions(np.full(4, 20), 2, np.random.default_rng(seed))
        assert found["mAP"][str(seed)] == detection_results(drawn, truth, "thumos14").map.tolist()
        assert drawn.segments.max() <= 12.8 and len(drawn.scores) > 20
        np.testing.assert_allclose(drawn.video_scores.sum(1), 1)
    assert found["mAP"]["3"] != found["mAP"]["4"]
    assert json.loads((folder / "seconds.json").read_text(encoding="utf-8")) == dict.fromkeys(truth.ids.tolist(), 12.8)
    assert read_annotations(folder / "truth.json").ids.tolist() == ["v5", "v6", "v7", "v8"]


def test_random_scores_localise_as_co2_net_does():
    """Every part of the draw counts: the scores of each video, of its snippets, and its attention, in that order."""
    rng, length = np.random.default_rng(5), np.array([12, 30])
    found = control.random_predictions(length, 3, np.random.default_rng(5), snippet_seconds=1.0)
    video_scores = rng.dirichlet(np.ones(3), 2)
    for v, n in enumerate(length):
        snippet, activity = rng.random((n, 3)), rng.random((n, 1))
        expected = localize(video_scores[v], snippet, activity, Localization(), snippet_seconds=1.0)
        own = found.video == v
        np.testing.assert_array_equal(found.segments[own], expected.segments)
        np.testing.assert_array_equal(found.classes[own], expected.classes)
        np.testing.assert_array_equal(found.scores[own], expected.scores)
    np.testing.assert_array_equal(found.video_scores, video_scores)


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


def test_figure_5_is_of_one_seed(results, monkeypatch):
    for variant in ("baseline", "clasnet"):
        results.write("acrnet", variant, flat(20, 22, 24), seeds=(2, 0, 1), found=FOUND)
    params = settings(all_seeds=[2, 0, 1], baselines=["acrnet"])
    read = []
    for name in ("open_submission", "read_curves"):
        original = getattr(timeline, name)
        monkeypatch.setattr(timeline, name, lambda *key, original=original: read.append(key[-1]) or original(*key))
    plt.close(timeline.draw(params))
    assert set(read) == {2} and len(read) == 4


def test_the_explorer_shows_every_seed_as_it_is(results):
    for variant in ("baseline", "clasnet"):
        results.write("acrnet", variant, flat(20, 22, 24), seeds=(2, 0, 1), found=FOUND)
    params = settings(all_seeds=[2, 0, 1], baselines=["acrnet"])
    of = np.array([[1.0, 2], [3, 4], [5, 6]])
    shown = explorer.explorer("thumos14", params, {"acrnet": {"baseline": of, "clasnet": of + [[1], [0], [-1]]}})
    assert list(shown["videos"]) == ["a", "b"] and shown["tallies"] == {"acrnet": [[2, 0, 0], [0, 2, 0], [0, 0, 2]]}
    video = shown["videos"]["a"]
    assert video["scores"]["acrnet"] == {"baseline": [1, 3, 5], "clasnet": [2, 3, 4]}
    for seed in (2, 0, 1):
        model = video["models"]["acrnet"]["clasnet"][str(seed)]
        assert [row[3] for row in model["segments"]] == [10 * seed + score for *_, score in FOUND]
        assert set(base64.b64decode(model["curves"]["attention"])) == {round(25.5 * seed)}


def test_the_explorer_has_pictures_where_the_video_file_is_at_hand(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = folder_of("thumos14")
    folder.mkdir(parents=True)
    write_video(folder / "a.b.mkv", numbered(80), 10, **LOSSLESS)
    (folder / "c.mp4").write_bytes(b"no video")
    found = pictures("thumos14", "a.b", 8.0)
    assert [at for at, _ in found] == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]
    shown = [np.array(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))) for _, url in found]
    assert np.abs(np.array(greys(shown)) - [5, 15, 25, 35, 45, 55, 65, 75]).max() <= 1 and min(shown[0].shape[:2]) == 72
    assert pictures("thumos14", "a", 8.0) == pictures("thumos14", "c", 8.0) == []
    assert "report: no pictures of c: data/own/thumos14/videos/c.mp4: not a video" in capsys.readouterr().out


def test_a_video_is_ranked_within_itself():
    """The false positive of one video stands above the true one of the other; a class that a video lacks is nothing."""
    truth = make_annotations(
        ["jump", "run"],
        [
            {"id": "a", "subset": "test", "duration": 64, "segments": [(0, 10, "jump")]},
            {"id": "b", "subset": "test", "duration": 64, "segments": [(0, 10, "jump"), (20, 30, "run")]},
            {"id": "c", "subset": "test", "duration": 64, "segments": []},
        ],
    )
    rows = {
        "a": [("jump", (40, 50), 0.9), ("jump", (0, 10), 0.5), ("run", (0, 10), 0.99)],
        "b": [("run", (20, 25), 0.2), ("jump", (0, 10), 0.1)],  # half of the one, the whole of the other
        "c": [("jump", (0, 10), 0.9)],
    }
    found = submission.as_predictions({id: as_json(own) for id, own in rows.items()}, truth)
    scores = survey.video_scores(found, truth, "thumos14", "seconds")
    assert scores[:2] == pytest.approx([50, 100 * (5 / 7 + 1) / 2]) and np.isnan(scores[2])


def as_json(rows):
    """The rows of one video of a submission."""
    return json.dumps([{"label": c, "segment": s, "score": x} for c, s, x in rows]).encode()


def test_the_survey_keeps_models_seeds_and_videos_apart(results):
    results.write("acrnet", "baseline", flat(20, 22))
    results.write("acrnet", "clasnet", flat(20, 22))
    for seed, found in enumerate(([], [{"label": "jump", "segment": [10, 20], "score": 0.9}])):
        results.dump(f"acrnet/clasnet/seed{seed}.json", {"results": {"a": found}})  # sets b aside
    found = survey.survey("thumos14", settings(baselines=["acrnet"]))["acrnet"]
    assert found["baseline"]["scores"].tolist() == [[0, 0], [0, 0]]
    np.testing.assert_allclose(found["clasnet"]["scores"], [[0, np.nan], [100 / 3, np.nan]])
    assert found["clasnet"]["diagnosis"]["counts"]["true positive"] == 0.5


def test_the_best_and_the_worst_of_every_baseline_come_first():
    gains = np.array([[3.0, 1, -2, 0, 5], [0, 0, 0, 0, -1]])
    assert explorer.choose(gains, range(5), 4) == [4, 0, 2, 1]
    assert explorer.choose(gains, [1, 3], 4) == [1, 3]


def test_costs_are_what_would_be_gained(results):
    """Without the wrong prediction, which comes first, the mAP would be higher."""
    rows = {"a": as_json([]), "b": as_json([("run", [40, 60], 0.9), ("run", [5, 25], 0.8)])}
    run = diagnosis.diagnose_run(submission.as_predictions(rows, results.truth), results.truth, "seconds")
    assert run["mAP"] == pytest.approx(25) and run["counts"]["background"] == 1
    assert run["cost"]["background"] == pytest.approx(25) and run["cost"]["localisation"] == 0
    two = diagnosis.mean_run([run, run | {"cost": dict.fromkeys(run["cost"], 1.0)}])
    assert two["cost"]["background"] == pytest.approx(13)


# The page's answer ----------------------------------------------------------------------------------------------------


def overall(mean, positive, gain, lose):
    """The table `overall` of the study."""
    return {
        "mean gain (95 % interval)": mean,
        "cells with a positive mean": f"{positive} of 9",
        "cells that gain (p < 0.017, Holm)": f"{gain} of 9",
        "cells that lose (p < 0.017, Holm)": f"{lose} of 9",
    }


@pytest.mark.parametrize(
    ("table", "lead", "failed"),
    [
        (overall("+3.4 (+2.2 to +4.1)", 8, 6, 0), "Yes: CLASNet adds 3.4 points", ""),
        (overall("+3.1 (+0.2 to +4.1)", 9, 3, 0), "On the whole, yes: CLASNet adds 3.1 points", "6 that gain"),
        (overall("+2.9 (+2.2 to +4.1)", 9, 7, 1), "On the whole, yes", "a mean gain .* and none that loses"),
        (overall("+3.5 (-0.1 to +7.1)", 9, 7, 0), "Not shown: CLASNet adds 3.5", "a mean gain of 3 points .* above 0"),
        (overall("-2.0 (-3.0 to -1.0)", 7, 6, 0), "No: CLASNet takes away 2.0", "a mean .* and 8 positive cells"),
    ],
)
def test_the_studys_answer_says_what_its_table_says_and_what_its_protocol_misses(table, lead, failed):
    said = answer.study_sentence(table)
    assert said.startswith(lead) and ". " not in said
    low, high = table["mean gain (95 % interval)"][6:-1].split(" to ")
    positive, gain, lose = (table[key].split(" ")[0] for key in list(table)[1:])
    assert f"(95 % interval {low} to {high})" in said
    assert f"positive in {positive} of 9 cells, {gain} gain and {lose} lose" in said
    assert "by themselves (p < 0.017, Holm)" in said
    assert re.search(f"the protocol asks for {failed}\\.$", said) if failed else "protocol" not in said


def test_the_studys_answer_is_made_from_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(answer, "STUDY", tmp_path)
    cells = {"without": "38.4", "with CLASNet": "39.2", "p (Holm)": "0.764", "better in": "5 of 16"}
    names = [("THUMOS14", "DELU"), ("THUMOS14", "ACRNet"), ("ActivityNet v1.2", "DELU")]
    gains = ["+0.8 (-5.3 to +7.0)", "-2.5 (-4.0 to -1.0)", "+1.0 (+0.5 to +1.5)"]
    rows = [{"Data": d, "Method": m, "gain (95 % interval)": gain} for (d, m), gain in zip(names, gains, strict=True)]
    write_csv(tmp_path / "gains.csv", [row | cells for row in rows])
    table = overall("+3.1 (+2.2 to +4.1)", 9, 3, 0)
    write_csv(tmp_path / "overall.csv", [{"What": what, "All cells": cell} for what, cell in table.items()])
    found = answer.study_answer()
    monkeypatch.setattr(answer, "EARLIER", {"first": tmp_path, "second": tmp_path / "not-there"})
    assert answer.earlier_runs().endswith(f" said: {answer.study_sentence(table)}")
    assert found["sentence"] == answer.study_sentence(table) and "dots" not in found["forest"]["caption"]
    facts = dict(found["facts"])
    assert facts["Compared"].startswith("DELU and ACRNet, each without and with CLASNet")
    assert "THUMOS14 and ActivityNet v1.2: 3 cells" in facts["On"] and "16 replicates" in facts["On"]
    lines = found["forest"]["lines"]
    assert [[line[key] for key in ("mean", "low", "high")] for line in lines][1] == [-2.5, -4.0, -1.0]
    assert found["forest"]["overall"] == {"mean": 3.1, "low": 2.2, "high": 4.1}
    assert "p 0.764 (Holm)" in lines[0]["text"] and "better in 5 of 16" in lines[0]["text"]
    replicates = [{"Data": d, "Method": m, "gain": f"{n:+.3f}"} for n, (d, m) in enumerate(names * 2)]
    write_csv(tmp_path / "replicates.csv", replicates)
    assert [line["values"] for line in answer.study_answer()["forest"]["lines"]] == [[0, 3], [1, 4], [2, 5]]


def line(mean, low, high):
    return {"mean": mean, "low": low, "high": high}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([line(2, 1, 3)], "Yes: CLASNet adds 2.0 points of average mAP (95 % interval +1.0 to +3.0, over"),
        ([line(2, -1, 5)], "Not shown: CLASNet adds 2.0 points"),
        ([line(-2, -3, -1)], "No: CLASNet takes away 2.0 points"),
        ([line(2, 1, 3), line(1, 0.5, 2)], "Yes: CLASNet adds 1.5 points"),
        ([line(2, 1, 3), line(1, -1, 3)], "In part: CLASNet adds 1.5 points"),
        ([line(2, -1, 3), line(-5, -6, -4)], "No: CLASNet takes away 1.5 points"),
        ([line(2, -1, 3), line(-1, -2, 1)], "Not shown: CLASNet adds 0.5 points"),
    ],
)
def test_the_answer_of_a_run(lines, said):
    found = answer.run_sentence(lines, seeds=3)
    assert found.startswith(said) and "seeds and test videos" in found
    assert "seeds" not in answer.run_sentence(lines, seeds=1)
    if len(lines) > 1:
        positive, gain, lose = (
            sum(line[key] * sign > 0 for line in lines) for key, sign in (("mean", 1), ("low", 1), ("high", -1))
        )
        assert f"positive in {positive} of them, {gain} gain and {lose} lose" in found


def test_a_run_without_twins_answers_from_its_own_tables(results, tmp_path, monkeypatch):
    monkeypatch.setattr(answer, "COSTS", tmp_path / "table5.csv")
    sizes = [("ACRNet", "1,000,000", 20, 100), ("ACRNet + CLASNet", "1,500,000", 30, 250)]
    keys = ("Method", "Parameters", "GFLOP", "ms per video")
    write_csv(tmp_path / "table5.csv", [dict(zip(keys, row, strict=True)) for row in sizes])
    results.write("acrnet", "baseline", flat(20, 22))
    results.write("acrnet", "clasnet", flat(24, 28))
    params = settings(baselines=["acrnet"], twin=False, synthetic=False)
    found = answer.answer(params)
    (line,) = found["forest"]["lines"]
    assert line["mean"] == pytest.approx(5) and line["values"] == pytest.approx([4, 6])
    cells = gain_cells("thumos14", "acrnet", "clasnet")
    assert f"{number(line['low'], '+')} to {number(line['high'], '+')}" == cells["95 % interval"]
    assert cells["95 % interval"] in found["sentence"] and "adds 5.0 points" in found["sentence"]
    facts = dict(found["facts"])
    assert facts["On"] == "THUMOS14, 60 test videos; 2 seeds"
    assert facts["Cost"].startswith("+0.5 M parameters (+50 %), +10.0 GFLOP (+50 %) and +150 ms a video (+150 %)")


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

"""The evaluation command: its numbers, its ties, its speed's precondition, and what it says of bad files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import references as plain
from conftest import DATA

from clasnet.data.activitynet import write_activitynet
from clasnet.data.annotations import make_annotations
from clasnet.data.datasets import benchmark_of
from clasnet.evaluate import main, parse_tious
from clasnet.evaluation.files import evaluate_files
from clasnet.evaluation.metrics import detection_ap
from clasnet.evaluation.protocol import detection_results
from clasnet.inference.predictions import Predictions
from clasnet.localization.localize import in_seconds
from stages.evaluate import write_predictions

TRUTH = {
    "database": {
        "a": {
            "subset": "validation",
            "annotations": [{"label": "run", "segment": [0, 10]}, {"label": "jump", "segment": [20, 30]}],
        },
        "b": {"subset": "validation", "annotations": [{"label": "run", "segment": [5, 9]}]},
        "c": {"subset": "training", "annotations": [{"label": "swim", "segment": [5, 9]}]},
    }
}
FOUND = {
    "results": {
        "a": [
            {"label": "run", "segment": [0, 10], "score": 0.5},
            {"label": "jump", "segment": [20, 26], "score": 0.9},
        ],
        "elsewhere": [{"label": "run", "segment": [0, 10], "score": 0.8}],
    }
}


@pytest.fixture
def run(tmp_path, capsys):
    def evaluate(truth, found, *options):
        for name, content in (("gt.json", truth), ("pred.json", found)):
            (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        main(["--ground-truth", str(tmp_path / "gt.json"), "--predictions", str(tmp_path / "pred.json"), *options])
        return capsys.readouterr().out

    return evaluate


def test_json_and_table(run):
    result = json.loads(run(TRUTH, FOUND, "--tiou", "0.5:0.7:0.1", "--format", "json"))
    assert result["tiou"] == [0.5, 0.6, 0.7]
    # run: the false positive in the unknown video comes first, then one of two is found; jump overlaps by 0.6
    assert result["ap_by_class"] == {"jump": [1.0, 1.0, 0.0], "run": [0.25, 0.25, 0.25]}
    assert result["mAP"] == [0.625, 0.625, 0.125] and result["average"] == pytest.approx(np.mean(result["mAP"]))
    table = run(TRUTH, FOUND, "--per-class", "--tiou", "0.5")
    assert [line.split() for line in table.splitlines()] == [
        ["class", "0.5", "average"],
        ["jump", "100.00", "100.00"],
        ["run", "25.00", "25.00"],
        ["mAP", "(%)", "62.50", "62.50"],
    ]


def test_by_itself_the_command_is_activitynets_protocol(run):
    """The ten t-IoUs of ActivityNet, on its validation videos."""
    result = json.loads(run(TRUTH, FOUND, "--format", "json"))
    assert result["tiou"] == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
    assert result == json.loads(run(TRUTH, FOUND, "--subset", "validation", "--format", "json"))


def test_equal_scores_keep_the_order_of_the_file(run):
    right = {"label": "jump", "segment": [20, 30], "score": 0.5}
    wrong = {"label": "jump", "segment": [0, 1], "score": 0.5}
    first, second = (
        json.loads(run(TRUTH, {"results": {"a": rows}}, "--tiou", "0.5", "--format", "json"))
        for rows in ([right, wrong], [wrong, right])
    )
    assert first["ap_by_class"]["jump"] == [1.0] and second["ap_by_class"]["jump"] == [0.5]


def test_our_own_file_scores_what_was_scored(tmp_path):
    """Scores that are negative, tied, or equal but for the last bit; segments on the grid of frames."""
    rng, n = np.random.default_rng(0), 3000
    names = [f"class{c}" for c in range(7)]
    videos = [
        {"id": f"v{v}", "subset": "test", "duration": 200.0, "segments": drawn_segments(rng, names)} for v in range(12)
    ]
    truth = make_annotations(names, videos)
    scores = rng.normal(size=n) * 20
    scores[::3] = scores[rng.integers(n, size=n // 3)]
    scores[1::3] = np.nextafter(scores[::3], 100)
    start = rng.integers(4000, size=n)
    found = Predictions(
        np.sort(rng.integers(12, size=n)),
        in_seconds(np.stack([start, start + rng.integers(1, 200, size=n)], 1), 16),
        rng.integers(7, size=n),
        scores,
        np.zeros((12, 7)),
    )
    write_activitynet(tmp_path / "truth.json", truth)
    write_predictions(tmp_path / "found.json", found, truth)
    _, again = evaluate_files(tmp_path / "truth.json", tmp_path / "found.json", "test", benchmark_of("thumos14").tious)
    expected = detection_results(found, truth, "thumos14")
    assert again.map.tolist() == expected.map.tolist() and again.map[0] > 0.01
    np.testing.assert_array_equal(again.ap, expected.ap)
    for v, rows in enumerate(json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["results"].values()):
        own = np.flatnonzero(found.video == v)
        own = own[np.argsort(-scores[own], kind="stable")]
        assert [row["score"] for row in rows] == scores[own].tolist()
        assert [row["segment"] for row in rows] == found.segments[own].tolist()
        assert [row["label"] for row in rows] == [names[c] for c in found.classes[own]]


def drawn_segments(rng, names):
    """Six instances, whose ends are on the grid of frames, where overlaps tie with thresholds."""
    start = (rng.integers(4000, size=6) / 25).tolist()
    return [(s, s + int(rng.integers(20, 200)) / 25, str(rng.choice(names))) for s in start]


@pytest.mark.parametrize("grid", [None, 5.0])
def test_activitynet_is_evaluated_as_officially(tmp_path, grid):
    """Against loops, over the real v1.2 validation videos, at the official t-IoUs.

    Without ties the predictions are visited by NumPy's `argsort()[::-1]` of their scores, to the letter. On a grid of
    seconds overlaps and scores tie: there the official order of equal scores hangs on NumPy's unstable sort, so nothing
    can be said to match it; ours is that of the file.
    """
    content = json.loads(
        (DATA / "annotations/activitynet/activity_net.v1-2.min-missing-removed.json").read_text(encoding="utf-8")
    )
    rng, videos, results = np.random.default_rng(0), content["database"], {}
    rows = [
        (id, row) for id, video in videos.items() if video["subset"] == "validation" for row in video["annotations"]
    ]
    for _, row in rows:
        row["segment"] = on_grid(row["segment"], grid)
    labels = sorted({row["label"] for _, row in rows})
    for n in rng.integers(len(rows), size=2500):
        id, row = rows[n]
        segment = np.sort(row["segment"] + rng.normal(size=2) * (0.3 * np.diff(row["segment"]) + (grid or 0)))
        score = rng.integers(20) / 20 if grid else rng.normal()
        label = row["label"] if rng.random() < 0.9 else str(rng.choice(labels))
        results.setdefault(id, []).append({"segment": on_grid(segment.tolist(), grid), "score": score, "label": label})
    for name, whole in (("truth", content), ("found", {"results": results})):
        (tmp_path / f"{name}.json").write_text(json.dumps(whole), encoding="utf-8")

    tious = np.linspace(0.5, 0.95, 10)
    names, result = evaluate_files(tmp_path / "truth.json", tmp_path / "found.json", "validation", tious)
    assert names == labels and len(labels) == 100
    for c, label in enumerate(labels):
        truth = [(id, *row["segment"]) for id, row in rows if row["label"] == label]
        found = [(id, *p["segment"], p["score"]) for id, own in results.items() for p in own if p["label"] == label]
        if not grid:
            found = [found[n] for n in np.array([score for *_, score in found]).argsort()[::-1]]
        expected = [plain.average_precision(truth, found, tiou) for tiou in tious]
        np.testing.assert_allclose(result.ap[:, c], expected, rtol=0, atol=1e-12)
    assert result.map[0] > 0.1 and result.map[-1] > 0


def on_grid(segment, grid):
    """Start and end, rounded to multiples of ``grid`` seconds if there is one."""
    return [round(second / grid) * grid for second in segment] if grid else segment


def test_a_negative_score_counts(run):
    rows = [{"label": "jump", "segment": s, "score": x} for s, x in (([0, 1], -3.0), ([20, 30], -2.5))]
    result = json.loads(run(TRUTH, {"results": {"a": rows}}, "--tiou", "0.5", "--format", "json"))
    assert result["ap_by_class"]["jump"] == [1]


def change(content, **changes):
    row = {"label": "run", "segment": [0, 10], "score": 0.5} | changes
    row = {key: value for key, value in row.items() if value is not None}
    return {"results": {"a": [content["results"]["a"][0], row]}}


NOT_JSON = "pred.json: not JSON: Expecting property name enclosed in double quotes at line 1, column 2"
ROW = "pred.json: results['a'][1]:"
WRONG_PREDICTIONS = [
    ("{", NOT_JSON),
    ({"result": {}}, "pred.json: the file: has no 'results'"),
    ([], "pred.json: the file: has no 'results'"),
    ({"results": []}, "pred.json: results: expected an object"),
    ({"results": {"a": {}}}, "pred.json: results['a']: expected a list"),
    (change(FOUND, score=None), f"{ROW} has no 'score'"),
    (change(FOUND, label=None), f"{ROW} has no 'label'"),
    (change(FOUND, score=float("nan")), f"{ROW} score nan, expected a number"),
    (change(FOUND, score=float("inf")), f"{ROW} score inf, expected a number"),
    (change(FOUND, score="high"), f"{ROW} score 'high', expected a number"),
    (change(FOUND, score=10**400), f"{ROW} score {10**400}, expected a number"),
    (change(FOUND, segment=[float("nan"), 1]), f"{ROW} segment [nan, 1], expected [start, end] in seconds"),
    (change(FOUND, segment=[5, 1]), f"{ROW} segment [5, 1] ends before it starts"),
    (change(FOUND, segment=[1]), f"{ROW} segment [1], expected [start, end] in seconds"),
    (change(FOUND, label=["run"]), f"{ROW} label ['run'], expected text"),
    (change(FOUND, label="swim"), f"{ROW} label 'swim' is none of the 2 classes of the ground truth's subset"),
]


@pytest.mark.parametrize(("found", "line"), WRONG_PREDICTIONS)
def test_bad_predictions_give_one_line_with_the_place(run, found, line):
    with pytest.raises(SystemExit) as stop:
        run(TRUTH, found)
    assert str(stop.value).endswith(line) and "\n" not in str(stop.value)


WRONG_TRUTHS = [
    ({"subset": "validation", "annotations": 5}, "gt.json: database['a'].annotations: expected a list"),
    ({"annotations": []}, "gt.json: database['a']: has no 'subset'"),
    ({"subset": "validation"}, "gt.json: database['a']: has no 'annotations'"),
    ({"subset": "test"}, "gt.json: no video of the subset 'validation'; it has 'test'"),
    (
        {"subset": "validation", "annotations": [{"label": "run", "segment": [9, 1]}]},
        "gt.json: database['a'].annotations[0]: segment [9, 1] ends before it starts",
    ),
]


@pytest.mark.parametrize(("video", "line"), WRONG_TRUTHS)
def test_a_bad_ground_truth_gives_one_line_with_the_place(run, video, line):
    with pytest.raises(SystemExit) as stop:
        run({"database": {"a": video}}, FOUND)
    assert str(stop.value).endswith(line) and "\n" not in str(stop.value)


def test_thresholds():
    official = np.linspace(0.5, 0.95, 10)
    assert (
        parse_tious("0.5:0.95:0.05")
        == tuple(official)
        == (*(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85), 0.9 - 2**-53, 0.95)
    )
    assert parse_tious("0.1:0.7:0.1") == tuple(np.linspace(0.1, 0.7, 7))
    assert parse_tious("0.3,0.9") == (0.3, 0.9) and parse_tious("0.7") == (0.7,)
    for dataset in ("activitynet12", "activitynet13"):
        assert benchmark_of(dataset).tious == benchmark_of(dataset).averages["0.5:0.95"] == tuple(official)
    assert benchmark_of("thumos14").tious == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    for wrong in ("0.5:0.9", "x", "0:1:0.5", "1.5", "0.1:0.9:0", "0.5:0.95:0.1", "0.5:0.64:0.05", "0.5_5"):
        with pytest.raises(Exception, match="expected start:stop:step"):
            parse_tious(wrong)


def test_the_command_loads_no_torch():
    heavy = ("torch", "pandas", "scipy", "matplotlib")
    script = f"import sys, clasnet.evaluate; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1], check=False).returncode == 0


def test_the_order_of_untied_predictions_changes_nothing():
    """Shuffling untied predictions changes nothing, however many rounds the matching takes."""
    rng = np.random.default_rng(0)
    n, tious = 20_000, (0.3, 0.7)
    truth = np.sort(rng.random((300, 2)) * 50, axis=1), rng.integers(20, size=300), rng.integers(5, size=300)
    found = np.sort(rng.random((n, 2)) * 50, axis=1), rng.integers(20, size=n), rng.integers(5, size=n), rng.random(n)
    order = rng.permutation(n)
    shuffled = (x[order] for x in found)
    np.testing.assert_array_equal(detection_ap(*truth, *found, tious).ap, detection_ap(*truth, *shuffled, tious).ap)

"""What Figure 5 and the page make of results and logs: the right seed, video, model, step."""

import base64
import io
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from dvclive import Live
from made_results import flat, settings
from PIL import Image
from test_video import LOSSLESS, greys, numbered, write_video
from tqdm import tqdm

from clasnet.data.activitynet import write_activitynet
from clasnet.data.annotations import make_annotations
from clasnet.inference.timeline import draw_timeline
from stages import report, train
from stages.collect import losses
from stages.drawing import timeline
from stages.page import diagnosis, explorer, submission, survey
from stages.page.pictures import folder_of, pictures
from stages.tabling.write import write_table

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
        results.write("acrnet", variant, flat(20, 22, 24), seeds=(2, 0, 1), found=FOUND, curve=[0.2, 0.6])
    empty = {"id": "c", "subset": "test", "duration": 64.0, "segments": []}  # stands nowhere in what is shown
    write_activitynet(results.folder / "truth.json", make_annotations(["jump", "run"], [*results.videos, empty]))
    results.dump("seconds.json", {"a": 62.72, "b": 50.0, "c": 64.0})  # of the features, not as annotated
    params = settings(all_seeds=[2, 0, 1], baselines=["acrnet"])
    of = np.array([[1.0, 2, np.nan], [3, 4, np.nan], [5, 6, np.nan]])
    shown = explorer.explorer("thumos14", params, {"acrnet": {"baseline": of, "clasnet": of + [[1], [0], [-1]]}})
    assert list(shown["videos"]) == ["a", "b"] and shown["tallies"] == {"acrnet": [[2, 0, 0], [0, 2, 0], [0, 0, 2]]}
    assert shown["note"].startswith("2 of the 2 test videos") and "the t-IoUs 0.1:0.7," in shown["note"]
    assert [each["seconds"] for each in shown["videos"].values()] == [62.72, 50]
    video = shown["videos"]["a"]
    assert video["truth"] == [[10, 20, 0], [30, 40, 0], [41, 50, 0]]
    assert video["scores"]["acrnet"] == {"baseline": [1, 3, 5], "clasnet": [2, 3, 4]}
    for seed in (2, 0, 1):
        model = video["models"]["acrnet"]["clasnet"][str(seed)]
        assert model["segments"] == [[*segment, 0, 10 * seed + score] for _, segment, score in FOUND]
        assert levels(model["curves"]["attention"]) == {round(25.5 * seed)}
        assert {label: levels(own) for label, own in model["curves"]["cas"].items()} == {0: {51}}
        (run,) = shown["videos"]["b"]["models"]["acrnet"]["clasnet"][str(seed)]["curves"]["cas"].items()
        assert run[0] == 1 and levels(run[1]) == {153}


def test_the_explorer_ranks_by_the_mean_over_seeds(results):
    """Video a gains 9 by one seed of three and b 1 by each: their medians are in the other order."""
    for variant in ("baseline", "clasnet"):
        results.write("acrnet", variant, flat(20, 22, 24), seeds=(0, 1, 2), found=FOUND)
    alone = np.zeros((3, 2))
    both = np.array([[9.0, 1], [0, 1], [0, 1]])
    params = settings(all_seeds=[0, 1, 2], baselines=["acrnet"])
    for gain, first in ((both, "a"), (both / [[9], [1], [1]], "b")):
        shown = explorer.explorer("thumos14", params, {"acrnet": {"baseline": alone, "clasnet": gain}})
        assert next(iter(shown["videos"])) == first


def levels(curve):
    """The bytes that a curve of the explorer has."""
    return set(base64.b64decode(curve))


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


def test_the_explorer_shows_as_much_as_its_note_says():
    """Of 30 videos 16, and the 40 best segments of each; what is no more than arithmetic is no gain."""
    assert len(explorer.choose([np.arange(30.0)], range(30))) == 16
    rows = [submission.Row(segment=(n, n + 1), score=100 - n, label="jump") for n in range(50)]
    shown = explorer.model_content(rows, np.zeros((5, 2)), np.zeros(5), {"jump": 0}, {0})["segments"]
    assert [score for *_, score in shown] == list(range(100, 60, -1))
    assert "the 40 best segments" in explorer.describe(16, 30, "thumos14")
    assert explorer.tally(np.array([0.3, -0.3, 1e-9, -1e-9, 20, np.nan])) == [2, 2, 1]


def test_costs_are_what_would_be_gained(results):
    """Without the wrong prediction, which comes first, the mAP would be higher."""
    rows = {"a": as_json([]), "b": as_json([("run", [40, 60], 0.9), ("run", [5, 25], 0.8)])}
    run = diagnosis.diagnose_run(submission.as_predictions(rows, results.truth), results.truth, "seconds")
    assert run["mAP"] == pytest.approx(25) and run["counts"]["background"] == 1
    assert run["cost"]["background"] == pytest.approx(25) and run["cost"]["localisation"] == 0
    three = diagnosis.mean_run([run, *2 * [run | {"cost": dict.fromkeys(run["cost"], 1.0)}]])
    assert three["cost"]["background"] == pytest.approx(9)


def test_errors_are_counted_at_half_overlap_in_the_ten_best_of_each_instance(results):
    """The first of eleven overlaps the only instance by 0.45, the others nothing."""
    truth = make_annotations(["jump"], [results.videos[1] | {"segments": [(0, 10, "jump")]}])
    rows = [("jump", (0, 22), 0.99), *(("jump", (30 + n, 31 + n), 0.5) for n in range(10))]
    found = submission.as_predictions({"b": as_json(rows)}, truth)
    run = diagnosis.diagnose_run(found, truth, "seconds")
    assert run["counts"]["true positive"] == 0 and run["counts"]["localisation"] == 1
    assert sum(run["counts"].values()) == 10 and run["mAP"] == 0
    assert [row["missed"] for row in run["sensitivity"] if row["instances"]] == [1] * 3


def test_the_survey_compares_in_the_units_of_the_evaluation(results):
    """Of 10 to 20 s this is more than half, and of the whole snippets there, of 0.64 s each, less."""
    rows = [{"label": "jump", "segment": [10, 15.05], "score": 0.9}]
    truth, found = results.truth, {}
    for units in ("seconds", "snippets"):
        results.write("acrnet", "clasnet", flat(20), units=units, seeds=(0,))
        results.dump("acrnet/clasnet/seed0.json", {"results": {"a": rows, "b": []}})
        found[units] = survey.survey_model("thumos14", "acrnet", "clasnet", truth, [0])
        own = submission.as_predictions({"a": json.dumps(rows).encode(), "b": b"[]"}, truth)
        np.testing.assert_array_equal(found[units]["scores"][0], survey.video_scores(own, truth, "thumos14", units))
        assert found[units]["diagnosis"] == diagnosis.mean_run([diagnosis.diagnose_run(own, truth, units)])
    assert found["seconds"]["scores"][0, 0] != found["snippets"]["scores"][0, 0]
    assert found["seconds"]["diagnosis"] != found["snippets"]["diagnosis"]


def test_instances_are_as_long_as_their_seconds_and_missed_as_in_the_mean_over_seeds(results):
    """10, 10, 9 and 20 s: in snippets, in which they are compared, they were in longer bins."""
    perfect = {"a": [("jump", (10, 20), 1), ("jump", (30, 40), 1), ("jump", (41, 50), 1)], "b": [("run", (5, 25), 1)]}
    runs = []
    for rows in (perfect, perfect | {"b": []}):
        found = submission.as_predictions({id: as_json(own) for id, own in rows.items()}, results.truth)
        runs.append(diagnosis.diagnose_run(found, results.truth, "snippets"))
    lengths = [row for row in diagnosis.mean_run(runs)["sensitivity"] if row["what"] == "length"]
    assert [row["bin"] for row in lengths] == ["XS ≤ 3 s", "S ≤ 6", "M ≤ 12", "L ≤ 18", "XL"]
    assert [row["instances"] for row in lengths] == [0, 0, 3, 0, 1]
    assert [row["missed"] for row in lengths] == [None, None, 0, None, 0.5]


def test_the_curves_of_a_training_are_at_the_steps_that_were_logged(tmp_path):
    with Live(str(tmp_path / "seed3"), save_dvc_exp=False, dvcyaml=None) as live, tqdm(disable=True) as bar:
        log = train.Log(live, bar)
        for step, loss in ((0, 3.0), (10, 2.5), (20, 1.23456)):
            log(step, {"mil": loss / 2, "loss": loss})
    found = losses([tmp_path])
    assert found["loss"] == {"3": {"step": [0, 10, 20], "value": [3.0, 2.5, 1.235]}}
    assert list(found) == ["loss", "mil"] and found["mil"]["3"]["value"] == [1.5, 1.25, 0.6173]


# The page's parts -----------------------------------------------------------------------------------------------------


def test_the_page_has_the_diagnosis_scores_and_losses_of_each_model(tmp_path, monkeypatch):
    def surveyed(dataset, params):
        return {
            b: {v: {what: (what, dataset, b, v) for what in ("diagnosis", "scores")} for v in ("baseline", "clasnet")}
            for b in params.baselines
        }

    def models(*what):
        """A key for every model of the page, in which ``what`` comes first."""
        sets, both = ("activitynet12", "thumos14"), ("baseline", "clasnet")
        return {d: {b: {v: (*what, d, b, v) for v in both} for b in ("co2net", "acrnet")} for d in sets}

    (tmp_path / "params.yaml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("answer", "study", "tables", "images", "gain_lines", "sweep"):
        monkeypatch.setattr(report, name, lambda *_: None)
    monkeypatch.setattr(report, "survey", surveyed)
    monkeypatch.setattr(report, "explorer", lambda dataset, params, scores: (dataset, scores))
    monkeypatch.setattr(report, "read_training", lambda *key: key)
    data = report.page_data(settings(datasets=["activitynet12", "thumos14"]))
    assert data["diagnosis"] == models("diagnosis")
    assert data["explorer"] == {dataset: (dataset, scores) for dataset, scores in models("scores").items()}
    assert data["training"] == models()


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [("last", "the last checkpoint"), ("best_on_test", "the checkpoint that scores best on the test set")],
)
def test_the_page_says_what_was_run(checkpoint, said):
    params = settings(datasets=["thumos14", "activitynet12"], baselines=["co2net", "delu", "acrnet"], all_seeds=[0])
    params.evaluate.checkpoint = checkpoint
    assert report.about(params) == f"This run: 3 baselines on 2 data sets, 1 seeds, {said}."


def test_pictures_and_notes_are_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports/figures").mkdir(parents=True)
    for name in ("figure2", "figure5"):
        (tmp_path / f"reports/figures/{name}.png").write_bytes(name.encode())
    for name, image in report.images().items():
        assert image["title"].startswith(f"{name.replace('figure', 'Figure ')}: ")
        assert base64.b64decode(image["source"].removeprefix("data:image/png;base64,")).decode() == name
    for name, note in (("table1", "± is the deviation."), ("table2", None)):
        write_table(tmp_path, name, [{"Method": "a", "AVG": "1.0"}], "Table. Some", note)
        table = {"id": name, "caption": "Table. Some", "columns": ["Method", "AVG"], "rows": [["a", "1.0"]]}
        assert report.table(tmp_path / f"{name}.csv") == table | {"note": note or ""}


def test_tables_are_in_the_papers_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "STUDY", tmp_path / "reports/study/tables")
    monkeypatch.setattr(report, "earlier_runs", lambda: "")
    of_run = ["table1", "table2", "table3", "table-hacs", "table4", "table5"]
    of_run += ["protocols", "classification", "summary", "claims"]
    of_study = ["gains", "overall", "table1", "table2", "table3", "table4", "attention"]
    rooms = {"comparison": {*of_run} - {"table5"}, "complexity": {"table5"}}
    for room, names in {f"reports/tables/{name}": names for name, names in rooms.items()}.items():
        (tmp_path / room).mkdir(parents=True)
        for name in sorted(names):
            write_table(tmp_path / room, name, [{"Method": name}], name)
    report.STUDY.mkdir(parents=True)
    for name in of_study:
        write_table(report.STUDY, name, [{"Method": name}], name)
    assert [table["id"] for table in report.tables()] == of_run
    assert [table["id"] for table in report.study()["tables"]] == [f"study-{name}" for name in of_study]


def test_a_timeline_shows_all_attention_and_no_more():
    figure = draw_timeline([], np.full(10, 0.5), 6.4, "a video")
    assert figure.axes[0].get_ylim() == (0, 1) and figure.axes[0].get_xlim() == (0, 6.4)
    plt.close(figure)

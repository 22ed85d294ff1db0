"""Data sets as entries of one file: their protocols, wrong entries, and two more of them through the pipeline."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from made_results import settings
from matplotlib.figure import Figure
from pipeline import edit, make_clone, stage_here, tiny_params, tiny_profile

from clasnet.data import datasets
from clasnet.data.annotations import make_annotations
from clasnet.data.datasets import benchmark_of, benchmarks
from clasnet.data.store import Origin, open_store, write_store
from clasnet.errors import InputError
from clasnet.evaluation.attention import true_snippets
from clasnet.inference.predict import localize_video, predict
from clasnet.models.registry import build_baseline, build_model, import_extensions
from stages import card
from stages.tabling.write import read_csv

ENTRY = {
    "title": "Mine",
    "train": "training",
    "test": "testing",
    "tious": "0.5:0.95:0.05",
    "columns": "0.5,0.9",
    "averages": ["0.5:0.7", "0.5:0.95"],
    "like": "activitynet13",
}


def test_the_protocols_of_the_papers():
    linspace = tuple(np.linspace(0.5, 0.95, 10).tolist())
    assert benchmark_of("thumos14").averages == {
        "0.1:0.5": (0.1, 0.2, 0.3, 0.4, 0.5),
        "0.3:0.7": (0.3, 0.4, 0.5, 0.6, 0.7),
        "0.1:0.7": benchmark_of("thumos14").tious,
    }
    for name in ("activitynet12", "activitynet13", "hacs", "fineaction"):
        one = benchmark_of(name)
        assert one.tious == one.averages["0.5:0.95"] == linspace and one.columns == (0.5, 0.75, 0.95)
        assert (one.train, one.test) == ("training", "validation")
    assert (benchmark_of("thumos14").train, benchmark_of("thumos14").test) == ("validation", "test")


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """Reads a file of one entry beside the usual ones, with changes."""
    usual = json.loads(datasets.FILE.read_text(encoding="utf-8"))
    monkeypatch.setattr(datasets, "FILE", tmp_path / "datasets.json")

    def read(name="mine", **changes):
        mine = {key: value for key, value in (ENTRY | changes).items() if value is not None}
        (tmp_path / "datasets.json").write_text(json.dumps(usual | {name: mine}), encoding="utf-8")
        benchmarks.cache_clear()
        return benchmark_of(name)

    yield read
    benchmarks.cache_clear()


def test_an_entry_of_ones_own(entry):
    one = entry()
    assert one.columns == (0.5, one.tious[8]) and one.tious[8] != 0.9  # whatever its last bit
    assert one.averages["0.5:0.7"] == one.tious[:5] and list(one.averages)[-1] == "0.5:0.95"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"title": None}, r"datasets\.json: \['mine'\]: has no 'title'"),
        ({"test": 3}, r"datasets\.json: \['mine'\]: test 3, expected a name without control characters"),
        ({"title": "HACS Segments"}, r"datasets\.json: .*title = 'HACS Segments': must be that of no other data set"),
        ({"title": ""}, r"datasets\.json: \['mine'\]: title '', expected a name without control characters"),
        ({"colums": ""}, r"datasets\.json: \['mine'\]: unknown key 'colums'; known here: title, train, test, tious"),
        ({"test": "training"}, r"datasets\.json: mine\.test = 'training': must not be the subset that trains"),
        ({"averages": ["0.5:0.7", "0.50:0.70"]}, r"datasets\.json: mine\.averages = .*: must not repeat an entry"),
        (
            {"name": "trials"},
            r"datasets\.json: 'trials': a data set's name is one of folders: .*none of study, released",
        ),
        ({"averages": ["0.5:0.7"] * 2}, r"datasets\.json: mine\.averages = .*: must not repeat an entry"),
        ({"name": "a/b"}, r"datasets\.json: 'a/b': a data set's name is one of folders: letters, digits and _"),
        ({"name": "units"}, r"datasets\.json: 'units': a data set's name is one of folders: .*none of study, released"),
        ({"tious": "0.5:0.4"}, r"datasets\.json: mine\.tious = '0\.5:0\.4': expected start:stop:step"),
        ({"columns": "0.5,0.52"}, r"datasets\.json: mine\.columns: 0\.52 is none of its tious"),
        ({"averages": []}, r"datasets\.json: mine\.averages: must name at least one, such as 0\.5:0\.95"),
        ({"averages": ["all"]}, r"datasets\.json: mine\.averages: 'all': expected two of its tious"),
        ({"averages": ["0.7:0.5"]}, r"datasets\.json: mine\.averages: '0\.7:0\.5': must not fall"),
        ({"like": "hacs"}, r"datasets\.json: mine\.like = 'hacs': must be one of thumos14, activitynet12, activity"),
    ],
)
def test_a_wrong_entry_gives_one_line(entry, changes, line):
    with pytest.raises(InputError, match=line):
        entry(**changes)


def test_no_such_data_set():
    with pytest.raises(InputError, match=r"unknown data set 'thumos': must be one of thumos14, .* datasets\.json has"):
        build_baseline("acrnet", num_classes=2, dataset="thumos", width=8)


def test_what_is_like_another_has_its_published_settings():
    for one, other in (("hacs", "activitynet13"), ("fineaction", "activitynet13")):
        recipes = [build_baseline("delu", num_classes=2, dataset=name, width=8).recipe for name in (one, other)]
        assert recipes[0]["baseline"] | {"dataset": other} == recipes[1]["baseline"]


@pytest.mark.parametrize("streams", [1, 2])
def test_times_follow_the_frame_rate_of_the_features(tmp_path, streams):
    """Twice as long snippets: the same snippets are found, at twice the time, in files as in memory."""
    import_extensions("examples")
    rng, records = np.random.default_rng(0), [("a", 40), ("b", 25)]
    x = {id: rng.random((length, 8 * streams)).astype(np.float32) for id, length in records}
    recipe = {"name": "basnet", "num_classes": 2, "dataset": "hacs", "width": 8, "streams": streams}
    torch.manual_seed(0)
    model = build_model(recipe, {"fcsm": {"layers": 2, "heads": 2}, "brm": {}}).eval()
    model.classes, model.num_segments = ("run", "jump"), 20
    found = {}
    for rate in (25, 12.5):
        each = 16 / rate
        videos = [
            {"id": id, "subset": "test", "duration": length * each, "segments": [(0, 9.3 * each, "run")]}
            for id, length in records
        ]
        origin = Origin(rate=rate, crops=10, streams=streams)
        write_store(tmp_path / f"{rate}", make_annotations(model.classes, videos), x.items(), origin=origin)
        store = open_store(tmp_path / f"{rate}")
        assert store.width == 8 and store.origin == origin and store.seconds.tolist() == [40 * each, 25 * each]
        assert true_snippets(store.annotations, 0, 40, each).sum() == 9
        found[rate] = predict(model, store, np.arange(2), 20)
        alone = localize_video(model, x["a"], each)
        assert alone[0]["segment"] == found[rate].segments[found[rate].scores[found[rate].video == 0].argmax()].tolist()
    assert len(found[25].scores) > 20
    np.testing.assert_allclose(found[12.5].segments, 2 * found[25].segments, atol=2e-3)
    np.testing.assert_array_equal(found[12.5].scores, found[25].scores)
    with pytest.raises(InputError, match=f"the features have 9 columns, the model reads {8 * streams}"):
        localize_video(model, np.zeros((20, 9), np.float32))


def made_up(folder, name, rate, columns, rng):
    """Annotations in the layout of a data set, and features of snippets of 16 frames at ``rate`` in ``folder``."""
    (folder / "features").mkdir(parents=True)
    database = {}
    for n in range(20):
        id, length = f"{name}_{n:03d}", int(rng.integers(30, 50))
        label = ["Archery", "Zumba"][n % 2]
        actions = [{"label": label, "segment": [round(4 * 16 / rate, 3), round(20 * 16 / rate, 3)], "label_id": n % 2}]
        subset = "training" if n < 12 else "validation"
        database[id] = {"subset": subset, "duration": length * 16 / rate, "annotations": actions, "url": "https://x"}
        features = rng.random((length, columns)).astype(np.float32)
        features[4:20, n % 2] += 2
        np.save(folder / f"features/{id}.npy", features)
    database["unseen"] = {"subset": "testing", "duration": 9.0, "annotations": []}
    (folder / "annotations.json").write_text(json.dumps({"version": "1.1.1", "database": database}), encoding="utf-8")


@pytest.fixture(scope="module")
def done(clone):
    """The clone with its tables and cards, by the pipeline's commands; that DVC runs them is for test_pipeline.py."""
    stage_here(clone, "check")
    for name in ("hacs", "fineaction"):
        for each in ("features", "card", "control"):
            stage_here(clone, each, name)
        for variant in ("baseline", "clasnet"):
            stage_here(clone, "train", f"{name}/basnet/{variant}/from0")
        stage_here(clone, "evaluate", f"{name}/basnet")
    for variant in ("C", "layers-2", "heads-4"):
        stage_here(clone, "train", f"study/{variant}/from0")
    stage_here(clone, "evaluate", "study")
    stage_here(clone, "collect")
    stage_here(clone, "tables")
    return clone


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Of two further data sets: HACS at 30 frames a second, FineAction with features of a single stream."""

    def params(content):
        content = tiny_params(content) | {"datasets": ["hacs", "fineaction"], "baselines": ["basnet"]}
        content["study"] |= {"dataset": "hacs", "baseline": "basnet", "rows": ["C"], "layers": [2], "heads": [4]}
        return content | {"seeds": [[0]]}

    def profile(content):
        content = tiny_profile(content)
        for name in ("hacs", "fineaction"):
            own = f"data/own/{name}"
            content["data"][name] = {"annotations": f"{own}/annotations.json", "features": f"{own}/features"}
        content["data"]["hacs"]["origin"] = {"rate": 30, "crops": 1}
        content["data"]["fineaction"]["origin"] = {"streams": 1}
        recipe = content["train"]["acrnet"]["activitynet13"] | {"steps": 4, "batch_size": 8, "segments": 20}
        content["train"]["basnet"] = {"activitynet13": recipe | {"model": {"width": 32}}}  # for those that are like it
        return content

    folder, rng = tmp_path_factory.mktemp("clone"), np.random.default_rng(0)
    make_clone(folder, params, profile)
    made_up(folder / "data/own/hacs", "hacs", 30, 64, rng)
    made_up(folder / "data/own/fineaction", "v", 25, 32, rng)
    return folder


def test_hacs_and_fineaction_from_features_to_tables(done):
    for name, title in (("hacs", "HACS Segments"), ("fineaction", "FineAction")):
        caption = (done / f"reports/tables/comparison/table-{name}.md").read_text(encoding="utf-8").splitlines()[0]
        assert caption.startswith(f"**{title}: baselines without and with CLASNet.") and "8 test videos" in caption
        rows = read_csv(done / f"reports/tables/comparison/table-{name}.csv")
        assert list(rows[0])[:5] == ["Method", "0.5", "0.75", "0.95", "AVG 0.5:0.95"]
        assert [row["Method"] for row in rows][-2:] == ["BaS-Net style", "BaS-Net style + CLASNet"]
        assert all(row["Supervision"] in ("none (control)", "weak, this repository") for row in rows)
        content = json.loads((done / f"predictions/{name}/basnet/clasnet/seed0.json").read_text(encoding="utf-8"))
        ends = [action["segment"][1] for actions in content["results"].values() for action in actions]
        each = 16 / {"hacs": 30, "fineaction": 25}[name]
        np.testing.assert_allclose(np.array(ends) / each, np.round(np.array(ends) / each), atol=2e-3)
    metrics = json.loads((done / "reports/metrics.json").read_text(encoding="utf-8"))
    assert list(metrics) == ["gain", "hacs", "fineaction"]


def test_the_data_card_counts_each_subset(tmp_path):
    records = [
        {"id": "a", "subset": "validation", "duration": 3600.0, "segments": [(0, 6, "run"), (10, 14, "jump")]},
        {"id": "b", "subset": "validation", "duration": 6.4, "segments": [(1, 2, "run")]},
        {"id": "c", "subset": "test", "duration": 64.0, "segments": [(0, 30, "run")]},
    ]
    lengths = {"a": 5625, "b": 10, "c": 100}
    features = [(id, np.zeros((length, 2), np.float32)) for id, length in lengths.items()]
    write_store(tmp_path / "store", make_annotations(["jump", "run"], records), features)
    rows = card.count_rows(open_store(tmp_path / "store"), benchmark_of("thumos14"))
    assert [list(row.values()) for row in rows] == [
        ["training (validation)", 2, "5,635", "1.0", 2, 3, "1.5", "4.0", 1],
        ["test (test)", 1, "100", "0.0", 1, 1, "1.0", "30.0", 0],
        ["both", 3, "5,735", "1.0", 2, 4, "1.3", "5.0", 1],
    ]


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    """In data/thumos14, one instance of each wrong kind, in videos of 6.4 s, and 60 lines of a kind found before."""
    monkeypatch.chdir(tmp_path)
    good, late, long, empty = (1, 7.3, "run"), (6.5, 7.2, "run"), (2, 7.5, "run"), (3, 3, "run")
    early = (-0.5, 2, "run")
    records = [
        {"id": "a", "subset": "validation", "duration": 9.0, "segments": [good, late]},
        {"id": "b", "subset": "test", "duration": 9.0, "segments": [good, long, empty, early, good]},
    ]
    features = [(id, np.zeros((10, 2), np.float32)) for id in "ab"]
    found = {"features without annotation": [f"v{n}" for n in range(60)]}
    write_store("data/thumos14", make_annotations(["run"], records), features, problems=found)
    return open_store("data/thumos14")


def test_what_is_wrong_with_instances(faulty):
    assert card.annotation_problems(faulty) == {
        "instances that are there twice": ["b at 1.0 to 7.3 s"],
        "instances that begin before the first snippet": ["b at -0.5 to 2.0 s"],
        "instances that begin after the last snippet": ["a at 6.5 to 7.2 s"],
        "instances that end more than a second after the last snippet": ["b at 2.0 to 7.5 s"],
        "instances that end before they begin": ["b at 3.0 to 3.0 s"],
    }


def test_the_data_card_lists_what_was_found_before_and_what_is_wrong_with_instances(faulty, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["card.py", "thumos14"])
    monkeypatch.setattr(card, "read_params", settings)
    card.main()
    text = Path("reports/data/thumos14/README.md").read_text(encoding="utf-8")
    found = "; ".join(f"v{n}" for n in range(50))
    assert text.split("## Problems found\n\n")[1].split("\n\n")[:2] == [
        f"**features without annotation: 60.** {found} …",
        "**instances that are there twice: 1.** b at 1.0 to 7.3 s",
    ]
    assert "reports/data/thumos14: 6 kinds of problems in 2 videos" in capsys.readouterr().out


def test_the_histograms_of_the_data_card_count_each_subset():
    axis = Figure().subplots()
    subset = np.array(["validation"] * 3 + ["test"] * 5 + ["unused"])
    card.draw_histogram(axis, np.arange(1.0, 10), subset, benchmark_of("thumos14"), "length (s)")
    heights = {bars[0].get_label(): sum(bar.get_height() for bar in bars) for bars in axis.containers}
    assert heights == {"train": 3, "test": 5}


def test_the_data_card_names_rate_stride_and_crops(done):
    cards = {
        name: (done / f"reports/data/{name}/README.md").read_text(encoding="utf-8") for name in ("hacs", "fineaction")
    }
    streams = "Features: 64 columns (RGB and flow), float32; a snippet is 0.5333 s"
    assert f"{streams}: frame rate 30 a second, stride 16 frames, crops: 1." in cards["hacs"]
    streams = "Features: 32 columns (a single stream), float32; a snippet is 0.64 s"
    assert (
        f"{streams}: frame rate 25 a second, stride 16 frames, crops not stated by their authors."
        in cards["fineaction"]
    )


def test_a_network_of_two_streams_says_that_it_cannot_read_one(clone):
    edit(clone / "params.yaml", _with_acrnet)
    line = "profiles/demo.yaml: data.fineaction.origin.streams = 1: ACRNet needs RGB and flow; set baselines to basnet"
    with pytest.raises(SystemExit, match=f"^{re.escape(line)}$"):
        stage_here(clone, "check")


def _with_acrnet(params):
    return params | {"baselines": ["acrnet", "basnet"]}

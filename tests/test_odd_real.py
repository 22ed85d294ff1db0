"""Real data as people have them: other names, other units, copies, links. One sharp test a kind."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from conftest import ROOT
from pipeline import make_clone, run
from test_odd_data import ACTION, VIDEO, activitynet

from clasnet import build_baseline, localize_video
from clasnet.data.annotation_files import read_annotations
from clasnet.data.annotations import make_annotations
from clasnet.data.convert import convert
from clasnet.data.datasets import benchmark_of
from clasnet.data.store import open_store, write_store
from clasnet.errors import InputError
from clasnet.evaluate import main as evaluate
from clasnet.files import files_below
from clasnet.inference.predict import predict
from stages import card, features, sources
from stages.check import signature
from stages.code import code_of
from stages.params import load_params
from stages.schema import Section, read_checked

LONG = {"subset": "test", "duration": 64, "segments": [(1, 20, "run")]}


def made(folder, videos, **arrays):
    """A store in ``folder`` of the ``arrays`` by id, and what was wrong."""
    (folder / "f").mkdir()
    for id, x in arrays.items():
        np.save(folder / f"f/{id}.npy", x)
    annotations = make_annotations(["run", "jump"], [LONG | video for video in videos])
    return convert(folder / "s", annotations, folder / "f", columns=4, subsets=("training", "test"))


def drawn(seed):
    return np.random.default_rng(seed).random((100, 4), dtype=np.float32)


# Features -------------------------------------------------------------------------------------------------------------


def test_a_copy_of_a_video_and_a_stream_of_nothing_are_noted(tmp_path):
    """So leak test videos into the training; a single changed snippet makes another video."""
    x, flowless = drawn(0), drawn(1)
    flowless[:, 2:] = 0
    other = x.copy()
    other[0, 0] += 1
    videos = [{"id": id, "subset": subset} for id, subset in zip("abcd", ("training", "test") * 2, strict=True)]
    problems = made(tmp_path, videos, a=x, b=x, c=other, d=flowless)
    assert problems == {
        "the same features as another video": ["b: those of a"],
        "nothing but zeros in one of two streams": ["d"],
    }


SUBSETS = "training", "Test", "testing", "extra"


def test_a_subset_that_is_misspelt_is_noted_and_one_of_its_own_is_not(tmp_path):
    videos = [{"id": id, "subset": subset} for id, subset in zip("abcd", SUBSETS, strict=True)]
    problems = made(tmp_path, [*videos, {"id": "e"}], a=drawn(0), e=drawn(1))
    assert problems == {
        "of a subset that nobody reads, left out": ["b: Test, not test", "c: testing, not test"],
    }


def test_features_in_linked_folders_are_read_and_a_link_to_itself_is_not_followed(tmp_path):
    (tmp_path / "far").mkdir()
    np.save(tmp_path / "far/a.npy", drawn(0))
    (tmp_path / "near").mkdir()
    (tmp_path / "near/more").symlink_to(tmp_path / "far")
    (tmp_path / "near/again").symlink_to(tmp_path / "near")
    (tmp_path / "near/gone.npy").symlink_to(tmp_path / "nowhere")
    near = tmp_path / "near"
    assert files_below(near, ".npy") == [near / "gone.npy", near / "more/a.npy"]
    before = signature(near)
    assert [entry[0] for entry in before] == ["gone.npy", "more/a.npy"]
    np.save(tmp_path / "far/a.npy", drawn(0)[:50])
    assert signature(near) != before


def test_features_of_another_kind_of_file_are_named(tmp_path):
    (tmp_path / "f.h5").touch()
    settings = {"origin": {}, "source": None, "annotations": "a", "features": str(tmp_path / "f.h5"), "profile": "demo"}
    with pytest.raises(InputError, match="f.h5: must be a folder of .npy files, one or a pair a video, or one .npy"):
        features.make_real(tmp_path / "s", "thumos14", settings)


def test_half_a_package_is_pinned_by_nothing(tmp_path, monkeypatch):
    """What is wrong comes first; then the whole one counts as its first use."""
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load((ROOT / "sources.yaml").read_text(encoding="utf-8"))
    content["annotations"]["thumos14"]["files"] = {}
    content["thumos14"]["wtalc"] |= {"size": None, "checksum": None}
    Path("sources.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    package = Path("data/raw/thumos14/wtalc", content["thumos14"]["wtalc"]["file"])
    package.parent.mkdir(parents=True)
    (package.parent / "annotations").mkdir()
    monkeypatch.setattr(features, "read_annotations", lambda path: make_annotations(["run"], [LONG | {"id": "a"}]))
    settings = {"origin": {}, "source": "wtalc", "width": 2, "dtype": "float32"}
    whole = np.empty(1, object)
    whole[0] = drawn(0)
    np.save(package, whole, allow_pickle=True)
    good = package.read_bytes()
    package.write_bytes(good[:500])
    with pytest.raises(InputError, match="or a truncated one"):
        features.make_real(tmp_path / "s", "thumos14", settings)
    package.write_bytes(good)
    features.make_real(tmp_path / "s", "thumos14", settings)
    assert list(sources.read_pins()) == [package.as_posix()]
    package.write_bytes(good[:500])
    with pytest.raises(InputError, match="not as at its first use"):
        features.make_real(tmp_path / "s", "thumos14", settings)


# Annotations ----------------------------------------------------------------------------------------------------------


def store_of(folder, *videos):
    """A store of ``videos``, all as long."""
    annotations = make_annotations(["run", "Run"], [LONG | video for video in videos])
    write_store(folder, annotations, ((video["id"], drawn(n)) for n, video in enumerate(videos)))
    return open_store(folder)


def test_classes_that_nothing_teaches_are_in_the_card_and_if_there_are_no_others_refused(tmp_path):
    benchmark = SimpleNamespace(train="training", test="test")
    taught = {"id": "a", "subset": "training"}, {"id": "b", "subset": "training", "segments": []}
    known, strange = {"id": "c"}, {"id": "d", "segments": [(1, 2, "Run")]}
    store = store_of(tmp_path / "s", *taught, known, strange)
    assert card.class_problems(store, benchmark) == {
        "training videos without a label": ["b"],
        "classes of the test videos that no training video has": ["Run"],
    }
    assert card.class_problems(store_of(tmp_path / "none", known), benchmark) == {}  # no training videos at all
    side = {name: getattr(benchmark_of("thumos14"), name) for name in ("train", "test")}
    all_strange = make_annotations(
        ["run", "Run"], [LONG | taught[0] | {"subset": side["train"]}, LONG | strange | {"subset": side["test"]}]
    )
    with pytest.raises(InputError, match="thumos14: no training video has a class of the test videos, such as 'Run'"):
        features.check_subsets("thumos14", all_strange)


@pytest.mark.parametrize(
    ("segments", "line"),
    [
        ([(100, 200), (30, 66), (3, 4)], "2 of 3 instances end after their video does"),
        ([(0.1, 0.2), (0.5, 1)], "none of 2 instances ends after 1 s"),
        ([(100, 200), (30, 65), (3, 4)], None),
        ([(0.1, 0.2), (0.5, 1.1)], None),
    ],
)
def test_times_in_frames_or_shares_are_refused(tmp_path, segments, line):
    store = store_of(tmp_path / "s", {"id": "a", "segments": [(*segment, "run") for segment in segments]})
    if line is None:
        return features.check_times("d", store)
    with pytest.raises(InputError, match=f"^d: {line}; times are in seconds$"):
        features.check_times("d", store)


def test_the_stage_looks_at_the_times(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("f").mkdir()
    np.save("f/a.npy", drawn(0))
    frames = VIDEO | {"duration": 64, "annotations": [ACTION | {"segment": [250, 500]}]}
    activitynet(Path("t.json"), {"a": frames})
    settings = {"twin": None, "source": None, "origin": {}, "width": 2, "dtype": "float32", "profile": "demo"}
    monkeypatch.setattr(features, "argument", lambda name: "thumos14")
    monkeypatch.setattr(features, "read_settings", lambda *_: settings | {"features": "f", "annotations": "t.json"})
    with pytest.raises(InputError, match="thumos14: 1 of 1 instances end after their video does; times are"):
        features.main()


def test_labels_that_lead_nowhere_are_no_reason_to_take_others(published, tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    for path in (published / "annotations/thumos14").iterdir():
        (folder / path.name).symlink_to(path if path.name != "labels_all.npy" else tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="labels_all.npy"):
        read_annotations(folder)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("video,subset\nv_a, test\n", "line 2: the subset ' test', expected a name"),
        ("video,subset,subset\nv_a,test,training\n", "line 1: has 2 columns 'subset'"),
    ],
)
def test_a_table_of_subsets_is_blamed_itself(tmp_path, table, line):
    known = {"v_a": {"duration_second": 9, "annotations": [ACTION]}}
    (tmp_path / "anet_anno_action.json").write_text(json.dumps(known), encoding="utf-8")
    (tmp_path / "video_info_new.csv").write_text(table, encoding="utf-8")
    with pytest.raises(InputError, match=f"video_info_new.csv: {line}"):
        read_annotations(tmp_path)


# The evaluation of files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (25, "p.json: 2 of 2 predictions end after their video does; times are in seconds"),
        (1 / 64, "p.json: none of 2 predictions ends after 1 s; times are in seconds"),
        (1, ""),
    ],
)
def test_the_evaluation_tells_of_times_in_other_units(tmp_path, capsys, factor, said):
    actions = [ACTION | {"segment": segment} for segment in ([1, 20], [30, 60])]
    truth = activitynet(tmp_path / "t.json", {"a": VIDEO | {"duration": 64, "annotations": actions}})
    found = [each | {"score": 1, "segment": [factor * t for t in each["segment"]]} for each in actions]
    (tmp_path / "p.json").write_text(json.dumps({"results": {"a": found}}), encoding="utf-8")
    files = ["--ground-truth", str(truth), "--predictions", str(tmp_path / "p.json"), "--subset", "test"]
    evaluate(files)
    assert capsys.readouterr().err.rstrip("\n").rpartition("/")[2] == said
    truth.write_text(truth.read_text(encoding="utf-8").replace("64", '"64 s"'), encoding="utf-8")
    evaluate(files)  # a duration is no business of the protocol
    assert capsys.readouterr().err == ""
    truth.write_text(truth.read_text(encoding="utf-8").replace('"64 s"', "0.5"), encoding="utf-8")
    evaluate(files)
    assert "t.json: 2 of 2 instances end after their video does" in capsys.readouterr().err


# The library ----------------------------------------------------------------------------------------------------------


def test_names_of_other_classes_are_refused(tmp_path):
    model = build_baseline("acrnet", num_classes=2, width=2, heads=2)
    model.num_segments = 20
    for classes, line in ((("a", "b", "c"), "3 names: must be a tuple of 2 names"), ("ab", "'ab', a text: must be a")):
        model.classes = classes
        with pytest.raises(InputError, match=f"model.classes: {line}"):
            localize_video(model, drawn(0))
    model.classes = ("a", "b")
    for x in (drawn(0) + 0j, np.ma.array(drawn(0)), drawn(0).astype("M8[s]")):
        with pytest.raises(InputError, match="features must be a NumPy array"):
            localize_video(model, x)
    with pytest.raises(InputError, match="snippet_seconds = 0.64: must be a number above 0"):
        localize_video(model, drawn(0), "0.64")
    more = build_baseline("acrnet", num_classes=3, width=2, heads=2)
    with pytest.raises(InputError, match="the model has 3 classes, the store 2"):
        predict(more, store_of(tmp_path / "s", {"id": "a"}), [0], 20)


# Parameters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("released", "line"),
    [
        ({"mine": "w$(touch x).pkl"}, "released.mine.file = .*: must be a path without"),
        ({"mine": "w`id`.pkl"}, "released.mine.file = .*: must be a path without"),
        ({"acr@v2": "a.pkl"}, "released.acr@v2"),
    ],
)
def test_what_a_shell_or_dvc_would_read_otherwise_is_refused(tmp_path, released, line):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    entry = {"dataset": "thumos14", "baseline": "acrnet"}
    params["released"] = {key: entry | {"file": file} for key, file in released.items()}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    with pytest.raises(SystemExit, match=f"params.yaml: {line}"):
        load_params(tmp_path / "params.yaml")


class Rates(Section):
    lr: float
    steps: int = 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lr: 1:30.5", "1:30.5 is another number in each version of YAML"),
        ("steps: 1\nlr: 2\nsteps: 3", "the key 'steps' is there twice.*line 3, column 1"),
    ],
)
def test_yaml_that_reads_otherwise_elsewhere(tmp_path, text, line):
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=line):
        read_checked(tmp_path / "a.yaml", Rates)
    (tmp_path / "a.yaml").write_text("lr: 0.05\nsteps: 2", encoding="utf-8")
    assert read_checked(tmp_path / "a.yaml", Rates) == Rates(lr=0.05, steps=2)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfX = 1\n", b"# coding: latin-1\nX = '\xfc'\n"])
def test_code_is_read_in_the_encoding_that_it_names(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_bytes(content)
    assert list(code_of(["mine"])) == ["mine"]


def test_cluster_stale_works_from_anywhere(tmp_path):
    clone = make_clone(tmp_path / "clone")
    (clone / "examples/mine.py").touch()
    refused = run(tmp_path, str(clone / "cluster/stale"), "dvc.yaml", good=False)
    assert refused == "cluster/stale: jobs work on a commit; commit or remove what is in none: examples/mine.py\n"

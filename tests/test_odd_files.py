"""Files that are odd in ways that used to pass, or to be blamed on something else: one sharp test a kind."""

import codecs
import gzip
import json

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT
from made_results import flat, settings
from test_silence import tar

import stages.results
from clasnet import CLASNet, build_baseline, localize_video, save_model
from clasnet.data.activitynet import read_activitynet
from clasnet.data.annotation_files import read_annotations
from clasnet.data.annotations import make_annotations
from clasnet.data.convert import convert
from clasnet.data.features import group_files
from clasnet.data.store import write_store
from clasnet.errors import InputError
from clasnet.evaluate import main as evaluate
from clasnet.localization.localize import localize
from clasnet.localization.settings import Localization
from clasnet.localization.soft_nms import soft_nms
from clasnet.models.checkpoint import load_model, unusable
from clasnet.models.registry import build_model, import_extensions
from clasnet.reading import read_json
from clasnet.training.loop import train
from clasnet.video.folder import is_done
from stages import card, check, collect, verdict
from stages.evaluate import another
from stages.params import load_params
from stages.schema import Section, read_checked
from stages.sources import load_sources, unpacked
from stages.units import Machine, read_unit

ACTION = {"segment": [1, 2], "label": "run"}
VIDEO = {"subset": "test", "duration": 9, "annotations": [ACTION]}


def activitynet(path, videos, **more):
    """A file in the ActivityNet layout."""
    path.write_text(json.dumps({"database": videos} | more), encoding="utf-8")
    return path


def test_json_with_a_byte_order_mark_is_read(tmp_path):
    path = activitynet(tmp_path / "a.json", {"a": VIDEO})
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert read_activitynet(path).ids.tolist() == ["a"]


ENCODED = [
    (gzip.compress(b"{}", mtime=0), "not JSON: it is compressed; unpack it with gunzip"),
    (codecs.BOM_UTF16_LE + b"{\0}\0", "not JSON, which is text in UTF-8; this looks like UTF-16"),
    (b"\0\0\0{\0\0\0}", "not JSON, which is text in UTF-8; this looks like UTF-32-BE"),
]


@pytest.mark.parametrize(("content", "line"), ENCODED)
def test_json_in_another_coat_is_named(tmp_path, content, line):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=f"a.json: {line}$"):
        read_json(tmp_path / "a.json", dict[str, int])


NO_NAMES = [
    ({"a\0": VIDEO}, r"the video 'a\\x00'"),  # NumPy would drop the last letter
    ({"": VIDEO}, "the video ''"),
    ({"a": VIDEO | {"subset": "te\nst"}}, r"the subset 'te\\nst'"),
    ({"a": VIDEO | {"annotations": [ACTION | {"label": "\x1b[2J"}]}}, r"the class '\\x1b\[2J'"),  # clears a terminal
]


@pytest.mark.parametrize(("videos", "line"), NO_NAMES)
def test_names_hold_no_control_characters(tmp_path, videos, line):
    with pytest.raises(InputError, match=f"{line}, expected a name without control characters"):
        read_activitynet(activitynet(tmp_path / "a.json", videos))


def test_a_model_has_no_such_class(tmp_path):
    model = build_baseline("acrnet", num_classes=2, width=4)
    save_model(tmp_path / "m.pt", model, classes=("a", "\x1b[2J"), num_segments=9)
    with pytest.raises(InputError, match=r"classes\[1\]: .*, expected a name without control characters"):
        load_model(tmp_path / "m.pt")


ENDLESS = [
    ({"a": VIDEO | {"duration": 1e300}}, "duration 1e\\+300, expected a number of seconds above 0, at most a million"),
    ({"a": VIDEO | {"annotations": [ACTION | {"segment": [0, 1e308]}]}}, r"segment \[0, 1e\+308\], expected"),
]


@pytest.mark.parametrize(("videos", "line"), ENDLESS)
def test_times_are_of_a_video(tmp_path, videos, line):
    with pytest.raises(InputError, match=line):
        read_activitynet(activitynet(tmp_path / "a.json", videos))


def test_an_endless_prediction_is_named(tmp_path):
    truth = activitynet(tmp_path / "t.json", {"a": VIDEO})
    rows = [ACTION | {"score": 1, "segment": [0, 1e308]}]
    (tmp_path / "p.json").write_text(json.dumps({"results": {"a": rows}}), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"results\['a'\]\[0\]: segment \[0, 1e\+308\], expected \[start, end\]"):
        evaluate(["--ground-truth", str(truth), "--predictions", str(tmp_path / "p.json"), "--subset", "test"])


# A folder of THUMOS14 -------------------------------------------------------------------------------------------------


def thumos14(folder, **changes):
    """A folder of one video in the released layout, with ``changes`` of its arrays."""
    arrays = {
        "videoname": np.array([b"v"]),
        "subset": np.array([b"test"]),
        "duration": np.array([[9.0]]),
        "classlist": np.array([b"run"]),
        "segments": objects([[1.0, 2.0]]),
        "labels": objects(["run"]),
        "labels_all": objects(["run"]),
    }
    folder.mkdir()
    for name, array in (arrays | changes).items():
        np.save(folder / f"{name}.npy", array, allow_pickle=True)
    return folder


def objects(*entries):
    """An object array of the lists ``entries``, one a video."""
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


def test_a_whole_folder_of_thumos14_is_read(tmp_path):
    folder = thumos14(tmp_path / "a")
    (folder / "Ambiguous_test.txt").write_bytes(codecs.BOM_UTF8 + b"v 3 4\n")
    found = read_annotations(folder)
    assert found.duration.tolist() == [9] and found.segments.tolist() == [[1, 2]]
    assert found.ambiguous["v"].tolist() == [[3, 4]]


WRONG_ARRAYS = [
    ({"labels_all": objects(["run", "jump"])}, "video 'v' has the label 'jump', which is no class"),
    ({"duration": np.array([[True]])}, r"duration.npy: \[0\]: array\(\[ True\]\), expected a number of seconds"),
    ({"duration": np.array([b"9"])}, r"duration.npy: \[0\]: .*b'9'.*, expected a number of seconds"),
    ({"duration": np.array([[9 + 1j]])}, r"duration.npy: \[0\]: array\(\[9.\+1.j\]\), expected a number of seconds"),
    ({"duration": np.array([[9.0, 8.0]])}, r"duration.npy: \[0\]: array\(\[9., 8.\]\), expected a number of seconds"),
    ({"segments": objects([[False, True]])}, r"segments.npy: \[0\]\[0\]: segment \[False, True\], expected \[start,"),
    ({"segments": objects([["1", "2"]])}, r"segments.npy: \[0\]\[0\]: segment \['1', '2'\], expected \[start, end\]"),
    ({"videoname": np.array([b"v\xff"])}, r"the video 'v\\udcff', expected a name"),
]


@pytest.mark.parametrize(("changes", "line"), WRONG_ARRAYS)
def test_what_is_wrong_in_a_folder_of_thumos14(tmp_path, changes, line):
    with pytest.raises(InputError, match=line):
        read_annotations(thumos14(tmp_path / "a", **changes))


@pytest.mark.parametrize("times", ["3", "3 x", "3 1e300", "4 3"])
def test_a_line_of_no_segment_is_named(tmp_path, times):
    folder = thumos14(tmp_path / "a")
    (folder / "Ambiguous_test.txt").write_text(f"v 1 2\nv {times}\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"line 2: 'v {times}', expected `id start end`, in seconds"):
        read_annotations(folder)


def test_a_link_to_nothing_is_no_absent_file(tmp_path):
    folder = thumos14(tmp_path / "a")
    (folder / "Ambiguous_test.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        read_annotations(folder)


def test_of_two_files_one_must_be_named(tmp_path):
    for name in "ab":
        activitynet(tmp_path / f"{name}.json", {"v": VIDEO})
    with pytest.raises(InputError, match="holds 2 JSON files; name the one to read, such as .*a.json"):
        read_annotations(tmp_path)


def test_a_table_of_subsets_with_a_byte_order_mark_is_read(tmp_path):
    video = {"duration_second": 9.0, "annotations": [ACTION]}
    (tmp_path / "anet_anno_action.json").write_text(json.dumps({"v_a": video}), encoding="utf-8")
    (tmp_path / "video_info_new.csv").write_bytes(codecs.BOM_UTF8 + b"video,subset\nv_a,training\n")
    assert read_annotations(tmp_path).subset.tolist() == ["training"]


# Features -------------------------------------------------------------------------------------------------------------


def two_videos(subset="test"):
    records = [{"id": id, "subset": subset, "duration": 6.4, "segments": []} for id in "ab"]
    return make_annotations(["run"], records)


SAME = np.ones((10, 4), np.float32)
PACKAGES = [
    ([SAME, None], "its entry 1 is no array of numbers"),
    ([SAME, SAME], "its entries 0 and 1 are one array"),
    ([[SAME, SAME * 2], None], "its entry 0 is no array of numbers"),  # as many arrays as videos
]


@pytest.mark.parametrize(("entries", "line"), PACKAGES)
def test_a_package_is_of_one_array_a_video(tmp_path, entries, line):
    np.save(tmp_path / "p.npy", objects(*entries), allow_pickle=True)
    with pytest.raises(InputError, match=line):
        convert(tmp_path / "s", two_videos(), tmp_path / "p.npy", columns=4, subsets=("validation", "test"))
    assert not (tmp_path / "s").exists()


def test_files_of_one_stream_beside_one_of_both_are_named():
    videos, wrong = group_files(["a.npy", "a_rgb.npy", "a_flow.npy", "b.npy"])
    assert list(videos) == ["a", "b"] and list(wrong) == ["a"] and wrong["a"].endswith(" is there besides a.npy")


def test_no_features_and_no_videos_are_told_apart(tmp_path):
    where = {"columns": 4, "subsets": ("validation", "test")}
    (tmp_path / "f").mkdir()
    with pytest.raises(InputError, match="f: there is no .npy file in it or below"):
        convert(tmp_path / "s", two_videos(), tmp_path / "f", **where)
    with pytest.raises(InputError, match="no annotated video is of the subsets validation and test; there are 'test '"):
        convert(tmp_path / "s", two_videos("test "), tmp_path / "f", **where)


# Models ---------------------------------------------------------------------------------------------------------------


def test_numbers_that_are_stored_once_are_no_weights():
    assert unusable(torch.zeros(1).expand(10**12)) == "is not stored as plain numbers"
    assert not unusable(torch.zeros(4, 3).t())


def test_soft_nms_of_the_narrowest_gaussian_ends_in_numbers():
    """Its factors would be 0, and 0 times the score of an empty slot, -inf, NaN."""
    start, end = np.array([0, 0, 20, 20, 40]), np.array([10, 10, 30, 30, 50])
    scores, group = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([0, 0, 0, 0, 1])
    lowered = soft_nms(start, end, scores, group, 1e-6)
    np.testing.assert_allclose(lowered, [0.9, 0, 0.7, 0, 0.5], atol=1e-12)


def test_a_model_of_another_name_is_told_apart():
    baseline = {"name": "acrnet", "num_classes": 2, "dataset": "thumos14", "width": 8}
    fcsm, brm = {"layers": 2, "heads": 2, "weight": 0.5}, {"weight": 2.0}
    bare, whole = build_model(baseline).recipe, build_model(baseline, {"fcsm": fcsm, "brm": brm}).recipe
    own = {part: dict(settings) for part, settings in whole["clasnet"].items() if part in ("fcsm", "brm")}
    del own["fcsm"]["beta"]  # which is not trained
    own["ramp"] = whole["clasnet"]["ramp"]
    assert another(whole, "thumos14", "acrnet", own) == another(bare, "thumos14", "acrnet", None) == ""
    assert another(bare, "hacs", "acrnet", None) == "its baseline is acrnet of thumos14, not acrnet of hacs"
    assert another(bare, "thumos14", "delu", None) == "its baseline is acrnet of thumos14, not delu of thumos14"
    assert "its CLASNet has fcsm None, not {'layers': 2" in another(bare, "thumos14", "acrnet", own)
    assert "its CLASNet has fcsm {'layers': 2" in another(whole, "thumos14", "acrnet", None)
    other = own | {"fcsm": own["fcsm"] | {"layers": 3}}
    assert "'layers': 2" in another(whole, "thumos14", "acrnet", other)
    assert another(whole, "thumos14", "acrnet", own | {"sparsity": {"weight": 0.1}}).endswith("not {'weight': 0.1}")


def test_extensions_lie_below(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match=r"\.\./there: extensions are imported by name, so they must lie below"):
        import_extensions("../there")
    (tmp_path / "here/odd").mkdir()
    (tmp_path / "here/odd/oddly_named.py").write_text("raise ValueError('was run')", encoding="utf-8")
    with pytest.raises(InputError, match=r"odd/oddly_named.py: ValueError: was run"):
        import_extensions(tmp_path / "here/odd")  # an absolute path will do


# YAML and what `check` wrote ------------------------------------------------------------------------------------------


class Numbers(Section):
    steps: int
    lists: list = []


BOMB = "lists: [&a0 [1], " + ", ".join(f"&a{n} [{', '.join(9 * [f'*a{n - 1}'])}]" for n in range(1, 7)) + "]"
ODD_YAML = [
    ("steps: 010", "010 is another number in each version of YAML"),
    ("steps: 1:30", "1:30 is another number in each version of YAML"),
    ("steps: 3\nlists: &a [*a]", "not YAML of use here: nested too deep, too long, or within itself"),
    (f"steps: 3\n{BOMB}", "not YAML of use here: nested too deep, too long, or within itself"),
    ("[]", r"the whole file = \[\]: input should be a valid dictionary"),
]


@pytest.mark.parametrize(("text", "line"), ODD_YAML)
def test_odd_yaml(tmp_path, text, line):
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"a.yaml: .*{line}"):
        read_checked(tmp_path / "a.yaml", Numbers)


def test_usual_yaml(tmp_path):
    (tmp_path / "a.yaml").write_text("steps: &n -10\nlists: [*n, *n, 0, 0x1F]", encoding="utf-8")
    assert read_checked(tmp_path / "a.yaml", Numbers) == Numbers(steps=-10, lists=[-10, -10, 0, 31])


def test_what_clasnet_refuses_is_not_blamed_on_the_profile(tmp_path):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["fcsm"]["temperature"] = 1e-9
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    with pytest.raises(SystemExit, match="^[^ ]*params.yaml: fcsm.temperature = 1e-09: must be a number from 1e-06"):
        load_params(tmp_path / "params.yaml")


ODD_SOURCES = [
    ({"file": "../f.npy"}, "file = '../f.npy': must be a path below"),
    ({"file": "/f.npy"}, "file = '/f.npy': must be a path below"),
    ({"file": "."}, "file = '.': must be a path below"),
    ({"file": None, "folder": ""}, "folder = '': must be a path below"),
    ({"unpack": "f.npy"}, "`unpack` is the folder for what is in the archive"),
    ({"size": -1}, "size = -1: input should be greater than or equal to 1"),
    ({"mirrors": []}, r"mirrors = \[\]: list should have at least 1 item"),
    ({"mirrors": [{"url": "file:///etc/passwd"}]}, "url = 'file:///etc/passwd': string should match pattern"),
]


@pytest.mark.parametrize(("changes", "line"), ODD_SOURCES)
def test_odd_sources(tmp_path, changes, line):
    source = {"annotations": "mine", "file": "f.npy", "mirrors": [{"url": "https://example.org/f.npy"}]} | changes
    content = {"annotations": {"mine": {"base": "https://example.org/", "files": {}}}, "thumos14": {"a": source}}
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(InputError, match=line):
        load_sources(tmp_path / "sources.yaml")


def test_a_damaged_unit_says_what_writes_it_again(tmp_path):
    (tmp_path / "u.json").write_text('{"settings": ', encoding="utf-8")
    with pytest.raises(InputError, match="u.json: not JSON: .*; `dvc repro --force --single-item check` writes it"):
        read_unit(tmp_path / "u.json")


def test_a_damaged_list_of_problems_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_store("data/thumos14", two_videos(), [(id, SAME) for id in "ab"])
    (tmp_path / "data/thumos14/problems.json").write_text('{"kind": "line"}', encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["card.py", "thumos14"])
    monkeypatch.setattr(card, "read_params", settings)
    with pytest.raises(InputError, match=r"problems.json: \['kind'\]: expected a list"):
        card.main()


# What the stages made -------------------------------------------------------------------------------------------------


def test_a_unit_without_its_parts_is_named(tmp_path):
    (tmp_path / "u.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="u.json: the file: has no 'settings'; `dvc repro --force"):
        read_unit(tmp_path / "u.json")
    (tmp_path / "m.json").write_text(json.dumps({"device": "gpu"}), encoding="utf-8")
    with pytest.raises(InputError, match="m.json: the file: has no 'jobs'"):
        read_unit(tmp_path / "m.json", Machine)


DAMAGED = ["map.json", "seed0.json", "curves0.safetensors", "resamples.npy"]


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_result_is_named_with_its_remedy(results, name):
    results.write("acrnet", "clasnet", flat(30, 40))
    path = results.folder / "acrnet/clasnet" / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=f"{name}: .*; remove the folder results and run `dvc repro collect`"):
        stages.results.averages("thumos14", "acrnet", "clasnet")
        stages.results.open_submission("thumos14", "acrnet", "clasnet", 0)
        stages.results.read_curves("thumos14", "acrnet", "clasnet", 0)
        stages.results.read_resamples("thumos14", "acrnet", "clasnet")


def test_a_map_in_percent_is_no_map(results):
    results.write("acrnet", "clasnet", flat(3000, 40))
    with pytest.raises(InputError, match=r"mAP.*30.0, expected a number from 0 to 1"):
        stages.results.averages("thumos14", "acrnet", "clasnet")


@pytest.mark.parametrize(
    "text", ["", "step\tloss\n", "step\tloss\n0\tx\n", "step\tloss\n0\tnan\n", "step\tother\n0\t1\n"]
)
def test_a_damaged_curve_of_a_training_is_named(tmp_path, text):
    path = tmp_path / "from0/seed0/plots/metrics/loss.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("step\tloss\n0\t1.5\n", encoding="utf-8")
    assert collect.losses([tmp_path / "from0"]) == {"loss": {"0": {"step": [0], "value": [1.5]}}}
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"loss.tsv: damaged, expected columns step and loss; remove .*/from0 and run"):
        collect.losses([tmp_path / "from0"])


def trials(**changes):
    """The trials of a cell, two replicates."""
    each = {"maps": {"0": [30.0] * 7}, "correlation": {"a": 0.5}}
    return {"baseline": {"1": each, "2": each}, "clasnet": {"2": each, "1": each}} | changes


def test_trials_are_paired_by_their_number(tmp_path, monkeypatch):
    monkeypatch.setattr(verdict, "FOLDER", tmp_path)
    path = tmp_path / "trials/thumos14-delu.json"
    path.parent.mkdir()
    found = trials()
    found["clasnet"] = {n: found["clasnet"][n] | {"maps": {"0": [30.0 + int(n)] * 7}} for n in ("2", "1")}
    path.write_text(json.dumps(found), encoding="utf-8")
    assert verdict.Cell("thumos14", "delu", 0.7).gains().tolist() == pytest.approx([1, 2])
    for wrong, line in (
        (trials(clasnet={"1": found["clasnet"]["1"]}), "its replicates of clasnet are not those of the baseline"),
        (trials(baseline={}), "its replicates of clasnet are not those of the baseline"),
        (trials(baseline={"1": {"maps": {"0": [300.0]}, "correlation": {}}}), "300.0, expected a number from 0 to 100"),
        ({}, "its replicates of clasnet are not those of the baseline"),
    ):
        path.write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(InputError, match=f"thumos14-delu.json: .*{line}"):
            verdict.Cell("thumos14", "delu", 0.7)


STUDIES = [
    ({"trials": None}, "trials: is missing"),
    ({"data": "no twin"}, "data.thumos14: must have a `twin`"),
    ({"train": "one less"}, "train.acrnet: must have an entry for every data set of `data`: activitynet12, activity"),
]


@pytest.mark.parametrize(("change", "line"), STUDIES)
def test_a_profile_of_no_study_is_refused(tmp_path, change, line):
    profile = yaml.safe_load((ROOT / "profiles/study.yaml").read_text(encoding="utf-8"))
    if change.get("data"):
        profile["data"]["thumos14"] = {"source": "wtalc"}
    elif change.get("train"):
        del profile["train"]["acrnet"]["thumos14"]
    else:
        profile |= change
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    with pytest.raises(InputError, match=f"study.yaml: {line}"):
        check.check_study(tmp_path / "study.yaml")


# Arguments ------------------------------------------------------------------------------------------------------------


def test_a_loss_of_the_baseline_does_not_vanish_under_one_of_clasnet():
    class Sparse(type(build_baseline("acrnet", num_classes=2, width=8))):
        def losses(self, output, labels, progress):
            return {"sparsity": output.attention.mean()}

    model = CLASNet(Sparse(2, 8), sparsity={})
    with pytest.raises(InputError, match="the name of CLASNet's own: sparsity; give them another one"):
        model.losses(model(torch.rand(2, 12, 16)), torch.eye(2), 0.5)


WRONG_TRAININGS = [
    ({"schedule": "Cosine"}, "schedule = 'Cosine': must be one of constant, cosine"),
    ({"precision": "fp16"}, "precision = 'fp16': must be one of float32, tf32, bf16"),
    ({"steps": 0}, "steps = 0: must be a whole number from 1 on"),
    ({"steps": 2.5}, "steps = 2.5: must be a whole number from 1 on"),
    ({"lr": 0}, "lr = 0: must be a number above 0"),
    ({"weight_decay": -1}, "weight_decay = -1: must be a number from 0 on"),
]


@pytest.mark.parametrize(("change", "line"), WRONG_TRAININGS)
def test_a_training_of_unknown_settings_is_refused(change, line):
    with pytest.raises(InputError, match=f"^{line}$"):
        train(None, None, **{"steps": 2, "lr": 1e-3, "weight_decay": 0.0} | change)


WRONG_LOCALIZATIONS = [
    {"nms_iou": "Pixel"},
    {"units": "snippet"},
    {"nms_sigma": 0},
    {"num_thresholds": 0},
    {"margin": -1},
]


@pytest.mark.parametrize("change", [*WRONG_LOCALIZATIONS, {"thresholds": (0.9, 0.1)}])
def test_a_localisation_of_unknown_settings_is_refused(change):
    with pytest.raises(InputError, match=f"^{next(iter(change))} = .*: must be "):
        Localization(**change)


def test_a_video_that_was_cut_down_keeps_its_times_without_frames():
    """ACRNet cuts to frames; a network of one's own may not."""
    activity = np.zeros((10, 1))
    activity[4:6] = 1
    found = localize(np.array([1.0]), activity, activity, Localization(), num_snippets=100)
    assert found.segments[found.scores.argmax()].tolist() == [25.6, 38.4]


def test_localising_twice_gives_the_same():
    model = build_baseline("acrnet", num_classes=2, width=8).train()
    model.classes, model.num_segments = ("a", "b"), 20
    x = np.random.default_rng(0).random((20, 16))
    assert localize_video(model, x) == localize_video(model, x)  # no dropout, and float64 will do
    for wrong, line in ((0, "snippet_seconds = 0: must be above 0"), (float("nan"), "snippet_seconds = nan")):
        with pytest.raises(InputError, match=line):
            localize_video(model, x, wrong)
    with pytest.raises(InputError, match="the features hold no snippets"):
        localize_video(model, x[:0])


def test_a_model_file_keeps_the_beta_that_was_set(tmp_path):
    model = build_model({"name": "acrnet", "num_classes": 2, "width": 8}, {"fcsm": {"heads": 2}})
    model.beta = 0.25
    save_model(tmp_path / "m.pt", model, classes=("a", "b"), num_segments=9)
    assert load_model(tmp_path / "m.pt").beta == 0.25


# Archives and arrays --------------------------------------------------------------------------------------------------


def test_what_follows_an_array_is_no_part_of_it(tmp_path):
    for name in ("segments", "subset"):  # pickled, and not
        folder = thumos14(tmp_path / name)
        with (folder / f"{name}.npy").open("ab") as file:
            file.write(b"zz")
        with pytest.raises(InputError, match=f"{name}.npy: not a readable NumPy .*: more follows after the array"):
            read_annotations(folder)
    np.save(tmp_path / "p.npy", objects(SAME, SAME * 2), allow_pickle=True)
    with (tmp_path / "p.npy").open("ab") as file:
        file.write(b"zz")
    with pytest.raises(InputError, match="p.npy: .*more follows after the array"):
        convert(tmp_path / "s", two_videos(), tmp_path / "p.npy", columns=4, subsets=("validation", "test"))


def test_ambiguous_segments_of_other_videos_are_named(tmp_path):
    folder = thumos14(tmp_path / "a")
    (folder / "Ambiguous_test.txt").write_text("w 1 2\n", encoding="utf-8")
    with pytest.raises(InputError, match="Ambiguous_test.txt: names none of the videos, but 'w'"):
        read_annotations(folder)


def test_what_an_archive_cannot_be_unpacked_to(tmp_path):
    archive = tar(tmp_path / "a.tar", ("a", b"x"), ("a/b", b"y"))
    with pytest.raises(InputError, match="a.tar: cannot write what it holds as a/b: "):
        unpacked(archive, tmp_path / "out")
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="out: is a file where the content of a.tar belongs"):
        unpacked(archive, tmp_path / "out")


def test_a_label_that_moves_the_terminal_is_not_printed(tmp_path):
    truth = activitynet(tmp_path / "t.json", {"a": VIDEO | {"annotations": [ACTION | {"label": "\x1b[2J"}]}})
    (tmp_path / "p.json").write_text(json.dumps({"results": {"a": [ACTION | {"score": 1}]}}), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"t.json: the label '\\x1b\[2J', expected a name without control characters"):
        evaluate(["--ground-truth", str(truth), "--predictions", str(tmp_path / "p.json"), "--subset", "test"])


def test_damaged_features_are_extracted_again(tmp_path):
    features, video = tmp_path / "a.npy", tmp_path / "a.mp4"
    video.touch()
    np.save(features, np.ones((3, 2048), np.float32))
    assert is_done(features, video)
    features.write_bytes(features.read_bytes()[:500])
    assert not is_done(features, video)


@pytest.mark.parametrize(("key", "value"), [("layers", [1.0, 4]), ("layers", ["4"]), ("heads", [2.0])])
def test_a_number_that_names_a_stage_is_written_as_one(tmp_path, key, value):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["study"][key] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(SystemExit, match=rf"params.yaml: study.{key}.0 = .*: input should be a valid integer"):
        load_params(tmp_path / "params.yaml")

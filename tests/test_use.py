"""Trained and imported models in use: their files, authors' checkpoints, one's own videos, the README's Python."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import yaml
from test_parity import seeded_weights

import clasnet
from clasnet import CLASNet, build_baseline, load_features, load_model, localize_video, save_model
from clasnet.data.annotations import make_annotations
from clasnet.data.store import write_store
from clasnet.data.synthetic import draw_annotations, twin_videos
from clasnet.evaluation.metrics import detection_ap
from clasnet.evaluation.protocol import comparable, evaluation_units
from clasnet.inference.predict import detect
from clasnet.inference.predictions import Predictions
from clasnet.inference.timeline import draw_timeline
from clasnet.localize import main as localize
from clasnet.models.registry import import_extensions
from stages import check, evaluate, import_released, train
from stages.errors import stage_errors

ROOT = Path(__file__).parents[1]
PLUGIN = {
    "fcsm": {"layers": 2, "heads": 2, "topk": 0.3, "alpha": 0.25, "weight": 0.1, "beta": 0.3},
    "brm": {"weight": 1.0, "distance": "mse"},
}


class Attack:
    """A pickle that leaves a mark when it is run."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def small_model(path, width=8, plugin=True):
    torch.manual_seed(0)
    model = build_baseline("acrnet", num_classes=3, width=width, merge="concatenate")
    model = CLASNet(model, **PLUGIN).eval() if plugin else model.eval()
    save_model(path, model, classes=("jump", "run", "swim"), num_segments=20)
    return model


@pytest.mark.parametrize("plugin", [True, False])
def test_a_model_file_holds_the_whole_model(tmp_path, plugin):
    model = small_model(tmp_path / "m.pt", plugin=plugin)
    again = load_model(tmp_path / "m.pt")
    x = torch.rand(1, 30, 16)
    assert torch.equal(model(x).attention, again(x).attention) and torch.equal(model(x).cas, again(x).cas)
    assert again.classes == ("jump", "run", "swim") and again.num_segments == 20
    assert again.localization == model.localization
    small_model(tmp_path / "n.pt", plugin=plugin)
    assert (tmp_path / "m.pt").read_bytes() == (tmp_path / "n.pt").read_bytes()


def damaged(kind, path, mark):
    """A file that is no model, at ``path``."""
    if kind == "truncated":
        whole = path.with_suffix(".whole")
        torch.save(seeded_weights("acrnet", 0, 3), whole)
        path.write_bytes(whole.read_bytes()[:-5000])
    elif kind == "malicious":
        torch.save({"x": Attack(mark)}, path)
    elif kind == "malicious, old format":
        path.write_bytes(pickle.dumps(Attack(mark)))
    elif kind == "page":
        path.write_text("<!DOCTYPE html><html>Quota exceeded</html>", encoding="utf-8")
    elif kind == "list":
        torch.save([torch.zeros(2)], path)
    elif kind == "classes":
        torch.save(seeded_weights("acrnet", 0, 7), path)


WRONG = [
    ("truncated", "truncated or damaged"),
    ("malicious", "holds more than tensors (posix.mkdir); nothing of it was run"),
    ("malicious, old format", "nothing of it was run"),
    ("page", "not a PyTorch checkpoint"),
    ("list", "not a state dict"),
    ("classes", "a checkpoint for 7 classes, but thumos14 has 3"),
    ("none", "no such file"),
]


RELEASED = Path("models/released/thumos14/acrnet/seed0.pt")


def write_params(training=None, every=50, **changes):
    """params.yaml and a demo profile of three classes at the published width, or with the settings ``training``."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params |= {"datasets": ["thumos14"], "baselines": ["acrnet"], "seeds": [[0, 1]], "extensions": "data"}
    Path("params.yaml").write_text(yaml.safe_dump(params | changes), encoding="utf-8")
    profile = yaml.safe_load((ROOT / "profiles/demo.yaml").read_text(encoding="utf-8"))
    recipe, twin = profile["train"]["acrnet"]["thumos14"], profile["data"]["thumos14"]["twin"]
    recipe |= {"model": {"width": 1024}} | (training or {})
    for trainings in profile["train"].values():
        trainings["thumos14"]["model"]["width"] = recipe["model"]["width"]
    twin |= {"width": recipe["model"]["width"], "groups": 2, "classes": 3, "train_videos": 4, "test_videos": 3}
    twin["snippets"] = [20, 25]
    profile["evaluate"]["every"] = every
    shutil.copytree(ROOT / "profiles", "profiles", dirs_exist_ok=True)
    Path("profiles/demo.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")


def write_features(width):
    """The store of a twin of three classes."""
    size = {"classes": 3, "train_videos": 4, "test_videos": 3, "snippets": (20, 25)}
    annotations = draw_annotations("thumos14", **size, rng=np.random.default_rng(0))
    write_store("data/thumos14", annotations, twin_videos(annotations, 2, width, 0))


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with parameters and features of three classes, and an imported model that was there before."""
    monkeypatch.chdir(tmp_path)
    write_params()
    write_features(1024)
    RELEASED.parent.mkdir(parents=True)
    RELEASED.write_bytes(b"before")
    return tmp_path


def run_stage(stage, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [f"{stage.__name__}.py", *arguments])
    stage_errors(stage.main)


@pytest.mark.parametrize(("kind", "line"), WRONG)
def test_a_wrong_checkpoint_changes_nothing(workplace, monkeypatch, kind, line):
    damaged(kind, workplace / "c.pkl", workplace / "mark")
    with pytest.raises(SystemExit) as stop:
        run_stage(import_released, monkeypatch, "thumos14", "acrnet", "c.pkl")
    assert line in str(stop.value) and "\n" not in str(stop.value) and "c.pkl" in str(stop.value)
    assert not (workplace / "mark").exists()
    assert [path for path in Path("models").rglob("*") if path.is_file()] == [RELEASED]
    assert RELEASED.read_bytes() == b"before"


def test_an_imported_checkpoint_is_evaluated(workplace, monkeypatch):
    torch.save(seeded_weights("acrnet", 0, 3), "c.pkl")
    write_params(released={"mine": {"dataset": "thumos14", "baseline": "acrnet", "file": "c.pkl"}})
    check.main()
    run_stage(import_released, monkeypatch, "thumos14", "acrnet", "c.pkl")
    model = load_model(RELEASED)
    assert model.classes == ("action_00", "action_01", "action_02") and model.cross_modal.merge == "released"
    run_stage(evaluate, monkeypatch, "released/thumos14/acrnet")
    result = json.loads(Path("predictions/released/thumos14/acrnet/released/map.json").read_text(encoding="utf-8"))
    assert list(result["mAP"]) == ["0"]


def test_the_best_checkpoint_on_test_is_kept_beside_the_last(workplace, monkeypatch):
    training = {"steps": 5, "batch_size": 3, "segments": 12, "lr": 1e-3, "model": {"width": 8}}
    write_features(8)
    evaluation, localization = {"checkpoint": "best_on_test", "resamples": 100}, {"beta": 0.11}
    write_params(training, every=2, evaluate=evaluation, localization=localization, jobs=1)
    check.main()
    for variant in ("baseline", "clasnet"):
        run_stage(train, monkeypatch, f"thumos14/acrnet/{variant}/from0")
    folder = Path("models/thumos14/acrnet/baseline/from0")
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.pt")} == {
        f"{kind}seed{seed}.pt" for kind in ("", "best_on_test/") for seed in (0, 1)
    }
    for path in Path("models/thumos14").rglob("seed0.pt"):  # what the files say of their own use
        model = load_model(path)
        assert model.num_segments == 12 and model.classes == ("action_00", "action_01", "action_02")
        assert getattr(model, "beta", None) == (0.11 if "clasnet" in path.parts else None)
    run_stage(evaluate, monkeypatch, "thumos14/acrnet")
    folder = Path("predictions/thumos14/acrnet/baseline")
    result = json.loads((folder / "map.json").read_text(encoding="utf-8"))
    assert result["checkpoint"] == "best_on_test" and result["mAP"] == result["protocols"]["best_on_test/seconds"]
    for seed in "01":  # the best of steps 2, 4 and 5, of which 5 is the last
        best, last = (np.mean(result["protocols"][f"{kind}/seconds"][seed]) for kind in ("best_on_test", "last"))
        assert best >= last - 1e-12
    assert np.load(folder / "resamples.npy").shape == (2, 100)


UNITS = [
    ("released", "co2net", "thumos14", "snippets"),
    ("released", "delu", "thumos14", "snippets"),
    ("released", "acrnet", "thumos14", "seconds"),
    ("released", "co2net", "activitynet12", "seconds"),
    ("released", "co2net", "hacs", "seconds"),
    ("seconds", "co2net", "thumos14", "seconds"),
    ("snippets", "acrnet", "activitynet13", "snippets"),
]


def test_a_baseline_from_outside_is_evaluated_in_seconds_unless_it_says_otherwise():
    assert evaluation_units("released", clasnet.Baseline.localization, "thumos14") == "seconds"
    assert evaluation_units("released", clasnet.Localization(units="snippets"), "thumos14") == "snippets"


def test_a_checkpoint_is_of_its_settings_code_data_and_seed():
    """And of no other seeds of its group, which may be more in the next run."""
    settings = {"seeds": [0, 1], "steps": 5, "lr": 0.1, "schedule": "cosine", "clasnet": None}
    unit, store = {"settings": settings, "code": {"m": "1"}}, SimpleNamespace(digest="d")
    mine = train.identity(unit, store, 0)
    assert train.identity(unit | {"settings": settings | {"seeds": [0, 7]}}, store, 0) == mine
    others = [train.identity(unit | {"settings": settings | {key: "?"}}, store, 0) for key in [*settings][1:]]
    others += [train.identity(unit | {"code": {"m": "2"}}, store, 0), train.identity(unit, store, 1)]
    others += [train.identity(unit, SimpleNamespace(digest="e"), 0)]
    assert len({mine, *others}) == 1 + len(others) == 8


@pytest.mark.parametrize(("units", "name", "dataset", "expected"), UNITS)
def test_the_released_protocol_rounds_where_the_authors_do(units, name, dataset, expected):
    assert evaluation_units(units, build_baseline(name, num_classes=2, width=8).localization, dataset) == expected


def test_whole_snippets_keep_ties():
    """A prediction of snippets 2 to 5 against a truth that rounds to 3 to 5 overlaps by exactly 2/3.

    In seconds, 0.64 moves such ratios.
    """
    for start, end, more in ((3, 5, 1), (7, 10, 3), (11, 12, 1), (20, 23, 7)):
        instance = (start * 0.64 + 0.1, end * 0.64 - 0.1, "run")
        video = {"id": "a", "subset": "test", "duration": 99.0, "segments": [instance]}
        truth = make_annotations(["run"], [video])
        segments, zero, one = np.array([[start - more, end]]) * 0.64, np.zeros(1, int), np.ones(1)
        found = Predictions(zero, segments, zero, one, np.ones((1, 1)))
        tiou = (end - start) / (end - start + more)
        assert detection_ap(*comparable(found, truth, "snippets"), [tiou]).map == 1


def test_own_videos(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small_model("m.pt")
    x = np.random.default_rng(0).random((50, 16))
    np.save("a.npy", x)
    np.save("b_rgb.npy", x[:, :8])
    np.save("b_flow.npy", x[:-1, 8:])
    localize(["m.pt", "a.npy", "b_rgb.npy", "b_flow.npy", "--out", "found", "--snippet-seconds", "0.32"])
    content = json.loads(Path("found/predictions.json").read_text(encoding="utf-8"))
    assert set(content) == {"version", "results", "external_data"} and set(content["results"]) == {"a", "b"}
    assert content["results"]["a"] == localize_video(load_model("m.pt"), load_features("a.npy"), 0.32)
    rows = content["results"]["a"]
    assert rows and [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert {row["label"] for row in rows} <= {"jump", "run", "swim"}
    assert all(0 <= row["segment"][0] < row["segment"][1] <= 50 * 0.32 + 0.1 for row in rows)
    assert all(Path(f"found/{id}.png").read_bytes().startswith(b"\x89PNG") for id in "ab")
    assert "found/predictions.json: 2 videos" in capsys.readouterr().out


def test_the_picture_of_ones_own_video_is_of_what_was_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_model("m.pt")
    np.save("a.npy", np.random.default_rng(0).random((50, 16)))
    drawn, module = [], sys.modules["clasnet.localize"]
    draw = module.draw_timeline
    monkeypatch.setattr(module, "draw_timeline", lambda *given: drawn.append(given) or draw(*given))
    localize(["m.pt", "a.npy", "--out", "found", "--snippet-seconds", "0.32"])
    ((found, attention, seconds, title, pictures),) = drawn
    assert found == json.loads(Path("found/predictions.json").read_text(encoding="utf-8"))["results"]["a"]
    model = load_model("m.pt")
    np.testing.assert_array_equal(attention, detect(model, load_features("a.npy"), model.num_segments)[0].attention[0])
    assert seconds == 16 and title.startswith("a, ") and pictures == ()


def test_a_timeline_shows_the_best_disjoint_actions_of_each_class():
    actions = [
        {"label": "run", "segment": [1.0, 4.0], "score": 0.8},
        {"label": "jump", "segment": [2.0, 5.0], "score": 0.6},
        {"label": "run", "segment": [3.0, 6.0], "score": 0.4},  # overlaps a better one
        {"label": "run", "segment": [6.0, 8.0], "score": 0.2},
    ]
    figure = draw_timeline(actions, np.array([0.1, 0.9]), 10.0, "title")
    top, bottom = figure.axes
    plt.close(figure)
    assert list(top.lines[0].get_xdata()) == [2.5, 7.5] and list(top.lines[0].get_ydata()) == [0.1, 0.9]
    assert top.get_xlim() == (0, 10)
    bars = [(*bar.get_paths()[0].vertices[[0, 2], 0], bar.get_alpha()) for bar in bottom.collections]
    assert np.allclose(bars, [(1, 4, 1), (6, 8, 0.25), (2, 5, 0.75)])
    assert [text.get_text() for text in bottom.get_yticklabels()] == ["run", "jump"]


def test_beta_given_to_the_command_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_model("m.pt")
    small_model("bare.pt", plugin=False)
    np.save("a.npy", np.random.default_rng(0).random((50, 16)))
    features, model, found = load_features("a.npy"), load_model("m.pt"), []
    for beta in (0.0, 0.3, 1.0):
        localize(["m.pt", "a.npy", "--beta", str(beta)])
        found.append(json.loads(Path("localized/predictions.json").read_text(encoding="utf-8"))["results"]["a"])
        model.beta = beta
        assert found[-1] == localize_video(model, features)
    assert found[0] != found[1] != found[2]
    localize(["m.pt", "a.npy"])
    own = json.loads(Path("localized/predictions.json").read_text(encoding="utf-8"))["results"]["a"]
    assert own == found[1]  # 0.3 is the model's
    for name, beta, line in (("m", "1.5", "must be a share from 0 to 1"), ("bare", "0.5", "the model has no FCSM")):
        with pytest.raises(SystemExit, match=f"^clasnet.localize: --beta {beta}: {line}"):
            localize([f"{name}.pt", "a.npy", "--beta", beta])


WRONG_FEATURES = [
    ({"a_rgb": np.ones((5, 8))}, "give a.npy, or both a_rgb.npy and a_flow.npy"),
    ({"a": np.ones((5, 12))}, "the features have 12 columns, the model reads 16"),
    ({"a": np.ones(5)}, "expected floats of shape [T, features], found float64 (5,)"),
    ({"a": np.full((5, 16), np.nan)}, "5 of 5 snippets hold NaN or infinity, the first is snippet 0"),
    ({"a": np.array([Attack("mark")], dtype=object)}, "not a .npy file of numbers"),
    ({"a_rgb": np.ones((9, 8)), "a_flow": np.ones((5, 8))}, "not RGB and flow of one video"),
]


@pytest.mark.parametrize(("files", "line"), WRONG_FEATURES)
def test_wrong_features_give_one_line(tmp_path, monkeypatch, files, line):
    monkeypatch.chdir(tmp_path)
    small_model("m.pt")
    for name, value in files.items():
        np.save(f"{name}.npy", value, allow_pickle=True)
    with pytest.raises(SystemExit) as stop:
        localize(["m.pt", *(f"{name}.npy" for name in files)])
    assert line in str(stop.value) and "\n" not in str(stop.value)
    assert not Path("mark").exists() and not Path("localized/predictions.json").exists()


def test_the_python_in_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    own = next(block for block in blocks if "load_model" in block)
    assert len(own.strip().splitlines()) == 5
    small_model("models/thumos14/acrnet/clasnet/from0/seed0.pt")
    np.save("my_video.npy", np.random.default_rng(0).random((40, 16)))
    for block in blocks:
        exec(block, {})
    assert len(re.findall(r"^(jump|run|swim) ", capsys.readouterr().out, re.MULTILINE)) >= 1


@pytest.mark.parametrize(
    ("name", "code", "line"),
    [
        ("broken", "import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("ending", "raise SystemExit(0)", "SystemExit: 0"),  # which would end the command as if all were well
    ],
)
def test_a_broken_extension_is_named(tmp_path, monkeypatch, name, code, line):
    monkeypatch.chdir(tmp_path)
    Path("nets").mkdir()
    Path(f"nets/{name}.py").write_text(f"{code}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"nets/{name}.py: {line}"):
        import_extensions("nets")
    with pytest.raises(ValueError, match="no such folder of extensions"):
        import_extensions("elsewhere")


ORDERS = [
    "from clasnet import localize; import clasnet.localize",
    "import clasnet.localize; from clasnet import localize",
]


@pytest.mark.parametrize("imports", ORDERS)
def test_localize_is_a_function_whether_or_not_the_command_is_imported(imports):
    """The command's module takes the name `clasnet.localize` in the package when it is imported."""
    script = f"""
import numpy as np
{imports}
import clasnet
scores, settings = np.ones((9, 2)), clasnet.Localization()
for function in (localize, clasnet.localize):
    assert len(function(np.array([0.9, 0.1]), scores, scores[:, :1], settings).scores) > 0
assert callable(clasnet.localize.main)
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_every_public_name_is_where_the_package_says():
    for name in clasnet.__all__:
        assert callable(getattr(clasnet, name)), name

"""What makes a stage run again: its unit, what it reads of the parameters and of the code, and nothing else."""

import json
import shutil
import sys

import pytest
import yaml
from pipeline import (
    IMPORT_TIMES,
    code_loaded,
    edit,
    make_clone,
    stage,
    stage_here,
    tiny_params,
    tiny_profile,
    with_tiny_example,
)

from clasnet.data import datasets
from stages import check

ALL = ["co2net", "delu", "acrnet"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with all three baselines and the example's, and its units."""

    def params(content):
        content = tiny_params(content) | {"baselines": [*ALL, "basnet"]}
        content["study"] |= {"rows": ["B", "C"], "layers": [1, 2], "heads": [2]}
        return content

    def profile(content):
        return with_tiny_example(tiny_profile(content))

    folder = make_clone(tmp_path_factory.mktemp("units"), params, profile)
    stage_here(folder, "check")
    shutil.copytree(folder / "data/units", folder / "data/first")
    return folder


@pytest.fixture
def write_units(clone, monkeypatch):
    """The stage `check` of the clone as a function: in this process, which has imported what it needs."""
    monkeypatch.chdir(clone)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setattr(datasets, "FILE", clone / "clasnet/data/datasets.json")

    def write():
        check.hashes.cache_clear()
        datasets.benchmarks.cache_clear()
        check.main()

    yield write
    datasets.benchmarks.cache_clear()


@pytest.fixture
def changed(clone, write_units):
    """A function that makes a change to one file and names the units that it moves; all is put back afterwards."""
    before, saved = units(clone), {}

    def by(name, change):
        file = clone / name
        saved.setdefault(file, file.read_text(encoding="utf-8"))
        file.write_text(change(saved[file]), encoding="utf-8")
        write_units()
        after = units(clone)
        return {unit for unit in before | after if before.get(unit) != after.get(unit)}

    yield by
    for file, text in saved.items():
        file.write_text(text, encoding="utf-8")
    shutil.rmtree(clone / "data/units")
    shutil.copytree(clone / "data/first", clone / "data/units")


def units(folder):
    """Name to content of every unit, but for what describes the machine."""
    found = {
        p.relative_to(folder / "data/units").with_suffix("").as_posix(): p
        for p in (folder / "data/units").rglob("*.json")
    }
    return {name: path.read_text(encoding="utf-8") for name, path in found.items() if name != "machine"}


def kinds(names):
    return {name.split("/")[0] for name in names}


def key(*path, value):
    """A change of one key of a YAML file."""

    def change(text):
        content = yaml.safe_load(text)
        block = content
        for part in path[:-1]:
            block = block[part]
        block[path[-1]] = value
        return yaml.safe_dump(content, sort_keys=False)

    return change


def test_a_comment_or_docstring_in_any_source_moves_nothing(clone, changed):
    sources = [p.relative_to(clone).as_posix() for room in ("clasnet", "stages") for p in (clone / room).rglob("*.py")]
    assert len(sources) > 50
    for source in sources[:-1]:
        file = clone / source
        file.write_text(f"# one more comment\n{file.read_text(encoding='utf-8')}", encoding="utf-8")
    assert changed(sources[-1], lambda text: text + "\n# one more comment\n") == set()
    assert changed("clasnet/models/delu.py", lambda text: text.replace('"""DELU:', '"""Of DELU:')) == set()


def test_a_change_of_delu_moves_delu_alone(changed):
    moved = changed(
        "clasnet/models/delu.py", lambda text: text.replace("amplitude * torch.tanh", "2 * amplitude * torch.tanh")
    )
    assert kinds(moved) == {"train", "evaluate", "tables", "complexity", "trials"}
    assert {name.split("/")[2] for name in moved if name.startswith(("train/", "evaluate/", "trials/"))} == {"delu"}


def test_a_change_of_a_baseline_from_outside_moves_it_alone(changed):
    moved = changed("examples/basnet.py", lambda text: text + "CHANGED = True\n")
    assert kinds(moved) == {"train", "evaluate", "tables", "complexity"}
    assert {name.split("/")[2] for name in moved if name.startswith(("train/", "evaluate/"))} == {"basnet"}


def test_a_change_of_the_fcsm_moves_no_bare_baseline(changed):
    moved = {
        name for name in changed("clasnet/models/fcsm.py", lambda text: text + "\nX = 1\n") if name.startswith("train/")
    }
    assert {name.split("/")[-2] for name in moved} == {"clasnet", "B", "C", "layers-1", "heads-2"}


def test_another_constant_of_the_data_sets_moves_what_reads_it(changed):
    moved = changed(
        "clasnet/data/datasets.py", lambda text: text.replace("SNIPPET_SECONDS = 0.64", "SNIPPET_SECONDS = 0.5")
    )
    assert {"features", "card", "control", "evaluate", "tables", "figures", "report"} <= kinds(moved)


def test_another_protocol_moves_what_evaluates_by_it_and_trains_nothing(changed):
    moved = changed(
        "clasnet/data/datasets.json",
        lambda text: text.replace("0.6,0.7", "0.6").replace("0.3:0.7", "0.3:0.6").replace("0.1:0.7", "0.1:0.6"),
    )
    expected = {"features", "card", "control", "evaluate", "trials", "tables", "figures", "report"}
    assert expected <= kinds(moved) and not kinds(moved) & {"train", "train-rows"}
    assert all("thumos14" in name or "/" not in name or "study" in name for name in moved)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("params.yaml", ("device",), "cpu"),
        ("params.yaml", ("threads",), 2),
        ("params.yaml", ("jobs",), 1),
        ("params.yaml", ("cache",), "disk"),
        ("profiles/demo.yaml", ("evaluate", "every"), 7),
    ],
)
def test_how_the_machine_runs_and_what_is_not_read_moves_no_result(changed, name, path, value):
    assert changed(name, key(*path, value=value)) - {"complexity"} == set()  # Table 5's milliseconds are the machine's


@pytest.mark.parametrize(
    ("name", "path", "value", "expected"),
    [
        ("params.yaml", ("localization", "beta"), 0.4, {"evaluate/thumos14/acrnet"}),
        ("params.yaml", ("brm", "weight"), 2.0, {"train/thumos14/acrnet/clasnet/from0", "evaluate/thumos14/acrnet"}),
        ("params.yaml", ("sparsity", "weight"), 2.0, {"train/study/B/from0", "evaluate/study"}),
        ("params.yaml", ("evaluate", "resamples"), 200, {"evaluate/thumos14/acrnet"}),
        ("profiles/demo.yaml", ("train", "delu", "thumos14", "steps"), 5, {"train/thumos14/delu/baseline/from0"}),
        ("profiles/demo.yaml", ("data", "thumos14", "twin", "seed"), 5, {"features/thumos14"}),
    ],
)
def test_a_parameter_moves_what_reads_it(changed, name, path, value, expected):
    moved = changed(name, key(*path, value=value))
    assert expected <= moved
    assert kinds(moved) <= kinds(expected) | {"tables", "complexity", "figures", "report", "trials", "verdict"}
    if path[0] == "brm":
        assert not any("baseline" in name or "/B/" in name or "/C/" in name for name in moved if "train" in name)


def test_every_group_of_seeds_is_collected(clone, changed):
    changed("params.yaml", key("seeds", value=[[0, 1], [7]]))
    found = json.loads(units(clone)["collect"])["settings"]
    name = "thumos14/acrnet/clasnet"
    assert found[name] == {
        "predictions": name,
        "model": name,
        "seeds": [0, 1, 7],
        "groups": [f"{name}/from0", f"{name}/from7"],
    }
    assert found["thumos14/acrnet/layers-2"] == found[name]  # it is the same model


def test_another_fcsm_moves_table_5(changed):
    assert {"complexity", "tables", "figures"} <= changed("params.yaml", key("fcsm", "layers", value=1))


def test_another_verdict_of_the_study_moves_the_page(changed):
    assert changed("reports/study/tables/overall.csv", lambda text: text + "\n") == {"report"}


def test_best_on_test_declares_the_evaluation_that_it_runs(clone, changed):
    name = "train/thumos14/acrnet/baseline/from0"
    assert "clasnet.evaluation.metrics" not in json.loads(units(clone)[name])["code"]
    assert name in changed("params.yaml", key("evaluate", "checkpoint", value="best_on_test"))
    content = json.loads(units(clone)[name])
    assert content["settings"]["best_on_test"] == {"every": 50, "units": "seconds"}
    assert {"clasnet.evaluation.metrics", "clasnet.localization.soft_nms"} <= content["code"].keys()


def test_a_point_of_the_sweep_that_is_clasnet_itself_is_not_trained_again(clone, changed):
    found = units(clone)
    assert json.loads(found["train/study/layers-2/from0"])["settings"] == {"same_as": "thumos14/acrnet/clasnet"}
    assert "steps" in json.loads(found["train/study/layers-1/from0"])["settings"]
    changed("params.yaml", key("fcsm", "layers", value=1))
    found = units(clone)
    assert json.loads(found["train/study/layers-1/from0"])["settings"] == {"same_as": "thumos14/acrnet/clasnet"}
    assert "steps" in json.loads(found["train/study/layers-2/from0"])["settings"]


def test_a_file_of_ones_own_moves_its_features(clone, changed, write_units, tmp_path):
    own = tmp_path / "own.json"
    own.write_text("{}", encoding="utf-8")
    changed("profiles/demo.yaml", key("data", "thumos14", "annotations", value=str(own)))
    before = units(clone)["features/thumos14"]
    own.write_text('{"database": {}}', encoding="utf-8")
    write_units()
    assert units(clone)["features/thumos14"] != before


def test_the_best_checkpoint_on_test_declares_what_it_imports(tmp_path):
    """What the run of the whole pipeline in tests/test_pipeline.py leaves out."""
    clone, key = make_clone(tmp_path), "thumos14/acrnet/baseline/from0"
    best = {"checkpoint": "best_on_test", "resamples": 100}
    edit(clone / "profiles/demo.yaml", lambda profile: profile | {"evaluate": {"units": "seconds", "every": 2}})
    edit(clone / "params.yaml", lambda params: params | {"evaluate": best, "jobs": 1})
    stage_here(clone, "check")
    stage_here(clone, "features", "thumos14")
    loaded = code_loaded(stage(clone, "train", key, environment=IMPORT_TIMES))
    # What is imported by its name, as the watch is, Python does not log; what that imports in turn, it does.
    assert "clasnet.inference.predict" in loaded
    assert loaded | {"stages.best_on_test"} <= json.loads(units(clone)[f"train/{key}"])["code"].keys()

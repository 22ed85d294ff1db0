"""The real pipeline on a tiny profile in a temporary clone, and what wrong parameters say."""

import json
import re
import shlex
import shutil

import networkx
import numpy as np
import pytest
import torch
import yaml
from browser import opened
from conftest import ROOT
from dvc.repo import Repo
from pipeline import (
    IMPORT_TIMES,
    code_loaded,
    commands_run,
    commit,
    contents,
    dvc,
    edit,
    make_clone,
    stage_here,
    stages_run,
    tiny_params,
    with_tiny_example,
)
from test_parity import seeded_weights

from clasnet.data.store import open_store
from clasnet.files import write_json
from stages.params import load_params
from stages.tabling.write import read_csv


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return make_clone(tmp_path_factory.mktemp("clone"), one_at_a_time)


def one_at_a_time(params):
    """So that no two processes mix the lines in which Python says what it imports."""
    return tiny_params(params) | {"jobs": 1}


@pytest.fixture(scope="module")
def first(clone):
    """The output of the first run, with what Python imported in it, and the units of that run."""
    return dvc(clone, "repro", environment=IMPORT_TIMES), contents(clone / "data/units")


def test_every_stage_declares_what_it_imports(first):
    output, units = first
    commands = [command for command in commands_run(output) if command[0] != "stages.check"]
    assert len(commands) >= 15
    for module, arguments, printed in commands:
        kind = module.removeprefix("stages.")
        unit = kind if kind in ("card", "control") else "/".join([kind, *arguments])
        declared, loaded = json.loads(units[f"{unit}.json"])["code"].keys(), code_loaded(printed)
        assert loaded and loaded | {module} <= declared, f"{unit} imports {loaded - declared}"


def test_repro_makes_every_output(clone, first):
    ran = stages_run(first[0])
    assert {"features@thumos14", "train@thumos14-acrnet-baseline-seeds0", "evaluate-study", "figures"} <= ran
    tables = clone / "reports/tables"
    for name in ("comparison/table1", "comparison/table4", "comparison/summary", "complexity/table5"):
        assert all((tables / f"{name}.{ending}").stat().st_size for ending in ("csv", "md", "tex"))
    assert "SYNTHETIC TWIN" in (tables / "comparison/table1.md").read_text(encoding="utf-8")
    for number in (2, 3, 4, 5):
        assert (clone / f"reports/figures/figure{number}.png").stat().st_size > 10_000
        assert (clone / f"reports/figures/figure{number}.svg").exists()
    metrics = json.loads((clone / "reports/metrics.json").read_text(encoding="utf-8"))
    assert metrics.keys() == {"gain", "thumos14"} and metrics["thumos14"].keys() == {"avg", "gain"}
    predictions = json.loads((clone / "predictions/thumos14/acrnet/clasnet/seed0.json").read_text(encoding="utf-8"))
    assert len(predictions["results"]) == 6


def test_what_is_left_over_in_predictions_makes_nothing_stale(clone, first):
    (clone / "predictions/thumos14/oldnet").mkdir()
    (clone / "predictions/thumos14/oldnet/map.json").write_text("{}", encoding="utf-8")
    assert stages_run(dvc(clone, "repro")) <= {"collect"}  # which finds nothing new


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_in_a_browser(clone, first, width):
    with opened((clone / "reports/index.html").as_uri(), width) as page:
        assert "SYNTHETIC TWIN" in page.locator("#banner").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        table = {row["What"]: row["All cells"] for row in read_csv(ROOT / "reports/study/tables/overall.csv")}
        assert table["mean gain (95 % interval)"].lstrip("+-").split(" ")[0] in page.locator("#sentence").inner_text()

        page.locator("#x-videos input").nth(1).check()
        video = page.locator("#x-title").inner_text()
        assert page.locator("#x-summary").inner_text().startswith(video)
        seed = page.locator("#x-seed option").last.get_attribute("value")
        page.select_option("#x-seed", seed)
        store = open_store(clone / "data/thumos14")
        label = page.locator("#x-class option:checked").inner_text()
        a = store.annotations
        own = (a.segment_video == a.ids.tolist().index(video)) & (a.segment_class == a.classes.index(label))
        path = clone / f"predictions/thumos14/acrnet/clasnet/seed{seed}.json"
        shown = json.loads(path.read_text(encoding="utf-8"))["results"][video]
        slider = page.locator("#x-threshold")
        low, high = (int(slider.get_attribute(end)) for end in ("min", "max"))
        for threshold in (low, (low + high) // 2, high):
            slider.fill(str(threshold))
            wanted = sum(row["label"] == label and round(row["score"], 3) >= threshold / 1000 for row in shown[:40])
            assert f"+ CLASNet shows {wanted} segment" in page.locator("#x-summary").inner_text()
            assert f"{own.sum()} true instance" in page.locator("#x-summary").inner_text()
        assert page.locator("#x-plot .barlayer .point").count() <= own.sum() + 2

        def ranges():
            return page.evaluate("document.getElementById('x-plot').layout.xaxis.range")

        whole = ranges()
        page.locator("[data-zoom=in]").press("Enter")
        zoomed = ranges()
        assert zoomed[1] - zoomed[0] < whole[1] - whole[0]
        slider.fill(str(low))
        assert ranges() == zoomed  # moving the threshold leaves the view alone

        table = page.get_by_role("group", name="Table 1").last.locator("table")
        header = table.get_by_role("button", name="0.3", exact=True)

        def column():
            cells = table.locator("tbody tr td:nth-child(4)").all_inner_texts()
            return [float(text.split(" ")[0]) for text in cells]

        before = column()
        header.press("Enter")
        assert column() == sorted(before, reverse=True)
        header.press("Enter")
        assert column() == sorted(before)
        header.press("Enter")
        assert column() == before


def test_a_twins_report_says_so_and_prints_no_published_number(clone, first):
    content = json.loads(
        re.search(r'id="data">(.*?)</script>', (clone / "reports/index.html").read_text(encoding="utf-8"), re.DOTALL)[1]
    )
    assert all("SYNTHETIC" in table["caption"] for table in content["tables"] if table["id"] != "table5")
    methods = [row[0] for table in content["tables"] for row in table["rows"]]
    assert not any("[" in method for method in methods) and not (clone / "reports/tables/comparison/claims.md").exists()


def status(clone):
    """Name to changes of every stage of the pipeline of which DVC says that it is not up to date, whatever is above."""
    found = json.loads(dvc(clone, "status", "--json"))
    return {name: how for name, how in found.items() if name != "check" and not name.startswith("study/")}


def test_a_parameter_makes_stale_what_takes_it(clone, first):
    """By its unit; and what evaluates, by the trainings that it reads, too."""

    def layers(count):
        return lambda params: params | {"fcsm": params["fcsm"] | {"layers": count}}

    edit(clone / "params.yaml", layers(1))
    stage_here(clone, "check")
    stale = status(clone)
    own, row = "train@thumos14-acrnet-clasnet-seeds0", "train-rows@C-seeds0"
    assert {name for name in stale if name.startswith("train")} == {own, row}
    assert {"tables", "complexity", "figures", "report"} <= set(stale)
    with Repo(clone) as repo:
        graph = repo.index.graph
        below = {each.name: {one.name for one in networkx.ancestors(graph, each)} for each in graph}
    edit(clone / "params.yaml", layers(2))
    assert {"evaluate@thumos14-acrnet", "collect"} <= below[own] and {"evaluate-study", "collect"} <= below[row]
    assert not {"features@thumos14", "control@thumos14", "card@thumos14"} & set(stale).union(*map(below.get, stale))


def test_a_comment_runs_nothing_and_a_machine_setting_trains_nothing(clone, first):
    for room in ("clasnet", "stages"):
        for source in (clone / room).rglob("*.py"):
            source.write_text(f"# one more comment\n{source.read_text(encoding='utf-8')}", encoding="utf-8")
    edit(clone / "params.yaml", lambda params: params | {"device": "cpu", "threads": 2})
    edit(clone / "profiles/demo.yaml", lambda profile: profile | {"evaluate": profile["evaluate"] | {"every": 3}})
    dvc(clone, "repro", "check")
    assert set(status(clone)) == {"complexity", "report"}  # its milliseconds, and the page that shows params.yaml
    edit(clone / "params.yaml", lambda params: params | {"threads": 1})


def test_an_experiment_with_a_baseline_from_outside(clone, first, monkeypatch):
    """The steps of examples/README.md, at the tiny size: DVC as far as the tables, then the stages below them."""
    edit(clone / "profiles/demo.yaml", with_tiny_example)
    commit(clone, "run")
    guide = (clone / "examples/README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\$ dvc (exp run .*)$", guide, re.MULTILINE)
    ran = stages_run(dvc(clone, *shlex.split(command), "tables"))
    added = {f"train@thumos14-basnet-{variant}-seeds0" for variant in ("baseline", "clasnet")}
    assert ran == {*added, "evaluate@thumos14-basnet", "collect", "tables"}
    table = (clone / "reports/tables/comparison/table1.md").read_text(encoding="utf-8")
    assert "| BaS-Net style |" in table and "| BaS-Net style + CLASNet |" in table and "| ACRNet |" in table
    monkeypatch.setattr("stages.complexity.SNIPPETS", 50)
    for name in ("complexity", "figures", "report"):
        stage_here(clone, name)
    for shows in ("tables/complexity/table5.md", "index.html"):
        assert "BaS-Net style + CLASNet" in (clone / "reports" / shows).read_text(encoding="utf-8")
    shown = dvc(clone, "exp", "show", "--only-changed", "--csv")
    assert "baselines" in shown.splitlines()[0] and "thumos14.gain" in shown.splitlines()[0]


def test_experiments_fit_a_wide_terminal(clone, first):
    shown = dvc(clone, "exp", "show", "--no-pager")
    assert max(map(len, shown.splitlines())) <= 200
    header = re.split(r"\s{2,}", next(line for line in shown.splitlines() if "Experiment" in line).strip())
    assert {"Experiment", "Created", "gain", "fcsm.layers"} <= set(header)


def test_the_same_bytes_whatever_the_number_of_jobs(clone, first):
    key, machine, found = "thumos14/acrnet/clasnet/from0", clone / "data/units/machine.json", []
    for jobs in (1, 2):
        how = json.loads(machine.read_text(encoding="utf-8")) | {"jobs": jobs, "threads": 1}  # two move last bits
        write_json(machine, how)
        stage_here(clone, "train", key)
        stage_here(clone, "evaluate", "thumos14/acrnet")
        found.append(contents(clone / "models" / key) | contents(clone / "predictions/thumos14/acrnet"))
    assert found[0] == found[1] and len(found[0]) > 5


def test_another_group_of_seeds_trains_itself_alone(clone, first):
    edit(clone / "params.yaml", lambda params: params | {"baselines": ["acrnet"], "seeds": [[0, 1], [7]]})
    stage_here(clone, "check")
    stale, variants = status(clone), ("baseline", "clasnet")
    group = {variant: f"train@thumos14-acrnet-{variant}-seeds1" for variant in variants}
    assert {name for name in stale if name.startswith("train@")} == set(group.values())
    for variant, name in group.items():
        key = f"thumos14/acrnet/{variant}/from7"
        missing = {path: how for change in stale[name] for path, how in change.get("changed outs", {}).items()}
        assert missing == {f"models/{key}": "deleted", f"dvclive/{key}": "deleted"}
        stage_here(clone, "train", key)
    stage_here(clone, "evaluate", "thumos14/acrnet")
    assert (clone / "models/thumos14/acrnet/clasnet/from7/seed7.pt").exists()
    result = json.loads((clone / "predictions/thumos14/acrnet/clasnet/map.json").read_text(encoding="utf-8"))
    assert list(result["mAP"]) == ["0", "1", "7"] == list(result["protocols"]["last/seconds"])
    assert np.load(clone / "predictions/thumos14/acrnet/clasnet/resamples.npy").shape == (3, 100)
    edit(clone / "params.yaml", lambda params: params | {"seeds": [[0, 1]]})


def test_an_authors_checkpoint_goes_through_the_pipeline(clone):
    released = {"mine": {"dataset": "thumos14", "baseline": "acrnet", "file": "acrnet.pkl"}}

    def wide(profile):
        profile["data"]["thumos14"]["twin"] |= {"width": 1024}
        for trainings in profile["train"].values():
            trainings["thumos14"]["model"]["width"] = 1024
        return profile

    edit(clone / "params.yaml", lambda params: params | {"released": released, "baselines": ["acrnet"]})
    edit(clone / "profiles/demo.yaml", wide)
    torch.save(seeded_weights("acrnet", 0, 3), clone / "acrnet.pkl")
    for name in ("check", "features/thumos14"):
        stage_here(clone, *name.split("/"))
    alone = "--single-item", "released@mine"
    assert stages_run(dvc(clone, "repro", *alone)) == {"released@mine"}
    result = json.loads((clone / "predictions/released/thumos14/acrnet/released/map.json").read_text(encoding="utf-8"))
    assert result["mAP"].keys() == {"0"}

    before = (clone / "models/released/thumos14/acrnet/seed0.pt").read_bytes()
    (clone / "acrnet.pkl").write_bytes(b"damaged")
    failed = dvc(clone, "repro", *alone, good=False)
    assert "import_released: acrnet.pkl: not a PyTorch checkpoint" in failed
    assert (clone / "models/released/thumos14/acrnet/seed0.pt").read_bytes() == before


def test_a_profiles_key_is_set_from_the_command_line(clone):
    wrong = dvc(clone, "exp", "run", "-S", "profiles/demo.yaml:train.acrnet.thumos14.steps=0", good=False)
    assert "profiles/demo.yaml: train.acrnet.thumos14.steps = 0: input should be greater than" in wrong


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        (
            "datasets",
            ["thumos15"],
            "datasets.0 = 'thumos15': must be one of thumos14, activitynet12, activitynet13, hacs, fineaction",
        ),
        ("baselines", ["nosuchnet"], "baselines = 'nosuchnet': must be one of co2net, delu, acrnet, basnet"),
        (
            "baselines",
            ["acrnet", "basnet"],
            "baselines = 'basnet': needs its settings in {profiles}/demo.yaml, train.basnet",
        ),
        ("extensions", "nosuchfolder", "nosuchfolder: no such folder of extensions"),
        (
            "released",
            {"x": {"dataset": "thumos14", "baseline": "basnet", "file": "x.pkl"}},
            "released.x.baseline = 'basnet': input should be 'co2net'",
        ),
        ("fcsm.layers", 0, "fcsm.layers = 0: input should be greater than or equal to 1"),
        ("fcsm.layers", -2, "fcsm.layers = -2: input should be greater than or equal to 1"),
        ("fcsm.heads", 5, "fcsm.heads = 5: must divide the width 32"),
        ("fcsm.topk", 0.0, "fcsm.topk = 0.0: input should be greater than 0"),
        ("fcsm.topk", 1.5, "fcsm.topk = 1.5: input should be less than or equal to 1"),
        ("seeds", [], "seeds = []: list should have at least 1 item"),
        ("fcsm.layer", 3, "fcsm.layer: unknown key; known here: layers, heads"),
        ("seed", 3, "seed: unknown key; known here: fcsm, brm, sparsity, ramp"),
        ("profile", "tiny", "profile = 'tiny': must be one of demo, paper"),
        ("seeds", [0, 1], "seeds = [0, 1]: must be a list of groups of seeds, such as [[0, 1, 2]] or [[0, 1], [2, 3]]"),
        ("seeds", [[0, 1], [1]], "seeds = [[0, 1], [1]]: must not repeat an entry"),
        ("seeds", [[0], []], "seeds.1 = []: list should have at least 1 item"),
        ("jobs", 0, "jobs = 0: must be auto or a number of processes from 1 on"),
        ("study.heads", [1, 1], "study.heads = [1, 1]: must not repeat an entry"),
        ("brm.distance", "l2", "brm.distance = 'l2': input should be 'mse', 'l1' or 'cosine'"),
    ],
)
def test_wrong_params_give_one_line(tmp_path, key, value, line):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    *parents, last = key.split(".")
    block = params
    for parent in parents:
        block = block[parent]
    block[last] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    with pytest.raises(SystemExit) as stop:
        load_params(tmp_path / "params.yaml")
    assert line.format(profiles=tmp_path / "profiles") in str(stop.value) and "\n" not in str(stop.value)
    assert str(stop.value).startswith(f"{tmp_path}/params.yaml: ")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda p: p["train"]["acrnet"].pop("thumos14"),
            "train.acrnet = ['activitynet12', 'activitynet13']: must have an entry for thumos14",
        ),
        (
            lambda p: p["train"]["delu"]["thumos14"].update(lr=0),
            "train.delu.thumos14.lr = 0: input should be greater than 0",
        ),
        (
            lambda p: p["train"]["delu"]["thumos14"]["model"].update(width=64),
            "train.delu.thumos14.model.width = 64: must be the twin's width 32",
        ),
        (lambda p: p["data"]["thumos14"].update(source="x"), "data.thumos14 = {"),
        (lambda p: p.update(trian={}), "trian: unknown key; known here: data, evaluate, train"),
    ],
)
def test_wrong_profiles_give_one_line(tmp_path, change, line):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    profile = yaml.safe_load((tmp_path / "profiles/demo.yaml").read_text(encoding="utf-8"))
    change(profile)
    (tmp_path / "profiles/demo.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        load_params(tmp_path / "params.yaml")
    assert str(stop.value).startswith(f"{tmp_path}/profiles/demo.yaml: {line}") and "\n" not in str(stop.value)

"""The real pipeline on a tiny profile in a temporary clone, and what a wrong params.yaml says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from conftest import ROOT, with_example
from playwright.sync_api import sync_playwright
from test_parity import seeded_weights

from clasnet.data.store import open_store
from stages.params import load_params

ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # bytecode beside the sources must not make a stage run again


def tiny(params):
    """The smallest run that still goes through every stage."""
    params |= {"datasets": ["thumos14"], "baselines": ["acrnet"], "seeds": [0, 1]}
    params["study"] |= {"rows": {"B": ["sparsity", "sparsity"], "C": ["fcsm", "fcsm"]}, "layers": [1], "heads": [2]}
    params["fcsm"] |= {"layers": 2, "heads": 4}
    params["evaluate"]["resamples"] = 20
    demo = params["profiles"]["demo"]
    demo["data"]["thumos14"]["twin"] |= {"width": 8, "groups": 2, "classes": 3, "train_videos": 8, "test_videos": 6, "snippets": [30, 40]}
    demo["train"]["acrnet"]["thumos14"] |= {"steps": 4, "batch_size": 4, "segments": 20, "model": {"width": 8}}
    return params


def dvc(folder, *arguments):
    """Run dvc in ``folder``; its output, standard error included."""
    done = subprocess.run(["dvc", *arguments], cwd=folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


def stages_run(output):
    return set(re.findall(r"Running stage '([^']+)'", output))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone")
    git = lambda *arguments: subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny(yaml.safe_load((ROOT / "params.yaml").read_text()))))
    git("init", "-q")
    git("config", "user.email", "test@example.org")
    git("config", "user.name", "test")
    git("add", "-A")
    git("commit", "-qm", "tiny")
    return folder


def test_repro_then_a_parameter_change(clone):
    first = dvc(clone, "repro")
    assert {"features@thumos14", "train-baseline@thumos14-acrnet", "evaluate-heads@2", "control@thumos14", "figures"} <= stages_run(first)
    tables = clone / "reports/tables"
    for name in ("comparison/table1", "comparison/table4", "complexity/table5"):
        assert all((tables / f"{name}.{ending}").stat().st_size for ending in ("csv", "md", "tex"))
    assert "SYNTHETIC TWIN" in (tables / "comparison/table1.md").read_text()
    for number in (2, 3, 4, 5):
        assert (clone / f"reports/figures/figure{number}.png").stat().st_size > 10_000
        assert (clone / f"reports/figures/figure{number}.svg").exists()
    metrics = json.loads((clone / "reports/metrics.json").read_text())
    assert metrics["thumos14"]["acrnet"].keys() == {"baseline", "clasnet", "gain"}
    predictions = json.loads((clone / "predictions/thumos14/acrnet/clasnet/seed0.json").read_text())
    assert len(predictions["results"]) == 6

    assert stages_run(dvc(clone, "repro")) == set()

    subprocess.run(["git", "add", "-A"], cwd=clone, check=True)
    subprocess.run(["git", "commit", "-qm", "run"], cwd=clone, check=True)
    ran = stages_run(dvc(clone, "exp", "run", "-S", "fcsm.layers=3"))
    assert {stage for stage in ran if stage.startswith("train")} == {"train-clasnet@thumos14-acrnet", "train-ablation@C", "train-heads@2"}
    assert {"evaluate@thumos14-acrnet-clasnet", "tables", "figures"} <= ran
    assert not ran & {"features@thumos14", "evaluate@thumos14-acrnet-baseline", "evaluate-ablation@B", "evaluate-layers@1", "control@thumos14"}
    shown = dvc(clone, "exp", "show", "--only-changed", "--csv")
    assert "fcsm.layers" in shown.splitlines()[0] and "acrnet.clasnet" in shown.splitlines()[0]


def browser():
    """Path of a Chromium to test with, or skip."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not path:
        pytest.skip("no Chromium here")
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_in_a_browser(clone, width):
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": width, "height": 900})
        errors, requests = [], []
        page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((clone / "reports/index.html").as_uri())
        assert "SYNTHETIC TWIN" in page.locator("#banner").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width

        videos = page.locator("#x-video option").evaluate_all("all => all.map(o => o.value)")
        page.select_option("#x-video", videos[1])
        assert page.locator("#x-summary").inner_text().startswith(videos[1])
        store = open_store(clone / "data/thumos14")
        label = page.locator("#x-class option:checked").inner_text()
        own = (store.annotations.segment_video == store.annotations.ids.tolist().index(videos[1])) & (
            store.annotations.segment_class == store.annotations.classes.index(label))  # fmt: skip
        bars = lambda: page.locator("#x-plot .barlayer .point").count()
        shown = json.loads((clone / "predictions/thumos14/acrnet/clasnet/seed0.json").read_text())["results"][videos[1]]
        slider = page.locator("#x-threshold")
        low, high = (int(slider.get_attribute(end)) for end in ("min", "max"))
        for threshold in (low, (low + high) // 2, high):
            slider.fill(str(threshold))
            wanted = sum(row["label"] == label and round(row["score"], 3) >= threshold / 1000 for row in shown[:40])
            assert f"+ CLASNet shows {wanted} segment" in page.locator("#x-summary").inner_text()
            assert f"{own.sum()} true instance" in page.locator("#x-summary").inner_text()
        assert bars() <= own.sum() + 2
        ranges = lambda: page.evaluate("document.getElementById('x-plot').layout.xaxis.range")
        whole = ranges()
        page.locator("[data-zoom=in]").press("Enter")
        zoomed = ranges()
        assert zoomed[1] - zoomed[0] < whole[1] - whole[0]
        slider.fill(str(low))
        assert ranges() == zoomed  # moving the threshold leaves the view alone

        table = page.get_by_role("region", name="Table 1. THUMOS14").locator("table")
        header = table.get_by_role("button", name="0.3", exact=True)
        column = lambda: [float(text.split(" ")[0]) for text in table.locator("tbody tr td:nth-child(4)").all_inner_texts()]
        before = column()
        header.press("Enter")
        assert column() == sorted(before, reverse=True)
        header.press("Enter")
        assert column() == sorted(before)
        header.press("Enter")
        assert column() == before
        assert errors == [] and [url for url in requests if not url.startswith(("file:", "data:"))] == []
        chromium.close()


def test_a_twins_report_says_so_and_prints_no_published_number(clone):
    content = json.loads(re.search(r'id="data">(.*?)</script>', (clone / "reports/index.html").read_text(), re.DOTALL)[1])
    assert all("SYNTHETIC" in table["caption"] for table in content["tables"] if table["id"] != "table5")
    methods = [row[0] for table in content["tables"] for row in table["rows"]]
    assert not any("[" in method for method in methods) and not (clone / "reports/tables/comparison/claims.md").exists()


def test_a_baseline_from_outside_goes_through_the_same_pipeline(clone):
    """The steps of examples/README.md, at the tiny size."""
    params = with_example(yaml.safe_load((clone / "params.yaml").read_text()))
    tiny_training = params["profiles"]["demo"]["train"]["acrnet"]["thumos14"]
    settings = params["profiles"]["demo"]["train"]["basnet"]["thumos14"]
    settings |= tiny_training | {"model": settings["model"] | {"width": tiny_training["model"]["width"]}}
    (clone / "params.yaml").write_text(yaml.safe_dump(params))
    guide = (clone / "examples/README.md").read_text()
    (command,) = re.findall(r"^\$ dvc (exp run .*)$", guide, re.MULTILINE)
    ran = stages_run(dvc(clone, *shlex.split(command)))
    assert {stage for stage in ran if stage.startswith("train")} == {"train-baseline@thumos14-basnet", "train-clasnet@thumos14-basnet"}
    table = (clone / "reports/tables/comparison/table1.md").read_text()
    assert "| BaS-Net style |" in table and "| BaS-Net style + CLASNet |" in table and "| ACRNet |" in table

    source = clone / "examples/basnet.py"
    source.write_text(source.read_text() + "# changed\n")
    assert "train-clasnet@thumos14-acrnet" not in stages_run(dvc(clone, "repro", "evaluate@thumos14-acrnet-clasnet"))
    assert "train-baseline@thumos14-basnet" in stages_run(dvc(clone, "repro", "train-baseline@thumos14-basnet"))


def test_an_authors_checkpoint_goes_through_the_pipeline(clone):
    params = yaml.safe_load((clone / "params.yaml").read_text())
    params["released"] = {"mine": {"dataset": "thumos14", "baseline": "acrnet", "file": "acrnet.pkl"}}
    demo = params["profiles"]["demo"]
    demo["data"]["thumos14"]["twin"] |= {"width": 1024}
    params["baselines"], demo["train"]["acrnet"]["thumos14"]["model"] = ["acrnet"], {"width": 1024}
    (clone / "params.yaml").write_text(yaml.safe_dump(params))
    torch.save(seeded_weights("acrnet", 0, 3), clone / "acrnet.pkl")
    assert {"import-released@mine", "evaluate-released@mine"} <= stages_run(dvc(clone, "repro", "evaluate-released@mine"))
    assert json.loads((clone / "predictions/thumos14/acrnet/released/map.json").read_text())["mAP"].keys() == {"0"}

    before = (clone / "models/thumos14/acrnet/released/seed0.pt").read_bytes()
    (clone / "acrnet.pkl").write_bytes(b"damaged")
    failed = subprocess.run(["dvc", "repro", "evaluate-released@mine"], cwd=clone, env=ENVIRONMENT, text=True, capture_output=True, check=False)
    assert failed.returncode and "import_released: acrnet.pkl: not a PyTorch checkpoint" in failed.stderr
    assert (clone / "models/thumos14/acrnet/released/seed0.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("datasets", ["thumos15"], "datasets.0 = 'thumos15': input should be 'thumos14', 'activitynet12' or 'activitynet13'"),
        ("baselines", ["nosuchnet"], "baselines = 'nosuchnet': must be one of co2net, delu, acrnet, basnet"),
        ("baselines", ["acrnet", "basnet"], "baselines = 'basnet': needs its settings in profiles.demo.train.basnet"),
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
        ("seed", 3, "seed: unknown key; known here: profile, datasets"),
        ("profile", "tiny", "profile = 'tiny': must be one of demo, paper"),
        ("brm.distance", "l2", "brm.distance = 'l2': input should be 'mse', 'l1' or 'cosine'"),
    ],
)
def test_wrong_params_give_one_line(tmp_path, key, value, line):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    *parents, last = key.split(".")
    block = params
    for parent in parents:
        block = block[parent]
    block[last] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    with pytest.raises(SystemExit) as stop:
        load_params(tmp_path / "params.yaml")
    assert line in str(stop.value) and "\n" not in str(stop.value)
    assert str(stop.value).startswith(f"{tmp_path}/params.yaml: ")

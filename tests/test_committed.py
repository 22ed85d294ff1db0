"""What is committed is true of itself: profiles are what their descriptions say, tables and cards those of the
settings, the README's numbers those of the tables. Only what is committed is looked at: whoever varies a parameter
breaks nothing.
"""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT

from clasnet.data.datasets import benchmark_of
from clasnet.data.store import open_store
from clasnet.models.complexity import count_flops, count_parameters
from stages import card, check, complexity, twins, verdict
from stages.params import read_params, read_profile
from stages.tabling.published import published_model
from stages.tabling.write import markdown, read_csv, write_csv, write_table
from stages.units import unit_path

PAPER = {  # as the authors say: steps, rate, schedule, weight decay, batch, segments; on THUMOS14 and on ActivityNet
    "co2net": ((5000, 5e-5, "constant", 1e-3, 10, 500), (22000, 3e-5, "constant", 5e-4, 10, 60)),
    "delu": ((5000, 5e-5, "constant", 1e-3, 10, 320), (22000, 3e-5, "constant", 5e-4, 10, 60)),
    "acrnet": ((2000, 1e-4, "cosine", 1e-3, 32, 750), (2000, 1e-4, "cosine", 1e-3, 128, 80)),
}
STUDY = {  # as docs/reconstruction.md found them: steps, rate, dropout; on THUMOS14, ActivityNet v1.2 and v1.3
    "co2net": ((1000, 4e-3, 0.1), (1000, 4e-3, 0.3), (1000, 4e-3, 0.3)),
    "delu": ((1000, 4e-3, 0.1), (1000, 4e-3, 0.1), (1000, 8e-3, 0.1)),
    "acrnet": ((2000, 8e-3, 0.1), (2000, 1.6e-2, 0.3), (2000, 1.6e-2, 0.3)),
}


@pytest.fixture(scope="module")
def commit(tmp_path_factory):
    """The files of the last commit, in a folder."""
    folder = tmp_path_factory.mktemp("commit")
    files = ["params.yaml", "profiles", "examples", "dvc.lock", "README.md", "reports"]
    archive = f"--output={folder}/whole.tar"
    subprocess.run(["git", "archive", archive, "HEAD", *files], cwd=ROOT, check=True)
    shutil.unpack_archive(folder / "whole.tar", folder)
    return folder


@pytest.fixture(autouse=True)
def at_the_commit(commit, monkeypatch):
    monkeypatch.chdir(commit)


def test_the_profile_of_the_paper_trains_as_the_authors_do():
    profile = read_profile(Path("profiles/paper.yaml"))
    assert {name: one.source for name, one in profile.data.items()} == {
        "thumos14": "wtalc",
        "activitynet12": "wtalc",
        "activitynet13": "actionformer",
    }
    assert profile.evaluate.units == "released"
    keys = ("steps", "lr", "schedule", "weight_decay", "batch_size", "segments")
    for baseline, (thumos14, activitynet) in PAPER.items():
        merge = {"merge": "released"} if baseline == "acrnet" else {}
        for dataset, expected in zip(profile.data, (thumos14, activitynet, activitynet), strict=True):
            recipe = profile.train[baseline][dataset]
            assert tuple(getattr(recipe, key) for key in keys) == expected, (baseline, dataset)
            assert recipe.model == {"width": 1024} | merge


def test_the_profile_of_the_study_trains_as_was_found():
    profile = read_profile(Path("profiles/study.yaml"))
    for baseline, cells in STUDY.items():
        for dataset, (steps, lr, dropout) in zip(profile.data, cells, strict=True):
            recipe = profile.train[baseline][dataset]
            assert (recipe.steps, recipe.lr, recipe.schedule, recipe.weight_decay) == (steps, lr, "cosine", 1e-3)
            assert {value for key, value in recipe.model.items() if key.endswith("dropout")} == {dropout}
            size = (10, 96) if dataset == "thumos14" else (32, 48) if baseline == "acrnet" else (16, 48)
            assert (recipe.batch_size, recipe.segments) == size


def test_the_studys_results_are_of_its_profile():
    """Its replicates, rows, share of A and test videos."""
    params, profile = read_params(), read_profile(Path("profiles/study.yaml"))
    trials, beta = profile.trials, f"{params.localization.beta:g}"
    for dataset, data in profile.data.items():
        for baseline in profile.train:
            whole = dataset == params.study.dataset and baseline in trials.ablated
            path = Path(f"reports/study/trials/{dataset}-{baseline}.json")
            found = json.loads(path.read_text(encoding="utf-8"))["trials"]
            assert list(found) == ["baseline", "clasnet", *(trials.rows if whole else ())]
            replicates = [str(trials.first + n) for n in range(trials.replicates)]
            assert all(list(each) == replicates for each in found.values())
            assert {each["videos"] for each in found["clasnet"].values()} == {data.twin.test_videos}
            assert {tuple(each["maps"]) for each in found["clasnet"].values()} == {("0", beta, "1")}


@pytest.mark.parametrize("name", ["params.yaml", "profiles/demo.yaml"])
def test_the_committed_tables_are_of_the_committed_settings(name):
    """By the lock, which `dvc repro` writes beside them."""
    lock = yaml.safe_load((Path("dvc.lock")).read_text(encoding="utf-8"))
    (made_by,) = (one["md5"] for one in lock["stages"]["check"]["deps"] if one["path"] == name)
    assert hashlib.md5((Path(name)).read_bytes()).hexdigest() == made_by, f"{name} has changed since `dvc repro`"


@pytest.mark.parametrize("dataset", ["thumos14", "activitynet12", "activitynet13"])
def test_the_committed_data_cards_are_of_the_twins_of_the_demo(dataset, tmp_path, monkeypatch):
    """What their tables count, of videos, snippets and instances, is drawn again by the profile; features are not."""

    def lengths(annotations, groups, width, seed):
        """Every video's features, all zero, of one column a stream."""
        for id, seconds in zip(annotations.ids.tolist(), annotations.duration.tolist(), strict=True):
            yield id, np.zeros((round(seconds / 0.64), 2))

    monkeypatch.setattr(twins, "twin_videos", lengths)
    twin = read_profile(Path("profiles/demo.yaml")).data[dataset].twin
    twins.write_twin(tmp_path / dataset, dataset, twin.model_dump())
    counted = markdown(card.count_rows(open_store(tmp_path / dataset), benchmark_of(dataset)))
    text = (Path(f"reports/data/{dataset}/README.md")).read_text(encoding="utf-8")
    assert counted in text and f"Features: {2 * twin.width} columns (RGB and flow), float32" in text


def test_the_committed_verdict_is_what_the_committed_trials_say(tmp_path):
    """Every table of the study, made again from its trials: the same bytes."""
    params, profile = read_params(), read_profile(Path("profiles/study.yaml"))
    judged = check.trials_units(params)[unit_path("verdict")]["settings"]
    cells = [verdict.Cell(*cell, judged["beta"]) for cell in judged["cells"]]
    assert len(cells) == len(profile.data) * len(profile.train) == 9
    for table in verdict.tables(cells, params.study.dataset):
        write_table(tmp_path, *table)
    write_csv(tmp_path / "replicates.csv", verdict.replicate_rows(cells))
    made, there = (
        {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
        for folder in (tmp_path, Path("reports/study/tables"))
    )
    assert made == there


def test_the_committed_table_5_is_of_the_committed_settings():
    """All that no clock measures: sizes and operations of the six models, beside the paper's."""
    params, printed, made = read_params(), complexity.printed_sizes(), []
    with torch.device("meta"):
        for baseline in params.baselines:
            for variant in ("baseline", "clasnet"):
                model = published_model(baseline, variant, params)
                measured = count_parameters(model), count_flops(model, complexity.SNIPPETS), 0
                made.append(complexity.cost_row(baseline, variant, measured, printed))
    there = read_csv(Path("reports/tables/complexity/table5.csv"))
    assert there == [own | {"ms per video": row["ms per video"]} for own, row in zip(made, there, strict=True)]
    note = complexity.explain(model, printed["acrnet", "clasnet"])
    assert note in (Path("reports/tables/complexity/table5.md")).read_text(encoding="utf-8")


def test_the_readme_shows_the_committed_tables():
    readme = (Path("README.md")).read_text(encoding="utf-8")
    shown = {
        name: readme.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0] for name in ("study", "table1")
    }
    table = (Path("reports/tables/comparison/table1.md")).read_text(encoding="utf-8")
    assert shown["table1"].strip() == table.strip()
    for name in ("gains", "table4"):
        assert (Path(f"reports/study/tables/{name}.md")).read_text(encoding="utf-8").strip() in shown["study"]
    overall = read_csv(Path("reports/study/tables/overall.csv"))
    assert markdown(overall) in shown["study"]


def test_the_readme_says_of_the_study_what_its_tables_say():
    readme, folder = (Path("README.md")).read_text(encoding="utf-8"), Path("reports/study/tables")
    gains, attention = read_csv(folder / "gains.csv"), read_csv(folder / "attention.csv")
    (exception,) = (row for row in gains if row["better in"] != "10 of 10")
    assert (exception["Data"], exception["Method"]) == ("THUMOS14", "ACRNet")
    gain = exception["gain (95 % interval)"].partition(" ")[0]
    assert f"ACRNet on THUMOS14 is the exception ({gain}, {exception['better in']})" in readme
    alone = {(row["Data"], row["Method"]): row["r, a alone"] for row in attention}
    low = alone.pop(("THUMOS14", "ACRNet"))
    said = f"its attention with the true snippets {low}, elsewhere {min(alone.values())} to {max(alone.values())})"
    assert said in readme
    rows = [row for row in read_csv(folder / "replicates.csv") if (row["Data"], row["Method"]) in alone]
    assert f"the other eight gain {np.mean([float(row['gain']) for row in rows]):.1f} in the mean" in readme
    assert all(float(row["β = 1"].partition(" ")[0]) > 0 for row in attention)
    earlier = {name: read_csv(Path(f"reports/study/{name}/tables/overall.csv")) for name in ("first", "second")}
    first, second = ({row["What"]: row["All cells"] for row in rows} for rows in earlier.values())
    assert f"gave {first['mean gain (95 % interval)']} with three cells" in readme
    assert f"and {second['mean gain (95 % interval)']} with four" in readme
    gaining = [found["cells that gain (p < 0.05, Holm)"] for found in (first, second)]
    assert gaining == ["3 of 9", "4 of 9"] and verdict.LEVEL == 0.05 / 3

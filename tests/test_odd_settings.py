"""YAML, and what stages made, odd in ways that used to pass, or to end in a traceback: one sharp test a kind."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT
from made_results import flat, settings, write_trials
from test_odd_data import SAME, two_videos

import stages.results
from clasnet.data.store import write_store
from clasnet.errors import InputError
from stages import card, check, collect, verdict
from stages.evaluate import check_seeds
from stages.params import load_params, read_profile
from stages.schema import Section, read_checked
from stages.sources import load_sources
from stages.tabling.cells import gain_estimate
from stages.units import Machine, read_unit

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


def test_results_of_other_seeds_or_thresholds_are_not_compared(results):
    results.write("acrnet", "baseline", flat(30, 40))
    results.write("acrnet", "clasnet", flat(32, 43), seeds=(1, 2))
    with pytest.raises(InputError, match="other seeds on both sides: 0, 1 of the baseline, 1, 2 of clasnet; remove"):
        stages.results.gains("thumos14", "acrnet")
    for how, line in (
        ({"units": "snippets"}, "other units on both sides: seconds of the baseline, snippets of clasnet; remove"),
        ({"counted": 12}, "other test videos on both sides: 60 of the baseline, 12 of clasnet; remove"),
    ):
        results.write("acrnet", "clasnet", flat(32, 43), **how)
        with pytest.raises(InputError, match=line):
            gain_estimate("thumos14", "acrnet", "clasnet")
    results.write("acrnet", "clasnet", [[32.0] * 7, [43.0] * 6])
    with pytest.raises(InputError, match="map.json: seed 1: 6 numbers, expected one for each of 7 t-IoUs; remove"):
        stages.results.gains("thumos14", "acrnet")


def test_results_say_whose_they_are(tmp_path):
    path = tmp_path / "map.json"
    path.write_text('{"model": "thumos14/delu/clasnet", "mAP": {"0": [], "2": []}}', encoding="utf-8")
    collect.check_model(path, "thumos14/delu/clasnet", [0, 2])
    with pytest.raises(
        InputError, match="map.json: is of thumos14/delu/clasnet, not of thumos14/acrnet/clasnet; remove"
    ):
        collect.check_model(path, "thumos14/acrnet/clasnet", [0, 2])
    with pytest.raises(InputError, match="map.json: is of the seeds 0, 2, not 0, 1, 2; remove .* and run `dvc repro`"):
        collect.check_model(path, "thumos14/delu/clasnet", [0, 1, 2])


def test_one_model_file_is_no_two_seeds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models/a/from0"
    folder.mkdir(parents=True)
    tasks = [("clasnet", "a/from0", seed) for seed in (0, 1)]
    for seed in (0, 1):
        (folder / f"seed{seed}.pt").write_bytes(b"model %d" % seed)
    check_seeds(tasks)
    (folder / "seed1.pt").write_bytes(b"model 0")
    with pytest.raises(
        InputError, match="seed1.pt: is the same file as .*seed0.pt; remove models/a/from0 and run `dvc"
    ):
        check_seeds(tasks)


@pytest.mark.parametrize("found", [np.full((1, 2), 0.3), np.full((2, 2), 30.0), np.full((2, 2), np.nan)])
def test_resamples_are_a_row_a_seed(results, found):
    results.write("acrnet", "baseline", flat(30, 40))
    np.save(results.folder / "acrnet/baseline/resamples.npy", found)
    with pytest.raises(
        InputError, match="resamples.npy: .*, expected a row of numbers from 0 to 1 for each of 2 seeds"
    ):
        stages.results.read_resamples("thumos14", "acrnet", "baseline")


ODD_RESULTS = [
    ("seconds.json", {"a": 64.0}, "has no video b"),
    ("seconds.json", {"a": -5, "b": 64.0}, "-5, expected a number of seconds above 0"),
    ("control.json", {}, "has no 'mAP'"),
    (
        "control.json",
        {"mAP": {"0": [0.1]}, "pieces": 4, "pieces_mAP": [0.2] * 7},
        "seed 0: 1 numbers, expected one for",
    ),
    (
        "control.json",
        {"mAP": {"0": [30.0] * 7}, "pieces": 4, "pieces_mAP": [0.2] * 7},
        "30.0, expected a number from 0",
    ),
]


@pytest.mark.parametrize(("name", "content", "line"), ODD_RESULTS)
def test_what_stands_beside_the_models_is_whole(results, name, content, line):
    results.dump(name, content)
    with pytest.raises(InputError, match=f"{name}: .*{line}.*; remove the folder results and run `dvc repro collect`"):
        stages.results.read_truth("thumos14")
        stages.results.read_controls("thumos14")


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


def test_a_shortened_curve_of_a_training_is_named(tmp_path):
    for seed in (0, 1):
        for name in ("a", "loss"):
            path = tmp_path / f"from0/seed{seed}/plots/metrics/{name}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"step\t{name}\n0\t1.5\n10\t1.25\n", encoding="utf-8")
    assert collect.losses([tmp_path / "from0"])["a"]["1"] == {"step": [0, 10], "value": [1.5, 1.25]}
    path.write_text("step\tloss\n0\t1.5\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"seed1/.*/loss.tsv: missing, or has other steps .*; remove .*/from0 and run"):
        collect.losses([tmp_path / "from0"])
    path.unlink()
    with pytest.raises(InputError, match=r"seed1/.*/loss.tsv: missing, or has other steps .*; remove .*/from0 and run"):
        collect.losses([tmp_path / "from0"])
    with pytest.raises(InputError, match="from7: holds no logs of a training; remove .*/from7 and run `dvc repro`"):
        collect.losses([tmp_path / "from7"])


def trials(**changes):
    """The trials of a cell, two replicates."""
    each = {"maps": {"0": [30.0] * 7}, "correlation": {"a": 0.5, "q": 0.25}, "videos": 9}
    mixed = each | {"maps": dict.fromkeys(("0", "0.7", "1"), [30.0] * 7)}
    mixed["correlation"] = each["correlation"] | {"A": 0.75}
    return {"baseline": {"1": each, "2": each}, "clasnet": {"2": mixed, "1": mixed}} | changes


def odd(**changes):
    """A trial of the baseline with ``changes``."""
    return trials()["baseline"]["1"] | changes


def test_cells_are_of_the_same_replicates(tmp_path, monkeypatch):
    monkeypatch.setattr(verdict, "FOLDER", tmp_path)
    whole = trials()
    for baseline, names in (("delu", ("1", "2")), ("acrnet", ("1", "3")), ("co2net", ("1",))):
        found = {variant: dict(zip(names, own.values(), strict=False)) for variant, own in whole.items()}
        write_trials(tmp_path / "trials", f"thumos14/{baseline}", found)
    cells = {name: verdict.Cell("thumos14", name, "s", 0.7) for name in ("delu", "acrnet", "co2net")}
    verdict.check_cells([cells["delu"], cells["delu"]])
    with pytest.raises(InputError, match="thumos14/acrnet: replicates 1, 3, those of thumos14/delu 1, 2: must be the"):
        verdict.check_cells([cells["delu"], cells["acrnet"]])
    with pytest.raises(InputError, match="thumos14/co2net: replicates 1, those of .*: must be the same, two at least"):
        verdict.check_cells([cells["co2net"]])


def test_trials_are_paired_by_their_number(tmp_path, monkeypatch):
    monkeypatch.setattr(verdict, "FOLDER", tmp_path)
    found = trials()
    for n in ("2", "1"):
        maps = dict.fromkeys(("0", "0.7", "1"), [30.0 + int(n)] * 7)
        found["clasnet"][n] = found["clasnet"][n] | {"maps": maps}
    path = write_trials(tmp_path / "trials", "thumos14/delu", found)
    assert verdict.Cell("thumos14", "delu", "s", 0.7).gains().tolist() == pytest.approx([1, 2])
    for wrong, line in (
        (trials(clasnet={"1": found["clasnet"]["1"]}), "its replicates of clasnet are not those of the baseline"),
        (trials(baseline={}), "its replicates of clasnet are not those of the baseline"),
        (trials(baseline={"1": odd(maps={"0": [300.0]})}), "300.0, expected a number from 0 to 100"),
        ({}, "its replicates of clasnet are not those of the baseline"),
        (trials(baseline=found["clasnet"]), "baseline 2: its shares of A are 0, 0.7, 1"),
        (trials(clasnet=found["baseline"]), "clasnet 1: its shares of A are 0;"),
        (trials(B={n: odd(maps={"0": [30.0] * 6}) for n in "12"}), "B 1: not one mAP for each of 7 t-IoUs"),
        (trials(B={n: odd(correlation={"a": 0.5}) for n in "12"}), "B 1: correlations of a alone"),
        (trials(B={n: odd(correlation={"a": 55}) for n in "12"}), "55, expected a number from -1 to 1"),
    ):
        write_trials(tmp_path / "trials", "thumos14/delu", wrong)
        with pytest.raises(InputError, match=f"thumos14-delu.json: .*{line}"):
            verdict.Cell("thumos14", "delu", "s", 0.7)
    write_trials(tmp_path / "trials", "thumos14/co2net", found).rename(path)
    with pytest.raises(InputError, match="thumos14-delu.json: its trials are of thumos14/co2net; `git checkout` it"):
        verdict.Cell("thumos14", "delu", "s", 0.7)
    write_trials(tmp_path / "trials", "thumos14/delu", found, settings="of a job that nobody ran again")
    with pytest.raises(InputError, match="thumos14-delu.json: its trials are of other settings than those of now"):
        verdict.Cell("thumos14", "delu", "s", 0.7)


STUDIES = [  # a change of its data and trainings, and what is said
    (lambda data, train: data.update(thumos14={"source": "wtalc"}), "data set must have a `twin`"),
    (lambda data, train: train["acrnet"].pop("thumos14"), "must have a training for each of thumos14, activitynet12"),
    (lambda data, train: train["delu"].update(hacs=train["delu"]["thumos14"]), "activitynet13, and no other"),
    (lambda data, train: data.pop("thumos14"), "must have a training for each of activitynet12, activitynet13, and"),
]
SHARED = [  # what would mix reported draws with those of choices, or the draws of two data sets
    ({"first": 35}, "must not cross number 40, from which on replicates are for choices"),
    ({"seed": 3}, "no two twins may share a draw: their seeds must differ by 1 or 2"),
]


@pytest.mark.parametrize(("change", "line"), STUDIES)
def test_a_profile_of_no_study_is_refused(tmp_path, monkeypatch, change, line):
    params = load_params(ROOT / "params.yaml")
    profile = yaml.safe_load((ROOT / "profiles/study.yaml").read_text(encoding="utf-8"))
    change(profile["data"], profile["train"])
    monkeypatch.chdir(tmp_path)
    Path("profiles").mkdir()
    Path("profiles/study.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
    with pytest.raises(InputError, match=f"study.yaml: trials = .*: every .*{line}"):
        check.trials_units(params)
    Path("profiles/study.yaml").write_text(yaml.safe_dump(profile | {"trials": None}), encoding="utf-8")
    with pytest.raises(InputError, match="study.yaml: trials: is missing"):
        check.trials_units(params)


@pytest.mark.parametrize(("change", "line"), SHARED)
def test_a_study_that_shares_draws_is_refused(tmp_path, change, line):
    profile = yaml.safe_load((ROOT / "profiles/study.yaml").read_text(encoding="utf-8"))
    twin = profile["data"]["activitynet12"]["twin"]
    twin["seed"] = change.get("seed", twin["seed"])
    profile["trials"]["first"] = change.get("first", profile["trials"]["first"])
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    with pytest.raises(InputError, match=f"study.yaml: trials = .*{line}"):
        read_profile(tmp_path / "study.yaml")


@pytest.mark.parametrize(("key", "value"), [("layers", [1.0, 4]), ("layers", ["4"]), ("heads", [2.0])])
def test_a_number_that_names_a_stage_is_written_as_one(tmp_path, key, value):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["study"][key] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(SystemExit, match=rf"params.yaml: study.{key}.0 = .*: input should be a valid integer"):
        load_params(tmp_path / "params.yaml")

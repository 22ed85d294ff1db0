"""Nothing wrong passes in silence: one sharp test a kind of fault, and a short run of the fuzzing command."""

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT

from benchmarks.fuzz import fuzz
from benchmarks.readers import ANNOTATIONS, READERS
from clasnet import CLASNet, build_baseline, load_model, save_model
from clasnet.data.activitynet import read_activitynet
from clasnet.data.annotation_files import read_annotations
from clasnet.data.convert import convert
from clasnet.data.download import Unavailable, accept
from clasnet.data.store import open_store, write_store
from clasnet.errors import InputError
from clasnet.evaluate import main as evaluate
from clasnet.localize import main as localize
from clasnet.models import checkpoint
from stages import sources
from stages.errors import stage_errors
from stages.parallel import run_each
from stages.params import inconsistencies, load_params, with_profile
from stages.schema import Section, read_checked

CONTENT = {
    "classes": ["run"],
    "database": {"a": {"subset": "test", "duration": 9.0, "annotations": [{"segment": [0, 1], "label": "run"}]}},
}
TRUTH = json.dumps(CONTENT)
FOUND = '{"results": {"a": [{"segment": [0, 1], "label": "run", "score": 1}]}}'
WRONG_ANNOTATIONS = [
    ('{"x":' * 200_000, "not JSON of use here: nested too deep"),
    (TRUTH.replace('"test"', "null"), "database['a']: subset None, expected text"),
    (TRUTH.replace('"test"', '["test"]'), "database['a']: subset ['test'], expected text"),
    (TRUTH.replace("9.0", "NaN"), "database['a']: duration nan, expected a number of seconds above 0"),
    (TRUTH.replace("9.0", "1e999"), "database['a']: duration inf, expected a number of seconds above 0"),
    (TRUTH.replace("[0, 1]", "[1]"), "database['a'].annotations[0]: segment [1], expected [start, end] in seconds"),
    (TRUTH.replace("[0, 1]", "[2, 1]"), "database['a'].annotations[0]: segment [2, 1] ends before it starts"),
    (TRUTH.replace('"label": "run"', '"label": "\\ud800"'), "not JSON: JSON is malformed: unexpected end of escaped"),
    (TRUTH.replace('"duration"', '"labels": [""], "duration"'), "video 'a' has the label '', which is no class"),
    (TRUTH.replace('["run"]', '["jump"]'), "video 'a' has the label 'run', which is no class"),
    (TRUTH.replace('"database": {', '"database": {"a": {}, '), "an object has the key 'a' twice"),
    ("[]", "the file: has no 'database'"),
]


@pytest.mark.parametrize(("content", "line"), WRONG_ANNOTATIONS)
def test_a_wrong_annotation_is_named_with_its_place(tmp_path, content, line):
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as stop:
        read_activitynet(tmp_path / "a.json")
    assert f"a.json: {line}" in str(stop.value) and "\n" not in str(stop.value)


@pytest.mark.parametrize(
    ("truth", "found", "options", "line"),
    [
        (TRUTH, FOUND.replace('{"a"', '{"a": [], "a"'), [], "found.json: an object has the key 'a' twice"),
        (
            TRUTH.replace('"database": {', '"database": {"a": {}, '),
            FOUND,
            [],
            "gt.json: an object has the key 'a' twice",
        ),
        (
            TRUTH.replace('{"segment": [0, 1], "label": "run"}', ""),
            FOUND,
            [],
            "no instance in the 1 videos of the subset",
        ),
        (TRUTH, FOUND, ["--tiou", "0.5:inf:0.1"], "expected start:stop:step"),
        (TRUTH, FOUND, ["--tiou", "0.1:0.9:1e-12"], "expected start:stop:step"),
    ],
)
def test_an_evaluation_of_something_wrong_is_refused(tmp_path, capsys, truth, found, options, line):
    (tmp_path / "gt.json").write_text(truth, encoding="utf-8")
    (tmp_path / "found.json").write_text(found, encoding="utf-8")
    files = ["--ground-truth", str(tmp_path / "gt.json"), "--predictions", str(tmp_path / "found.json")]
    with pytest.raises(SystemExit) as stop:
        evaluate([*files, "--subset", "test", *options])
    assert line in str(stop.value) + capsys.readouterr().err


def test_a_terminal_without_the_letter_still_gets_the_table(tmp_path):
    (tmp_path / "gt.json").write_text(TRUTH.replace('"run"', '"Türen öffnen"'), encoding="utf-8")
    (tmp_path / "found.json").write_text(FOUND.replace('"run"', '"Türen öffnen"'), encoding="utf-8")
    command = [sys.executable, "-m", "clasnet.evaluate", "--ground-truth", tmp_path / "gt.json", "--per-class"]
    command += ["--predictions", tmp_path / "found.json", "--subset", "test"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=ascii_only, cwd=Path(__file__).parents[1], capture_output=True, check=True)
    assert b"T\\xfcren" in done.stdout


def thumos14(folder):
    reader = READERS["thumos14"](folder)
    return reader.folder


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (
            "Ambiguous_test.txt",
            "c 1 2\nc 1\n",
            "Ambiguous_test.txt: line 2: 'c 1', expected `id start end`",
        ),
        ("Ambiguous_test.txt", "c 1 nan\n", "Ambiguous_test.txt: line 1: 'c 1 nan', expected"),
        ("duration.npy", np.array([9.0, np.nan, 1.0]), "duration.npy: [1]: "),
        ("labels.npy", np.array([["run"], ["run"], []], dtype=object), "labels.npy: [0]: 1 labels of 2 segments"),
        ("videoname.npy", np.array([b"a", b"a", b"c"]), "the video 'a' is there twice"),
        ("subset.npy", np.array(b"validation"), "expected an array of one entry a video"),
    ],
)
def test_released_arrays_are_named_with_file_and_video(tmp_path, name, content, line):
    folder = thumos14(tmp_path)
    if isinstance(content, str):
        (folder / name).write_text(content, encoding="utf-8")
    else:
        np.save(folder / name, content, allow_pickle=True)
    with pytest.raises(InputError) as stop:
        read_annotations(folder)
    assert line in str(stop.value)


def test_a_store_that_changed_is_refused(tmp_path):
    videos = [(id, np.random.default_rng(0).random((5, 8))) for id in "abc"]
    write_store(tmp_path / "s", ANNOTATIONS, videos)
    for name in ("features.npy", "index.json", "annotations.json"):
        whole = (tmp_path / "s" / name).read_bytes()
        for place in (len(whole) // 2, len(whole) - 9, 20):
            changed = bytearray(whole)
            changed[place] ^= 1
            (tmp_path / "s" / name).write_bytes(changed)
            with pytest.raises(InputError):
                open_store(tmp_path / "s")
        (tmp_path / "s" / name).write_bytes(whole)
    assert open_store(tmp_path / "s").annotations.ids.tolist() == list("abc")


def test_what_conversion_leaves_out_is_in_the_line_when_nothing_remains(tmp_path):
    (tmp_path / "f").mkdir()
    for id in "ab":
        np.save(tmp_path / f"f/{id}.npy", np.zeros((5, 4), np.float32))
    (tmp_path / "f/c.npy").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"none of the 3 .*another width, left out: 2, such as a: \(5, 4\)"):
        convert(tmp_path / "s", ANNOTATIONS, tmp_path / "f", columns=8, subsets=("validation", "test"))
    np.save(tmp_path / "f/a.npy", np.zeros((14, 8), np.float32))
    problems = convert(tmp_path / "s", ANNOTATIONS, tmp_path / "f", columns=8, subsets=("validation", "test"))
    assert "c.npy" in problems["unreadable, left out; fetch them again"][0]  # a link that dangles stops nothing


@pytest.fixture
def model_file(tmp_path):
    torch.manual_seed(0)
    model = build_baseline("acrnet", num_classes=3, width=8, merge="concatenate")
    save_model(tmp_path / "m.pt", model, classes=("jump", "run", "swim"), num_segments=20)
    return tmp_path / "m.pt"


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_model_file_that_changed_is_refused(model_file, place):
    whole = bytearray(model_file.read_bytes())
    start = int(place * len(whole))
    whole[start : start + 64] = bytes(b ^ 1 for b in whole[start : start + 64])
    model_file.write_bytes(whole)
    with pytest.raises(InputError):
        load_model(model_file)


def test_a_model_with_nan_is_refused(model_file, monkeypatch):
    model = load_model(model_file)
    with torch.no_grad():
        next(model.parameters()).view(-1)[3] = torch.nan
    with monkeypatch.context() as patch:  # as an earlier version wrote it
        patch.setattr(checkpoint, "unusable", lambda tensor: "")
        save_model(model_file, model, classes=("jump", "run", "swim"), num_segments=20)
    with pytest.raises(InputError, match="holds NaN or infinity"):
        load_model(model_file)


def test_a_model_of_an_earlier_version_is_no_other_network(tmp_path):
    """Its settings lack one that the same weights now mean something else by."""
    model = CLASNet(build_baseline("acrnet", num_classes=3, width=8), fcsm={"heads": 2}, brm={})
    del model.settings["fcsm"]["temperature"]
    save_model(tmp_path / "m.pt", model, classes=("jump", "run", "swim"), num_segments=20)
    with pytest.raises(InputError, match="of an earlier version, which had no temperature; train this model again"):
        load_model(tmp_path / "m.pt")


def test_a_model_of_another_size_takes_no_memory(model_file, monkeypatch):
    model = load_model(model_file)
    model.recipe["baseline"]["width"] = 2**16
    with monkeypatch.context() as patch:  # as nobody writes it here
        patch.setattr(checkpoint, "misfit", lambda expected, weights: "")
        save_model(model_file, model, classes=("jump", "run", "swim"), num_segments=20)
    with pytest.raises(InputError, match="its settings and weights make no model"):
        load_model(model_file)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--snippet-seconds", "nan"], "must be a number from 0.01 to 3600"),
        (["--device", "quantum"], "PyTorch sees no such device"),
        (["--weights", "i3d"], "--weights i3d: is read for videos, and there is none"),
    ],
)
def test_wrong_options_of_localize(model_file, options, line):
    np.save(model_file.parent / "a.npy", np.ones((9, 16), np.float32))
    with pytest.raises(SystemExit, match=line):
        localize([str(model_file), str(model_file.parent / "a.npy"), *options])


def test_names_with_signs_of_formulas_are_drawn(model_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a$_{^$.npy", np.random.default_rng(0).random((30, 16), dtype=np.float32))
    localize(["m.pt", "a$_{^$.npy"])
    assert Path("localized/a$_{^$.png").exists()


@pytest.mark.parametrize("shape", ["(1000000000000000000000000000000, 8)", "(-1, 8)", "(x, 8)", "(4, 8)"])
def test_a_header_that_lies_gives_one_line(tmp_path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".ljust(117).encode() + b"\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    (tmp_path / "a.npy").write_bytes(start + np.ones((5, 8), np.float32).tobytes())
    from clasnet import load_features

    with pytest.raises(InputError):
        load_features(tmp_path / "a.npy")


def tar(path, mode):
    with tarfile.open(path, mode) as file:
        for n in range(3):
            member = tarfile.TarInfo(f"{n}.npy")
            member.size = 4000
            file.addfile(member, io.BytesIO(np.random.default_rng(n).bytes(4000)))


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2"])
def test_a_flipped_byte_in_an_archive_is_noticed(tmp_path, kind):
    tar(tmp_path / "a", f"w:{kind}")
    whole = (tmp_path / "a").read_bytes()
    for place in range(20, len(whole), len(whole) // 40):
        changed = bytearray(whole)
        changed[place] ^= 8
        (tmp_path / "a").write_bytes(changed)
        with pytest.raises(InputError, match="damaged archive"):
            sources.unpacked(tmp_path / "a", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_tar_file_that_is_damaged_in_the_middle_is_noticed(tmp_path):
    tar(tmp_path / "a", "w")
    whole = bytearray((tmp_path / "a").read_bytes())
    whole[4096 + 512 + 148] ^= 1  # the checksum of the second member's header, where tarfile stops and says nothing
    (tmp_path / "a").write_bytes(whole)
    with pytest.raises(InputError, match="damaged archive"):
        sources.unpacked(tmp_path / "a", tmp_path / "out")


@pytest.mark.parametrize("field", ["flags", "method"])
def test_zip_files_that_nobody_can_read_give_one_line(tmp_path, field):
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        file.writestr("x.npy", b"x" * 100)
    whole = bytearray((tmp_path / "a").read_bytes())
    central = whole.index(b"PK\x01\x02")
    for place in (6, central + 8) if field == "flags" else (8, central + 10):
        whole[place] = 1 if field == "flags" else 77
    (tmp_path / "a").write_bytes(whole)
    with pytest.raises(InputError, match="damaged archive"):
        sources.unpacked(tmp_path / "a", tmp_path / "out")


@pytest.mark.parametrize("page", [b"<!-- --><p>quota", b"<?xml version='1.0'?>", b'{"error": "quota"}', b""])
def test_a_download_is_known_by_how_its_kind_begins(tmp_path, page):
    (tmp_path / "p").write_bytes(page)
    with pytest.raises(Unavailable, match=r"not a \.npy file"):
        accept(tmp_path / "p", tmp_path / "package.npy")
    assert not (tmp_path / "package.npy").exists()


def test_what_has_no_checksum_is_pinned_at_its_first_use(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "sources.yaml", tmp_path)
    place = Path("data/raw/thumos14/acrnet")
    source = sources.load_sources().of("thumos14")["acrnet"]
    parts = [place / part for part in (source.file, source.folder, source.unpack) if part]
    for part in parts:
        part.mkdir(parents=True)
        (part / "a.npy").write_bytes(b"a")
        assert sources.as_pinned(part) == part  # nothing is known of it
    sources.pin("thumos14", "acrnet")
    known = json.loads(Path("sources.lock.json").read_text(encoding="utf-8"))
    assert list(known) == sorted(part.as_posix() for part in parts)
    (parts[0] / "a.npy").write_bytes(b"b")
    with pytest.raises(InputError, match="not as at its first use"):
        sources.as_pinned(parts[0])
    sources.pin("thumos14", "acrnet")  # pins nothing anew
    assert json.loads(Path("sources.lock.json").read_text(encoding="utf-8")) == known


M, R, T = "train.acrnet.thumos14.model", "train.co2net.thumos14", "data.thumos14.twin"
WRONG_PARAMS = [  # one a kind; the line begins with file, key and value
    ("params.yaml", "fcsm.layers", 500, "input should be less than or equal to 16"),
    ("params.yaml", "fcsm.layers", True, "input should be neither true nor false"),
    ("params.yaml", "brm.weight", float("inf"), "input should be a finite number"),
    ("params.yaml", "fcsm.follow", 1e300, "input should be less than or equal to 1000000000"),
    ("params.yaml", "threads", 5000, "input should be less than or equal to 1024"),
    ("params.yaml", "jobs", 10**6, "must be auto or a number of processes from 1 on, at most 1024"),
    ("params.yaml", "extensions", "../x", "must be a folder below this one"),
    ("params.yaml", "evaluate.resamples", 30, "input should be greater than or equal to 100"),
    ("profiles/demo.yaml", f"{M}.merge", "sum", "must be one of released, concatenate"),
    ("profiles/demo.yaml", f"{M}.dropout", 2, "must be a number from 0 on, below 1"),
    ("profiles/demo.yaml", f"{M}.nms_sigma", float("nan"), "must be a number from 1e-06 to 1e+09"),
    ("profiles/demo.yaml", f"{R}.model.k", 0, "must be a whole number from 1 to 65536"),
    ("profiles/demo.yaml", f"{R}.lr", float("inf"), "input should be a finite number"),
    ("profiles/demo.yaml", f"{R}.batch_size", 5, "must have room for 3 pairs of videos"),
    ("profiles/demo.yaml", f"{T}.snippets", [250, 80], "must not fall"),
    ("params.yaml", "ramp", [0.4, 0.2], "must not fall"),
    ("params.yaml", "ramp", [1.0, 1.0], "must not fall, and begin before 1"),
    ("profiles/demo.yaml", f"{T}.classes", 3, "must be no fewer than the `groups`"),
    ("profiles/demo.yaml", f"{T}.seed", 2**64, "input should be less than or equal to 18446744073709551615"),
    ("profiles/demo.yaml", f"{T}.train_videos", 20, "must be more than the classes"),
    ("profiles/demo.yaml", "data.thumos14.annotations", "/no/such", "no such file or folder"),
]


def stop_of(tmp_path, name, key, value):
    """The line with which a wrong ``value`` is refused in params.yaml or a profile."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    content = block = yaml.safe_load((tmp_path / name).read_text(encoding="utf-8"))
    *parents, last = key.split(".")
    for parent in parents:
        block = block[parent]
    block[last] = value
    (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        load_params(tmp_path / "params.yaml")
    return str(stop.value)


@pytest.mark.parametrize(("name", "key", "value", "allowed"), WRONG_PARAMS)
def test_a_wrong_parameter_is_refused_before_any_work(tmp_path, name, key, value, allowed):
    assert stop_of(tmp_path, name, key, value).startswith(f"{tmp_path / name}: {key} = {value!r}: {allowed}")


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        (f"{M}.widht", 32, f"{M}.widht: unknown setting 'widht'; known here: width, heads, merge, pool"),
        (f"{M}.heads", 3, f"{M}: heads = 3: must be a positive divisor of the width 32"),
        (f"{M}.pool", 4, f"{M}: pool = 4: must be odd"),
        ("train.acrnett", {}, "train.acrnett: no such baseline; there are co2net, delu, acrnet, basnet"),
        (
            "train.basnet",
            {"thumos14": {"steps": 1, "lr": 1, "schedule": "cosine", "weight_decay": 0, "batch_size": 9, "segments": 9}
             | {"model": {"width": 32, "dropout": 3}}},
            "train.basnet.thumos14.model.dropout = 3: must be a number",
        ),
    ],
)  # fmt: skip
def test_a_profile_is_asked_of_the_constructors(tmp_path, key, value, line):
    """A baseline from outside the library, too."""
    assert stop_of(tmp_path, "profiles/demo.yaml", key, value).startswith(f"{tmp_path}/profiles/demo.yaml: {line}")


def test_all_networks_read_the_same_features(monkeypatch):
    monkeypatch.chdir(ROOT)
    params = with_profile(load_params(), "paper")
    assert not list(inconsistencies(params, "params.yaml", "paper.yaml"))
    params.active_profile.train["delu"]["thumos14"].model["width"] = 512
    (line,) = inconsistencies(params, "params.yaml", "paper.yaml")
    expected = (
        "paper.yaml: train.delu.thumos14.model.width = 512: must be 1024, that of co2net: all read the same features"
    )
    assert line == expected


def test_cuda_is_asked_for_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", bool)
    assert "device = 'cuda': PyTorch sees no CUDA device here" in stop_of(tmp_path, "params.yaml", "device", "cuda")


def test_a_refused_experiment_says_how_to_take_its_value_back(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0")
    line = stop_of(tmp_path, "params.yaml", "fcsm.layers", 0)
    assert line.endswith("`git checkout params.yaml profiles` takes it back") and "\n" not in line


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({"fcsm": {"layers": 17, "heads": 2}}, "fcsm.layers = 17: must be from 1 to 16"),
        ({"fcsm": {"beta": float("nan")}}, "fcsm.beta = nan: must be a number from 0 to 1"),
        ({"fcsm": {"bottleneck": 0.5}}, "fcsm.bottleneck = 0.5: must be a whole number from 1 to 65536 or null"),
        ({"brm": {"distance": "l2"}}, "brm.distance = 'l2': must be one of mse, l1, cosine"),
        ({"sparsity": {"wieght": 1}}, "sparsity.wieght: unknown setting 'wieght'; known here: weight"),
        ({"ramp": (0.2, 4)}, r"ramp = \[0.2, 4\]: must be two numbers from 0 to 1"),
    ],
)
def test_wrong_settings_of_clasnet_are_named(parts, line):
    with pytest.raises(InputError, match=line):
        CLASNet(build_baseline("acrnet", num_classes=3, width=8), **parts)


class Two(Section):
    x: float


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x: 1\nx: 2", "the key 'x' is there twice"),
        ("x: .inf", "x = inf: input should be a finite number"),
        ("x: " + "[" * 5000, "nested too deep"),
        ("x: !!python/object:os.system 1", "not valid YAML"),
        ("x: 2020-13-45", "not valid YAML"),
        ("", "should be a valid dictionary"),
    ],
)
def test_wrong_yaml_gives_one_line(tmp_path, text, line):
    (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as stop:
        read_checked(tmp_path / "p.yaml", Two)
    assert line in str(stop.value) and "\n" not in str(stop.value)


def wrong_in_the_code(item, device):
    raise KeyError("no such key")


def test_a_value_error_of_the_code_keeps_its_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stage.py"])
    with pytest.raises(ValueError, match="could not convert"):
        stage_errors(lambda: float("x"))


def test_a_machine_that_is_too_small_gives_one_line(tmp_path, monkeypatch):
    """Out of memory, as PyTorch says it on a CPU; out of inodes, where the system names no file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stage.py"])
    for work, line in (
        (lambda: torch.empty(2**46), "stage: not enough memory"),
        (lambda: Path("/dev/full").write_text("x", encoding="utf-8"), "stage: the disk is full"),
    ):
        with pytest.raises(SystemExit, match=line):
            stage_errors(work)


def test_an_error_of_the_code_keeps_its_lines(tmp_path, monkeypatch):
    """And where it was raised in another process, those too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stage.py"])
    machine = {"device": "cpu", "jobs": 1, "threads": 1}

    def main():
        run_each(wrong_in_the_code, [0], machine)

    with pytest.raises(KeyError) as error:
        stage_errors(main)
    assert "in wrong_in_the_code" in str(error.value.__cause__)


@pytest.mark.parametrize("name", READERS)
def test_mutants_end_in_a_result_or_in_one_line(name):
    said = []
    fuzz(name, 60, say=said.append)
    assert not said


FOUND_CASES = [  # by the command, with this seed
    ("evaluate", 21),  # a lone surrogate, which the schema itself could not read
    ("zip", 8),  # a second list of files, which is empty
    ("params", 37),  # brackets that PyYAML takes minutes for
]


@pytest.mark.parametrize(("name", "case"), FOUND_CASES)
def test_what_fuzzing_found(name, case):
    said = []
    fuzz(name, 1, first=case, say=said.append)
    assert not said

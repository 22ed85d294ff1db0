"""Nothing wrong passes in silence, second part: what a tester found who had not seen the first one (test_faults.py)."""

import io
import json
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from clasnet import build_baseline, save_model
from clasnet.command import command
from clasnet.data.annotations import make_annotations
from clasnet.data.convert import convert
from clasnet.data.store import write_store
from clasnet.errors import InputError
from clasnet.evaluate import main as evaluate
from clasnet.evaluate import parse_tious
from clasnet.localize import main as localize
from clasnet.models.checkpoint import read_checkpoint
from clasnet.models.device import usable_device
from clasnet.models.released import misfits
from clasnet.video import weights
from stages import download, features, train
from stages.sources import load_sources, unpacked

TRUTH = {"database": {"a": {"subset": "test", "annotations": [{"segment": [0, 1], "label": "run"}]}}}
ROW = {"segment": [0, 1], "label": "run", "score": 1}


def test_a_damaged_checkpoint_is_named_with_its_part(tmp_path):
    path = tmp_path / "c.pkl"
    torch.save({"a": torch.ones(1000)}, path)
    assert read_checkpoint(path)["a"].sum() == 1000
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 64]) + whole[middle + 1 :])
    with pytest.raises(InputError, match=r"c.pkl: damaged: its part c/data/0 is not what was written"):
        read_checkpoint(path)


NO_WEIGHTS = [
    (torch.tensor([1.0, float("nan")]), "a holds NaN or infinity"),
    (torch.tensor([1.0, 1e300], dtype=torch.float64), "a holds NaN or infinity"),
    (torch.ones(2, dtype=torch.int8), "a holds int8 numbers, not floating point ones"),
    (torch.ones(2, dtype=torch.complex64), "a holds complex64 numbers, not floating point ones"),
    (torch.ones(2).to_sparse(), "a is not stored as plain numbers"),
    (torch.ones(2, device="meta"), "a is not stored as plain numbers"),
]


@pytest.mark.parametrize(("tensor", "line"), NO_WEIGHTS)
def test_weights_of_no_use_are_named(tensor, line):
    expected, names = {"ours": torch.zeros(2)}, {"a": "ours"}
    assert misfits({"a": tensor}, expected, names) == [line]
    assert misfits({"a": torch.ones(2, dtype=torch.float16)}, expected, names) == []


def test_weights_of_i3d_that_are_none_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "I3D", lambda channels: torch.nn.Linear(2, 1))
    torch.save({"weight": torch.full((1, 2), torch.inf), "bias": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"w.pt: weight holds NaN or infinity$"):
        weights.load_i3d(tmp_path / "w.pt", 3)


def tar(path, *members):
    """A tar file of ``members``: a name, and its content or the name that it is a hard link to."""
    with tarfile.open(path, "w") as file:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.LNKTYPE, content
                file.addfile(member)
            else:
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
    return path


def test_no_file_of_an_archive_is_lost(tmp_path):
    unpacked(tar(tmp_path / "a.tar", ("a.npy", b"x"), ("b.npy", "a.npy")), tmp_path / "a")
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == {"a.npy": b"x", "b.npy": b"x"}
    cut = tar(tmp_path / "cut.tar", ("a.npy", b"x"), ("b.npy", b"y"))
    cut.write_bytes(cut.read_bytes()[:1024])  # the first member, whole
    for archive, line in (
        (cut, "it ends without the empty block that ends such a file"),
        (tar(tmp_path / "link.tar", ("b.npy", "a.npy")), "b.npy is a link to a.npy, which is no file in it"),
        (tar(tmp_path / "empty.tar"), "there is no file in this archive"),
    ):
        with pytest.raises(InputError, match=line):
            unpacked(archive, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("number", "dtype"), [(1e300, "float32"), (1e6, "float16")])
def test_features_that_the_store_cannot_hold_are_named(tmp_path, number, dtype):
    annotations = make_annotations(["run"], [{"id": "a", "subset": "test", "duration": 9.0, "segments": []}])
    with pytest.raises(InputError, match=f"^video a: features that are not finite as {dtype}$"):
        write_store(tmp_path / "s", annotations, [("a", np.full((3, 2), number))], dtype=dtype)
    assert not (tmp_path / "s").exists()


def test_a_package_of_text_is_no_package_of_features(tmp_path):
    annotations = make_annotations(["run"], [{"id": "a", "subset": "test", "duration": 9.0, "segments": []}])
    package = np.empty(1, dtype=object)
    package[0] = np.full((9, 4), "text")
    np.save(tmp_path / "p.npy", package, allow_pickle=True)
    with pytest.raises(InputError, match="video a: features of type <U4, expected floating point numbers"):
        convert(tmp_path / "s", annotations, tmp_path / "p.npy", columns=4, subsets=("validation", "test"))


WRONG_SUBSETS = [
    ({"a": ("validation", ["run"])}, "no video of the subset test, which is the test set; there are 'validation': 1"),
    ({"a": ("validation", ["run"]), "b": ("test", [])}, "no instance in the 1 test videos (test)"),
    ({"a": ("validation", []), "b": ("test", ["run"])}, "no label in the 1 training videos (validation)"),
]


@pytest.mark.parametrize(("videos", "line"), WRONG_SUBSETS)
def test_data_that_cannot_be_evaluated_are_refused_where_they_are_made(videos, line):
    records = [
        {"id": id, "subset": subset, "duration": 9.0, "segments": [(0, 1, label) for label in labels]}
        for id, (subset, labels) in videos.items()
    ]
    with pytest.raises(InputError) as error:
        features.check_subsets("thumos14", make_annotations(["run"], records))
    assert str(error.value) == f"thumos14: {line}"


UNMATCHED = [
    ({"v_a": [ROW], "v_b": []}, "p.json: none of its 1 videos is in the ground truth's subset: 'v_a' here, 'a' there"),
    ({"a": []}, "p.json: holds no prediction at all"),
]


@pytest.mark.parametrize(("results", "line"), UNMATCHED)
def test_a_submission_that_meets_no_video_is_no_zero(tmp_path, results, line):
    (tmp_path / "gt.json").write_text(json.dumps(TRUTH), encoding="utf-8")
    (tmp_path / "p.json").write_text(json.dumps({"results": results}), encoding="utf-8")
    files = ["--ground-truth", f"{tmp_path}/gt.json", "--predictions", f"{tmp_path}/p.json"]
    with pytest.raises(SystemExit, match=line):
        evaluate([*files, "--subset", "test"])


def test_thresholds_are_a_range_or_a_list():
    for wrong in ("0.3,0.5:0.1", "0.5:0.7,0.1", "0.5,0.5"):
        with pytest.raises(Exception, match="expected start:stop:step, .* none twice"):
            parse_tious(wrong)


def test_scores_that_are_not_finite_are_no_empty_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_model("m.pt", build_baseline("acrnet", num_classes=2, width=4).eval(), classes=("a", "b"), num_segments=9)
    np.save("huge.npy", np.full((9, 8), 3e38, np.float32))
    with pytest.raises(SystemExit, match=r"clasnet.localize: huge.npy: the network's scores are not finite"):
        localize(["m.pt", "huge.npy"])
    np.save("a.npy", np.ones((9, 8), np.float32))
    with pytest.raises(SystemExit, match="--snippet-seconds 1e\\+306: must be a number from 0.01 to 3600"):
        localize(["m.pt", "a.npy", "--snippet-seconds", "1e306"])


@pytest.mark.parametrize("name", ["a.npz", "a.H5", "a.NPY", "folder"])
def test_what_is_neither_a_video_nor_features(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    save_model("m.pt", build_baseline("acrnet", num_classes=2, width=4), classes=("a", "b"), num_segments=9)
    with pytest.raises(SystemExit, match=f"{name}: neither a video nor a file of features, which ends in .npy"):
        localize(["m.pt", name])


@pytest.mark.parametrize("name", ["meta", "hpu", ""])
def test_a_device_that_computes_nothing_here(name):
    with pytest.raises(InputError, match=f"device {name}: PyTorch sees no such device here"):
        usable_device(name)


def test_sources_of_unknown_annotations(tmp_path):
    (tmp_path / "sources.yaml").write_text(
        "annotations: {}\nthumos14:\n  a: {annotations: x, file: f.npy, mirrors: [{url: 'http://e.org'}]}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match=r"thumos14.a.annotations = 'x': must be one of"):
        load_sources(tmp_path / "sources.yaml")


def test_a_stage_says_how_it_is_used(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stages/train.py", "--help"])
    with pytest.raises(SystemExit, match="usage: python -m stages.train MODEL/fromSEED"):
        train.main()
    monkeypatch.setattr(sys, "argv", ["download.py", "hacs"])
    with pytest.raises(InputError, match=r"profiles/demo.yaml has no hacs; name a source of sources.yaml to fetch one"):
        download.main()


ENDS = [
    (InputError("x: is\nwrong"), "clasnet.x: x: is wrong"),
    (MemoryError(), "clasnet.x: not enough memory"),
    (torch.OutOfMemoryError("full"), "clasnet.x: full"),
    (ModuleNotFoundError(name="av"), "clasnet.x: needs av: pip install 'clasnet[video]'"),
    (KeyboardInterrupt(), 130),
]


@pytest.mark.parametrize(("error", "end"), ENDS)
def test_how_a_command_ends(error, end):
    with pytest.raises(SystemExit) as stop, command("clasnet.x"):
        raise error
    assert stop.value.code == end


def test_a_reader_that_has_enough_and_an_output_that_is_closed(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        with pytest.raises(SystemExit) as stop, command("clasnet.x"):
            print("a")
        assert stop.value.code == 141
    monkeypatch.setattr(sys, "stdout", None)
    with command("clasnet.x"):
        print("into nothing")

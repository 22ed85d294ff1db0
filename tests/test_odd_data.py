"""Annotations, features, archives and predictions that are odd in ways that used to pass, or to be blamed on something
else: one sharp test a kind.
"""

import codecs
import gzip
import json
import tarfile

import numpy as np
import pytest
from test_silence import tar

from clasnet import build_baseline, save_model
from clasnet.data.activitynet import read_activitynet
from clasnet.data.annotation_files import read_annotations
from clasnet.data.annotations import make_annotations
from clasnet.data.convert import convert
from clasnet.data.features import group_files
from clasnet.errors import InputError
from clasnet.evaluate import main as evaluate
from clasnet.reading import read_json
from clasnet.video import folder
from clasnet.video.folder import is_done
from stages.sources import unpacked

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
    ({"a": VIDEO | {"annotations": [ACTION | {"label": "run "}]}}, "the class 'run '"),
    ({" a": VIDEO}, "the video ' a'"),
]


@pytest.mark.parametrize(("videos", "line"), NO_NAMES)
def test_names_hold_no_control_characters(tmp_path, videos, line):
    with pytest.raises(InputError, match=f"{line}, expected a name without control characters"):
        read_activitynet(activitynet(tmp_path / "a.json", videos))


def test_a_model_has_no_such_class(tmp_path):
    model = build_baseline("acrnet", num_classes=2, width=4)
    with pytest.raises(InputError, match=r"classes\[1\]: .*, expected a name without control characters"):
        save_model(tmp_path / "m.pt", model, classes=("a", "\x1b[2J"), num_segments=9)
    assert not (tmp_path / "m.pt").exists()


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


def test_predictions_in_other_videos_are_told_of(tmp_path, capsys):
    """They count as false, as in the official protocol."""
    truth, prediction = activitynet(tmp_path / "t.json", {"a": VIDEO}), ACTION | {"score": 1}
    for results, line in (
        ({"a": [prediction], "b": []}, ""),
        (
            {"a": [prediction], "b": [prediction]},
            "p.json: 1 of its 2 videos, such as 'b', are not in the ground truth's subset: all that is found there is"
            " false\n",
        ),
    ):
        (tmp_path / "p.json").write_text(json.dumps({"results": results}), encoding="utf-8")
        evaluate(["--ground-truth", str(truth), "--predictions", str(tmp_path / "p.json"), "--subset", "test"])
        said = capsys.readouterr().err
        assert said.endswith(line) and bool(said) is bool(line)


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


def test_a_link_in_an_archive_is_the_file_that_it_leads_to(tmp_path):
    def archive(name, target):
        with tarfile.open(tar(tmp_path / f"{name}.tar", ("d/a.npy", b"x")), "a") as file:
            link = tarfile.TarInfo("b.npy")
            link.type, link.linkname = tarfile.SYMTYPE, target
            file.addfile(link)
        return tmp_path / f"{name}.tar"

    folder = unpacked(archive("good", "d/a.npy"), tmp_path / "out")
    assert (folder / "b.npy").read_bytes() == b"x" and not (folder / "b.npy").is_symlink()
    for n, target in enumerate(("/etc/passwd", "../d/a.npy", "d")):
        with pytest.raises(InputError, match=f"b.npy is a link to {target}, which is no file in it"):
            unpacked(archive(f"bad{n}", target), tmp_path / f"out{n}")


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


def test_damaged_features_and_those_of_another_video_are_extracted_again(tmp_path, monkeypatch):
    features, video = tmp_path / "a.npy", tmp_path / "a.mp4"
    video.touch()
    np.save(features, np.ones((10, 2048), np.float32))
    for seconds, done in ((None, True), (6.4, True), (8, True), (60, False), (1, False)):
        monkeypatch.setattr(folder, "video_seconds", lambda path, seconds=seconds: seconds)
        assert is_done(features, video, 0) is is_done(features, video, None) is done
        assert not is_done(features, video, 1)
    monkeypatch.setattr(folder, "video_seconds", lambda path: 6.4)
    features.write_bytes(features.read_bytes()[:500])
    assert not is_done(features, video, 0)


def test_features_of_nothing_are_noted(tmp_path):
    (tmp_path / "f").mkdir()
    for id, value in (("a", 0), ("b", 1)):
        np.save(tmp_path / f"f/{id}.npy", np.full((10, 4), value, np.float32))
    problems = convert(tmp_path / "s", two_videos(), tmp_path / "f", columns=4, subsets=("test",))
    assert problems == {"nothing but zeros": ["a"]}


def test_the_evaluation_tells_of_instances_that_nobody_can_find(tmp_path, capsys):
    actions = [ACTION, ACTION, ACTION | {"segment": [3, 3]}]
    truth = activitynet(tmp_path / "t.json", {"a": VIDEO | {"annotations": actions}})
    (tmp_path / "p.json").write_text(json.dumps({"results": {"a": [ACTION | {"score": 1}]}}), encoding="utf-8")
    evaluate(["--ground-truth", str(truth), "--predictions", str(tmp_path / "p.json"), "--subset", "test"])
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("t.json: ")[2] for line in said] == [
        "1 of 3 instances are there twice, and count",
        "1 of 3 instances have no length, and count",
    ]

"""From video files, which the tests make, to features, predictions and pictures."""

import json
import os
import sys
import weakref
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
import torch
from test_i3d import write_weights

from clasnet import CLASNet, build_baseline, load_features, load_model, localize_video, save_model
from clasnet.errors import InputError
from clasnet.extract import main as extract
from clasnet.inference.timeline import THUMBNAILS, draw_timeline
from clasnet.localize import main as localize
from clasnet.video import extract as extraction
from clasnet.video import flow, folder
from clasnet.video.frames import read_frames, resample, stated_seconds, thumbnails, upright, video_seconds

LOSSLESS = {"codec": "ffv1", "pixels": "bgr0"}
UPRIGHT, CLOCKWISE = (
    b"".join(number.to_bytes(4, "big") for number in matrix)
    for matrix in (
        [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30],
        [0, 1 << 16, 0, 0xFFFF0000, 0, 0, 0, 0, 1 << 30],
    )
)


def write_video(path, pictures, rate=25, times=None, codec="mpeg4", pixels="yuv420p", shape_of_pixels=1, options=None):
    """A file of ``pictures`` [N, H, W, 3], ``rate`` a second, or at ``times`` in milliseconds."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = pixels
        stream.codec_context.sample_aspect_ratio = Fraction(shape_of_pixels)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.start_encoding()
        container.mux(stream.encode())
    return path


def numbered(count, size=(24, 32)):
    """Pictures of one grey each, which is their number."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, *size, 3))


def moving_square(count, size=(48, 64)):
    """A bright square that goes to the right over a dark ground."""
    pictures = np.full((count, *size, 3), 30, np.uint8)
    for i, picture in enumerate(pictures):
        picture[10:30, i % 40 : i % 40 + 20] = 220
    return pictures


def greys(pictures):
    """The numbers of pictures of :func:`numbered`."""
    found = [(picture.min(), picture.max()) for picture in pictures]
    assert all(low == high for low, high in found)
    return [int(low) for low, _ in found]


@pytest.mark.parametrize("rate", [10, 24, 25, 30, 60])
def test_pictures_come_25_a_second(tmp_path, rate):
    path = write_video(tmp_path / "a.mkv", numbered(2 * rate), rate, **LOSSLESS)
    assert greys(read_frames(path)) == [(2 * k + 1) * rate // 50 for k in range(50)]
    assert video_seconds(path) == pytest.approx(2, abs=0.01)


def test_a_variable_rate_follows_the_timestamps(tmp_path):
    times = [0, 33, 66, 500, 530, 1400, 1433]
    path = write_video(tmp_path / "a.mkv", numbered(len(times)), times=times, **LOSSLESS)
    shown = greys(read_frames(path))
    assert shown[:36] == [sum(t <= 40 * k + 20 for t in times) - 1 for k in range(36)]
    assert set(shown[36:]) <= {6} and len(shown) <= 38


def test_what_is_shown_begins_with_the_first_picture():
    assert list(resample([(7.0, "a"), (7.08, "b"), (7.12, None)])) == ["a", "a", "b"]
    assert list(resample([(0.0, "a"), (0.01, None)])) == ["a"]
    assert list(resample([])) == []


def test_pictures_are_red_green_and_blue(tmp_path):
    colours = np.zeros((3, 48, 64, 3), np.uint8)
    colours[[0, 1, 2], ..., [0, 1, 2]] = 200
    for k, picture in enumerate(read_frames(write_video(tmp_path / "a.mkv", colours, **LOSSLESS))):
        assert picture.mean((0, 1)).argmax() == k and np.sort(picture.mean((0, 1)))[1] < 50


SHAPES = [
    ((48, 64), 1, (256, 341)),
    ((64, 36), 1, (455, 256)),  # portrait
    ((34, 102), 1, (256, 768)),
    ((2, 2), 1, (256, 256)),
    ((48, 64), 2, (256, 683)),  # of pixels twice as wide as high
]


def test_odd_sides(tmp_path):
    path = write_video(tmp_path / "a.mkv", numbered(2, (33, 101)), **LOSSLESS)
    assert [picture.shape for picture in read_frames(path)] == 2 * [(256, 784, 3)]


@pytest.mark.parametrize(("size", "shape_of_pixels", "expected"), SHAPES)
def test_the_shorter_side_has_256_pixels(tmp_path, size, shape_of_pixels, expected):
    path = write_video(tmp_path / "a.mkv", numbered(2, size), shape_of_pixels=shape_of_pixels)
    assert {picture.shape for picture in read_frames(path)} == {(*expected, 3)}


def test_a_phone_held_upright(tmp_path):
    """Its pictures lie on the side, and the file says how to turn them."""
    pictures = numbered(3, (48, 64)).copy()
    pictures[:, :, :32] = 200  # the left half, which comes to the top
    path = write_video(tmp_path / "a.mp4", pictures)
    start, track, rest = path.read_bytes().partition(b"tkhd")
    path.write_bytes(start + track + rest.replace(UPRIGHT, CLOCKWISE, 1))
    picture = next(read_frames(path))
    assert picture.shape == (341, 256, 3) and picture[:160].min() > 150 > 50 > picture[180:].max()
    assert thumbnails(path, 0.1, count=1)[0][1].shape == (160, 120, 3)


def silent(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", layout="stereo")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def with_cover(path):
    """A sound file with a picture of its album."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=44100)
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", layout="stereo")
        frame.sample_rate = 44100
        container.mux(sound.encode(frame))
        container.mux(sound.encode())


def cut(path, **video):
    whole = write_video(path, moving_square(60), 30, **video).read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])


def jumping(path):
    """Of two hours with nothing between."""
    write_video(path, numbered(2), times=[0, 7_200_000], **LOSSLESS)


BAD = {
    "text.mp4": (lambda path: path.write_text("no video\n" * 99, encoding="utf-8"), "not a video, or a damaged one"),
    "empty.mp4": (lambda path: path.touch(), "not a video, or a damaged one"),
    "sound.m4a": (silent, "holds no moving pictures"),
    "cover.mp4": (with_cover, "holds no moving pictures"),
    "none.mkv": (lambda path: write_video(path, numbered(0), **LOSSLESS), "a damaged one (End of file)"),
    "none.avi": (lambda path: write_video(path, numbered(0)), "holds no frame that can be decoded"),
    "cut.mp4": (cut, "not a video, or a damaged one"),
    "start.mp4": (lambda path: cut(path, options={"movflags": "faststart"}), "s of 2.0 s; if it is truncated"),
    "cut.mkv": (cut, "s of 2.0 s; if it is truncated"),
    "cut.avi": (cut, "if it is truncated or damaged, ffmpeg -i"),
    "strip.mkv": (lambda path: write_video(path, numbered(2, (2, 64)), **LOSSLESS), "64 × 2 pixels: a strip"),
    "jump.mkv": (jumping, "its timestamps jump from 0.0 s to 7200.0 s"),
    "missing.mp4": (lambda path: None, "no such file"),
    "folder": (Path.mkdir, "[Errno "),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_whole_video_gives_one_line(tmp_path, name):
    make, line = BAD[name]
    make(tmp_path / name)
    with pytest.raises((InputError, OSError)) as wrong:
        list(read_frames(tmp_path / name))
    assert line in str(wrong.value) and name in str(wrong.value) and "\n" not in str(wrong.value)


def test_a_cut_transport_stream_is_a_shorter_video(tmp_path):
    cut(tmp_path / "a.ts")
    assert 20 < len(list(read_frames(tmp_path / "a.ts"))) < 40


@pytest.mark.parametrize("package", ["av", "cv2"])
def test_a_missing_package_is_named(tmp_path, monkeypatch, package):
    path = write_video(tmp_path / "a.mkv", numbered(2), **LOSSLESS)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"needs {package} .*: pip install 'clasnet\\[video\\]'"):
        flow.tv_l1(*list(read_frames(path)))


def test_flow_is_to_the_right_and_down():
    """Of a smooth pattern that moves by 2 and 1 pixels."""
    y, x = np.mgrid[:100, :120]
    first, second = (
        np.repeat((128 + 50 * np.sin((x - dx) / 7) + 50 * np.cos((y - dy) / 5))[..., None], 3, -1).astype(np.uint8)
        for dx, dy in ((0, 0), (2, 1))
    )
    found = flow.tv_l1(first, second)
    assert found.dtype == np.float32 and np.abs(np.median(found, (0, 1)) - (2, 1)).max() < 0.1
    assert not flow.tv_l1(first, first).any()


def test_flow_is_of_what_is_bright_to_the_eye(monkeypatch):
    """Of red, green and blue, in this order, by the weights of ITU-R BT.601."""
    seen = []

    class Solver:
        def calc(self, *given):
            seen.extend(given)

    monkeypatch.setattr(flow._own, "solver", Solver(), raising=False)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3), np.uint8)
    flow.tv_l1(*pictures)
    np.testing.assert_allclose(seen[:2], pictures @ [0.299, 0.587, 0.114], atol=1)
    assert seen[2:] == [None]


def test_the_settings_of_the_flow_are_those_that_opencv_documents():
    solver = flow._solver(cv2)
    names = "Tau Lambda Theta ScalesNumber WarpingsNumber Epsilon InnerIterations OuterIterations ScaleStep Gamma"
    found = [getattr(solver, f"get{name}")() for name in (*names.split(), "MedianFiltering", "UseInitialFlow")]
    assert found == [0.25, 0.15, 0.3, 5, 5, 0.01, 30, 10, 0.8, 0, 5, False]


def test_pictures_are_scaled_linearly():
    """An edge becomes a ramp from the centre of one pixel to that of the next, and overshoots neither."""
    picture = np.full((16, 32, 3), 40, np.uint8)
    picture[:, 16:] = 200
    found = upright(av.VideoFrame.from_ndarray(picture, "rgb24"), (256, 128))
    assert found.shape == (128, 256, 3)
    ramp = np.interp((np.arange(256) + 0.5) / 8 - 0.5, [15, 16], [40, 200])
    np.testing.assert_allclose(found, np.broadcast_to(ramp[:, None], found.shape), atol=3)


@pytest.mark.parametrize(("said", "seconds"), [("01:02:03.500000000", 3723.5), ("soon", None), (None, None)])
def test_the_duration_of_a_matroska_file(said, seconds):
    stream = SimpleNamespace(duration=None, metadata={"DURATION": said} if said else {})
    container = SimpleNamespace(format=SimpleNamespace(name="matroska,webm"))
    assert stated_seconds(container, stream) == seconds


class Corner:
    """In place of a network: the features of a clip are the corner of each picture, channel by channel."""

    def parameters(self):
        yield torch.zeros(1)

    def features(self, clips):
        assert clips.shape[2:] == (16, 224, 224)
        return clips[..., 0, 0].flatten(1)[:, None]


@pytest.fixture
def corners(monkeypatch):
    """A function: the corners of RGB and flow, [T, 16, 3] and [T, 16, 2], of ``count`` made-up pictures.

    The n-th one is n, and the flow from it is (n, -n), but outside of the crop.
    """

    def flow_of(first, second):
        assert second.max() - first.max() in (0, 1)
        flow = np.full((*first.shape[:2], 2), 99, np.float32)
        flow[16:-16, 40:-40] = first.max() * (second.max() - first.max()) * np.float32([1, -1])
        return flow

    def run(count, batch=3):
        pictures = np.full((count, 256, 304, 3), 0, np.uint8)
        pictures[:, 16:-16, 40:-40] = numbered(count, (224, 224))
        monkeypatch.setattr(extraction, "read_frames", lambda path: iter(pictures))
        monkeypatch.setattr(extraction, "tv_l1", flow_of)
        features = extraction.extract_features("", (Corner(), Corner()), batch)
        split = np.split(features, [48], axis=1)
        return [part.reshape(len(features), -1, 16).transpose(0, 2, 1) for part in split]

    return run


@pytest.mark.parametrize("count", [16, 17, 31, 32, 33, 100, 112])
def test_snippets_follow_one_another(corners, count):
    rgb, moved = corners(count)
    assert len(rgb) == count // 16
    n = np.arange(len(rgb) * 16).reshape(-1, 16, 1)
    np.testing.assert_allclose(rgb, np.repeat(n / 127.5 - 1, 3, 2), atol=1e-6)
    n = np.minimum(n, count - 2)  # the last picture has no flow of its own
    np.testing.assert_allclose(moved, np.clip(n * [1, -1], -20, 20) / 20, atol=1e-6)


def test_a_video_shorter_than_a_snippet_stands_still_at_its_end(corners):
    rgb, moved = corners(5)
    np.testing.assert_allclose((rgb[0, :, 0] + 1) * 127.5, [0, 1, 2, 3] + 12 * [4], atol=1e-4)
    np.testing.assert_allclose(moved[0, :, 0] * 20, [0, 1, 2, 3] + 12 * [0], atol=1e-6)
    assert len(corners(1)[0]) == 1


def test_pictures_do_not_pile_up(monkeypatch):
    """An hour of video takes no more memory than some seconds."""
    alive, most = weakref.WeakSet(), []

    class Picture(np.ndarray):
        __hash__ = object.__hash__
        __eq__ = object.__eq__

    def pictures(path):
        for _ in range(12 * 16):
            picture = np.zeros((224, 224, 3), np.uint8).view(Picture)
            alive.add(picture)
            most.append(len(alive))
            yield picture

    monkeypatch.setattr(extraction, "read_frames", pictures)
    monkeypatch.setattr(extraction, "tv_l1", lambda first, _: np.zeros((*first.shape[:2], 2), np.float32))
    assert len(extraction.extract_features("", (Corner(), Corner()), batch=2)) == 12
    assert max(most) <= 4 * 17


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """Extraction to the folder `out` without networks: features are zeros, and what was extracted is listed."""
    monkeypatch.chdir(tmp_path)
    done, state = [], {"weights": {Path("w.pt"): "1"}}

    def extracted(path, streams, batch, on_snippets):
        done.append(path.name)
        if path.name == state.get("stop"):
            raise KeyboardInterrupt
        list(read_frames(path))
        return np.zeros((1, 2048), np.float32)

    monkeypatch.setattr(folder, "weight_files", lambda _: state["weights"])
    monkeypatch.setattr(folder, "load_streams", lambda *_: None)
    monkeypatch.setattr(folder, "extract_features", extracted)
    for name in "abc":
        write_video(tmp_path / f"{name}.mkv", numbered(2), **LOSSLESS)
    return done, state


def made():
    return sorted(path.name for path in Path("out").iterdir())


def test_a_break_costs_one_video(quick):
    done, state = quick
    state["stop"] = "b.mkv"
    with pytest.raises(SystemExit, match="130"):
        extract(["a.mkv", "b.mkv", "c.mkv", "--out", "out"])
    assert made() == ["a.npy", "videos.json", "weights.json"]
    state["stop"] = ""
    extract(["a.mkv", "b.mkv", "c.mkv", "--out", "out"])
    assert done == ["a.mkv", "b.mkv", "b.mkv", "c.mkv"] and made() == [
        "a.npy",
        "b.npy",
        "c.npy",
        "videos.json",
        "weights.json",
    ]
    os.utime("c.mkv", (2**31, 2**31))  # another video of that name
    extract(["a.mkv", "b.mkv", "c.mkv", "--out", "out"])
    assert done[4:] == ["c.mkv"]
    write_video("a.mkv", numbered(3), 10, **LOSSLESS)  # and one that is as old as the first, and about as long
    os.utime("a.mkv", (0, 0))
    extract(["a.mkv", "b.mkv", "--out", "out"])
    assert done[5:] == ["a.mkv"]


def test_features_of_unknown_weights_are_not_taken_for_ones_own(quick):
    extract(["a.mkv", "--out", "out"])
    Path("out/weights.json").unlink()
    with pytest.raises(SystemExit, match="out: holds features, but no weights.json, which says of which weights; take"):
        extract(["b.mkv", "--out", "out"])
    assert made() == ["a.npy", "videos.json"]


def test_bad_videos_are_told_and_the_others_extracted(quick, capsys):
    cut(Path("cut.mkv"))
    Path("text.mp4").write_text("no video", encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        extract(["text.mp4", "a.mkv", "cut.mkv", "b.mkv", "--out", "out"])
    assert [line.split(":")[1].strip() for line in str(stop.value).splitlines()] == ["text.mp4", "cut.mkv"]
    assert (
        made() == ["a.npy", "b.npy", "videos.json", "weights.json"] and "out: 2 of 4 videos" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["a.mkv", "more/a.mkv"], "two videos of one name"),
        (["a_rgb.mkv"], "rename the video"),
        (["a.mkv", "--device", "cuda:77"], "device cuda:77: PyTorch sees no such device here"),
    ],
)
def test_wrong_arguments_give_one_line(quick, names, line):
    with pytest.raises(SystemExit, match=line) as stop:
        extract([*names, "--out", "out"])
    assert "\n" not in str(stop.value) and not Path("out").exists()


def test_features_of_other_weights_are_not_mixed_in(quick):
    _, state = quick
    extract(["a.mkv", "--out", "out"])
    state["weights"] = {Path("w.pt"): "2"}
    with pytest.raises(SystemExit, match="out: its features are of other weights"):
        extract(["b.mkv", "--out", "out"])


def test_weights_that_could_not_be_read_claim_no_folder(quick, monkeypatch):
    _, state = quick
    with monkeypatch.context() as patch:
        patch.setattr(folder, "load_streams", refuse)
        with pytest.raises(SystemExit, match="w.pt: not the weights"):
            extract(["a.mkv", "--out", "out"])
    state["weights"] = {Path("w.pt"): "2"}
    extract(["a.mkv", "--out", "out"])
    assert made() == ["a.npy", "videos.json", "weights.json"]


def refuse(*_):
    raise InputError("w.pt: not the weights of I3D")


NO_VIDEOS = {
    "text.txt": b"hello world\n" * 100,
    "list.m3u8": b"#EXTM3U\n#EXTINF:1.0,\na.mkv\n#EXT-X-ENDLIST\n",
    "list.ffconcat": b"ffconcat version 1.0\nfile a.mkv\n",
    "picture.svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
}


@pytest.mark.parametrize("name", [*NO_VIDEOS, "picture.png"])
def test_texts_lists_and_pictures_are_no_videos(tmp_path, name):
    if name == "picture.png":
        cv2.imwrite(str(tmp_path / name), np.zeros((40, 40, 3), np.uint8))
    else:
        (tmp_path / name).write_bytes(NO_VIDEOS[name])
    with pytest.raises(InputError, match=f"{name}: not a video"):
        video_seconds(tmp_path / name)


def test_help_says_what_is_not_known(capsys):
    with pytest.raises(SystemExit):
        extract(["--help"])
    assert "What is not known: which TV-L1 code and which resizing W-TALC used" in capsys.readouterr().out


def test_a_full_gpu_names_the_batch(corners, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Corner, "features", full)
    with pytest.raises(MemoryError, match="no room for 2 snippets at once; take a smaller --batch"):
        corners(32)


def model_file(width):
    torch.manual_seed(0)
    model = build_baseline("acrnet", num_classes=3, width=width)
    model = CLASNet(model, fcsm={"layers": 2, "heads": 2}, brm={}).eval()
    save_model("m.pt", model, classes=("jump", "run", "swim"), num_segments=20)


def test_from_videos_to_predictions_in_one_command(tmp_path, monkeypatch, capsys):
    """Two rates, one short and upright; then from the features that this left, which gives the same."""
    monkeypatch.chdir(tmp_path)
    model_file(1024)
    write_weights(tmp_path / "weights")
    write_video("slow.mp4", moving_square(8), 10)
    write_video("fast.mkv", moving_square(5, (64, 48)), 30)
    names = ["fast.mkv", "slow.mp4"]
    localize(["m.pt", *names, "--weights", "weights", "--out", "found"])
    results = json.loads(Path("found/predictions.json").read_text(encoding="utf-8"))["results"]
    assert list(results) == ["fast", "slow"] and all(results.values())
    features = {id: load_features(f"found/features/{id}.npy") for id in results}
    assert {x.shape for x in features.values()} == {(1, 2048)}
    assert all(x[:, :1024].std() > 0.01 < x[:, 1024:].std() for x in features.values())
    assert all(Path(f"found/{id}.png").read_bytes().startswith(b"\x89PNG") for id in results)

    before = [Path(f"found/features/{id}.npy").stat().st_mtime_ns for id in results]
    extract([*names, "--weights", "weights", "--out", "found/features"])
    assert before == [Path(f"found/features/{id}.npy").stat().st_mtime_ns for id in results]
    assert "found/features: 2 of 2 videos" in capsys.readouterr().out
    localize(["m.pt", *(f"found/features/{id}.npy" for id in results), "--out", "again"])
    assert json.loads(Path("again/predictions.json").read_text(encoding="utf-8"))["results"] == results


def test_what_localize_says_of_features_and_of_a_video(tmp_path, monkeypatch, capsys):
    """How many segments and the best; --snippet-seconds is not of the video, whose features are always extracted alike.

    They are drawn here.
    """
    monkeypatch.chdir(tmp_path)
    model_file(8)
    x = np.random.default_rng(0).random((60, 16)).astype(np.float32)

    def extracted(movies, folder, **_):
        folder.mkdir(parents=True)
        np.save(folder / "film.npy", x[:40])
        return {}

    module = sys.modules["clasnet.localize"]
    monkeypatch.setattr(module, "WIDTH", 8)
    monkeypatch.setattr(module, "extract_videos", extracted)
    monkeypatch.setattr(module, "thumbnails", lambda *_: ())
    np.save("own.npy", x)
    Path("film.mp4").touch()
    localize(["m.pt", "film.mp4", "own.npy", "--out", "found", "--snippet-seconds", "0.32"])
    results = json.loads(Path("found/predictions.json").read_text(encoding="utf-8"))["results"]
    assert results["own"] == localize_video(load_model("m.pt"), x, 0.32)
    assert results["film"] == localize_video(load_model("m.pt"), x[:40], 0.64)
    lines = []
    for id, rows in results.items():
        start, end = rows[0]["segment"]
        assert len(rows) > 2 and [round(start, 1), round(end, 1)] != np.round(rows[-1]["segment"], 1).tolist()
        best = f"{rows[0]['label']} {start:.1f} to {end:.1f} s"
        lines.append(f"{Path('found', id)}.png: {len(rows)} segments; best: {best}")
    assert capsys.readouterr().out.splitlines() == [*lines, f"{Path('found/predictions.json')}: 2 videos"]


def test_a_model_of_other_features_takes_no_video(tmp_path, monkeypatch):
    """As those are that are trained on twins."""
    monkeypatch.chdir(tmp_path)
    model_file(32)
    Path("a.mp4").touch()
    with pytest.raises(SystemExit, match=r"m.pt: its model reads 2 × 32 numbers .* a video gives 2 × 1024") as stop:
        localize(["m.pt", "a.mp4"])
    assert "\n" not in str(stop.value)
    with pytest.raises(SystemExit, match="tpyo.mp4: no such file"):
        localize(["m.pt", "tpyo.mp4"])


def test_a_bad_video_stops_localize(quick):
    model_file(1024)
    cut(Path("cut.mkv"))
    with pytest.raises(SystemExit, match="cut.mkv: its pictures end after") as stop:
        localize(["m.pt", "cut.mkv"])
    assert "\n" not in str(stop.value) and not Path("localized/predictions.json").exists()


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
def test_thumbnails_are_what_is_shown_then(tmp_path, name):
    path = write_video(tmp_path / name, numbered(40), 10, **LOSSLESS)
    found = thumbnails(path, 3.2, count=4)
    assert [round(seconds, 6) for seconds, _ in found] == [0.4, 1.2, 2.0, 2.8]
    assert greys(picture for _, picture in found) == [4, 12, 20, 28]


@pytest.mark.parametrize("size", [(120, 213), (213, 120), (30, 480)])
def test_thumbnails_below_the_timeline(size):
    """Each is centred at its time, not distorted, and none is over another."""
    pictures = [((i + 0.5) * 10 / THUMBNAILS, np.zeros((*size, 3), np.uint8)) for i in range(THUMBNAILS)]
    actions = [{"label": "run", "segment": [1.0, 4.0], "score": 0.5}]
    figure = draw_timeline(actions, np.full(9, 0.5), 10.0, "title", pictures)
    *_, row = figure.axes
    figure.draw_without_rendering()
    ends = [0]
    for (seconds, _), image in zip(pictures, row.images, strict=True):
        left, right, bottom, top = image.get_extent()
        (x0, y0), (x1, y1) = row.transData.transform([(left, bottom), (right, top)])
        assert (left + right) / 2 == pytest.approx(seconds) and (x1 - x0) / (y1 - y0) == pytest.approx(
            size[1] / size[0]
        )
        assert left >= ends[-1] and bottom >= 0
        ends.append(right)
    assert ends[-1] <= 10 and row.get_xlim() == figure.axes[0].get_xlim() == (0, 10)

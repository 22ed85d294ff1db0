"""Arrays, positions and paths that are odd in ways that used to compute something else: one sharp test a kind."""

import numpy as np
import pytest
from test_odd_data import SAME, two_videos

from clasnet import load_features
from clasnet.data.sampling import BatchSampler, Sampling
from clasnet.data.store import open_store, write_store
from clasnet.errors import InputError
from clasnet.evaluation.metrics import detection_ap


def rows(**changes):
    """The arguments of ``detection_ap``, two instances and two predictions of them."""
    segments, whole = np.array([[0.0, 2.0], [3.0, 5.0]]), np.array([0, 1])
    whole = {
        "truth_segments": segments,
        "truth_video": whole,
        "truth_class": whole,
        "segments": segments,
        "video": whole,
        "label": whole,
        "scores": np.array([0.5, 0.9]),
        "tious": (0.5,),
    }
    return whole | changes


WRONG_ROWS = [
    ({"tious": (50,)}, r"tious = \[50.0\]: must be a list of numbers above 0, at most 1"),
    ({"tious": 0.5}, "tious = 0.5: must be a list"),
    ({"tious": ("x",)}, "tious: must be an array of numbers"),
    ({"truth_segments": np.zeros((2, 3))}, r"ground truth: segments are \(2, 3\), not \[N, 2\]"),
    ({"truth_class": [0]}, r"ground truth: label is \(1,\), not \[2\], one a segment"),
    ({"scores": np.array([0.5])}, r"predictions: scores is \(1,\), not \[2\], one a segment"),
    ({"scores": np.array([0.5, np.nan])}, "predictions: scores: holds NaN or infinity"),
    ({"segments": np.full((2, 2), np.inf)}, "predictions: segments: holds NaN or infinity"),
    ({"segments": [[0, 2], [3]]}, "predictions: segments: must be an array of numbers"),
    ({"truth_segments": np.array([[0.0, 2.0], [5.0, 3.0]])}, "ground truth: a segment ends before it starts"),
    ({"label": np.array([0.0, 0.5])}, "predictions: label must be whole numbers from 0 on"),
    ({"truth_class": np.array([0, -1])}, "ground truth: label must be whole numbers from 0 on"),  # would be a neighbour
]


def test_detections_of_any_type_count_the_same():
    """Whole seconds, scores that have no negative, and labels whose largest one overflows."""
    truth = [[0, 10], [0, 10]], np.array([3, 4]), np.array([255, 255], np.uint8)
    found = [[0, 10], [50, 60], [0, 10]], [3, 3, 7], np.array([255, 255, 255], np.uint8)
    scores = np.array([200, 0, 100], np.uint8)
    assert detection_ap(*truth, *found, scores, (0.5,)).map.tolist() == [0.5]
    near = np.array([[0, 10]], np.float32), [0], [0], np.array([[0, 7]], np.float32), [0], [0]
    assert detection_ap(*near, [1], (0.7,)).map.tolist() == [1]


@pytest.mark.parametrize(("changes", "line"), WRONG_ROWS)
def test_what_is_no_list_of_detections_is_refused(changes, line):
    assert detection_ap(**rows()).map.tolist() == [1]
    with pytest.raises(InputError, match=f"^{line}"):
        detection_ap(**rows(**changes))


@pytest.mark.parametrize("videos", [[0, 0], [-1], [2]])
def test_videos_are_selected_by_their_positions(videos):
    assert two_videos().select([1, 0]).ids.tolist() == ["b", "a"]
    with pytest.raises(InputError, match=f"positions \\{videos}: must be different ones of 0 to 1"):
        two_videos().select(videos)


def test_a_pair_is_rgb_then_flow(tmp_path):
    for name in ("a_rgb", "a_flow"):
        np.save(tmp_path / f"{name}.npy", np.ones((3, 4), np.float32))
    rgb, flow = tmp_path / "a_rgb.npy", tmp_path / "a_flow.npy"
    assert load_features(rgb, flow).shape == (3, 8)
    for pair, line in (
        ((flow, rgb), "a_flow.npy: its name ends in _flow: the pair is RGB first, then flow"),
        ((rgb, tmp_path / "b_rgb.npy"), "b_rgb.npy: its name ends in _rgb: the pair is"),
        ((rgb, tmp_path / "f/../a_rgb.npy"), "a_rgb.npy: is given as RGB and as flow"),
    ):
        with pytest.raises(InputError, match=line):
            load_features(*pair)


BATCHES = [
    ({"videos": np.array([False, False])}, r"videos = \[False, False\]: must be positions in the store, 0 to 1"),
    ({"videos": np.array([0, 2])}, r"videos = \[0, 2\]: must be positions"),
    ({"videos": np.array([-1])}, r"videos = \[-1\]: must be positions"),
    ({"batch_size": 0}, "batch_size = 0: must be a whole number from 1 on"),
    ({"segments": 0}, "segments = 0: must be a whole number from 1 on"),
    ({"cache": "gpu"}, "cache = 'gpu': must be one of auto, device, ram, disk"),
]


@pytest.mark.parametrize(("changes", "line"), BATCHES)
def test_batches_are_of_videos_that_are_there(tmp_path, changes, line):
    """A mask that is all false would draw for ever."""
    write_store(tmp_path / "s", two_videos(), [(id, SAME) for id in "ab"])
    store = open_store(tmp_path / "s")
    how = {"videos": np.array([0, 1]), "batch_size": 2, "segments": 5, "sampling": Sampling(), "seed": 0}
    assert BatchSampler(store, **how)()[0].shape == (2, 5, 4)
    with pytest.raises(InputError, match=line):
        BatchSampler(store, **how | changes)

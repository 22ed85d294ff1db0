"""Annotations, store, twins, sampling; and that the baselines learn on a twin."""

import codecs
import pickle
from importlib import import_module
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import references as plain
import torch
import yaml
from conftest import with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from clasnet.data import synthetic
from clasnet.data.activitynet import write_activitynet
from clasnet.data.annotation_files import read_annotations
from clasnet.data.annotations import make_annotations
from clasnet.data.datasets import benchmark_of
from clasnet.data.safe_pickle import load_object_array, stream_object_array
from clasnet.data.sampling import BatchSampler, Sampling, sample_snippets
from clasnet.data.store import open_store, write_store
from clasnet.data.synthetic import draw_annotations, twin_videos
from clasnet.evaluation.protocol import detection_results
from clasnet.inference.predict import predict
from clasnet.training.run import train_model
from stages.control import random_predictions

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("length", [3, 10, 23, 95])
def test_sampling_has_the_distribution_of_the_plain_one(length, inclusive):
    rng, segments, draws = np.random.default_rng(0), 10, 4000
    fast = sample_snippets(np.full(draws, length), segments, rng, inclusive)
    slow = np.array([plain.sample_snippets(length, segments, rng, inclusive) for _ in range(draws)])
    for i in range(segments):
        fast_share, slow_share = (np.bincount(x[:, i], minlength=length) / draws for x in (fast, slow))
        assert abs(fast_share - slow_share).max() < 5 * np.sqrt(0.5 / draws)  # over 5 standard deviations of either


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(1, 120), st.booleans())
def test_samples_are_ordered_and_inside(lengths, segments, inclusive):
    positions = sample_snippets(lengths, segments, np.random.default_rng(0), inclusive)
    assert (positions >= 0).all() and (positions < np.array(lengths)[:, None]).all()
    assert (np.diff(positions, axis=1) >= 0).all()


@pytest.fixture
def records():
    return [
        {"id": "a", "subset": "validation", "duration": 6.4, "segments": [(0.5, 2.0, "run"), (3.0, 4.0, "jump")]},
        {"id": "b", "subset": "validation", "duration": 3.2, "segments": [(0.0, 1.0, "run")], "labels": ["jump"]},
        {"id": "c", "subset": "test", "duration": 3.2, "segments": [], "ambiguous": [(1.0, 2.0)]},
    ]


def test_annotations_round_trip(tmp_path, records):
    before = make_annotations(["run", "jump", "swim"], records)
    write_activitynet(tmp_path / "a.json", before)
    after = read_annotations(tmp_path / "a.json")
    assert after.classes == before.classes and after.ids.tolist() == ["a", "b", "c"]
    assert after.labels.tolist() == [[True, True, False], [False, True, False], [False] * 3]
    np.testing.assert_array_equal(after.segments, before.segments)
    np.testing.assert_array_equal(after.select([1, 2]).segment_video, [0])
    assert after.ambiguous["c"].tolist() == [[1.0, 2.0]]


def test_store_reads_what_was_written_and_names_damage(tmp_path, records):
    videos = [np.random.default_rng(i).random((n, 8), dtype=np.float32) for i, n in enumerate((10, 5, 5))]
    write_store(tmp_path / "s", make_annotations(["run", "jump"], records), zip("abc", videos, strict=True))
    store = open_store(tmp_path / "s")
    assert isinstance(store.features, np.memmap) and store.width == 4
    for i, video in enumerate(videos):
        np.testing.assert_array_equal(store.video(i), video)
    content = (tmp_path / "s/features.npy").read_bytes()
    (tmp_path / "s/features.npy").write_bytes(content[:-40])
    with pytest.raises(ValueError, match="truncated or damaged feature store"):
        open_store(tmp_path / "s")
    with pytest.raises(FileNotFoundError, match="no feature store there"):
        open_store(tmp_path / "t")


def test_a_failed_write_leaves_nothing(tmp_path, records):
    videos = [np.zeros((10, 8)), np.zeros((5, 6)), np.zeros((5, 8))]
    with pytest.raises(ValueError, match="video b: features of shape"):
        write_store(tmp_path / "s", make_annotations(["run", "jump"], records), zip("abc", videos, strict=True))
    assert list(tmp_path.iterdir()) == []


class Asks:
    """Pickles as the call ``function(*arguments)``, with ``state`` to set afterwards."""

    def __init__(self, function, arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


ADDRESSES = [
    Asks(np.ndarray, ((1,), "O", b"\x10" * 8)),  # an array of addresses from the file
    # Ones that hide that they hold some:
    Asks(np.dtype, ("V8",), (3, "|", None, ("x",), {"x": (np.dtype("O"), 0)}, 8, 1, 0)),
    Asks(np.dtype, ("f4", False, True), (3, "<", None, ("x",), {"x": (np.dtype("O"), 0)}, 8, 1, 0)),
    Asks(np._core.multiarray.scalar, (np.dtype("O"), b"\x10" * 8)),
    Asks(codecs.encode, (b"x", "zlib")),
]


def streamed(path):
    return list(stream_object_array(path))


@pytest.mark.parametrize("what", ADDRESSES)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_reaches_no_memory(tmp_path, what, protocol):
    content = np.empty(1, dtype=object)
    content[0] = what
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
        pickle.dump(content, file, protocol=protocol)
    for read in (load_object_array, streamed):
        with pytest.raises(ValueError, match="not a readable"):
            read(tmp_path / "a.npy")


def test_a_pickle_that_runs_code_runs_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    np.save(tmp_path / "evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="neither a NumPy array nor a plain container"):
        load_object_array(tmp_path / "evil.npy")
    assert not (tmp_path / "ran").exists()
    np.save(tmp_path / "good.npy", np.array([b"x", [1.5, "y"]], dtype=object), allow_pickle=True)
    assert load_object_array(tmp_path / "good.npy").tolist() == [b"x", [1.5, "y"]]
    (tmp_path / "cut.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:-9])
    with pytest.raises(ValueError, match="not a readable NumPy array file"):
        load_object_array(tmp_path / "cut.npy")


def small_annotations(dataset, classes, train_videos, test_videos, snippets, seed=0):
    size = {"classes": classes, "train_videos": train_videos, "test_videos": test_videos, "snippets": snippets}
    return draw_annotations(dataset, **size, rng=np.random.default_rng(seed))


def small_store(folder, dtype="float32"):
    annotations = small_annotations("thumos14", 5, 15, 2, (20, 40))
    write_store(folder, annotations, twin_videos(annotations, 2, 4, 0), dtype)
    return open_store(folder)


def test_pairs_share_a_class(tmp_path):
    store = small_store(tmp_path / "s")
    sampler = BatchSampler(store, store.subset("validation"), 10, 12, Sampling(pairs=3), seed=0)
    for _ in range(20):
        videos = sampler.draw_videos()
        labels = store.annotations.labels[store.subset("validation")][videos]
        assert (videos[:6:2] != videos[1:6:2]).all()
        assert (labels[:6:2] & labels[1:6:2]).any(1).all()
    x, y = sampler()
    assert x.shape == (10, 12, 8) and y.shape == (10, 5)


def test_a_batch_is_of_the_videos_that_may_be_drawn_wherever_they_lie(tmp_path):
    """Test videos first: every snippet says in its features which video it is of, and where."""
    classes = ["run", "jump", "swim"]
    records = [
        {
            "id": f"v{n}",
            "subset": "test" if n < 4 else "validation",
            "duration": 9.0,
            "segments": [(0, 1, classes[n % 3])],
        }
        for n in range(10)
    ]
    lengths = [20 + n for n in range(10)]
    videos = [(f"v{n}", [[n, t] for t in range(length)]) for n, length in enumerate(lengths)]
    videos = [(id, np.array(rows, dtype=np.float32)) for id, rows in videos]
    write_store(tmp_path / "s", make_annotations(classes, records), videos)
    store = open_store(tmp_path / "s")
    for cache in ("disk", "ram"):
        sample = BatchSampler(store, store.subset("validation"), 5, 8, Sampling(pairs=1), seed=0, cache=cache)
        seen = set()
        for _ in range(8):
            x, y = sample()
            of = x[:, 0, 0].long()
            assert (x[..., 0] == of[:, None]).all() and (x[..., 1].diff(dim=1) >= 0).all()
            assert (y.argmax(1) == of % 3).all() and (y.sum(1) == 1).all()
            seen |= set(of.tolist())
        assert seen == set(range(4, 10))


def test_without_pairs_every_video_comes_once_an_epoch(tmp_path):
    records = [{"id": f"v{n}", "subset": "train", "duration": 6.4, "segments": [(0, 3, "run")]} for n in range(7)]
    write_store(tmp_path / "s", make_annotations(["run"], records), [(r["id"], np.ones((10, 4))) for r in records])
    store = open_store(tmp_path / "s")
    sample = BatchSampler(store, np.arange(7), 3, 5, Sampling(), seed=0)
    drawn = np.concatenate([sample.draw_videos() for _ in range(14)]).reshape(6, 7)
    assert (np.sort(drawn) == np.arange(7)).all() and len({tuple(epoch) for epoch in drawn}) > 1


@pytest.mark.parametrize("cache", ["auto", "device", "ram"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_cache_gives_the_same_batches(tmp_path, cache, dtype):
    store = small_store(tmp_path / "s", dtype)
    videos = store.subset("validation")
    samplers = [
        BatchSampler(store, videos, 10, 12, Sampling(pairs=3), seed=0, cache=place) for place in ("disk", cache)
    ]
    for _ in range(3):
        (x, y), (same_x, same_y) = (sample() for sample in samplers)
        assert x.dtype == same_x.dtype == torch.float32 and torch.equal(x, same_x) and torch.equal(y, same_y)


def test_thumos14_annotations(published):
    a = read_annotations(published / "annotations/thumos14")
    assert len(a.ids) == 412 and len(a.classes) == 20
    assert [int((a.subset == s).sum()) for s in ("validation", "test")] == [200, 212]
    shown = np.zeros_like(a.labels)
    shown[a.segment_video, a.segment_class] = True
    differ = (a.labels != shown).any(1)  # `labels_all` counts, as in the released code
    assert [int((a.subset[differ] == s).sum()) for s in ("validation", "test")] == [8, 20]
    twin = a.select(np.flatnonzero(a.ids == "video_test_0000293"))
    ((_, features),) = twin_videos(twin, 5, 8, 0)
    assert features.shape[1] == 16 and np.isfinite(features).all() and (features >= 0).all()
    assert abs(len(features) * 0.64 - twin.duration[0]) < 0.64
    assert len(twin.ambiguous["video_test_0000293"]) > 1


def test_activitynet_annotations(published):
    a = read_annotations(published / "annotations/activitynet/activity_net.v1-2.min-missing-removed.json")
    assert len(a.classes) == 100 and (a.subset == "training").sum() == (a.subset == "validation").sum() == 200


def test_twins_are_deterministic():
    annotations = small_annotations("activitynet12", 4, 4, 2, (20, 30))
    first, second = (list(twin_videos(annotations, 2, 8, seed=5)) for _ in range(2))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, second, strict=True))


def test_a_twin_is_the_one_that_the_committed_tables_are_of():
    """Mean of each feature of a small one: a draw more, less, or in another place is another twin."""
    annotations = small_annotations("thumos14", 3, 2, 0, (60, 90))
    means = [x.mean(0) for _, x in twin_videos(annotations, 2, 12, seed=5)]
    expected = """
        0.4295 0.3940 0.5018 0.8400 0.4113 1.1046 0.2985 1.7945 0.3020 1.1134 0.5555 0.4630
        0.7300 0.3185 0.3239 0.2944 0.8034 0.4823 0.3895 1.1020 0.6427 0.8060 0.6595 1.0867
        0.5509 1.2781 0.6118 0.5245 0.4346 0.7302 0.4001 1.5247 0.2852 0.2995 0.6937 0.4695
        0.6569 0.2519 0.7055 0.2252 0.3872 0.2284 0.2824 1.0202 0.4460 0.2670 1.0602 0.3544
    """  # RGB and flow of either
    np.testing.assert_allclose(np.ravel(means), np.array(expected.split(), float), atol=6e-5)


def test_no_two_videos_of_a_twin_are_the_same():
    videos = [{"id": id, "subset": "test", "duration": 12.8, "segments": [(2.0, 6.0, "run")]} for id in "ab"]
    (_, first), (_, second) = twin_videos(make_annotations(["run"], videos), 1, 8, 0)
    assert first.shape == second.shape == (20, 16) and (first != second)[first > 0].mean() > 0.9


def test_instances_like_those_of_thumos14_are_many_and_short():
    """By what the generator says of itself; in videos so long that 60 % of one is never reached."""
    drawn = small_annotations("thumos14", 4, 300, 0, (900, 900))
    start, end = drawn.segments.T / 0.64
    assert np.median(end - start) == pytest.approx(6.5, rel=0.02)
    low, high = np.quantile(end - start, [0.1587, 0.8413])  # a standard deviation of a normal distribution either side
    assert np.sqrt(high / low) == pytest.approx(np.exp(0.45), rel=0.03)
    count = np.bincount(drawn.segment_video)
    assert count.mean() == pytest.approx(900 / 18, rel=0.03) and 30 <= count.min() < 33 and 67 < count.max() <= 70
    gap = (start[1:] - end[:-1])[np.diff(drawn.segment_video) == 0]
    assert gap.min() > 2 - 1e-9
    assert set(drawn.labels.sum(1)) == {1, 2} and (drawn.labels.sum(1) == 2).mean() == pytest.approx(0.15, abs=0.06)
    crowded = small_annotations("thumos14", 4, 300, 0, (20, 40))
    assert (covered(crowded) <= 0.6 + 1e-9).all()


def test_instances_like_those_of_activitynet_are_few_and_long():
    drawn = small_annotations("activitynet13", 4, 1000, 0, (200, 200))
    share, count = covered(drawn), np.bincount(drawn.segment_video)
    assert 0.25 <= share.min() < 0.26 and 0.69 < share.max() <= 0.7 and share.mean() == pytest.approx(0.475, abs=0.015)
    assert set(count) == {1, 2, 3, 4} and (count == 1).mean() == pytest.approx(np.exp(-0.5), abs=0.05)
    assert (drawn.labels.sum(1) == 1).all()


def covered(annotations):
    """The share of every video that its segments cover, [V]."""
    lengths = np.diff(annotations.segments, axis=1)[:, 0]
    return np.bincount(annotations.segment_video, lengths) / annotations.duration


@pytest.mark.parametrize("level", [0.0, 5.0])
def test_the_noise_of_a_twin_is_a_mean_of_four_rectified_draws(level):
    """At a level of 0 rectification counts, at 5 it does not; half of the noise is the same in the four draws."""
    signal, gain = np.full((2, 2000, 8), level), np.ones((2, 2000))
    x = np.stack(list(synthetic._pooled(signal, gain, np.random.default_rng(0))))
    normal = NormalDist()
    rectified = 0.75 * normal.pdf(0.4) - 0.3 * normal.cdf(-0.4)  # the mean of max(0.75 z - 0.3, 0)
    assert x.min() >= 0 and x.mean() == pytest.approx(3.2 * level - 0.3 if level else rectified, abs=0.03)
    if level:
        assert x.std() == pytest.approx(0.75 * np.sqrt(1 / 2 + 1 / 8), rel=0.03)
        step = np.corrcoef(x[:, 1:].ravel(), x[:, :-1].ravel())[0, 1]
        assert step == pytest.approx(0.6 * 0.5 / 0.625, abs=0.03)  # 0.6 of the half that stays


CASES = [(dataset, name) for dataset in ("thumos14", "activitynet12") for name in ("co2net", "delu", "acrnet")]


@pytest.mark.parametrize(("dataset", "name"), [*CASES, ("thumos14", "basnet")])
def test_baselines_beat_random_scores(tmp_path, dataset, name):
    import_module("examples.basnet")  # registers the example
    profile = with_example(yaml.safe_load((ROOT / "profiles/demo.yaml").read_text(encoding="utf-8")))
    settings = profile["train"][name][dataset] | {"steps": 120, "segments": 48, "clasnet": None}
    settings |= {"precision": "float32", "compile": False}
    annotations = small_annotations(dataset, 6, 48, 24, (40, 80), seed=1)
    write_store(tmp_path / dataset, annotations, twin_videos(annotations, 2, settings["model"]["width"], 1))
    store = open_store(tmp_path / dataset)
    model = train_model(store, dataset, name, settings, seed=0)
    videos = store.subset(benchmark_of(dataset).test)
    truth = store.annotations.select(videos)
    learnt = detection_results(predict(model, store, videos, settings["segments"]), truth, dataset)
    random = random_predictions(store.length[videos], 6, np.random.default_rng(0))
    chance = detection_results(random, truth, dataset)
    assert learnt.map.mean() > 3 * chance.map.mean() + 0.05

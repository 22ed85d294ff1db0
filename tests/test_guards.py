"""Mistakes that would change numbers without an error: one sharp test each, of the library.

Each was seen to fail with its mistake in the source.
"""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import references as plain
import torch
from torch import nn

from clasnet.data.annotations import make_annotations
from clasnet.data.datasets import benchmark_of, benchmarks
from clasnet.data.sampling import Sampling, usable_videos
from clasnet.data.store import open_store, write_store
from clasnet.evaluation.protocol import average, comparable, detection_results, headline, headline_tious
from clasnet.inference.predict import predict
from clasnet.inference.predictions import Predictions
from clasnet.localization.localize import localize
from clasnet.models.acrnet import ACRNet
from clasnet.models.base import Baseline, Output, Scores
from clasnet.models.clasnet import CLASNet
from clasnet.models.co2net import CO2Net
from clasnet.models.fcsm import FCSM, DilatedStack
from clasnet.training import run
from clasnet.training.loop import train


class Marked(Baseline):
    """A network whose scores are its features: class c is where feature c is; attention and background are the last."""

    sampling, localization = Sampling(subsample_test=True), ACRNet.localization

    def __init__(self, num_classes, width):
        super().__init__(num_classes, width)
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return Output(x[..., : self.num_classes] * self.weight, x[..., -1])

    def losses(self, output, labels, progress):
        return {"square": (output.cas**2).mean()}

    def scores(self, output):
        return Scores(output.cas.amax(1), output.cas, output.cas)


def marked_store(folder, found, ambiguous=None):
    """An open store of test videos of two classes and four features: ``found``, id to (snippets, first, last) of class
    0.
    """
    videos, features = [], {}
    for id, (snippets, first, last) in found.items():
        x = np.zeros((snippets, 4), dtype=np.float32)
        x[first : last + 1, 0] = 1
        features[id] = x
        segment = (first * 0.64, (last + 1) * 0.64, "jump")
        video = {"id": id, "subset": "test", "duration": snippets * 0.64, "segments": [segment]}
        videos.append(video | {"ambiguous": (ambiguous or {}).get(id)})
    write_store(folder, make_annotations(["jump", "run"], videos), features.items())
    return open_store(folder)


# Localisation ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snippets", [20, 25, 100, 400])
def test_a_video_that_is_cut_down_keeps_its_seconds(tmp_path, snippets):
    store = marked_store(tmp_path / "s", {"a": (snippets, snippets * 2 // 5, snippets * 3 // 5 - 1)})
    found = predict(Marked(2, 2), store, [0], num_segments=25)
    (start, end), seconds = found.segments[found.scores.argmax()], snippets * 0.64
    assert start == pytest.approx(0.4 * seconds, abs=0.04 * seconds)
    assert end == pytest.approx(0.6 * seconds, abs=0.04 * seconds)


@pytest.mark.parametrize("seed", range(15))
def test_acrnets_localisation(seed):
    """Against loops over frames with the published numbers: first frame, thresholds, shortest run, margins, NMS."""
    rng = np.random.default_rng(seed)
    seen, times = 8 + seed, 1 + seed % 3
    scores, video = rng.random((seen, 4)), rng.dirichlet(np.ones(4))
    found = localize(video, scores, scores, ACRNet.localization, times * seen)
    expected = plain.localize_by_frames(scores, video, times * seen)
    got = np.column_stack([found.segments, found.classes, found.scores])
    np.testing.assert_allclose(plain.sorted_rows(got, 6), plain.sorted_rows(expected, 6), atol=1e-9)


@pytest.mark.parametrize("rank", [0, 4, 17])
def test_a_score_that_is_the_threshold_reaches_it_in_acrnet_and_not_in_co2net(rank):
    """One snippet, all of whose frames have the score of the threshold number ``rank``."""
    for settings_of, above in ((ACRNet.localization, rank + 1), (CO2Net.localization, rank)):
        values = np.linspace(*settings_of.thresholds, settings_of.num_thresholds)
        if rank < len(values):
            score = np.full((1, 1), values[rank])
            assert len(localize(np.ones(1), score, score, settings_of).scores) == above


def test_what_the_authors_of_acrnet_leave_out():
    ids = ["video_test_0000270", "video_test_0000004", "video_test_0001292", "short", "video_test_0001496", "long"]
    length = np.array([99, 99, 99, 10, 99, 11])
    store = SimpleNamespace(
        subset=lambda name: np.arange(6), length=length, annotations=SimpleNamespace(ids=np.array(ids))
    )
    assert usable_videos(store, "test", ACRNet.sampling).tolist() == [1, 5]
    assert usable_videos(store, "test", CO2Net.sampling).tolist() == [0, 1, 2, 4, 5]
    assert usable_videos(store, "test", Sampling()).tolist() == [0, 1, 2, 3, 4, 5]


def test_predictions_in_ambiguous_segments_do_not_count(tmp_path):
    videos = {"a": (40, 5, 9), "b": (40, 20, 24), "c": (40, 30, 34)}
    store = marked_store(tmp_path / "s", videos, {"b": [(12.0, 17.0)], "c": [(0.0, 1.0)]})
    found = predict(Marked(2, 2), store, [2, 1, 0], num_segments=40)
    assert set(found.video) == {0, 2}
    starts = [found.segments[found.video == n, 0].mean() for n in (0, 2)]
    assert starts == pytest.approx([30 * 0.64, 5 * 0.64], abs=0.64)


# CLASNet --------------------------------------------------------------------------------------------------------------

PARTS = {"fcsm": {"layers": 2, "heads": 2, "beta": 0.25}, "brm": {}, "sparsity": {}}


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
def test_beta_is_the_share_of_the_fcsms_attention(beta):
    """Of A scaled over the video; what is mixed is what is localised with."""
    torch.manual_seed(0)
    parts = PARTS | {"fcsm": PARTS["fcsm"] | {"beta": beta}}
    model = CLASNet(CO2Net(3, 8), **parts).eval()
    output = model(torch.rand(2, 12, 16))
    own, separation = output.baseline.attention, output.separation
    low, high = separation.min(1, keepdim=True).values, separation.max(1, keepdim=True).values
    expected = (1 - beta) * own + beta * (separation - low) / (high - low)
    assert (own - expected).abs().max() > 0.1 or not beta
    torch.testing.assert_close(output.attention, expected)
    torch.testing.assert_close(model.scores(output).activity[..., 0], output.attention)


def test_the_fcsms_attention_is_the_mean_of_its_heads_and_of_the_separation():
    """The snippets that head and baseline together hold for action, and for background, are what others are near to."""
    torch.manual_seed(0)
    fcsm = PARTS["fcsm"] | {"topk": 0.25, "temperature": 0.5}
    model = CLASNet(CO2Net(3, 8), **PARTS | {"fcsm": fcsm}).eval()
    output = model(torch.rand(2, 12, 16))
    for z, head, own, found in zip(
        output.separated, output.head, output.baseline.attention, output.separation, strict=True
    ):
        order = (head + own).argsort()
        background, action = (z[at].mean(0) for at in (order[:3], order[-3:]))
        nearer = torch.cosine_similarity(z, action, -1) - torch.cosine_similarity(z, background, -1)
        torch.testing.assert_close(found, (head + torch.sigmoid(nearer / 0.5)) / 2)


@pytest.mark.parametrize("parts", [("brm",), ("brm", "sparsity")])
def test_without_an_fcsm_the_attention_stays_the_baselines(parts):
    torch.manual_seed(0)
    output = CLASNet(CO2Net(3, 8), **{part: PARTS[part] for part in parts}).eval()(torch.rand(1, 12, 16))
    assert torch.equal(output.attention, output.baseline.attention)


def test_the_attention_modules_read_the_mean_of_features_and_stack():
    fcsm, read = FCSM(4, layers=2, heads=2).eval(), []
    fcsm.stack.forward = lambda x: 3 * x
    fcsm.cross_modal.register_forward_hook(lambda module, inputs, output: read.extend(inputs))
    x = torch.rand(1, 9, 8)
    fcsm(x)
    torch.testing.assert_close(torch.cat(read, 1).transpose(1, 2), 2 * x)


@pytest.mark.parametrize(("bottleneck", "layers"), [(6, 1), (6, 3), (4, 3)])
def test_the_dilated_stack_by_loops(bottleneck, layers):
    torch.manual_seed(0)
    stack = DilatedStack(6, bottleneck, layers, dropout=0.5).eval()
    x = torch.rand(1, 6, 11)
    expected = x[0].T.tolist()
    for i, layer in enumerate(stack.layers):
        w, b = layer.weight.tolist(), layer.bias.tolist()
        expected = plain.dilated_layer(expected, w, b, 2**i)
    torch.testing.assert_close(stack(x)[0].T, torch.tensor(expected))


# Training -------------------------------------------------------------------------------------------------------------


def reference_training(model, batches, lr, weight_decay, schedule):
    """Adam of PyTorch, one step a batch, the rate by the formula of the schedule."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    for step, (x, labels) in enumerate(batches):
        share = (1 + math.cos(math.pi * step / len(batches))) / 2 if schedule == "cosine" else 1
        optimizer.param_groups[0]["lr"] = lr * share
        optimizer.zero_grad()
        sum(model.losses(model(x), labels, step / len(batches)).values()).backward()
        optimizer.step()
    return model


def small_co2net(seed=0):
    torch.manual_seed(seed)
    return CO2Net(3, 4, consensus_dropout=0.0, feature_dropout=0.0)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_schedule_and_weight_decay_reach_the_weights(weight_decay, schedule):
    torch.manual_seed(1)
    batches = [(torch.rand(6, 10, 8), torch.eye(3)[torch.arange(6) // 2]) for _ in range(8)]
    expected = reference_training(small_co2net().train(), batches, 1e-2, weight_decay, schedule)
    left = iter(batches)
    model = train(small_co2net(), lambda: next(left), steps=8, lr=1e-2, weight_decay=weight_decay, schedule=schedule)
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_what_is_logged_is_the_step_and_the_norm_of_its_gradient():
    torch.manual_seed(1)
    batch, logged, model = (torch.rand(6, 10, 8), torch.eye(3)[torch.arange(6) // 2]), [], small_co2net().train()
    sum(model.losses(model(batch[0]), batch[1], 0.0).values()).backward()
    norm = math.sqrt(sum(float((p.grad**2).sum()) for p in model.parameters() if p.grad is not None))
    train(small_co2net(), lambda: batch, steps=12, lr=1e-3, weight_decay=0.0, log=lambda *row: logged.append(row))
    assert [step for step, _ in logged] == [0, 10, 11]
    assert logged[0][1]["gradient_norm"] == pytest.approx(norm, rel=1e-5)


def test_a_training_draws_from_usable_videos_alone(tmp_path, monkeypatch):
    """Not from one of the test set, nor from one that is too short for the network."""
    lengths = {"a": 20, "b": 5, "c": 20, "d": 20, "e": 20}
    videos = [
        {"id": id, "subset": "test" if id == "d" else "validation", "duration": 0.64 * n, "segments": [(0, 2, "run")]}
        for id, n in lengths.items()
    ]
    features = [(id, np.random.default_rng(n).random((n, 8))) for id, n in lengths.items()]
    write_store(tmp_path / "s", make_annotations(["run", "jump"], videos), features)
    drawn = []

    def sampler(store, videos, *_):
        drawn.extend(store.annotations.ids[videos].tolist())
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "BatchSampler", sampler)
    how = {"model": {"width": 4, "heads": 2}, "clasnet": None, "batch_size": 2, "segments": 9}
    with pytest.raises(KeyboardInterrupt):
        run.train_model(open_store(tmp_path / "s"), "thumos14", "acrnet", how, 0)
    assert drawn == ["a", "c", "e"]


def test_the_losses_are_told_how_much_of_the_training_is_done():
    """From 0 on, as the ramp of CLASNet and the guide of DELU read it."""
    model, batch, told = small_co2net(), (torch.rand(6, 10, 8), torch.eye(3)[torch.arange(6) // 2]), []
    losses = model.losses
    model.losses = lambda output, labels, progress: told.append(progress) or losses(output, labels, progress)
    train(model, lambda: batch, steps=4, lr=1e-3, weight_decay=0.0)
    assert told == [0, 0.25, 0.5, 0.75]


def test_a_loss_of_nan_is_noticed():
    model, batch = small_co2net(), (torch.rand(6, 10, 8), torch.eye(3)[torch.arange(6) // 2])
    losses, calls = model.losses, []

    def spoiled(output, labels, progress):
        calls.append(progress)
        terms = losses(output, labels, progress)
        return terms | {"norm": terms["norm"] * float("nan")} if len(calls) == 3 else terms

    model.losses = spoiled
    with pytest.raises(FloatingPointError, match="norm is not finite at step 2"):
        train(model, lambda: batch, steps=4, lr=1e-3, weight_decay=0.0)


@pytest.fixture
def trainings(tmp_path, monkeypatch):
    """A function from a seed to what the loop gets for it: initial weights, first batch and settings."""
    names, rng = ["jump", "run"], np.random.default_rng(0)
    videos = [
        {"id": f"v{v}", "subset": "validation", "duration": 30.0, "segments": [(0, 9, names[v % 2])]} for v in range(9)
    ]
    write_store(tmp_path / "s", make_annotations(names, videos), [(v["id"], rng.random((40, 8))) for v in videos])
    store, got = open_store(tmp_path / "s"), []
    monkeypatch.setattr(run, "train", lambda model, sample, **how: got.append((model, sample, how)))
    loop = {"steps": 7, "lr": 0.3, "weight_decay": 0.2, "schedule": "cosine", "precision": "bf16", "compile": False}

    def of(seed):
        training = {"model": {"width": 4}, "clasnet": None, "batch_size": 6, "segments": 10, **loop}
        run.train_model(store, "thumos14", "co2net", training, seed)
        model, sample, how = got.pop()
        assert {key: how[key] for key in loop} == loop
        weights = torch.cat([p.detach().ravel() for p in model.parameters()])
        return weights, sample()[0], torch.rand(5)

    return of


def test_the_seed_reaches_weights_batches_and_dropout(trainings):
    first, again, other = trainings(0), trainings(0), trainings(1)
    for one, same, different in zip(first, again, other, strict=True):
        assert torch.equal(one, same) and not torch.equal(one, different)


# Evaluation -----------------------------------------------------------------------------------------------------------


def test_each_average_is_over_its_own_thresholds():
    maps = np.array([[1.0, 2, 4, 8, 16, 32, 64], [0, 0, 0, 0, 0, 7, 0]])
    assert average(maps, "thumos14", "0.1:0.5").tolist() == pytest.approx([31 / 5, 0])
    assert average(maps, "thumos14", "0.3:0.7").tolist() == pytest.approx([124 / 5, 7 / 5])
    assert average(maps, "thumos14").tolist() == pytest.approx([127 / 7, 1])
    many = np.arange(10.0)[None]
    assert average(many, "activitynet13").tolist() == average(many, "activitynet13", "0.5:0.95").tolist() == [4.5]


def test_the_headline_is_over_the_last_average_of_the_data_set(monkeypatch):
    some = replace(benchmark_of("thumos14"), averages={"0.1:0.7": (0.1, 0.7), "0.3:0.5": (0.3, 0.4, 0.5)})
    monkeypatch.setitem(benchmarks(), "thumos14", some)
    assert headline_tious("thumos14") == (0.3, 0.4, 0.5)
    result = SimpleNamespace(map=np.array([1.0, 2, 4, 8, 16, 32, 64]))
    assert headline(result, "thumos14") == pytest.approx(28 / 3)


def test_in_whole_snippets_the_truth_is_rounded_and_predictions_lie_on_the_grid():
    """1.0 s is 1.56 snippets, so 2; 1.92 s is three of them, whatever 1.92 / 0.64 is in floats."""
    video = {"id": "a", "subset": "test", "duration": 12.8, "segments": [(1.0, 4.3, "run")]}
    truth = make_annotations(["run"], [video])
    found = Predictions(np.zeros(1, int), np.array([[1.92, 4.48]]), np.zeros(1, int), np.ones(1), np.ones((1, 1)))
    segments, *_, found_segments, _, _, _ = comparable(found, truth, "snippets")
    assert segments.tolist() == [[2, 7]] and found_segments.tolist() == [[3, 7]]
    assert comparable(found, truth)[0].tolist() == [[1.0, 4.3]] and comparable(found, truth)[3] is found.segments
    by = {units: detection_results(found, truth, "thumos14", units).map.tolist() for units in ("seconds", "snippets")}
    assert by == {"seconds": [1] * 6 + [0], "snippets": [1] * 7}  # t-IoU 2.38 / 3.48, and 4 / 5

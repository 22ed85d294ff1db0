"""Clustering against the sequential algorithm, the dilated stack's receptive field, CLASNet around each baseline."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import references as plain
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from clasnet.models.acrnet import cluster_scores
from clasnet.models.base import initialize
from clasnet.models.clasnet import CLASNet, draws_of_its_own
from clasnet.models.complexity import count_flops, count_parameters, milliseconds
from clasnet.models.fcsm import DilatedStack, split_features
from clasnet.models.registry import build_baseline
from clasnet.training.loop import in_float32

PLUGIN = {
    "fcsm": {"layers": 3, "heads": 2, "dropout": 0.3, "topk": 0.3, "alpha": 0.25, "weight": 0.1, "beta": 0.3},
    "brm": {"weight": 1.0, "distance": "mse"},
    "sparsity": {"weight": 0.1},
}


def drawn_scores(kind, shape, rng):
    if kind == "random":
        return rng.random(shape)
    if kind == "ties":
        return rng.integers(4, size=shape) / 4
    if kind == "constant":
        return np.full(shape, rng.random())
    return rng.random() + 1e-9 * rng.standard_normal(shape)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1), st.sampled_from(["random", "ties", "constant", "near"]))
def test_clustering_and_refining_match_the_sequential_algorithm(length, seed, kind):
    rng = np.random.default_rng(seed)
    scores = drawn_scores(kind, (length, 3), rng)
    cas = rng.standard_normal((length, 3))
    action, background, mask = cluster_scores(torch.tensor(cas)[None], torch.tensor(scores)[None])
    expected = plain.acrnet_scores(cas, scores)
    np.testing.assert_array_equal(mask[0], expected[2])
    np.testing.assert_allclose(action[0], expected[0], atol=1e-12)
    np.testing.assert_allclose(background[0], expected[1], atol=1e-12)


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
def test_receptive_field(layers):
    reached = set()
    for seed in range(5):  # a relu may hide a position from one draw, hardly from all
        torch.manual_seed(seed)
        stack = DilatedStack(8, 8, layers, dropout=0.0).double().eval()
        x = torch.rand(1, 8, 101, dtype=torch.float64)
        moved = x.clone()
        moved[..., 50] += 1
        reached |= set((stack(x) != stack(moved)).any(1)[0].nonzero().ravel().tolist())
    assert reached == set(range(50 - (2**layers - 1), 50 + 2**layers))  # 2^(L+1) - 1 snippets


@pytest.mark.parametrize("name", ["co2net", "delu", "acrnet"])
def test_clasnet_starts_as_the_baseline(name):
    torch.manual_seed(0)
    baseline = build_baseline(name, num_classes=6, width=8).eval()
    model = CLASNet(baseline, **PLUGIN).eval()
    x = torch.rand(2, 30, 16)
    output = model(x)
    assert torch.equal(output.cas, baseline(x).cas)
    assert (output.separation - 0.5).abs().max() < 0.2
    assert output.separated.abs().max() <= 1


@pytest.mark.parametrize("name", ["co2net", "delu", "acrnet"])
def test_the_fcsm_moves_no_random_draw_of_the_baselines(name):
    """Weights, dropout and gradients of the baseline are those that it has alone, until a loss of CLASNet's reaches it.

    So the two trainings of a pair differ by what the plug-in does and by nothing else.
    """
    x, labels = torch.rand(6, 30, 16), torch.eye(6)[torch.arange(6) // 2]
    gradients = []
    for parts in ({}, {"fcsm": PLUGIN["fcsm"], "sparsity": PLUGIN["sparsity"]}):
        torch.manual_seed(0)
        baseline = build_baseline(name, num_classes=6, width=8)
        model = CLASNet(baseline, **parts)
        for _ in range(2):
            model.zero_grad()
            sum(model.losses(model(x), labels, progress=0.5).values()).backward()
        gradients.append([p.grad for p in baseline.parameters()])
    assert all(torch.equal(alone, plugged) for alone, plugged in zip(*gradients, strict=True))


def test_the_fcsm_draws_nothing_that_the_baseline_draws():
    torch.manual_seed(0)
    draws = [torch.rand(4)]
    torch.manual_seed(0)
    with draws_of_its_own(torch.device("cpu")):
        draws.append(torch.rand(4))
    draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[2]) and not torch.isin(draws[1], draws[0]).any()


def test_the_fcsm_drops_anew_around_a_baseline_that_draws_nothing():
    torch.manual_seed(0)
    model = CLASNet(build_baseline("acrnet", num_classes=6, width=8, dropout=0.0), fcsm=PLUGIN["fcsm"])
    x = torch.rand(2, 30, 16)
    assert not torch.equal(model(x).head, model(x).head)


def test_the_separation_is_of_full_precision():
    """1 minus a cosine near 1, of which the contrastive loss takes the logarithm, has few digits to lose."""
    torch.manual_seed(0)
    model = CLASNet(build_baseline("acrnet", num_classes=6, width=8), fcsm=PLUGIN["fcsm"]).eval()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(torch.rand(2, 30, 16))
    selection = (output.head.float() + output.baseline.attention.float()) / 2
    action, background = split_features(output.separated.float(), selection, 0.3)
    torch.testing.assert_close(output.action, action)
    torch.testing.assert_close(output.background, background)


ROWS = [parts for count in (1, 2, 3) for parts in combinations(PLUGIN, count)]


@pytest.mark.parametrize("name", ["co2net", "delu", "acrnet"])
@pytest.mark.parametrize("parts", ROWS)
@pytest.mark.parametrize("feed", ["none", "modulated"])
def test_every_ablation_row_has_its_terms_and_gradients(name, parts, feed):
    torch.manual_seed(0)
    plugin = PLUGIN | {"fcsm": PLUGIN["fcsm"] | {"feed": feed}}
    model = CLASNet(build_baseline(name, num_classes=6, width=8), **{part: plugin[part] for part in parts})
    labels = torch.eye(6)[torch.arange(6) // 2]
    terms = model.losses(model(torch.rand(6, 30, 16)), labels, progress=0.5)
    names = {"sparsity": {"sparsity"}, "fcsm": {"contrast", "follow"}, "brm": {"boundary"}}
    assert set().union(*(names[part] for part in parts)) == set(terms) & set().union(*names.values())
    own = model.baseline.losses(model.baseline(torch.rand(6, 30, 16)), labels, progress=0.5)
    assert len(terms) == len(own) + sum(len(names[part]) for part in parts)  # no term takes another's place
    sum(terms.values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_the_ramp_rises_between_its_ends():
    torch.manual_seed(0)
    model = CLASNet(build_baseline("acrnet", num_classes=6, width=8), **PLUGIN).eval()
    output, labels = model(torch.rand(6, 30, 16)), torch.eye(6)
    boundary = [model.losses(output, labels, p)["boundary"].item() for p in (0.1, 0.2, 0.3, 0.4, 0.9)]
    assert boundary[0] == boundary[1] == 0 and boundary[3] == boundary[4] > 0
    assert boundary[2] == pytest.approx(boundary[3] / 2)


class NothingLeavesTheDevice(TorchDispatchMode):
    """Fails on operations whose result the host must wait for: a scalar read, or a shape that depends on values."""

    WAITS = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "equal",
        "is_nonzero",
        "unique",
        "item",
        "bincount",
        "repeat_interleave.Tensor",
    )

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert not any(name in str(func) for name in self.WAITS), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["co2net", "delu", "acrnet"])
def test_a_training_step_never_waits_for_the_device(name):
    torch.manual_seed(0)
    model = CLASNet(build_baseline(name, num_classes=6, width=8, dataset="activitynet12"), **PLUGIN)
    x, labels = torch.rand(6, 30, 16), torch.eye(6)[torch.arange(6) // 2]
    with NothingLeavesTheDevice():
        sum(model.losses(model(x), labels, progress=0.5).values()).backward()


@pytest.mark.parametrize("name", ["co2net", "delu", "acrnet"])
def test_mixed_precision_keeps_the_losses_in_float32(name):
    torch.manual_seed(0)
    model = CLASNet(build_baseline(name, num_classes=6, width=8), **PLUGIN).eval()
    x, labels = torch.rand(6, 30, 16), torch.eye(6)[torch.arange(6) // 2]
    with torch.autocast("cpu", torch.bfloat16):
        output = model(x)
    assert output.cas.dtype == torch.bfloat16
    terms, exact = (model.losses(o, labels, progress=0.9) for o in (in_float32(output), model(x)))
    assert all(term.dtype == torch.float32 and term.isfinite() for term in terms.values())
    assert sum(terms.values()).item() == pytest.approx(sum(exact.values()).item(), rel=0.05)


def test_published_sizes():
    co2net, acrnet = (build_baseline(name, num_classes=20, profile="paper") for name in ("co2net", "acrnet"))
    assert count_parameters(acrnet) == 22_331_434
    assert count_parameters(co2net) == 34_133_015
    assert count_flops(acrnet, 750) == pytest.approx(27.5e9, rel=0.005)
    assert count_flops(co2net, 750) == pytest.approx(41.8e9, rel=0.005)


def test_measuring_a_model_leaves_it_as_it_is():
    model = build_baseline("acrnet", num_classes=3, width=8).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert count_flops(model, 50) > 0 and milliseconds([model], 50)[0] > 0
    assert model.training and all(module.training for module in model.modules())
    for name, value in model.state_dict().items():
        assert value.device.type == "cpu" and torch.equal(value, before[name])


def test_milliseconds_are_of_the_network_as_it_localises():
    """Without dropout and without what only a training keeps; afterwards it trains as before."""
    model, seen = build_baseline("acrnet", num_classes=3, width=8), []
    model.register_forward_pre_hook(lambda *_: seen.append((model.training, torch.is_inference_mode_enabled())))
    milliseconds([model.train()], 20, repeats=2)
    assert seen == 3 * [(False, True)] and model.training


def test_initial_weights_are_kaimings():
    """Uniform, up to √(6 / inputs), which Xavier's are not; biases are 0."""
    torch.manual_seed(0)
    for layer, inputs in ((torch.nn.Linear(600, 50), 600), (torch.nn.Conv1d(8, 64, 3), 24)):
        initialize(layer)
        assert layer.weight.abs().max().item() == pytest.approx((6 / inputs) ** 0.5, rel=0.01)
        assert not layer.bias.any()


def test_milliseconds_are_the_median_after_a_warm_up(monkeypatch):
    """Of two models in turn: 1 and 4 for the warm-up, then 2, 7 and 3, and 5, 6 and 9 thousandths of a second."""
    passes = iter([1, 4, 2, 5, 7, 6, 3, 9])
    ends = iter([end for n in range(8) for end in (10 * n, 10 * n + next(passes))])
    clock = SimpleNamespace(perf_counter=lambda: next(ends) / 1000)
    monkeypatch.setattr("clasnet.models.complexity.time", clock)
    models = [build_baseline("acrnet", num_classes=3, width=8) for _ in range(2)]
    assert milliseconds(models, 20, repeats=3) == pytest.approx([3, 6])


def test_unknown_settings_are_named():
    with pytest.raises(ValueError, match="unknown baseline 'nosuchnet': must be one of co2net, delu, acrnet"):
        build_baseline("nosuchnet", num_classes=3)
    with pytest.raises(ValueError, match="'sigmaa'"):
        build_baseline("acrnet", num_classes=3, sigmaa=1)
    with pytest.raises(ValueError, match="heads = 3: must be a positive divisor of the width 8"):
        build_baseline("acrnet", num_classes=3, width=8, heads=3)

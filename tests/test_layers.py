"""The layers that are written to be cheap against their plain forms: outputs, gradients, and what dropout drops."""

import math

import pytest
import references as plain
import torch
from torch import nn

from clasnet.models import layers
from clasnet.models.layers import BitwiseFilter, CrossModalAttention, Dropout, MutualAttention, attend
from clasnet.training.adam import Adam


def drawn(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def same(layer, reference, *inputs):
    """Have ``layer`` and ``reference(layer, ...)`` the same outputs and gradients?"""
    inputs = [*inputs, *layer.parameters()]
    results = []
    for function in (layer, lambda *x: reference(layer, *x)):
        outputs = function(*inputs[:2])
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        torch.manual_seed(1)
        weighted = sum((y * torch.randn(y.shape, dtype=y.dtype)).sum() for y in outputs)
        results.append([*outputs, *torch.autograd.grad(weighted, inputs)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("merge", ["released", "concatenate"])
@pytest.mark.parametrize(("heads", "length"), [(1, 7), (2, 12), (4, 1)])
def test_cross_modal_attention(merge, heads, length):
    torch.manual_seed(0)
    layer = CrossModalAttention(8, heads, merge).double()
    same(layer, plain.cross_modal_attention, drawn(3, 8, length), drawn(3, 8, length))


def test_gradients_of_the_attention_are_those_of_finite_differences():
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(MutualAttention.apply, [drawn(2, 2, 3, 5) for _ in range(3)])


def test_the_attention_is_finite_where_one_snippet_takes_all():
    a, r, f = (100 * drawn(1, 1, 2, 6) for _ in range(3))
    outputs = MutualAttention.apply(a, r, f)
    gradients = torch.autograd.grad(sum(y.sum() for y in outputs), (a, r, f))
    assert all(x.isfinite().all() for x in (*outputs, *gradients))


def test_the_relation_of_a_long_video_is_held_a_head_at_a_time(monkeypatch):
    a, r, f = (torch.rand(2, 3, 4, 7) for _ in range(3))
    held, whole = [], MutualAttention.apply(a, r, f)

    def seen(*heads):
        held.append([x.shape[1] for x in heads])
        return attend(*heads)

    monkeypatch.setattr(layers, "ROOM", 2 * 3 * 7**2 - 1)
    monkeypatch.setattr(layers, "attend", seen)
    for expected, found in zip(whole, MutualAttention.apply(a, r, f), strict=True):
        torch.testing.assert_close(found, expected)
    MutualAttention.apply(a.requires_grad_(), r, f)  # gradients need it all
    monkeypatch.setattr(layers, "ROOM", 2 * 3 * 7**2)
    MutualAttention.apply(a.detach(), r, f)
    assert held == [[1, 1, 1]] * 3 + [[3, 3, 3]] * 2


def test_a_feature_of_zeros_has_no_direction():
    layer, x = CrossModalAttention(8, 2), torch.zeros(1, 8, 4, requires_grad=True)
    outputs = layer(x, x)
    sum(y.sum() for y in outputs).backward()
    assert all((y == 0).all() for y in outputs) and x.grad.isfinite().all()


def test_the_attention_trains_in_mixed_precision():
    torch.manual_seed(0)
    layer, x = CrossModalAttention(8, 2), torch.randn(2, 2, 8, 6)
    gradients = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            outputs = layer(*x)
        sum(y.float().square().sum() for y in outputs).backward()
        gradients.append(layer.project_rgb.grad)
        layer.zero_grad()
    assert (gradients[0] - gradients[1]).norm() < 0.1 * gradients[0].norm()


@pytest.mark.parametrize("length", [1, 9])
def test_bitwise_filter(length):
    torch.manual_seed(0)
    same(BitwiseFilter(6, 0.0).double(), plain.bitwise_filter, drawn(2, 6, length), drawn(2, 6, length))


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.7])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    x = torch.ones(1001, 999, requires_grad=True)  # no multiple of the draws in one word
    y = Dropout(p)(x)
    kept = 1 - round(p * 2**16) / 2**16
    assert y.unique().tolist() == pytest.approx([0, 1 / kept])
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.002)  # four standard deviations
    assert y.mean().item() == pytest.approx(1, abs=0.006)
    for axis in (0, 1):  # no position is special
        assert (y == 0).float().mean(axis).sub(p).abs().max() < 0.1
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, y)


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(1_000_000)) == 0).float()
    for distance in (1, 2, 3, 4):
        both = (dropped[distance:] * dropped[:-distance]).mean().item()
        assert both == pytest.approx(0.25, abs=0.003)


def test_dropout_is_fixed_by_the_seed_and_is_off_in_evaluation():
    layer, x = Dropout(0.4), torch.rand(3, 5, 7)
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append(layer(x))
    assert torch.equal(*results) and not torch.equal(results[0], layer(x))
    assert torch.equal(layer.eval()(x), x) and torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any() and Dropout(0.5)(x[:0]).shape == (0, 5, 7)


def test_dropout_of_half_precision_keeps_the_type():
    assert Dropout(0.5)(torch.ones(9, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert isinstance(Dropout(0.5), nn.Dropout)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_is_pytorchs(weight_decay):
    torch.manual_seed(0)
    ours = [torch.randn(shape, requires_grad=True) for shape in ((3, 4), (5,), (2,))]
    theirs = [p.detach().clone().requires_grad_() for p in ours]
    adam = Adam(ours, weight_decay)
    reference = torch.optim.Adam(theirs, lr=0.1, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(reference, 9)
    for step in range(9):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape)
            q.grad = p.grad.clone()
        if step % 2:  # the last one has no gradient every other time
            ours[-1].grad = theirs[-1].grad = None
        adam.step(0.1 * (1 + math.cos(math.pi * step / 9)) / 2)
        reference.step()
        schedule.step()
        for p, q in zip(ours, theirs, strict=True):
            torch.testing.assert_close(p, q)
        adam.zero_grad()
        assert all(p.grad is None for p in ours)

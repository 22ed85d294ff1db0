"""Every loss against its plain reference."""

import numpy as np
import pytest
import references as plain
import torch

from clasnet.models.acrnet import ACRNetOutput
from clasnet.models.brm import boundary_loss
from clasnet.models.co2net import CO2NetOutput, coactivity_loss
from clasnet.models.fcsm import contrastive_loss, split_features
from clasnet.models.registry import build_baseline

B, T, C, D = 7, 23, 5, 4


@pytest.fixture
def batch(request):
    rng = np.random.default_rng(3)
    labels = (rng.random((B, C)) < 0.3).astype(float)
    labels[np.arange(B), rng.integers(C, size=B)] = 1
    labels[1] = labels[0]  # the first pair shares its classes
    return rng, labels


def tensors(*arrays):
    return [torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in arrays]


def total(baseline, output, labels, progress=0.0):
    return sum(baseline.losses(output, torch.tensor(labels), progress).values()).item()


@pytest.mark.parametrize(
    ("dataset", "k", "r", "evidence"), [("thumos14", 7, 9, "exp"), ("activitynet12", 5, 5, "relu")]
)
def test_co2net_and_delu(batch, dataset, k, r, evidence):
    rng, labels = batch
    cas = 3 * rng.standard_normal((B, T, C + 1))
    (a_rgb, a_flow), features = rng.random((2, B, T)), rng.random((B, T, 2 * D))
    a = (a_rgb + a_flow) / 2
    output = CO2NetOutput(*tensors(cas, a, a_rgb, a_flow, features))
    expected = plain.co2net_loss(cas, a, a_rgb, a_flow, features, labels, k, 0.8, 0.8)
    co2net = build_baseline("co2net", num_classes=C, dataset=dataset, width=D)
    assert total(co2net, output, labels) == pytest.approx(expected, rel=1e-9)

    delu = build_baseline("delu", num_classes=C, dataset=dataset, width=D)
    edl, guide = plain.delu_terms(cas, a, a_rgb, a_flow, labels, r, delu.amplitude, 0.3, evidence)
    expected = plain.co2net_loss(cas, a, a_rgb, a_flow, features, labels, k, 0.8, delu.alpha2)
    expected += delu.alpha_edl * edl + delu.alpha_guide * guide
    # The only float32 term is the curve.
    assert total(delu, output, labels, 0.3) == pytest.approx(expected, rel=1e-6)


def test_coactivity_without_a_shared_class_is_zero(batch):
    rng, _ = batch
    features, cas = tensors(rng.random((6, T, 2 * D)), rng.standard_normal((6, T, 7)))
    labels = torch.eye(6, dtype=torch.float64)
    assert coactivity_loss(features, cas, labels, 3).item() == 0


def test_acrnet(batch):
    rng, labels = batch
    cas, (a_rgb, a_flow) = 3 * rng.standard_normal((B, T, C)), rng.random((2, B, T))
    output = ACRNetOutput(*tensors(cas, (a_rgb + a_flow) / 2, a_rgb, a_flow))
    expected = plain.acrnet_loss(cas, a_rgb, a_flow, labels)
    assert total(build_baseline("acrnet", num_classes=C, width=D), output, labels) == pytest.approx(expected, rel=1e-9)


def test_contrast(batch):
    rng, _ = batch
    action, background = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rng.random((B, D)), rng.standard_normal((B, D)))
    )
    loss = contrastive_loss(*tensors(action, background), alpha=0.25)
    assert loss.item() == pytest.approx(plain.contrast(action, background, 0.25), rel=1e-6)


def test_split_takes_the_top_and_the_bottom():
    z = torch.eye(10)[None]  # snippet t has feature e_t
    selection = torch.tensor([[0.1, 0.9, 0.5, 0.8, 0.2, 0.3, 0.4, 0.7, 0.0, 0.6]])
    action, background = split_features(z, selection, 0.25)  # ceil(2.5) = 3 snippets
    assert action[0].nonzero().ravel().tolist() == [1, 3, 7]
    assert background[0].nonzero().ravel().tolist() == [0, 4, 8]


@pytest.mark.parametrize("channels", [C, C + 1])
@pytest.mark.parametrize("mutual", [0.0, 0.5])
def test_boundary(batch, channels, mutual):
    rng, labels = batch
    own, attention, cas = tensors(*rng.random((2, B, T)), rng.standard_normal((B, T, channels)))
    loss = boundary_loss(own, attention, cas, torch.tensor(labels), mutual)
    plainly = [x.detach().numpy() for x in (own, attention, cas)]
    assert loss.item() == pytest.approx(plain.boundary(*plainly, labels, mutual), rel=1e-9)
    loss.backward()
    assert cas.grad.abs().sum() > 0 and (own.grad is not None) == (mutual > 0)
    assert attention.grad is None  # the baseline's attention is nobody's pupil


def test_boundary_without_an_fcsm_teaches_the_activation_alone(batch):
    rng, labels = batch
    attention, cas = tensors(rng.random((B, T)), rng.standard_normal((B, T, C)))
    loss = boundary_loss(None, attention, cas, torch.tensor(labels))
    expected = plain.boundary(None, attention.detach().numpy(), cas.detach().numpy(), labels, 0)
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    loss.backward()
    assert attention.grad is None and cas.grad.abs().sum() > 0

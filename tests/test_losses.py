"""Every loss against its plain reference."""

import math

import numpy as np
import pytest
import references as plain
import torch

from clasnet.errors import InputError
from clasnet.models.acrnet import ACRNetOutput
from clasnet.models.brm import boundary_loss
from clasnet.models.clasnet import CLASNet, CLASNetOutput
from clasnet.models.co2net import CO2NetOutput, coactivity_loss
from clasnet.models.delu import evidence_loss
from clasnet.models.fcsm import FCSM, contrastive_loss, separation_score, split_features
from clasnet.models.layers import CrossModalAttention
from clasnet.models.registry import build_baseline, build_model

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
@pytest.mark.parametrize("length", [T, 3])  # 3 is fewer than k and r
def test_co2net_and_delu(batch, dataset, k, r, evidence, length):
    rng, labels = batch
    cas = 3 * rng.standard_normal((B, length, C + 1))
    (a_rgb, a_flow), features = rng.random((2, B, length)), rng.random((B, length, 2 * D))
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


@pytest.mark.parametrize("true", [0, 1])
def test_evidence_is_cut_at_both_ends(true):
    alpha = math.exp(10) + 1, math.exp(-10) + 1
    expected = (1 - 2 / sum(alpha)) * math.log(sum(alpha) / alpha[true])
    found = evidence_loss(torch.tensor([[40.0, -40.0]], dtype=torch.float64), torch.eye(2, dtype=torch.float64)[[true]])
    assert found.item() == pytest.approx(expected, rel=1e-9)


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


def test_contrast_of_features_that_are_the_same_is_finite(batch):
    action = np.eye(D)[[0, 0, 1]]
    loss = contrastive_loss(*tensors(action, action[::-1].copy()), alpha=0.25)
    assert loss.item() == pytest.approx(plain.contrast(action, action[::-1], 0.25), rel=1e-6)


@pytest.mark.parametrize(("progress", "ramp"), [(0.1, 0), (0.3, 0.25), (0.9, 1)])
def test_clasnets_own_terms_have_their_weights(batch, progress, ramp):
    rng, labels = batch
    model = CLASNet(
        build_baseline("acrnet", num_classes=C, width=D),
        fcsm={"layers": 1, "heads": 2, "topk": 0.3, "alpha": 0.4, "weight": 0.7, "follow": 3.0},
        brm={"weight": 2.0, "mutual": 0.25},
        sparsity={"weight": 0.05},
        ramp=(0.2, 0.6),
    )
    cas = rng.standard_normal((B, T, C))
    a_rgb, a_flow, separation, head = rng.random((4, B, T))
    a = (a_rgb + a_flow) / 2
    ends = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.standard_normal((2, B, 2 * D))]
    own = ACRNetOutput(*tensors(cas, a, a_rgb, a_flow))
    attention, *rest = tensors(separation, head, *ends)
    output = CLASNetOutput(own.cas, own.attention, own, attention, None, *rest)
    terms = model.losses(output, torch.tensor(labels), progress)

    expected = {
        "sparsity": 0.05 * separation.mean(),
        "contrast": 0.7 * ramp * plain.contrast(*ends, 0.4),
        "follow": 3 * ramp * ((head - a) ** 2).mean(),
        "boundary": 2 * ramp * plain.boundary(separation, a, cas, labels, 0.25),
    }
    baseline = model.baseline.losses(own, torch.tensor(labels), progress)
    assert terms.keys() == expected.keys() | baseline.keys()
    assert {name: terms[name].item() for name in expected} == pytest.approx(expected, rel=1e-6)
    assert sum(terms[name].item() for name in baseline) == pytest.approx(plain.acrnet_loss(cas, a_rgb, a_flow, labels))
    terms["follow"].backward()
    assert own.attention.grad is None  # the head follows, the baseline's attention stays


@pytest.mark.parametrize(("distance", "expected"), [("mse", 0.25), ("l1", 0.5), ("cosine", 1 - 0.5**0.5)])
def test_distances_of_activation_and_attention(distance, expected):
    """Of a video whose activation is 0 and 1 by turns, and whose attention is a half throughout."""
    cas = torch.tensor([[[5.0, 0], [0, 5.0]] * 4])
    loss = boundary_loss(None, torch.full((1, 8), 0.5), cas, torch.tensor([[1.0, 0]]), distance=distance)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_an_activation_without_ups_and_downs_is_0():
    attention = torch.rand(2, 9)
    loss = boundary_loss(None, attention, torch.zeros(2, 9, C), torch.eye(C)[:2])
    assert loss.item() == pytest.approx((attention**2).mean().item())


def test_split_takes_the_top_and_the_bottom():
    z = torch.eye(10)[None]  # snippet t has feature e_t
    selection = torch.tensor([[0.1, 0.9, 0.5, 0.8, 0.2, 0.3, 0.4, 0.7, 0.0, 0.6]])
    action, background = split_features(z, selection, 0.25)  # ceil(2.5) = 3 snippets
    assert action[0].nonzero().ravel().tolist() == [1, 3, 7]
    assert background[0].nonzero().ravel().tolist() == [0, 4, 8]


def test_the_separation_score_is_what_its_description_says(batch):
    rng, _ = batch
    z, action, background = rng.standard_normal((B, T, D)), rng.random((B, D)), rng.standard_normal((B, D))
    action, background = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (action, background))
    score = separation_score(*tensors(z, action, background), 0.3)
    for v in range(B):
        for t in range(T):
            nearer = (z[v, t] @ action[v] - z[v, t] @ background[v]) / np.linalg.norm(z[v, t])
            assert score[v, t].item() == pytest.approx(1 / (1 + np.exp(-nearer / 0.3)), rel=1e-9)


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


# The FCSM -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [2, 1])
@pytest.mark.parametrize("feed", ["none", "gated", "modulated"])
def test_the_fcsm_is_what_its_description_says(feed, streams):
    """Every step in plain terms, with gate and modulation open; closed, as they begin, the baseline reads x itself."""
    torch.manual_seed(0)
    module = FCSM(8, layers=3, heads=2, feed=feed, streams=streams).eval()
    x = torch.rand(2, 30, 8 * streams)
    fed, _, attention = module(x)
    torch.testing.assert_close(fed, x)
    assert (attention - 0.5).abs().max() < 0.2  # the attention starts near 1/2
    assert module.stack.layers[1].weight.shape == (4, 4, 3)  # the bottleneck is half of the width
    assert (module.gate is None) == (feed == "none") and (module.modulation is None) == (feed != "modulated")
    gate, modulation = torch.zeros(8 * streams), 0.0
    if module.gate is not None:
        gate = module.gate.data.normal_()
    if module.modulation is not None:
        modulation = module.modulation.data.fill_(0.4)
    fed, separated, attention = module(x)

    rows = x.transpose(1, 2)
    h = (rows + module.stack(rows)) / 2
    rgb, flow = module.cross_modal(h[:, :8], h[:, -8:])
    expected = (torch.sigmoid(module.attention_rgb(rgb)) + torch.sigmoid(module.attention_flow(flow)))[:, 0] / 2
    torch.testing.assert_close(attention, expected)
    z = torch.cat([rgb, flow], 1) if streams == 2 else (rgb + flow) / 2
    torch.testing.assert_close(separated, z.transpose(1, 2))
    gated = rows + gate[:, None] * z
    torch.testing.assert_close(fed, (gated * (1 + modulation * (2 * expected[:, None] - 1))).transpose(1, 2))


def test_cross_modal_attention_starts_with_numbers_around_zero():
    torch.manual_seed(0)
    module = CrossModalAttention(64, 4)
    for weights, bound in ((module.project_rgb, 8.0), (module.project_flow, 8.0), (module.relation, 4.0)):
        assert -bound <= weights.min() < -0.9 * bound and 0.9 * bound < weights.max() <= bound
    x = torch.rand(2, 64, 5) * 1e-4  # faint features are normalised as well
    norms = module._project(x, module.project_rgb).norm(dim=2)
    torch.testing.assert_close(norms, torch.ones_like(norms))


def test_a_model_remembers_what_it_was_made_of():
    baseline = build_baseline("acrnet", num_classes=3, width=8)
    parts = {"fcsm": {"layers": 2, "heads": 2}, "brm": {"weight": 3.0}, "sparsity": None, "ramp": (0.1, 0.5)}
    model = CLASNet(baseline, **parts)
    assert (model.num_classes, model.width, model.streams) == (3, 8, 2)
    recipe = model.recipe["clasnet"]
    assert recipe["fcsm"]["layers"] == 2 and recipe["fcsm"]["follow"] == 2.5 and recipe["brm"]["weight"] == 3
    assert recipe["sparsity"] is None and recipe["ramp"] == (0.1, 0.5) and set(recipe) == set(parts)
    assert model.recipe["baseline"] == baseline.recipe["baseline"]
    assert build_model(**model.recipe).recipe == model.recipe
    with pytest.raises(InputError, match=r"^fcsm\.layers = 0: must be a whole number from 1"):
        CLASNet(baseline, fcsm={"layers": 0})

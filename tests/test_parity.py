"""Our baselines with the released weights' layout give the released networks' numbers.

Vectors and tolerances: data/README.md.
"""

import json
import zlib

import numpy as np
import pytest
import references as plain
import torch

from clasnet.localization.localize import localize
from clasnet.models.acrnet import cluster_scores
from clasnet.models.base import Output
from clasnet.models.registry import build_baseline
from clasnet.models.released import NAMES, convert_state_dict, load_released

BASELINES = {"co2": "co2net", "delu": "delu", "acr": "acrnet"}
AMPLIFIED = {
    "classifier.4.weight",
    "vAttn.attention.5.weight",
    "fAttn.attention.5.weight",
    *(f"{head}_{m}_encoder.2.weight" for head in ("cas", "aas") for m in ("rgb", "flow")),
}
DELU_TERMS = {  # their names to ours
    "edl_loss": "evidence",
    "uct_guide_loss": "uncertainty_guide",
    "loss_mil_orig": "mil",
    "loss_mil_supp": "mil_suppressed",
    "loss_supp_contrastive": "coactivity",
    "mutual_loss": "mutual",
    "norm_loss": "norm",
    "guide_loss": "guide",
}


def seeded_weights(name, seed, num_classes):
    """The vectors' weights under the released names."""
    with torch.device("meta"):  # shapes alone
        shapes = build_baseline(name, num_classes=num_classes).state_dict()
    weights = {}
    for theirs, ours in NAMES[name]().items():
        shape, rng = shapes[ours].shape, np.random.default_rng([seed, zlib.crc32(theirs.encode())])
        if len(shape) == 1:
            value = rng.standard_normal(shape) * 0.05
        elif theirs.startswith("mca."):
            value = rng.uniform(-1, 1, shape) * np.sqrt(3 / shape[1])
        else:
            value = rng.standard_normal(shape) * np.sqrt(1 / np.prod(shape[1:])) * (10 if theirs in AMPLIFIED else 1)
        weights[theirs] = torch.from_numpy(value.astype(np.float32))
    return weights


def seeded_batch(seed, batch, length, classes):
    x = np.maximum(np.random.default_rng([seed, 7]).standard_normal((batch, length, 2048)) * 0.6, 0)
    rng, labels = np.random.default_rng([seed, 13]), np.zeros((batch, classes), np.float32)
    for i in range(batch):
        labels[i, rng.integers(classes)] = 1
        if i % 3 == 2:
            labels[i, rng.integers(classes)] = 1
    for i in (0, 2, 4):
        labels[i + 1] = np.maximum(labels[i + 1], labels[i])
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(labels)


def network_outputs(name, output):
    """What the vectors hold of a network's output, by their names."""
    if name == "acrnet":
        action, background, mask = cluster_scores(output.cas, output.segment_scores)
        return {
            "act": action,
            "bkg": background,
            "seg": output.segment_scores,
            "mask": mask,
            "aas_rgb": output.attention_rgb,
            "aas_flow": output.attention_flow,
        }
    return {
        "cas": output.cas,
        "attn": output.attention,
        "v_atn": output.attention_rgb,
        "f_atn": output.attention_flow,
        "feat_mean": output.features.mean(-1),
    }


@pytest.mark.parametrize("file", ["co2", "co2_anet", "delu", "delu_anet", "acr", "acr_anet"])
def test_network_loss_and_gradients(published, file):
    name = BASELINES[file.split("_")[0]]
    facts = json.loads((published / f"parity/{file}.json").read_text(encoding="utf-8"))
    expected = np.load(published / f"parity/{file}.npz")
    dataset = "activitynet12" if "anet" in file else "thumos14"
    model = build_baseline(name, num_classes=facts["C"], dataset=dataset, profile="paper").eval()
    released = seeded_weights(name, facts["seed"], facts["C"])
    model.load_state_dict(convert_state_dict(name, released))
    x, labels = seeded_batch(facts["seed"], facts["B"], facts["T"], facts["C"])
    output = model(x)
    terms = model.losses(output, labels, progress=facts.get("step", 0) / facts.get("total_steps", 1))
    loss = sum(terms.values())
    loss.backward()

    for key, got in network_outputs(name, output).items():
        got = got.detach().numpy()[: len(expected[key])].reshape(expected[key].shape)
        np.testing.assert_allclose(got, expected[key], atol=2e-4, rtol=0, err_msg=key)
    assert loss.item() == pytest.approx(facts["loss"], rel=1e-3)
    if name == "delu":
        for key, ours in DELU_TERMS.items():
            assert terms[ours].item() == pytest.approx(facts["loss_terms"][key], rel=1e-3), key
    parameters = dict(model.named_parameters())
    for key, ours in NAMES[name]().items():
        norm = parameters[ours].grad.double().norm()  # a float32 norm of 12 million numbers is off by 1e-3
        assert norm.item() == pytest.approx(facts["grad_norm"][key], rel=1e-3), key


@pytest.mark.parametrize("file", ["co2", "delu"])
def test_localization(published, file):
    vectors = np.load(published / f"parity/loc_{file}.npz")
    model = build_baseline(BASELINES[file], num_classes=20, width=8)
    for i in range(int(vectors["n"])):
        scores = model.scores(Output(*(torch.from_numpy(vectors[f"{i}.{key}"])[None] for key in ("cas", "attn"))))
        arrays = (x[0].numpy() for x in (scores.video, scores.snippet, scores.activity))
        found = localize(*arrays, model.localization)
        got = plain.sorted_rows(np.column_stack([found.segments / 0.64, found.classes, found.scores]), 4)
        np.testing.assert_allclose(got, plain.sorted_rows(vectors[f"{i}.proposals"], 4), atol=1e-5, rtol=0)


def test_a_wrong_checkpoint_lists_what_is_wrong():
    released = seeded_weights("acrnet", 0, 5)
    released["feat_encoder.0.bias"] = torch.zeros(1)  # an unused name is skipped
    assert len(convert_state_dict("acrnet", released)) == len(released) - 1
    released["cas_flow_encoder.2.bias"] = torch.zeros(6)
    released["novel"] = released.pop("mca.atte")
    line = r"unexpected novel; missing mca.atte; cas_flow_encoder.2.bias has shape \(6,\), not \(5,\)"
    with pytest.raises(ValueError, match=line):
        convert_state_dict("acrnet", released)


def test_a_released_checkpoint_has_the_settings_of_its_data_set(tmp_path):
    torch.save(seeded_weights("acrnet", 0, 5), tmp_path / "c.pkl")
    recipe = load_released(tmp_path / "c.pkl", "acrnet", num_classes=5, dataset="activitynet13").recipe["baseline"]
    expected = {"pool": 13, "nms_sigma": 0.8, "dataset": "activitynet13", "profile": "paper", "merge": "released"}
    assert {key: recipe[key] for key in expected} == expected

"""What Table 5 and the table of claims say: sizes, the layers and heads they are of, and the paper's numbers beside."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import ROOT
from made_results import flat, settings

from clasnet.models.registry import build_model
from stages import complexity
from stages.params import FCSM
from stages.tabling.claims import claim_rows


@pytest.fixture(autouse=True)
def in_print(monkeypatch):
    """A stage reads reports/published from the folder in which it runs."""
    monkeypatch.chdir(ROOT)


def test_the_caption_says_which_layers_and_heads_the_models_have():
    params = SimpleNamespace(fcsm=SimpleNamespace(layers=5, heads=8), threads=3)
    assert complexity.describe(params, torch.device("cpu"), disturbed=False) == (
        "Table 5. Cost at the published width (D = 1024, T = 750 snippets, C = 20 classes, FCSM with L = 5, H = 8); "
        "milliseconds measured on CPU, 3 thread(s); no data set is involved."
    )


def test_the_note_says_where_the_parameters_are():
    recipe = {"name": "acrnet", "num_classes": 3, "dataset": "thumos14", "width": 8}
    model = build_model(recipe, {"fcsm": {"layers": 2, "heads": 2, "bottleneck": 4, "feed": "modulated"}})
    stack = (16 * 4 * 3 + 4) + (4 * 16 * 3 + 16)  # weights and biases of the two convolutions
    attention = 2 * (2 * 8 * 4) + 2 * 4 * 4  # projections of both streams and the relation, of two heads
    heads = 2 * ((8 * 4 + 4) + (4 + 1))
    added = stack + attention + heads + 17
    whole = sum(weight.numel() for weight in model.parameters())
    said = complexity.explain(model, "33.24")
    assert said.startswith(
        f"CLASNet adds {added:,}: dilated convolutions {stack:,}, cross-modal attention {attention:,}, "
        f"attention heads {heads:,}, gates 17. The paper prints 33.24 M for ACRNet + CLASNet."
    )
    assert f"one 1 × 1 convolution each, the sum would be {whole - heads + 2 * (8 + 1):,}." in said


def test_the_sizes_that_the_paper_prints():
    assert complexity.printed_sizes() == {("acrnet", "baseline"): "22.33", ("acrnet", "clasnet"): "33.24"}


def test_every_claim_is_beside_what_came_out(results):
    """Sizes by hand: ACRNet has 22,331,434 parameters; of L = 5, H = 8 and w = 512 the FCSM adds 11,933,698."""
    rising = np.arange(7)  # so that 0.5, the fifth t-IoU, is no other
    results.write("co2net", "baseline", [10 + 0 * rising, 12 + 0 * rising])
    results.write("co2net", "clasnet", [10 + rising, 12 + rising / 2])
    results.write("acrnet", "baseline", flat(20, 22))
    results.write("acrnet", "clasnet", flat(20, 21))
    results.write("acrnet", "C", [[50, 51, 52, 53, 54, 0, 0], [52, 53, 54, 55, 56, 0, 0]])
    sizes = {"layers": 5, "heads": 8, "bottleneck": 512, "feed": "none"}
    others = {"dropout": 0.3, "topk": 0.3, "temperature": 0.2, "alpha": 0.25, "weight": 0.5, "follow": 2.5}
    params = settings(twin=False, fcsm=FCSM(**sizes, **others))
    params.study.rows = ["C"]
    with torch.device("meta"):  # sizes need no memory
        rows = claim_rows(params)
    gain, size = "gain at 0.5", "parameters (M)"
    assert [tuple(row.items()) for row in rows] == [
        tuple(zip(("Data", "Method", "What", "Claimed", "Reproduced"), ("THUMOS14", *row), strict=True))
        for row in (
            ("CO2-Net, clasnet", gain, "+1.6", "+3.0"),  # 4 and 2
            ("ACRNet, clasnet", gain, "+2.5", "-0.5"),
            ("ACRNet, C", "AVG 0.1:0.5", "59.0", "53.0 ± 1.4"),
            ("ACRNet, baseline", size, "22.33", "22.33"),
            ("ACRNet, clasnet", size, "33.24", "34.27"),
        )
    ]
    assert claim_rows(settings(twin=True)) == []

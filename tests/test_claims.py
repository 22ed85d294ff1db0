"""What Table 5 and the table of claims say: sizes, the layers and heads they are of, and the paper's numbers beside;
and what cards, trials and features are made of.
"""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import ROOT
from made_results import flat, settings

from clasnet.data.annotations import make_annotations
from clasnet.data.convert import convert
from clasnet.data.datasets import benchmark_of
from clasnet.data.store import open_store, write_store
from clasnet.evaluation.replicates import stratified_bootstrap
from clasnet.models.registry import build_model
from stages import card, complexity, features, trials
from stages.params import FCSM
from stages.tabling.claims import claim_rows
from stages.tabling.write import read_csv

FCSM_OF_TABLE_5 = SimpleNamespace(layers=5, heads=8)


@pytest.fixture(autouse=True)
def in_print(monkeypatch):
    """A stage reads reports/published from the folder in which it runs."""
    monkeypatch.chdir(ROOT)


def test_the_caption_says_which_layers_and_heads_the_models_have():
    params = SimpleNamespace(fcsm=FCSM_OF_TABLE_5, threads=3)
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


def test_table_5_is_measured_by_its_own_settings(tmp_path, monkeypatch):
    """On as many threads as it says, over as many snippets, and quiet from the first measurement to the last."""
    (tmp_path / "reports").mkdir()
    params = SimpleNamespace(threads=3, device="cpu", baselines=["co2net", "acrnet"], fcsm=FCSM_OF_TABLE_5)
    at_work, threads, measured = iter([False, True]), [], []
    model = SimpleNamespace(to=lambda device: str(device))
    for name, instead in (
        ("load_params", lambda: params),
        ("printed_sizes", lambda: {("acrnet", "baseline"): "22.33", ("acrnet", "clasnet"): "33.24"}),
        ("wait_for_others", lambda: None),
        ("others_at_work", lambda: next(at_work)),
        ("published_model", lambda *_: model),
        ("count_parameters", lambda model: 5_000_000),
        ("count_flops", lambda model, snippets: 2e6 * snippets),
        ("milliseconds", lambda devices, snippets: measured.append((devices, snippets)) or [123.4] * 4),
        ("explain", lambda model, printed: f"The paper prints {printed}."),
    ):
        monkeypatch.setattr(complexity, name, instead)
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.chdir(tmp_path)
    complexity.main()
    assert threads == [3] and measured == [(["cpu"] * 4, 750)]
    text = (tmp_path / "reports/tables/complexity/table5.md").read_text(encoding="utf-8")
    assert "WHILE ANOTHER STAGE WAS AT WORK" in text and "The paper prints 33.24." in text
    rows = read_csv(tmp_path / "reports/tables/complexity/table5.csv")
    assert [row["Method"] for row in rows] == ["CO2-Net", "CO2-Net + CLASNet", "ACRNet", "ACRNet + CLASNet"]
    assert {(row["GFLOP"], row["GMAC"], row["ms per video"]) for row in rows} == {("1.50", "0.75", "123")}


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


def test_the_histograms_of_a_card_are_of_videos_and_of_instances(tmp_path):
    """One subset above the other, so that the sum is seen."""
    records = [
        {"id": f"v{n}", "subset": subset, "duration": 12.8, "segments": [(0, 3 + n, "run"), (5, 8, "run")]}
        for n, subset in enumerate(("validation", "validation", "validation", "test"))
    ]
    ones = [(one["id"], np.ones((20, 2))) for one in records]
    write_store(tmp_path / "s", make_annotations(["run"], records), ones)
    figure = card.draw_lengths(open_store(tmp_path / "s"), benchmark_of("thumos14"), "a headline")
    for axis, counts in zip(figure.axes, ((3, 1), (6, 2)), strict=True):
        train, test = ([bar.get_height() for bar in bars] for bars in axis.containers)
        assert (sum(train), sum(test)) == counts
        below = [bar.get_y() for bar in axis.containers[1]]
        assert below == train and max(train) > 1
    plt.close(figure)


def test_an_interval_of_the_study_is_over_ten_thousand_resamples():
    """As the protocol says."""
    seen = []
    stratified_bootstrap(np.ones((2, 3)), lambda values, axis: seen.append(values.shape) or values.mean(axis))
    assert seen == [(10_000, 6)]


TRIAL = {"maps": {}, "correlation": {}, "videos": 3}


def test_a_trial_is_drawn_and_trained_by_the_settings_of_its_cell(tmp_path, monkeypatch):
    """Over the annotations that the profile names, if it names any; with the shares of A of its variant."""
    asked = []
    for name in ("replicate_store", "run_trial"):
        monkeypatch.setattr(trials, name, lambda *given, **how: asked.append((given, how)) or TRIAL)
    variants = {"baseline": {"train": "alone", "betas": [0.0]}, "clasnet": {"train": "both", "betas": [0.0, 0.7]}}
    cell = {"dataset": "thumos14", "twin": {"seed": 0}, "annotations": "a.json", "variants": variants}
    place = SimpleNamespace(_asdict=lambda: {"device": "cpu"})
    trials.trial(("clasnet", 7), place, tmp_path, cell, "ram")
    store, run = asked
    assert store == (("thumos14", {"seed": 0}, 7, "a.json"), {})
    assert run == ((TRIAL, "both", 7, [0.0, 0.7]), {"cache": "ram", "device": "cpu"})


def test_of_features_that_are_there_twice_the_first_are_kept_and_a_card_says_so(tmp_path):
    """Under an id with and without the `v_` that YouTube's need."""
    (tmp_path / "f").mkdir()
    for n, name in enumerate(("a", "v_a")):
        np.save(tmp_path / f"f/{name}.npy", np.full((20, 4), n + 1, np.float32))
    videos = [{"id": "a", "subset": "test", "duration": 12.8, "segments": [(0, 3, "run")]}]
    known = make_annotations(["run"], videos)
    problems = convert(tmp_path / "s", known, tmp_path / "f", columns=4, subsets=("test",))
    assert problems == {"features given twice, the first kept": ["a"]}
    assert (open_store(tmp_path / "s").features == 1).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_features_of_a_twin_have_the_type_that_is_asked_for(dtype, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    twin = {"seed": 0, "width": 4, "groups": 2, "classes": 2, "train_videos": 3, "test_videos": 2, "snippets": [60, 60]}
    settings = {"twin": twin, "annotations": None, "dtype": dtype}
    monkeypatch.setattr(features, "read_settings", lambda *_: settings)
    monkeypatch.setattr(features, "argument", lambda name: "thumos14")
    features.main()
    store = open_store("data/thumos14")
    assert store.features.dtype == dtype and len(store.annotations.segments) > 5
    count = f"300 snippets, {len(store.annotations.segments)} instances, 2 classes, width 4 (synthetic features)"
    assert capsys.readouterr().out == f"data/thumos14: 5 videos, {count}\n"

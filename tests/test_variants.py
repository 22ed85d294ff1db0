"""What each model of the pipeline and of the study is made from: the parameters reach the parts that they name."""

import pytest

from clasnet.models.registry import build_baseline
from stages import check
from stages.params import ROWS, load_params
from stages.tabling.published import published_model
from stages.variants import plugin_settings, train_settings


@pytest.fixture
def params():
    """Those of the repository, with a value of its own for everything that CLASNet reads."""
    found = load_params()
    found.sparsity.weight, found.ramp = 0.111, [0.11, 0.77]
    for name, value in {
        "layers": 3,
        "heads": 2,
        "bottleneck": 5,
        "dropout": 0.11,
        "feed": "gated",
        "topk": 0.22,
    }.items():
        setattr(found.fcsm, name, value)
    for name, value in {"temperature": 0.33, "alpha": 0.44, "weight": 0.55, "follow": 0.66}.items():
        setattr(found.fcsm, name, value)
    found.brm.weight, found.brm.mutual, found.brm.distance = 0.77, 0.88, "l1"
    return found


FCSM = {"layers": 3, "heads": 2, "bottleneck": 5, "dropout": 0.11, "feed": "gated", "topk": 0.22}
FCSM |= {"temperature": 0.33, "alpha": 0.44, "weight": 0.55, "follow": 0.66}
WHOLE = {"sparsity": {"weight": 0.111}, "fcsm": FCSM, "brm": {"weight": 0.77, "mutual": 0.88, "distance": "l1"}}


def test_every_parameter_reaches_the_plug_in(params):
    assert plugin_settings("clasnet", params) == WHOLE | {"ramp": [0.11, 0.77]}
    assert plugin_settings("baseline", params) is None


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ("B", ["sparsity"]),
        ("C", ["fcsm"]),
        ("D", ["brm"]),
        ("E", ["sparsity", "fcsm"]),
        ("F", ["sparsity", "brm"]),
        ("G", ["fcsm", "brm"]),
        ("H", ["sparsity", "fcsm", "brm"]),
    ],
)
def test_a_row_of_table_4_has_its_parts_and_no_other(params, row, parts):
    assert plugin_settings(row, params) == {part: WHOLE[part] for part in parts} | {"ramp": [0.11, 0.77]}
    assert set(ROWS[row]) == set(parts)


@pytest.mark.parametrize(
    ("variant", "like", "change"),
    [
        ("C-plain", "C", {"weight": 0.0}),  # λ2: the network without its contrastive loss
        ("H-plain", "H", {"weight": 0.0}),
        ("layers-7", "H", {"layers": 7}),
        ("heads-4", "H", {"heads": 4}),
    ],
)
def test_a_variant_differs_in_what_its_name_says(params, variant, like, change):
    expected = plugin_settings(like, params)
    assert plugin_settings(variant, params) == expected | {"fcsm": expected["fcsm"] | change}


def test_every_setting_of_a_training_reaches_it(params):
    recipe = params.active_profile.train["delu"]["activitynet13"]
    for name, value in {"steps": 7, "lr": 0.07, "weight_decay": 0.7, "schedule": "constant", "segments": 17}.items():
        setattr(recipe, name, value)
    recipe.batch_size, params.train.precision = 6, "bf16"
    found = train_settings("activitynet13", "delu", "clasnet", [3, 4], params)
    names = ("steps", "lr", "weight_decay", "schedule", "segments", "batch_size", "precision", "seeds", "dataset")
    assert [found[name] for name in names] == [7, 0.07, 0.7, "constant", 17, 6, "bf16", [3, 4], "activitynet13"]
    assert found["model"] == recipe.model and found["clasnet"] == plugin_settings("clasnet", params)
    assert found["benchmark"] == {"train": "training", "like": "activitynet13"} and found["best_on_test"] is False


def test_the_study_is_of_its_profile_and_tries_three_shares(params):
    params.localization.beta = 0.35
    cell = check.trials_units(params)[check.unit_path("trials", "thumos14/co2net")]
    variants = cell["settings"]["variants"]
    assert variants["baseline"]["betas"] == variants["D"]["betas"] == [0.0]
    assert variants["clasnet"]["betas"] == variants["C-plain"]["betas"] == [0.0, 0.35, 1.0]
    assert variants["C-plain"]["train"]["clasnet"]["fcsm"] == FCSM | {"weight": 0.0}
    assert variants["baseline"]["train"]["clasnet"] is None and variants["baseline"]["train"]["steps"] == 1000
    first, count = cell["settings"]["replicates"][0], len(cell["settings"]["replicates"])
    assert cell["settings"]["replicates"] == list(range(first, first + count)) and cell["settings"]["twin"]["seed"] == 0
    judged = check.trials_units(params)[check.unit_path("verdict")]["settings"]
    assert judged["beta"] == 0.35 and judged["dataset"] == "thumos14" and len(judged["cells"]) == 9


def test_table_5_is_of_the_fcsm_of_params(params):
    params.fcsm.bottleneck, params.fcsm.heads = 8, 4
    model = published_model("acrnet", "clasnet", params)
    assert len(model.fcsm.stack.layers) == 3 and model.fcsm.stack.layers[0].out_channels == 8
    assert model.fcsm.gate is not None and model.width == 1024 and model.num_classes == 20
    assert getattr(published_model("acrnet", "baseline", params), "fcsm", None) is None


# Published settings: on THUMOS14, and what differs on ActivityNet.
PUBLISHED = {
    "co2net": ({"k": 7, "alpha1": 0.8, "alpha2": 0.8, "alpha3": 1.0, "alpha4": 1.0}, {"k": 5, "pool": 13}),
    "delu": (
        {"k": 7, "r": 9, "alpha1": 0.8, "alpha2": 0.4, "alpha_edl": 1.3, "alpha_guide": 0.4, "amplitude": 0.7},
        {"k": 5, "r": 5, "pool": 13, "alpha2": 0.8, "alpha_edl": 1.2, "alpha_guide": 0.2, "amplitude": 0.2},
    ),
    "acrnet": ({"nms_sigma": 0.5}, {"pool": 13, "nms_sigma": 0.8}),
}
EVIDENCE = {"thumos14": "exp", "activitynet12": "relu", "activitynet13": "relu"}


@pytest.mark.parametrize("dataset", EVIDENCE)
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_baseline_has_the_published_settings_of_its_data_set(name, dataset):
    thumos14, activitynet = PUBLISHED[name]
    expected = {"width": 1024} | thumos14 | (activitynet if dataset != "thumos14" else {})
    expected |= {"evidence": EVIDENCE[dataset]} if name == "delu" else {}
    found = build_baseline(name, num_classes=3, dataset=dataset).recipe["baseline"]
    assert {key: found[key] for key in expected} == expected

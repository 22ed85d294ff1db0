"""The models of the pipeline: which there are, and what each is made from."""

from clasnet.data.datasets import benchmark_of
from clasnet.models.registry import BASELINES, CLASNET, module_of
from stages.params import PARTS, ROWS

PLUGIN = module_of(CLASNET)


def variant_parts(variant):
    """The parts of CLASNet that ``variant`` has, and its changes to the FCSM's settings."""
    if variant == "baseline":
        return (), {}
    row, _, plain = variant.partition("-")
    if row in ROWS:  # C-plain: the FCSM's network without its contrastive loss
        return ROWS[row], {"weight": 0.0} if plain else {}
    name, _, value = variant.partition("-")  # layers-3, heads-4, or clasnet
    return PARTS, {name: int(value)} if value else {}


def plugin_settings(variant, params):
    """The arguments of CLASNet for ``variant``, but for β, which no training depends on; None for the bare baseline."""
    parts, changes = variant_parts(variant)
    if not parts:
        return None
    blocks = {part: getattr(params, part).model_dump() for part in PARTS if part in parts}
    if "fcsm" in blocks:
        blocks["fcsm"] |= changes
    return blocks | {"ramp": params.ramp}


def model_modules(baseline, variant):
    """The modules of a network, which is imported by name."""
    return [module_of(BASELINES[baseline]), *([PLUGIN] if variant_parts(variant)[0] else [])]


def same_as(variant, params):
    """The variant whose settings ``variant`` repeats, as `layers-5` does those of `clasnet` with fcsm.layers = 5; or
    None.
    """
    sweep = variant.startswith(("layers-", "heads-", "H"))
    return "clasnet" if sweep and plugin_settings(variant, params) == plugin_settings("clasnet", params) else None


def mixes(variant):
    """Does β move the attention of ``variant``? It does where there is an FCSM."""
    return "fcsm" in variant_parts(variant)[0]


def models(params):
    """Key to (data set, baseline, variant) of every model of the pipeline; the key is also the path of its files."""
    study = params.study
    cells = {
        f"{d}/{b}/{v}": (d, b, v) for d in params.datasets for b in params.baselines for v in ("baseline", "clasnet")
    }
    return cells | {f"study/{variant}": (study.dataset, study.baseline, variant) for variant in study.variants}


def train_settings(dataset, baseline, variant, seeds, params):
    """What a training of one group of ``seeds`` reads."""
    best, benchmark = params.evaluate.checkpoint == "best_on_test", benchmark_of(dataset)
    return {
        "dataset": dataset,
        "benchmark": {"train": benchmark.train, "like": benchmark.like},
        "baseline": baseline,
        "module": module_of(BASELINES[baseline]),
        "seeds": seeds,
        **params.recipe(baseline, dataset).model_dump(),
        "clasnet": plugin_settings(variant, params),
        **params.train.model_dump(),
        "best_on_test": best and params.active_profile.evaluate.model_dump(),
    }

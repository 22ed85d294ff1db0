"""What the networks would refuse, asked of themselves before any work: their settings in a profile, and the device."""

from clasnet.errors import InputError
from clasnet.models.registry import BASELINES, CLASNET, TITLES, build_baseline, import_extensions, load_class
from clasnet.models.settings import ranges
from clasnet.reading import check_settings


def network_misfits(params, path):
    """Lines on what no network of ``params`` takes, one at a time; ``path`` is that of params.yaml."""
    import torch

    if params.device == "cuda" and not torch.cuda.is_available():
        yield f"{path}: device = 'cuda': PyTorch sees no CUDA device here; use auto or cpu"
    train, profile = params.active_profile.train, path.parent / f"profiles/{params.profile}.yaml"
    if not set(train) <= set(BASELINES):
        import_extensions(params.extensions)
    for baseline, recipes in train.items():
        if baseline not in BASELINES:
            yield f"{profile}: train.{baseline}: no such baseline; there are {', '.join(TITLES)}"
        for dataset, recipe in recipes.items():
            place, data = f"train.{baseline}.{dataset}.model", params.active_profile.data.get(dataset)
            width = recipe.model["width"]
            if data and data.twin and data.twin.width != width:
                yield f"{profile}: {place}.width = {width!r}: must be the twin's width {data.twin.width}"
            network = load_class(BASELINES[baseline])
            asked = data and baseline in params.baselines and dataset in params.datasets
            recipe = params.recipe(baseline, dataset) if asked else recipe
            if "streams" in recipe.model and "streams" not in ranges(network):
                able = [name for name in train if "streams" in ranges(load_class(BASELINES[name]))]
                key = f"data.{dataset}.origin.streams = {recipe.model['streams']}"
                yield f"{profile}: {key}: {TITLES[baseline]} needs RGB and flow; {able_ones(able)}"
            if recipe.batch_size < 2 * network.sampling.pairs:
                here = f"train.{baseline}.{dataset}.batch_size = {recipe.batch_size}"
                yield f"{profile}: {here}: must have room for {network.sampling.pairs} pairs of videos"
            try:
                check_settings(recipe.model, ranges(network), f"{place}.")
                with torch.device("meta"):  # takes no memory
                    model = build_baseline(baseline, num_classes=2, dataset=dataset, **recipe.model)
            except InputError as error:
                yield f"{profile}: {error if place in str(error) else f'{place}: {error}'}"
            except Exception as error:  # whatever a constructor from outside raises
                yield f"{profile}: {place} = {recipe.model}: {type(error).__name__}: {' '.join(str(error).split())}"
            else:
                yield from plugin_misfits(model, params, path) if asked else ()


def plugin_misfits(model, params, path):
    """A line on what CLASNet does not take around ``model``, if anything."""
    import torch

    fcsm = params.fcsm.model_dump() | {"beta": params.localization.beta}
    parts = {"fcsm": fcsm, "brm": params.brm.model_dump(), "sparsity": params.sparsity.model_dump()}
    try:
        with torch.device("meta"):
            load_class(CLASNET)(model, **parts, ramp=params.ramp)
    except InputError as error:
        yield f"{path}: {error}"


def able_ones(names):
    """What is said of the networks ``names``, which can read a single stream."""
    return f"set baselines to {', '.join(names)}" if names else "take a network of one stream (examples/README.md)"

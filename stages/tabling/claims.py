"""The claims of the CLASNet paper beside what came out here."""

import numpy as np

from clasnet.data.datasets import benchmark_of
from clasnet.evaluation.protocol import average
from clasnet.models.registry import TITLES
from stages.results import read_maps
from stages.tabling.cells import mean_cell, number
from stages.tabling.published import published_model, read_claims


def claim_rows(params):
    """The paper's claims, and what came out, for the real data that was run."""
    return [
        {
            "Data": benchmark_of(claim["dataset"]).title,
            "Method": f"{TITLES[claim['baseline']]}, {claim['variant']}",
            "What": claim["what"],
            "Claimed": claim["claimed"],
            "Reproduced": reproduced(claim, params),
        }
        for claim in read_claims()
        if was_run(claim, params)
    ]


def was_run(claim, params):
    """Is there a result on real data to set beside ``claim``? The averages are claimed for rows of Table 4."""
    dataset, baseline, study = claim["dataset"], claim["baseline"], params.study
    if dataset not in params.datasets or baseline not in params.baselines:
        return False
    if params.active_profile.data[dataset].twin:
        return False
    in_study = (dataset, baseline) == (study.dataset, study.baseline) and claim["variant"] in study.rows
    return in_study or not claim["what"].startswith("AVG")


def reproduced(claim, params):
    """What came out here where the paper claims ``claim``, as its table prints it."""
    dataset, baseline, variant, what = (claim[key] for key in ("dataset", "baseline", "variant", "what"))
    if what == "parameters (M)":
        return f"{model_size(baseline, variant, params) / 1e6:.2f}"
    maps = read_maps(dataset, baseline, variant)
    if what == "gain at 0.5":
        at = benchmark_of(dataset).tious.index(0.5)
        return number(np.mean(maps[:, at] - read_maps(dataset, baseline, "baseline")[:, at]), "+")
    return mean_cell(average(maps, dataset, what.removeprefix("AVG ")))


def model_size(baseline, variant, params):
    """Parameters of the model of Table 5; the one number here that needs PyTorch."""
    from clasnet.models.complexity import count_parameters

    return count_parameters(published_model(baseline, variant, params))

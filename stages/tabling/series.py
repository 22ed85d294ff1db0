"""The numbers behind `dvc metrics` and `dvc plots`."""

import numpy as np

from clasnet.data.datasets import benchmark_of
from clasnet.models.registry import TITLES
from stages.results import VARIANTS, averages, read_maps

SHORT = {"activitynet12": "anet12", "activitynet13": "anet13"}  # names of columns in `dvc exp show`


def metrics(means):
    """Content of metrics.json from the ``means`` of :func:`stages.compare.mean_averages`, with a column a number.

    ``gain`` is the mean over all data sets and baselines; each data set has the means over its baselines, of the
    headline average with CLASNet (``avg``) and of the gain.
    """
    content = {"gain": mean_gain([cell for models in means.values() for cell in models.values()])}
    for dataset, models in means.items():
        cells = list(models.values())
        content[SHORT.get(dataset, dataset)] = {
            "avg": round(float(np.mean([after for _, after in cells])), 3),
            "gain": mean_gain(cells),
        }
    return content


def mean_gain(cells):
    """Mean gain of ``cells``, pairs (without, with), in points."""
    return round(float(np.mean([after - before for before, after in cells])), 3)


def plot_series(params, means):
    """The series of `dvc plots`, means over seeds: name to rows, one a point."""
    return {
        "map_by_tiou": curve_rows(params.study),
        "gains": gain_rows(means),
        "layers": sweep_rows("layers", params.study),
        "heads": sweep_rows("heads", params.study),
    }


def curve_rows(study):
    """mAP of the study by t-IoU, without and with CLASNet."""
    curves = [read_maps(study.dataset, study.baseline, variant).mean(0).round(4) for variant in VARIANTS]
    points = zip(benchmark_of(study.dataset).tious, *curves, strict=True)
    return [{"tiou": tiou, **dict(zip(VARIANTS, values, strict=True))} for tiou, *values in points]


def gain_rows(means):
    """The gain in every data set and baseline."""
    return [
        {"model": f"{benchmark_of(dataset).title}, {TITLES[baseline]}", "gain": np.round(after - before, 4)}
        for dataset, models in means.items()
        for baseline, (before, after) in models.items()
    ]


def sweep_rows(what, study):
    """Headline average of the study by its number of ``what``, "layers" or "heads"."""
    means = {n: averages(study.dataset, study.baseline, f"{what}-{n}").mean() for n in getattr(study, what)}
    return [{what: n, "mAP": mean.round(4)} for n, mean in means.items()]

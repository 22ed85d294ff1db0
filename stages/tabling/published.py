"""What is in print (reports/published): results of others, the claims of the CLASNet paper, its models in full size."""

from clasnet.data.datasets import benchmark_of
from clasnet.models.registry import build_model
from stages.tabling.write import read_csv

CLASSES = 20  # of the models in Table 5


def published_rows(dataset):
    """Results in print, by supervision, with their citation keys; cells that the source does not print stay empty."""
    results = [line for line in read_csv("reports/published/published.csv") if line["dataset"] == dataset]
    kinds = list(dict.fromkeys(line["supervision"] for line in results))
    return [published_row(line, dataset) for line in sorted(results, key=lambda line: kinds.index(line["supervision"]))]


def published_row(line, dataset):
    """One result in print in the columns of the tables of ``dataset``."""
    benchmark = benchmark_of(dataset)
    cells = {f"{tiou:g}": line.get(f"iou_{tiou:g}", "") for tiou in benchmark.columns}
    averages = {f"AVG {key}": line[f"avg_{key}"] for key in benchmark.averages}
    return {"Method": f"{line['method']} [{line['key']}]", "Supervision": line["supervision"], **cells, **averages}


def read_claims():
    """The paper's claims in numbers: rows with ``dataset``, ``baseline``, ``variant``, ``what`` and ``claimed``."""
    return read_csv("reports/published/claims.csv")


def published_model(baseline, variant, params):
    """The model of Table 5: at the published width, for 20 classes."""
    recipe = {"name": baseline, "num_classes": CLASSES, "dataset": "thumos14", "profile": "paper"}
    plugin = {"fcsm": params.fcsm.model_dump()}
    return build_model(recipe, plugin if variant == "clasnet" else None)

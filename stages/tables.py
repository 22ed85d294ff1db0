"""Stage `tables`: Tables 1 to 4 as CSV, Markdown and LaTeX; the numbers behind `dvc metrics` and `dvc plots`."""

import json

import numpy as np

from clasnet.data.datasets import benchmark_of
from clasnet.evaluation.protocol import average
from clasnet.files import replacing, write_json
from clasnet.models.registry import TITLES
from stages.errors import stage_errors
from stages.params import read_params
from stages.results import (
    SYNTHETIC,
    VARIANTS,
    mean_averages,
    model_title,
    read_classification,
    read_controls,
    read_evaluation,
    read_maps,
    test_videos,
    title,
)
from stages.tabling.cells import gain_cells, map_cells, mean_cell, model_cells, number, part_marks
from stages.tabling.claims import claim_rows
from stages.tabling.published import published_rows
from stages.tabling.series import metrics, plot_series
from stages.tabling.write import write_csv, write_table

NUMBERED = {"thumos14": "table1", "activitynet12": "table2", "activitynet13": "table3"}  # in the paper
CHECKPOINTS = {
    "last": "last checkpoint",
    "best_on_test": "CHECKPOINT THAT SCORES BEST ON THE TEST SET (the released protocol, optimistic)",
}
COLUMNS = {"without": "baseline", "with CLASNet": "clasnet"}
UNIT_NAMES = {"seconds": "seconds", "snippets": "whole snippets"}
UNITS = {
    "seconds": "",
    "snippets": "; ground truth rounded to whole snippets",
    "released": "; ground truth of THUMOS14 rounded to whole snippets where the baseline's authors do so "
    "(CO2-Net, DELU), as the column says",
}


# Rows -----------------------------------------------------------------------------------------------------------------


def comparison_rows(dataset, params):
    """Tables 1 to 3; for real data, with results in print above."""
    rows = control_rows(dataset), model_rows(dataset, params)
    units = {row["Units"] for part in rows for row in part}
    controls, models = ([row if len(units) > 1 else without(row, "Units") for row in part] for part in rows)
    if params.active_profile.data[dataset].twin:
        return controls + models
    return [
        *published_rows(dataset),
        *(row | {"Supervision": "none (control)"} for row in controls),
        *(row | {"Supervision": "weak, this repository"} for row in models),
    ]


def without(row, column):
    """The ``row`` of a table that has no such ``column``."""
    return {name: cell for name, cell in row.items() if name != column}


def control_rows(dataset):
    """What no model made: random scores, and equal pieces of every video, which know its classes."""
    return [
        {"Method": name, "Units": "seconds", **map_cells(maps, dataset)}
        for name, maps in read_controls(dataset).items()
    ]


def model_rows(dataset, params):
    """Each baseline: the authors' checkpoint if there is one, without and with CLASNet. Units are those in which it is
    compared with the truth.
    """
    rows = []
    released = [entry.baseline for entry in params.released.values() if entry.dataset == dataset]
    for baseline in params.baselines:
        if baseline in released:
            rows.append(model_row(f"{TITLES[baseline]} (authors' checkpoint)", dataset, baseline, "released"))
        rows += [model_row(model_title(baseline, variant), dataset, baseline, variant) for variant in VARIANTS]
        rows[-1] |= gain_cells(dataset, baseline, "clasnet")
    return rows


def model_row(method, dataset, baseline, variant):
    """The row of one model."""
    units = UNIT_NAMES[read_evaluation(dataset, baseline, variant)["units"]]
    return {"Method": method, "Units": units, **model_cells(dataset, baseline, variant)}


def ablation_rows(study):
    """Table 4: every combination of sparsity, FCSM and BRM. Row A is the bare baseline, H the whole CLASNet."""
    variants = {"A": "baseline", **{row: row for row in study.rows}, "H": "clasnet"}
    rows = []
    for row, variant in variants.items():
        cells = model_cells(study.dataset, study.baseline, variant)
        gain = gain_cells(study.dataset, study.baseline, variant) if row != "A" else {}
        rows.append({**part_marks(row), **cells, **gain})
    return rows


def protocol_rows(params):
    """What the choice of the checkpoint, and of rounding THUMOS14's ground truth to whole snippets, adds by itself."""
    return [
        {
            "Data": benchmark_of(dataset).title,
            "Method": model_title(baseline, variant),
            **protocol_cells(dataset, baseline, variant),
        }
        for dataset in params.datasets
        for baseline in params.baselines
        for variant in VARIANTS
    ]


def protocol_cells(dataset, baseline, variant):
    """One model by the protocols that it was evaluated by."""
    whole = benchmark_of(dataset).like == "thumos14"
    rounded = protocol_adds(dataset, baseline, variant, "last/snippets") if whole else ""
    return {
        "last checkpoint, seconds": mean_cell(protocol_averages(dataset, baseline, variant, "last/seconds")),
        "best on test adds": protocol_adds(dataset, baseline, variant, "best_on_test/seconds"),
        "whole snippets add": rounded,
    }


def protocol_averages(dataset, baseline, variant, protocol):
    """Headline average of every seed in percent by ``protocol``, [S]; None if that was not evaluated."""
    maps = read_maps(dataset, baseline, variant, protocol)
    return None if maps is None else average(maps, dataset)


def protocol_adds(dataset, baseline, variant, protocol):
    """What ``protocol`` adds to the headline average of the last checkpoint in seconds, as the table prints it."""
    other = protocol_averages(dataset, baseline, variant, protocol)
    if other is None:
        return "not run"
    return number(np.mean(other - protocol_averages(dataset, baseline, variant, "last/seconds")), "+")


def classification_rows(params):
    """How well each model tells which classes a video holds, without and with CLASNet."""
    return [
        {
            "Data": benchmark_of(dataset).title,
            "Method": TITLES[baseline],
            **{name: mean_cell(read_classification(dataset, baseline, variant)) for name, variant in COLUMNS.items()},
        }
        for dataset in params.datasets
        for baseline in params.baselines
    ]


def summary_rows(means):
    """Headline averages of every data set and baseline, without and with CLASNet, and the gain."""
    return [
        {
            "Data": benchmark_of(dataset).title,
            "Method": TITLES[baseline],
            "without": f"{before:.3f}",
            "with CLASNet": f"{after:.3f}",
            "gain": f"{round(after - before, 3) + 0.0:+.3f}",
        }
        for dataset, models in means.items()
        for baseline, (before, after) in models.items()
    ]


# Tables ---------------------------------------------------------------------------------------------------------------


def describe_protocol(params):
    """How the numbers of Tables 1 to 4 were measured, for their captions."""
    checkpoint = CHECKPOINTS[params.evaluate.checkpoint]
    seeds, over, test = "mean ± standard deviation over ", "seeds and ", "; p: paired t-test over seeds"
    if len(params.all_seeds) == 1:
        seeds, over, test = "", "", ""
    return (
        f"mAP in %, {seeds}{count_seeds(params)}, {checkpoint}; "
        f"interval: of the gain, over {over}test videos (paired bootstrap){test}"
        f"{UNITS[params.active_profile.evaluate.units]}"
    )


def count_seeds(params):
    """How many seeds there are, in words."""
    return "1 seed" if len(params.all_seeds) == 1 else f"{len(params.all_seeds)} seeds"


def all_tables(params, means):
    """Yields name, rows and caption of every table."""
    seeds, protocol, study = count_seeds(params), describe_protocol(params), params.study
    mark = f"{SYNTHETIC}. " if params.synthetic else ""
    for dataset in params.datasets:
        name = NUMBERED.get(dataset, f"table-{dataset}")
        number = f"Table {name[-1]}. " if dataset in NUMBERED else ""
        videos = test_videos(dataset, params.baselines)
        caption = f"{number}{title(dataset, params)}: baselines without and with CLASNet. {protocol}; {videos}."
        yield name, comparison_rows(dataset, params), caption
    caption = f"Table 4. Ablation of CLASNet on {TITLES[study.baseline]}, {title(study.dataset, params)}. {protocol}"
    yield "table4", ablation_rows(study), f"{caption}, against row A."
    what = "What two choices of the released codes add to the headline average by themselves"
    yield "protocols", protocol_rows(params), f"Protocols. {mark}{what}; mean over {seeds}."
    what = "Video classification mAP in % of each baseline without and with CLASNet, by the scores of localisation"
    yield "classification", classification_rows(params), f"Classification. {mark}{what}; mean ± spread over {seeds}."
    what = "Headline average of each baseline without and with CLASNet, mAP in %"
    yield "summary", summary_rows(means), f"Summary. {mark}{what}; mean over {seeds}."
    claims = claim_rows(params)
    if claims:
        yield "claims", claims, "Claimed by the CLASNet paper, and reproduced here."


def main():
    params = read_params()
    means = mean_averages(params)
    with replacing("reports/tables/comparison") as folder:
        folder.mkdir()
        for name, rows, caption in all_tables(params, means):
            write_table(folder, name, rows, caption)
    with replacing("reports/plots") as folder:
        folder.mkdir()
        for name, rows in plot_series(params, means).items():
            write_csv(folder / f"{name}.csv", rows)
    write_json("reports/metrics.json", metrics(means))
    gains = {d: {b: round(after - before, 3) for b, (before, after) in models.items()} for d, models in means.items()}
    print("reports/tables/comparison: " + json.dumps(gains))


if __name__ == "__main__":
    stage_errors(main)

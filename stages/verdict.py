"""Stage `verdict` of study/dvc.yaml: what the trials of all cells say, by docs/protocol.md.

Writes reports/study/: `gains`, `overall`, Tables 1 to 4 and `attention` as CSV, Markdown and LaTeX; Figure 3, and the
replicates behind it as `replicates.csv`.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from clasnet.data.datasets import benchmark_of
from clasnet.errors import InputError
from clasnet.evaluation.protocol import average
from clasnet.evaluation.replicates import (
    holm,
    interquartile_mean,
    mean_interval,
    probability_of_improvement,
    smallest_visible_gain,
    stratified_bootstrap,
)
from clasnet.evaluation.statistics import paired_p
from clasnet.files import replacing
from clasnet.models.registry import TITLES
from clasnet.reading import read_json
from stages.drawing.gains import forest
from stages.drawing.style import STYLE, save
from stages.errors import stage_errors
from stages.results import SYNTHETIC, model_title
from stages.tabling.cells import map_cells, mean_cell, number, p_cell, part_marks
from stages.tabling.write import write_csv, write_table
from stages.trial_files import Trials
from stages.units import read_settings
from stages.variants import mixes

FOLDER = Path("reports/study")
LEVEL = 0.05 / 3  # of what counts as a gain: the question is put for the third time (docs/protocol.md)


REMEDY = "`git checkout` it, or remove it and run `make study`"


def misfit(trial, variant, dataset, beta):
    """What the verdict lacks in a ``trial`` of ``variant``, in words; empty if nothing."""
    mixed, thresholds, known = mixes(variant), len(benchmark_of(dataset).tious), trial.correlation.keys()
    if trial.maps.keys() != ({"0", beta, "1"} if mixed else {"0"}):
        return f"its shares of A are {', '.join(trial.maps)}"
    if {len(maps) for maps in trial.maps.values()} != {thresholds}:
        return f"not one mAP for each of {thresholds} t-IoUs"
    return "" if known >= ({"a", "q", "A"} if mixed else {"a", "q"}) else f"correlations of {', '.join(known)} alone"


class Cell:
    """The trials of one data set and baseline, of the ``settings`` whose digest that is; ``beta`` is the share of A
    that counts.
    """

    def __init__(self, dataset, baseline, settings, beta):
        self.dataset, self.baseline, self.beta = dataset, baseline, f"{beta:g}"
        path = FOLDER / "trials" / f"{dataset}-{baseline}.json"
        file = read_json(path, Trials)
        if file.cell != f"{dataset}/{baseline}":
            raise InputError(f"{path}: its trials are of {file.cell}; {REMEDY}")
        if file.settings != settings:
            raise InputError(f"{path}: its trials are of other settings than those of now; {REMEDY}")
        found = file.trials
        replicates = found.get("baseline", {}).keys()
        for variant in ["clasnet", *found]:
            if not replicates or found.get(variant, {}).keys() != replicates:
                raise InputError(f"{path}: its replicates of {variant} are not those of the baseline; {REMEDY}")
        self.trials = {name: {n: each[n] for n in replicates} for name, each in found.items()}
        for variant, each in self.trials.items():
            for n, trial in each.items():
                if problem := misfit(trial, variant, dataset, self.beta):
                    raise InputError(f"{path}: {variant} {n}: {problem}; {REMEDY}")

    def maps(self, variant, beta=None):
        """mAP (%) of every replicate by t-IoU, [R, Θ], with the share ``beta`` of A where the attention is a mix."""
        maps = [each.maps for each in self.trials[variant].values()]
        share = (beta or self.beta) if len(maps[0]) > 1 else "0"
        return np.array([each[share] for each in maps])

    def averages(self, variant, beta=None):
        """Headline average (%) of every replicate, [R]."""
        return average(self.maps(variant, beta), self.dataset)

    def gains(self, variant="clasnet", beta=None):
        """What ``variant`` adds to the baseline, in points, paired by replicate, [R]."""
        return self.averages(variant, beta) - self.averages("baseline")

    def correlation(self, variant, name):
        """Mean correlation of an attention with the true snippets."""
        return float(np.mean([each.correlation[name] for each in self.trials[variant].values()]))

    @property
    def names(self):
        """The first cells of its rows."""
        return {"Data": benchmark_of(self.dataset).title, "Method": TITLES[self.baseline]}


def check_cells(cells):
    """Raise ``InputError`` unless all ``cells`` are of the same replicates, two at least."""
    first = list(cells[0].trials["baseline"])
    for cell in cells:
        own = list(cell.trials["baseline"])
        if own != first or len(own) < 2:
            line = f"replicates {', '.join(own)}, those of {cells[0].dataset}/{cells[0].baseline} {', '.join(first)}"
            raise InputError(f"{cell.dataset}/{cell.baseline}: {line}: must be the same, two at least; {REMEDY}")


def gain_cell(values):
    """Mean gain and its interval, as a table prints them."""
    low, high = mean_interval(values)
    return f"{number(np.mean(values), '+')} ({number(low, '+')} to {number(high, '+')})"


def corrected_p(cells):
    """Holm's corrected p of every cell's gain, [K]."""
    return holm([paired_p(cell.averages("baseline"), cell.averages("clasnet")) for cell in cells])


def gain_rows(cells):
    """The verdict on every cell."""
    corrected = corrected_p(cells)
    return [
        {
            **cell.names,
            "without": mean_cell(cell.averages("baseline")),
            "with CLASNet": mean_cell(cell.averages("clasnet")),
            "gain (95 % interval)": gain_cell(cell.gains()),
            "p (Holm)": p_cell(p, 3),
            "better in": f"{(cell.gains() > 0).sum()} of {len(cell.gains())}",
            "smallest visible": f"{smallest_visible_gain(cell.gains().std(ddof=1), len(cell.gains()), LEVEL):.1f}",
        }
        for cell, p in zip(cells, corrected, strict=True)
    ]


def overall_rows(cells):
    """The verdict on all cells."""
    gains = np.array([cell.gains() for cell in cells])
    corrected = corrected_p(cells)
    before, after = (np.array([cell.averages(v) for cell in cells]) for v in ("baseline", "clasnet"))
    means = gains.mean(1)
    rows = {
        "mean gain (95 % interval)": interval_cell(gains, np.mean),
        f"mean gain ({100 * (1 - LEVEL):.1f} % interval)": interval_cell(gains, np.mean, 1 - LEVEL),
        "interquartile mean of the gains (95 % interval)": interval_cell(gains, interquartile_mean),
        "probability of improvement": f"{probability_of_improvement(before, after):.2f}",
        "cells with a positive mean": f"{(means > 0).sum()} of {len(cells)}",
        f"cells that gain (p < {LEVEL:.3f}, Holm)": f"{((means > 0) & (corrected < LEVEL)).sum()} of {len(cells)}",
        "cells that lose (p < 0.05, Holm)": f"{((means < 0) & (corrected < 0.05)).sum()} of {len(cells)}",
    }
    return [{"What": what, "All cells": value} for what, value in rows.items()]


def interval_cell(gains, statistic, coverage=0.95):
    """A statistic of all ``gains`` [K, R] with its bootstrap interval, as a table prints them."""
    low, high = stratified_bootstrap(gains, statistic, coverage=coverage)
    return f"{number(statistic(gains), '+')} ({number(low, '+')} to {number(high, '+')})"


def replicate_rows(cells):
    """The headline average of every replicate, the numbers behind the forest plot."""
    return [
        {
            **cell.names,
            "replicate": replicate,
            "without": f"{before:.3f}",
            "with CLASNet": f"{after:.3f}",
            "gain": f"{after - before:+.3f}",
        }
        for cell in cells
        for replicate, before, after in zip(
            cell.trials["baseline"], cell.averages("baseline"), cell.averages("clasnet"), strict=True
        )
    ]


def comparison_rows(cells):
    """One of Tables 1 to 3: the ``cells`` of one data set."""
    return [
        {"Method": model_title(cell.baseline, variant), **map_cells(cell.maps(variant), cell.dataset)}
        for cell in cells
        for variant in ("baseline", "clasnet")
    ]


def ablation_rows(cells):
    """Table 4: the gain of every row over A, for each baseline of its data set."""
    variants = ["A", *(v for v in cells[0].trials if v not in ("baseline", "clasnet")), "H"]
    order = sorted(variants, key=lambda v: v.replace("-plain", "~"))
    return [ablation_row(row, cells) for row in order]


def ablation_row(row, cells):
    """One row of Table 4."""
    variant = {"A": "baseline", "H": "clasnet"}.get(row, row)
    own = {
        TITLES[cell.baseline]: mean_cell(cell.averages("baseline")) if row == "A" else gain_cell(cell.gains(variant))
        for cell in cells
    }
    return {**part_marks(row), **own}


def attention_rows(cells):
    """How good the attentions are, and what localising with each gives."""
    return [
        {
            **cell.names,
            "r, a alone": f"{cell.correlation('baseline', 'a'):.2f}",
            "r, a": f"{cell.correlation('clasnet', 'a'):.2f}",
            "r, q": f"{cell.correlation('clasnet', 'q'):.2f}",
            "r, A": f"{cell.correlation('clasnet', 'A'):.2f}",
            "β = 0": gain_cell(cell.gains(beta="0")),
            "β": cell.beta,
            "with β": gain_cell(cell.gains()),
            "β = 1": gain_cell(cell.gains(beta="1")),
        }
        for cell in cells
    ]


def tables(cells, study_dataset):
    """Yields name, rows, caption and note of every table."""
    replicates = len(cells[0].gains())
    how = f"{SYNTHETIC}; {replicates} replicates, each a new draw of the data and a new seed; last checkpoint"
    average_of = "headline average mAP in %, mean ± standard deviation; gains in points, paired"
    note = f"smallest visible: the gain that a paired t-test at p < {LEVEL:.3f} would see four times in five."
    yield "gains", gain_rows(cells), f"What CLASNet adds. {how}; {average_of}.", note
    yield "overall", overall_rows(cells), f"What CLASNet adds to all cells. {how}.", None
    for n, dataset in enumerate(dict.fromkeys(cell.dataset for cell in cells), 1):
        own = [cell for cell in cells if cell.dataset == dataset]
        title = f"Table {n}. {benchmark_of(dataset).title}: baselines without and with CLASNet"
        yield f"table{n}", comparison_rows(own), f"{title}. {how}; mAP in %, mean ± standard deviation.", None
    if own := [cell for cell in cells if cell.dataset == study_dataset and len(cell.trials) > 2]:
        title = f"Table 4. Ablation on {benchmark_of(study_dataset).title}: gain over A, 95 % interval"
        note = (
            "C′ and H′: the FCSM without its contrastive loss; its head follows the baseline's attention there, too, "
            "and A holds the score of features that nothing drives apart."
        )
        yield "table4", ablation_rows(own), f"{title}. {how}.", note
    note = (
        "r: correlation with the true snippets of the baseline's attention a, of the class activation q and of the "
        "FCSM's attention A; β: the share of A in the attention that is localised with."
    )
    yield "attention", attention_rows(cells), f"How good the attentions are, and the gain with each. {how}.", note


def main():
    settings = read_settings("verdict")
    cells = [Cell(*cell, settings["beta"]) for cell in settings["cells"]]
    check_cells(cells)
    with replacing(FOLDER / "tables") as folder:
        folder.mkdir()
        for table in tables(cells, settings["dataset"]):
            write_table(folder, *table)
        write_csv(folder / "replicates.csv", replicate_rows(cells))
    gains = np.array([cell.gains() for cell in cells])
    found = {cell.dataset: {} for cell in cells}
    for cell in cells:
        found[cell.dataset][cell.baseline] = cell.gains()
    overall = gains.mean(), stratified_bootstrap(gains, np.mean)
    title = f"Gain of CLASNet: mean, 95 % interval and values of {gains.shape[1]} replicates\n{SYNTHETIC}"
    with replacing(FOLDER / "figures") as folder, plt.rc_context(STYLE):
        folder.mkdir()
        save(forest(found, title, overall), folder, "figure3")
    print(f"{FOLDER}: {len(cells)} cells, mean gain {number(gains.mean(), '+')}")


if __name__ == "__main__":
    stage_errors(main)

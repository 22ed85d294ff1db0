"""The page's first screen: what was compared, on what, does CLASNet help, by how much, how sure, and what it costs.

Everything is made from the tables: of the study over replicates (reports/study) where the run's data are twins and the
study is there, else of the run itself.
"""

import re
from pathlib import Path

import numpy as np

from clasnet.models.registry import TITLES
from stages.page.plots import gain_lines
from stages.results import model_title, test_videos, title
from stages.tabling.cells import number
from stages.tabling.write import read_csv

STUDY = Path("reports/study/tables")
EARLIER = {"first": Path("reports/study/first/tables"), "second": Path("reports/study/second/tables")}  # runs
COSTS = Path("reports/tables/complexity/table5.csv")


def answer(params):
    """What the first screen shows: the sentence, facts as (term, text), and the forest plot."""
    found = study_answer() if params.synthetic and STUDY.exists() else run_answer(params)
    found["facts"].append(("Cost", cost_line(params.baselines)))
    return found


def study_answer():
    """The answer of the study over replicates."""
    rows, overall = read_csv(STUDY / "gains.csv"), read_overall(STUDY)
    data, methods = (list(dict.fromkeys(row[column] for row in rows)) for column in ("Data", "Method"))
    replicates = counts(rows[0]["better in"])[1]
    mean, low, high = estimate(overall["mean gain (95 % interval)"])
    lines = study_lines(rows)
    dots = f"; dots: the {replicates} replicates" if lines[0]["values"] else ""
    on = f"synthetic twins of {listed(data)}: {len(rows)} cells (data set × baseline)"
    return {
        "sentence": study_sentence(overall),
        "facts": [
            compared(methods),
            ("On", f"{on}, {replicates} replicates each, every one a new draw of the data and a new seed"),
        ],
        "forest": {
            "lines": lines,
            "overall": {"mean": mean, "low": low, "high": high},
            "dots": "replicates",
            "caption": f"Gain in average mAP, in points: mean, 95 % interval{dots}.",
        },
    }


def earlier_runs():
    """What the study's earlier runs say, each by itself, of other replicates and earlier forms of CLASNet."""
    there = {name: folder for name, folder in EARLIER.items() if folder.exists()}
    return " ".join(
        f"The {name} run of the study, of an earlier CLASNet, said: {study_sentence(read_overall(folder))}"
        for name, folder in there.items()
    )


def read_overall(folder):
    """The table `overall` of a run of the study: what to value."""
    return {row["What"]: row["All cells"] for row in read_csv(folder / "overall.csv")}


def study_lines(rows):
    """A line of the forest plot for every row of the study's table of gains."""
    path = STUDY / "replicates.csv"
    replicates = read_csv(path) if path.exists() else []  # a study of earlier days has none
    lines = []
    for row in rows:
        mean, low, high = estimate(row["gain (95 % interval)"])
        own = [one for one in replicates if (one["Data"], one["Method"]) == (row["Data"], row["Method"])]
        how = f"better in {row['better in']} replicates, p {row['p (Holm)']} (Holm)"
        lines.append(
            {
                "data": row["Data"],
                "method": row["Method"],
                "mean": mean,
                "low": low,
                "high": high,
                "values": [float(one["gain"]) for one in own],
                "text": f"{row['without']} without, {row['with CLASNet']} with CLASNet; {how}",
            }
        )
    return lines


def study_sentence(overall):
    """The answer in one sentence, from the table ``overall``: what to value.

    What the study must show to count as help, docs/protocol.md says, and what of it fails must be said.
    """
    mean, low, high = estimate(overall["mean gain (95 % interval)"])
    positive, cells = counts(overall["cells with a positive mean"])
    gain, lose = (next(what for what in overall if what.startswith(f"cells that {how}")) for how in ("gain", "lose"))
    gaining, losing = (counts(overall[what])[0] for what in (gain, lose))
    sure, worse = (re.search(r"\((.*)\)", what)[1] for what in (gain, lose))  # as "p < 0.05, Holm"
    lows = [estimate(cell)[1] for what, cell in overall.items() if what.startswith("mean gain")]  # of every coverage
    asked = {
        "a mean gain of 3 points with its interval above 0": mean >= 3 and min(lows) > 0,
        "8 positive cells": positive >= 8,
        "6 that gain": gaining >= 6,
        "none that loses": losing == 0,
    }
    failed = [what for what, met in asked.items() if not met]
    lead = "Yes" if not failed else "On the whole, yes" if low > 0 else "No" if high < 0 else "Not shown"
    return (
        f"{lead}: CLASNet {adds(mean)} of average mAP (95 % interval {number(low, '+')} to {number(high, '+')}); its "
        f"mean gain is positive in {positive} of {cells} cells, {gaining} gain ({sure}) and {losing} lose ({worse}) by "
        f"themselves{f'; the protocol asks for {listed(failed)}' if failed else ''}."
    )


def run_answer(params):
    """The answer of the run's own Tables 1 to 3."""
    lines = gain_lines(params)
    seeds = len(params.all_seeds)
    on = "; ".join(f"{title(dataset, params)}, {test_videos(dataset, params.baselines)}" for dataset in params.datasets)
    means = [line["mean"] for line in lines]
    return {
        "sentence": run_sentence(lines, seeds),
        "facts": [
            compared([TITLES[baseline] for baseline in params.baselines]),
            ("On", f"{on}; {seeds} seed{'s' if seeds > 1 else ''}"),
        ],
        "forest": {
            "lines": lines,
            "overall": {"mean": float(np.mean(means)), "low": None, "high": None} if len(lines) > 1 else None,
            "dots": "seeds",
            "caption": "Gain in average mAP, in points: mean, 95 % interval (seeds and test videos); dots: seeds.",
        },
    }


def run_sentence(lines, seeds):
    """The answer in one sentence, from the ``lines`` of the forest plot, each with its own interval."""
    mean = float(np.mean([line["mean"] for line in lines]))
    gaining, losing = sum(line["low"] > 0 for line in lines), sum(line["high"] < 0 for line in lines)
    over = "seeds and test videos" if seeds > 1 else "test videos"
    if len(lines) == 1:
        low, high = (number(lines[0][end], "+") for end in ("low", "high"))
        lead = "Yes" if gaining else "No" if losing else "Not shown"
        return f"{lead}: CLASNet {adds(mean)} of average mAP (95 % interval {low} to {high}, over {over})."
    sure = gaining + losing
    lead = "Not shown" if not sure else "Yes" if gaining == len(lines) else "No" if losing == sure else "In part"
    positive = sum(line["mean"] > 0 for line in lines)
    return (
        f"{lead}: CLASNet {adds(mean)} of average mAP in the mean of {len(lines)} cells; its gain is positive in "
        f"{positive} of them, {gaining} gain and {losing} lose beyond doubt, each by its own 95 % interval over {over}."
    )


def cost_line(baselines):
    """What CLASNet adds to a model, from Table 5: parameters, operations and time, in numbers and in percent."""
    rows = {row["Method"]: row for row in read_csv(COSTS)}
    pairs = [[rows[model_title(b, variant)] for variant in ("baseline", "clasnet")] for b in baselines]
    parts = []
    for column, unit, scale, digits in (
        ("Parameters", "M parameters", 1e6, 1),
        ("GFLOP", "GFLOP", 1, 1),
        ("ms per video", "ms a video", 1, 0),
    ):
        values = [[float(row[column].replace(",", "")) / scale for row in pair] for pair in pairs]
        added = span([after - before for before, after in values], digits)
        share = span([100 * (after / before - 1) for before, after in values], 0)
        parts.append(f"{added} {unit} ({share} %)")
    return f"{listed(parts)}, at the published width (Table 5)"


def span(values, digits):
    """The smallest and the largest of ``values``, signed, or the one number if they print the same."""
    texts = [f"{value:+.{digits}f}" for value in (min(values), max(values))]
    return " to ".join(dict.fromkeys(texts))


def compared(methods):
    """The fact of what was compared."""
    each = "each " if len(methods) > 1 else ""
    what = "without and with CLASNet, a plug-in for weakly supervised temporal action localisation"
    return "Compared", f"{listed(methods)}, {each}{what}"


def adds(mean):
    """A mean gain in words."""
    return f"{'takes away' if mean < 0 else 'adds'} {number(abs(mean))} points"


def listed(texts):
    """``texts`` in a sentence."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def estimate(cell):
    """Mean, low and high of a cell like "+3.1 (+2.2 to +4.1)"."""
    return [float(text) for text in re.findall(r"[+-]?\d+\.\d+", cell)]


def counts(cell):
    """The two numbers of a cell like "7 of 9"."""
    return [int(text) for text in cell.split(" of ")]

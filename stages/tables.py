"""Stage `tables`: Tables 1 to 4 as CSV, Markdown and LaTeX, the summary for `dvc metrics`, and the series for `dvc plots`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from clasnet.baselines import TITLES
from clasnet.data.datasets import BENCHMARKS
from clasnet.files import replacing, write_json
from stages.params import PARTS, load_params, stage_errors
from stages.results import average, paired_p, read_maps, spread, test_videos, title

NAMES = {"fcsm": "FCSM", "brm": "BRM", "sparsity": "Sparsity"}
NUMBERS = {"thumos14": 1, "activitynet12": 2, "activitynet13": 3}  # of the paper's tables


def cell(values):
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{np.mean(values):.1f} ± {spread(values):.1f}"


def row_cells(maps, dataset):
    """The cells of one model: mAP at the printed t-IoUs, then the averages."""
    benchmark = BENCHMARKS[dataset]
    columns = {f"{t:g}": cell(maps[:, benchmark.tious.index(t)]) for t in benchmark.columns}
    return columns | {f"AVG {key}": cell(average(maps, dataset, key)) for key in benchmark.averages}


def gain_cells(before, after):
    """Mean gain with its sign, and the p-value of the paired test."""
    p = paired_p(before, after)
    return {"Gain (AVG)": f"{np.mean(after - before):+.1f} ± {spread(after - before):.1f}", "p": "–" if np.isnan(p) else f"{p:.2f}"}


def comparison_table(dataset, params):
    """Tables 1 to 3: each baseline without and with CLASNet, and the random-score control."""
    control = read_maps(dataset, "", "control")
    rows = [{"Method": "Random scores (control)", **row_cells(control, dataset)}]
    for baseline in params.baselines:
        if any((entry.dataset, entry.baseline) == (dataset, baseline) for entry in params.released.values()):
            rows.append({"Method": f"{TITLES[baseline]} (authors' checkpoint)", **row_cells(read_maps(dataset, baseline, "released"), dataset)})
        maps = {variant: read_maps(dataset, baseline, variant) for variant in ("baseline", "clasnet")}
        rows.append({"Method": TITLES[baseline], **row_cells(maps["baseline"], dataset)})
        gains = gain_cells(*(average(maps[variant], dataset) for variant in ("baseline", "clasnet")))
        rows.append({"Method": f"{TITLES[baseline]} + CLASNet", **row_cells(maps["clasnet"], dataset), **gains})
    return pd.DataFrame(rows).fillna("")


def ablation_table(params):
    """Table 4: every combination of sparsity, FCSM and BRM."""
    study = params.study
    rows = {"A": ("baseline", ()), **{row: (row, parts) for row, parts in study.rows.items()}, "H": ("clasnet", PARTS)}
    reference = average(read_maps(study.dataset, study.baseline, "baseline"), study.dataset)
    records = []
    for row, (variant, parts) in rows.items():
        maps = read_maps(study.dataset, study.baseline, variant)
        marks = {NAMES[part]: "✓" if part in parts else "" for part in ("sparsity", "fcsm", "brm")}
        gains = gain_cells(reference, average(maps, study.dataset)) if row != "A" else {}
        records.append({"Row": row, **marks, **row_cells(maps, study.dataset), **gains})
    return pd.DataFrame(records).fillna("")


def markdown(table):
    """A data frame as a Markdown table."""
    lines = [table.columns, ["---"] * len(table.columns), *table.to_numpy()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write_table(folder, name, table, caption, note=None):
    """One data frame as CSV, Markdown and LaTeX, with a ``note`` below."""
    table.to_csv(folder / f"{name}.csv", index=False)
    (folder / f"{name}.md").write_text(f"**{caption}**\n\n{markdown(table)}\n" + (f"\n{note}\n" if note else ""))
    escape = lambda value: (
        str(value).replace("±", r"$\pm$").replace("✓", r"$\checkmark$").replace("–", "--").replace("%", r"\%").replace("×", r"$\times$")
    )
    body = "\n".join(" & ".join(map(escape, line)) + r" \\" for line in table.to_numpy())
    header = " & ".join(map(escape, table.columns)) + r" \\"
    latex = (f"\\begin{{table}}\n\\caption{{{escape(caption)}}}\n\\begin{{tabular}}{{l{'r' * (table.shape[1] - 1)}}}\n\\toprule\n{header}\n"
             f"\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n{escape(note) + chr(10) if note else ''}\\end{{table}}\n")  # fmt: skip
    (folder / f"{name}.tex").write_text(latex)


def write_plots(params):
    """The series of `dvc plots`, one row a point and seed."""
    study, long = params.study, []
    for dataset in params.datasets:
        for baseline in params.baselines:
            for variant in ("baseline", "clasnet"):
                maps = read_maps(dataset, baseline, variant).mean(0)
                name = TITLES[baseline] + (" + CLASNet" if variant == "clasnet" else "")
                long += [{"data": dataset, "model": name, "tiou": t, "mAP": round(m, 4)} for t, m in zip(BENCHMARKS[dataset].tious, maps)]
    Path("reports/plots").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(long).to_csv("reports/plots/map_by_tiou.csv", index=False)
    for what in ("layers", "heads"):
        points = {n: average(read_maps(study.dataset, study.baseline, f"{what}-{n}"), study.dataset) for n in getattr(study, what)}
        rows = [{what: n, "seed": seed, "mAP": round(m, 4)} for n, maps in points.items() for seed, m in zip(params.seeds, maps)]
        pd.DataFrame(rows).to_csv(f"reports/plots/{what}.csv", index=False)


def summary(params):
    """Headline averages for `dvc metrics`: without, with, and the gain."""
    metrics = {}
    for dataset in params.datasets:
        for baseline in params.baselines:
            before, after = (average(read_maps(dataset, baseline, v), dataset).mean() for v in ("baseline", "clasnet"))
            metrics.setdefault(dataset, {})[baseline] = {"baseline": round(before, 3), "clasnet": round(after, 3), "gain": round(after - before, 3)}
    return metrics


UNITS = {
    "seconds": "",
    "snippets": "; ground truth rounded to whole snippets",
    "released": "; ground truth of THUMOS14 rounded to whole snippets where the baseline's authors do so (CO2-Net, DELU)",
}


def main():
    params = load_params()
    seeds = f"mAP in %, mean ± standard deviation over {len(params.seeds)} seeds, last checkpoint; p: paired t-test over seeds"
    seeds += UNITS[params.active_profile.evaluate.units]
    with replacing("reports/tables/comparison") as folder:
        folder.mkdir()
        for dataset in params.datasets:
            caption = f"Table {NUMBERS[dataset]}. {title(dataset, params)}: baselines without and with CLASNet. {seeds}; {test_videos(dataset, params.baselines, TITLES)}."
            write_table(folder, f"table{NUMBERS[dataset]}", comparison_table(dataset, params), caption)
        caption = f"Table 4. Ablation of CLASNet on {TITLES[params.study.baseline]}, {title(params.study.dataset, params)}. {seeds}, against row A."
        write_table(folder, "table4", ablation_table(params), caption)
    write_plots(params)
    write_json("reports/metrics.json", summary(params))
    print("reports/tables/comparison: " + json.dumps({d: {b: v["gain"] for b, v in m.items()} for d, m in summary(params).items()}))


if __name__ == "__main__":
    stage_errors(main)

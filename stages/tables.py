"""Stage `tables`: Tables 1 to 4 as CSV, Markdown and LaTeX, the summary for `dvc metrics`, and the series for `dvc plots`."""

import json
import re

import numpy as np
import pandas as pd

from clasnet.models.registry import TITLES, build_baseline
from clasnet.models.clasnet import CLASNet
from clasnet.models.complexity import count_parameters
from clasnet.data.datasets import BENCHMARKS
from clasnet.files import replacing, write_json
from clasnet.evaluation.statistics import gain_interval, paired_p, spread
from stages.params import PARTS, load_params, stage_errors
from stages.results import SYNTHETIC, average, count_videos, model_title, read_maps, read_resamples, test_videos, title

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


def gain_cells(dataset, baseline, variant, reference="baseline"):
    """Mean gain of ``variant`` over ``reference`` with its spread over seeds, its interval over test videos, and the p-value over seeds."""
    before, after = (average(read_maps(dataset, baseline, v), dataset) for v in (reference, variant))
    resampled = read_resamples(dataset, baseline, variant) - read_resamples(dataset, baseline, reference)
    low, high = gain_interval(after - before, resampled, count_videos(dataset, baseline))
    p = paired_p(before, after)
    return {"Gain (AVG)": f"{np.mean(after - before):+.1f} ± {spread(after - before):.1f}", "95 % interval": f"{low:+.1f} to {high:+.1f}",
            "p": "–" if np.isnan(p) else f"{p:.2f}"}  # fmt: skip


def published_rows(dataset):
    """Results in print, by supervision, with their citation keys; cells that the source does not print stay empty."""
    benchmark, rows = BENCHMARKS[dataset], []
    table = pd.read_csv("reports/published/published.csv", dtype=str, keep_default_na=False)
    for supervision, group in table[table["dataset"] == dataset].groupby("supervision", sort=False):
        for _, line in group.iterrows():
            cells = {f"{t:g}": line.get(f"iou_{t:g}", "") for t in benchmark.columns}
            averages = {f"AVG {key}": line[f"avg_{key}"] for key in benchmark.averages}
            rows.append({"Method": f"{line['method']} [{line['key']}]", "Supervision": supervision, **cells, **averages})
    return rows


def comparison_table(dataset, params):
    """Tables 1 to 3: each baseline without and with CLASNet, and the random-score control; for real data, results in print above."""
    real = not params.active_profile.data[dataset].twin
    rows = published_rows(dataset) if real else []
    rows.append({"Method": "Random scores (control)", **row_cells(read_maps(dataset, "", "control"), dataset)})
    for baseline in params.baselines:
        if any((entry.dataset, entry.baseline) == (dataset, baseline) for entry in params.released.values()):
            rows.append({"Method": f"{TITLES[baseline]} (authors' checkpoint)", **row_cells(read_maps(dataset, baseline, "released"), dataset)})
        maps = {variant: read_maps(dataset, baseline, variant) for variant in ("baseline", "clasnet")}
        rows.append({"Method": TITLES[baseline], **row_cells(maps["baseline"], dataset)})
        rows.append({"Method": model_title(baseline, "clasnet"), **row_cells(maps["clasnet"], dataset), **gain_cells(dataset, baseline, "clasnet")})
    table = pd.DataFrame(rows).fillna("")
    if real:
        table.loc[table["Supervision"] == "", "Supervision"] = "weak, this repository"
    return table


def ablation_table(params):
    """Table 4: every combination of sparsity, FCSM and BRM."""
    study = params.study
    rows = {"A": ("baseline", ()), **{row: (row, parts) for row, parts in study.rows.items()}, "H": ("clasnet", PARTS)}
    records = []
    for row, (variant, parts) in rows.items():
        marks = {NAMES[part]: "✓" if part in parts else "" for part in ("sparsity", "fcsm", "brm")}
        gains = gain_cells(study.dataset, study.baseline, variant) if row != "A" else {}
        records.append({"Row": row, **marks, **row_cells(read_maps(study.dataset, study.baseline, variant), study.dataset), **gains})
    return pd.DataFrame(records).fillna("")


def protocol_table(params):
    """What the choice of the checkpoint, and of rounding THUMOS14's ground truth to whole snippets, does to the headline average by itself."""
    rows = []
    for dataset in params.datasets:
        for baseline in params.baselines:
            for variant in ("baseline", "clasnet"):
                read = lambda protocol: read_maps(dataset, baseline, variant, protocol)  # noqa: B023
                mean = lambda protocol: average(read(protocol), dataset)  # noqa: B023
                own = mean("last/seconds")
                best = read("best_on_test/seconds") is not None
                rows.append({
                    "Data": BENCHMARKS[dataset].title, "Method": model_title(baseline, variant),
                    "last checkpoint, seconds": cell(own),
                    "best on test adds": f"{np.mean(mean('best_on_test/seconds') - own):+.1f}" if best else "not run",
                    "whole snippets add": f"{np.mean(mean('last/snippets') - own):+.1f}" if dataset == "thumos14" else "",
                })  # fmt: skip
    return pd.DataFrame(rows)


def published_model(baseline, variant, params):
    """The model of Table 5: at the published width, for 20 classes."""
    model = build_baseline(baseline, num_classes=20, dataset="thumos14", profile="paper")
    return CLASNet(model, fcsm=params.fcsm.model_dump() | {"beta": params.localization.beta}) if variant == "clasnet" else model


def claims_table(params):
    """What the CLASNet paper claims in numbers, beside what came out here, for the real data that was run."""
    rows = []
    for _, claim in pd.read_csv("reports/published/claims.csv", dtype=str, keep_default_na=False).iterrows():
        dataset, baseline, variant, what = claim["dataset"], claim["baseline"], claim["variant"], claim["what"]
        if dataset not in params.datasets or baseline not in params.baselines or params.active_profile.data[dataset].twin:
            continue
        if what.startswith("AVG"):
            study, parts = params.study, {"C": {"fcsm"}, "D": {"brm"}, "G": {"fcsm", "brm"}}[variant]
            if (dataset, baseline) != (study.dataset, study.baseline) or set(study.rows.get(variant, ())) != parts:
                continue
        maps = read_maps(dataset, baseline, variant)
        if what == "parameters (M)":
            ours = f"{count_parameters(published_model(baseline, variant, params)) / 1e6:.2f}"
        elif what.startswith("gain"):
            at = BENCHMARKS[dataset].tious.index(0.5)
            ours = f"{np.mean(maps[:, at] - read_maps(dataset, baseline, 'baseline')[:, at]):+.1f}"
        else:
            ours = cell(average(maps, dataset, what.removeprefix("AVG ")))
        rows.append(
            {
                "Data": BENCHMARKS[dataset].title,
                "Method": f"{TITLES[baseline]}, {variant}",
                "What": what,
                "Claimed": claim["claimed"],
                "Reproduced": ours,
            }
        )
    return pd.DataFrame(rows, columns=["Data", "Method", "What", "Claimed", "Reproduced"])


def markdown(table):
    """A data frame as a Markdown table."""
    lines = [table.columns, ["---"] * len(table.columns), *table.to_numpy()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write_table(folder, name, table, caption, note=None):
    """One data frame as CSV, Markdown and LaTeX, with a ``note`` below."""
    table.to_csv(folder / f"{name}.csv", index=False)
    (folder / f"{name}.md").write_text(f"**{caption}**\n\n{markdown(table)}\n" + (f"\n{note}\n" if note else ""))
    escape = lambda value: (
        re.sub(r"([&_#])", r"\\\1", str(value))
        .replace("±", r"$\pm$")
        .replace("✓", r"$\checkmark$")
        .replace("–", "--")
        .replace("%", r"\%")
        .replace("×", r"$\times$")
    )
    body = "\n".join(" & ".join(map(escape, line)) + r" \\" for line in table.to_numpy())
    header = " & ".join(map(escape, table.columns)) + r" \\"
    latex = (f"\\begin{{table}}\n\\caption{{{escape(caption)}}}\n\\begin{{tabular}}{{l{'r' * (table.shape[1] - 1)}}}\n\\toprule\n{header}\n"
             f"\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n{escape(note) + chr(10) if note else ''}\\end{{table}}\n")  # fmt: skip
    (folder / f"{name}.tex").write_text(latex)


def write_plots(params):
    """The series of `dvc plots`: means over seeds, one row a point."""
    study = params.study
    mean = lambda variant: average(read_maps(study.dataset, study.baseline, variant), study.dataset).mean()
    curves = {variant: read_maps(study.dataset, study.baseline, variant).mean(0) for variant in ("baseline", "clasnet")}
    gains = [{"model": f"{BENCHMARKS[d].title}, {TITLES[b]}", "gain": np.mean(average(read_maps(d, b, "clasnet"), d) - average(read_maps(d, b, "baseline"), d))}
             for d in params.datasets for b in params.baselines]  # fmt: skip
    with replacing("reports/plots") as folder:
        folder.mkdir()
        save = lambda name, table: pd.DataFrame(table).round(4).to_csv(folder / f"{name}.csv", index=False)
        save("map_by_tiou", {"tiou": BENCHMARKS[study.dataset].tious, **curves})
        save("gains", gains)
        for what in ("layers", "heads"):
            save(what, [{what: n, "mAP": mean(f"{what}-{n}")} for n in getattr(study, what)])


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
    twin = any(params.active_profile.data[dataset].twin for dataset in params.datasets)
    checkpoint = {"last": "last checkpoint", "best_on_test": "CHECKPOINT THAT SCORES BEST ON THE TEST SET (the released protocol, optimistic)"}
    seeds = (f"mAP in %, mean ± standard deviation over {len(params.seeds)} seeds, {checkpoint[params.evaluate.checkpoint]}; interval: of the gain, over seeds "
             f"and test videos (paired bootstrap); p: paired t-test over seeds{UNITS[params.active_profile.evaluate.units]}")  # fmt: skip
    with replacing("reports/tables/comparison") as folder:
        folder.mkdir()
        for dataset in params.datasets:
            caption = f"Table {NUMBERS[dataset]}. {title(dataset, params)}: baselines without and with CLASNet. {seeds}; {test_videos(dataset, params.baselines)}."
            write_table(folder, f"table{NUMBERS[dataset]}", comparison_table(dataset, params), caption)
        caption = f"Table 4. Ablation of CLASNet on {TITLES[params.study.baseline]}, {title(params.study.dataset, params)}. {seeds}, against row A."
        write_table(folder, "table4", ablation_table(params), caption)
        note = f"{SYNTHETIC}. " if twin else ""
        caption = (
            f"Protocols. {note}What two choices of the released codes add to the headline average by themselves; mean over {len(params.seeds)} seeds."
        )
        write_table(folder, "protocols", protocol_table(params), caption)
        if not all(params.active_profile.data[dataset].twin for dataset in params.datasets):
            write_table(folder, "claims", claims_table(params), "Claimed by the CLASNet paper, and reproduced here.")
    write_plots(params)
    write_json("reports/metrics.json", summary(params))
    print("reports/tables/comparison: " + json.dumps({d: {b: v["gain"] for b, v in m.items()} for d, m in summary(params).items()}))


if __name__ == "__main__":
    stage_errors(main)

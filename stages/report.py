"""Stage `report`: one self-contained page with all results, reports/index.html, that works from disk and asks no network."""

import base64
import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from clasnet.models.registry import TITLES
from clasnet.data.datasets import BENCHMARKS
from clasnet.data.store import open_store
from clasnet.evaluation.diagnosis import characteristics, diagnose, sensitivity
from clasnet.files import replacing
from clasnet.inference.predict import Predictions
from stages.params import load_params, stage_errors
from stages.results import SYNTHETIC, comparable, read_evaluation, read_predictions

VARIANTS = ("baseline", "clasnet")
VIDEOS, SEGMENTS = 16, 40  # in the explorer: videos a data set, segments a video and model
PAGE = Path(__file__).parent / "page"
FIGURES = {
    "figure2": "Figure 2: action and background snippets before and after the FCSM",
    "figure3": "Figure 3: gain of CLASNet by data set and baseline",
    "figure4": "Figure 4: average mAP against dilated layers and attention heads",
    "figure5": "Figure 5: one test video, ground truth and predictions without and with CLASNet",
}
PACKAGES = ("torch", "numpy", "scipy", "pandas", "dvc", "dvclive")


def as_arrays(results, ids, classes):
    """:class:`Predictions` from a submission, without video scores."""
    number, index = {id: n for n, id in enumerate(ids)}, {name: c for c, name in enumerate(classes)}
    rows = [(number[id], index[row["label"]], *row["segment"], row["score"]) for id, found in results.items() for row in found]
    table = np.array(rows, dtype=float).reshape(-1, 5)
    return Predictions(table[:, 0].astype(int), table[:, 2:4], table[:, 1].astype(int), table[:, 4], None)


def tables(params):
    """Every table of the stages `tables` and `complexity`, with its caption and note."""
    found = []
    for folder in ("comparison", "complexity"):
        for path in sorted(Path(f"reports/tables/{folder}").glob("*.csv")):
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            caption, *rest = path.with_suffix(".md").read_text().strip().split("\n\n")
            note = rest[-1] if rest and not rest[-1].startswith("|") else ""
            columns = [name if not name.startswith("Unnamed") else "" for name in table.columns]
            found.append({"id": path.stem, "caption": caption.strip("*"), "columns": columns, "rows": table.values.tolist(), "note": note})
    return found


def figures():
    found = []
    for name, text in FIGURES.items():
        content = base64.b64encode(Path(f"reports/figures/{name}.png").read_bytes()).decode()
        found.append({"title": text, "text": text, "source": f"data:image/png;base64,{content}"})
    return found


def explorer(dataset, params):
    """A sample of the test videos: truth, and of every model the best segments and the curves of the first seed."""
    store = open_store(f"data/{dataset}")
    a, seed = store.annotations, params.seeds[0]
    loaded = {b: {v: (read_predictions(dataset, b, v, seed), np.load(f"predictions/{dataset}/{b}/{v}/curves.npz")) for v in VARIANTS}
              for b in params.baselines}  # fmt: skip
    shared = set.intersection(*({key.rsplit("/", 1)[0] for key in curves.files} for b in loaded.values() for _, curves in b.values()))
    test = store.subset(BENCHMARKS[dataset].test)
    sample = [v for v in test if a.ids[v] in shared and (a.segment_video == v).any()][:VIDEOS]
    index, videos = {name: c for c, name in enumerate(a.classes)}, {}
    percent = lambda curve: np.rint(100 * curve.astype(float)).astype(int).tolist()
    for v in sample:
        own, id = a.segment_video == v, str(a.ids[v])
        models = {}
        for baseline, pair in loaded.items():
            models[baseline] = {}
            for variant, (results, curves) in pair.items():
                segments = [[*(round(t, 2) for t in row["segment"]), index[row["label"]], round(row["score"], 3)] for row in results[id][:SEGMENTS]]
                wanted = sorted({c for *_, c, _ in segments} | set(a.segment_class[own].tolist()))
                cas = curves[f"{id}/cas"]
                models[baseline][variant] = {"segments": segments, "curves": {"attention": percent(curves[f"{id}/attention"]),
                                             "cas": {c: percent(cas[:, c]) for c in wanted}}}  # fmt: skip
        truth = [[round(s, 2), round(e, 2), int(c)] for (s, e), c in zip(a.segments[own].tolist(), a.segment_class[own])]
        videos[id] = {"seconds": round(float(store.length[v]) * 0.64, 2), "truth": truth, "models": models}
    note = (f"A sample: {len(videos)} of {len(test)} test videos, seed {seed}, the {SEGMENTS} best segments of each model. Drag to pan, scroll or pinch to zoom, double-click "
            f"to reset.{' ' + SYNTHETIC + '.' if params.active_profile.data[dataset].twin else ''}")  # fmt: skip
    name = BENCHMARKS[dataset].title + (" (synthetic twin)" if params.active_profile.data[dataset].twin else "")
    return {"title": name, "note": note, "classes": list(a.classes), "videos": videos}


def diagnosis(dataset, params):
    """Errors of every baseline without and with CLASNet at t-IoU 0.5, mean over seeds."""
    store, found = open_store(f"data/{dataset}"), {}
    for baseline in params.baselines:
        found[baseline] = {}
        for variant in VARIANTS:
            units, runs = read_evaluation(dataset, baseline, variant)["units"], []
            for seed in params.seeds:
                results = read_predictions(dataset, baseline, variant, seed)
                truth = store.annotations.select(np.flatnonzero(np.isin(store.annotations.ids, list(results))))
                compared = comparable(as_arrays(results, truth.ids.tolist(), truth.classes), truth, units)
                arrays, predictions = compared[:3], compared[3:]
                errors, rows = diagnose(arrays, predictions), []
                own = truth.segments, truth.segment_video, truth.segment_class
                for what, (names, bins) in characteristics(own, truth.duration).items():
                    rows += [{"what": what, "bin": name, **row} for name, row in zip(names, sensitivity(arrays, predictions, bins, len(names)))]
                runs.append((errors, rows))
            mean = lambda pick, runs=runs: float(np.mean([pick(run) for run in runs]))
            found[baseline][variant] = {
                "mAP": mean(lambda run: run[0]["mAP"]),
                "counts": {k: mean(lambda run: run[0]["counts"][k]) for k in runs[0][0]["counts"]},  # noqa: B023
                "cost": {k: mean(lambda run: run[0]["cost"][k]) for k in runs[0][0]["cost"]},  # noqa: B023
                "sensitivity": [row | {key: None if row[key] is None else mean(lambda run: run[1][i][key]) for key in ("missed", "mAP_N")}  # noqa: B023
                                for i, row in enumerate(runs[0][1])],
            }  # fmt: skip
    return found


def training(params):
    """Loss terms as DVCLive logged them: data set, baseline, variant, term, seed to steps and values."""
    found = {}
    for dataset in params.datasets:
        for baseline in params.baselines:
            for variant in VARIANTS:
                terms = found.setdefault(dataset, {}).setdefault(baseline, {}).setdefault(variant, {})
                for path in sorted(Path(f"dvclive/{dataset}/{baseline}/{variant}").rglob("seed*/*.tsv")):
                    log = pd.read_csv(path, sep="\t")
                    values = {"step": log["step"].tolist(), "value": [float(f"{x:.4g}") for x in log[path.stem]]}
                    terms.setdefault(path.stem, {})[path.parent.name.removeprefix("seed")] = values
                found[dataset][baseline][variant] = dict(sorted(terms.items(), key=lambda item: (item[0] != "loss", item[0])))
    return found


def main():
    params = load_params()
    banner = f"{SYNTHETIC}: the data were made by a generator, and every number, table, figure and video below with them." if params.synthetic else ""
    checkpoint = "the last checkpoint" if params.evaluate.checkpoint == "last" else "the checkpoint that scores best on the test set"
    data = {
        "banner": banner,
        "mark": SYNTHETIC,
        "about": f"A plug-in for weakly supervised temporal action localisation, in {len(params.baselines)} baselines on {len(params.datasets)} data sets, "
                 f"{len(params.seeds)} seeds, {checkpoint}.",
        "titles": {b: TITLES[b] for b in params.baselines},
        "tables": tables(params),
        "figures": figures(),
        "explorer": {dataset: explorer(dataset, params) for dataset in params.datasets},
        "diagnosis": {dataset: diagnosis(dataset, params) for dataset in params.datasets},
        "diagnosis_note": "The best predictions, ten for each true instance, at t-IoU 0.5, mean over seeds, in the manner of DETAD (Alwassel et al., ECCV 2018). "
                          f"{SYNTHETIC if params.synthetic else ''}",
        "training": training(params),
        "training_note": SYNTHETIC if params.synthetic else "",
        "params": Path("params.yaml").read_text(),
        "versions": f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in PACKAGES) + ".",
    }  # fmt: skip
    page = (PAGE / "page.html").read_text()
    content = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    for place, text in (("/*CSS*/", (PAGE / "page.css").read_text()), ("/*JS*/", (PAGE / "page.js").read_text()),
                        ("/*PLOTLY*/", (PAGE / "vendor/plotly-basic.min.js").read_text()), ("/*DATA*/", content)):  # fmt: skip
        page = page.replace(place, text, 1)
    with replacing("reports/index.html") as path:
        path.write_text(page)
    print(f"reports/index.html: {len(page) / 1e6:.1f} MB")


if __name__ == "__main__":
    stage_errors(main)

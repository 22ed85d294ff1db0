"""Stage `report`: one self-contained page with all results, reports/index.html; works from disk, asks no network."""

import base64
import json
import platform
from importlib.metadata import version
from pathlib import Path

from clasnet.files import replacing
from clasnet.models.registry import TITLES
from stages.errors import stage_errors
from stages.page.answer import STUDY, answer, earlier_runs
from stages.page.explorer import explorer
from stages.page.plots import gain_lines, sweep
from stages.page.survey import survey
from stages.params import read_params
from stages.results import SYNTHETIC, VARIANTS, read_training
from stages.tabling.write import grid, read_csv

PAGE = Path(__file__).parent / "page/static"
SCRIPTS = ("base", "answer", "explorer", "diagnosis", "training", "page")
IMAGES = {
    "figure2": "Figure 2: action and background snippets before and after the FCSM",
    "figure5": "Figure 5: one test video, ground truth and predictions without and with CLASNet",
}
STUDY_TEXT = (
    "The study runs over replicates that are each a new draw of the data and a new seed, with the larger twins and "
    "longer trainings of the profile study (docs/protocol.md). Everything else on this page is of one run."
)
STUDY_ORDER = ("gains", "overall", "table1", "table2", "table3", "table4", "attention")
ORDER = ("table[123]", "table-*", "table[45]", "protocols", "classification", "summary", "claims")  # of file names
CHECKPOINTS = {"last": "the last checkpoint", "best_on_test": "the checkpoint that scores best on the test set"}
PACKAGES = ("torch", "numpy", "scipy", "pandas", "dvc", "dvclive")


def tables():
    """Every table of the stages `tables` and `complexity`, in the paper's order; those of further data sets after its
    own.
    """
    folder = Path("reports/tables")
    return [table(path) for name in ORDER for path in sorted(folder.glob(f"*/{name}.csv"))]


def study():
    """The tables of the study over replicates, and what it is; None where it has not been run."""
    if not STUDY.exists():
        return None
    paths = [path for name in STUDY_ORDER if (path := STUDY / f"{name}.csv").exists()]  # Table 4 is where rows were run
    tables = [table(path) | {"id": f"study-{path.stem}"} for path in paths]
    return {"text": f"{STUDY_TEXT} {earlier_runs()}", "tables": tables}


def table(path):
    """The table at ``path``, a CSV file with a Markdown file beside it that has the caption and the note."""
    columns, rows = grid(read_csv(path))
    caption, *rest = path.with_suffix(".md").read_text(encoding="utf-8").strip().split("\n\n")
    note = rest[-1] if rest and not rest[-1].startswith("|") else ""
    return {"id": path.stem, "caption": caption.strip("*"), "columns": columns, "rows": rows, "note": note}


def images():
    """The figures that are pictures, each within the page."""
    return {name: {"title": text, "source": embedded(f"reports/figures/{name}.png")} for name, text in IMAGES.items()}


def embedded(path):
    """A PNG file as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(Path(path).read_bytes()).decode()}"


def training(dataset, params):
    """Losses of every baseline without and with CLASNet: baseline to variant to term to seed to steps and values."""
    return {
        baseline: {variant: read_training(dataset, baseline, variant) for variant in VARIANTS}
        for baseline in params.baselines
    }


def about(params):
    """What this run is."""
    baselines, datasets, seeds = len(params.baselines), len(params.datasets), len(params.all_seeds)
    checkpoint = CHECKPOINTS[params.evaluate.checkpoint]
    return f"This run: {baselines} baselines on {datasets} data sets, {seeds} seeds, {checkpoint}."


def versions():
    """What computed it all."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"Python {platform.python_version()}, {packages}."


def notes(params):
    """The notes of the page's sections, which mark synthetic data."""
    synthetic = SYNTHETIC if params.synthetic else ""
    banner = "a generator made the data behind every number here."
    method = "The best predictions, ten for each true instance, at t-IoU 0.5, mean over seeds, in the manner of DETAD"
    return {
        "banner": f"{synthetic}: {banner}" if synthetic else "",
        "mark": SYNTHETIC,
        "diagnosis_note": f"{method} (Alwassel et al., ECCV 2018). {synthetic}",
        "training_note": synthetic,
    }


def page_data(params):
    """All that the page shows."""
    surveys = {dataset: survey(dataset, params) for dataset in params.datasets}
    return {
        **notes(params),
        "about": about(params),
        "titles": {baseline: TITLES[baseline] for baseline in params.baselines},
        "seeds": params.all_seeds,
        "answer": answer(params),
        "study": study(),
        "tables": tables(),
        "images": images(),
        "gains": gain_lines(params),
        "sweep": sweep(params.study),
        "explorer": {dataset: explorer(dataset, params, part(found, "scores")) for dataset, found in surveys.items()},
        "diagnosis": {dataset: part(found, "diagnosis") for dataset, found in surveys.items()},
        "training": {dataset: training(dataset, params) for dataset in params.datasets},
        "params": Path("params.yaml").read_text(encoding="utf-8"),
        "versions": versions(),
    }


def part(found, name):
    """The part ``name`` of what was found of every model: baseline to variant to it."""
    return {baseline: {variant: one[name] for variant, one in variants.items()} for baseline, variants in found.items()}


def fill_page(data):
    """The page's HTML with style, code and ``data`` in their places."""
    parts = {
        "/*CSS*/": (PAGE / "page.css").read_text(encoding="utf-8"),
        "/*JS*/": "\n".join((PAGE / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS),
        "/*PLOTLY*/": (PAGE / "vendor/plotly-basic.min.js").read_text(encoding="utf-8"),
        "/*DATA*/": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/"),
    }
    page = (PAGE / "page.html").read_text(encoding="utf-8")
    for place, text in parts.items():
        page = page.replace(place, text, 1)
    return page


def main():
    page = fill_page(page_data(read_params()))
    with replacing("reports/index.html") as path:
        path.write_text(page, encoding="utf-8", newline="\n")
    print(f"reports/index.html: {len(page) / 1e6:.1f} MB")


if __name__ == "__main__":
    stage_errors(main)

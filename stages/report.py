"""Stage `report`: one self-contained page with all results, reports/index.html; works from disk, asks no network."""

import base64
import json
import platform
from importlib.metadata import version
from pathlib import Path

from clasnet.files import replacing
from clasnet.models.registry import TITLES
from stages.errors import stage_errors
from stages.page.diagnosis import diagnosis
from stages.page.explorer import explorer
from stages.params import read_params
from stages.results import SYNTHETIC, VARIANTS, read_training
from stages.tabling.write import grid, read_csv

PAGE = Path(__file__).parent / "page/static"
FIGURES = {
    "figure2": "Figure 2: action and background snippets before and after the FCSM",
    "figure3": "Figure 3: gain of CLASNet by data set and baseline",
    "figure4": "Figure 4: average mAP against dilated layers and attention heads",
    "figure5": "Figure 5: one test video, ground truth and predictions without and with CLASNet",
}
STUDY = Path("reports/study")
STUDY_TEXT = (
    "Gain of CLASNet in nine cells, over replicates that are each a new draw of the data and a new seed, with the "
    "larger twins and longer trainings of the profile study (docs/protocol.md). All that follows below is one draw."
)
CHECKPOINTS = {"last": "the last checkpoint", "best_on_test": "the checkpoint that scores best on the test set"}
PACKAGES = ("torch", "numpy", "scipy", "pandas", "dvc", "dvclive")


def tables():
    """Every table of the stages `tables` and `complexity`, with its caption and note."""
    folders = (Path("reports/tables") / stage for stage in ("comparison", "complexity"))
    return [table(path) for folder in folders for path in sorted(folder.glob("*.csv"))]


def study():
    """The forest plot and the tables of the study over replicates; None where it has not been run."""
    figure, folder = STUDY / "figures/figure3.png", STUDY / "tables"
    if not figure.exists():
        return None
    order = ("overall", "gains", "table4", "attention", "table1", "table2", "table3")
    return {
        "figure": {"title": FIGURES["figure3"], "text": STUDY_TEXT, "source": embedded(figure)},
        "tables": [table(folder / f"{name}.csv") | {"id": f"study-{name}"} for name in order],
    }


def table(path):
    """The table at ``path``, a CSV file with a Markdown file beside it that has the caption and the note."""
    columns, rows = grid(read_csv(path))
    caption, *rest = path.with_suffix(".md").read_text(encoding="utf-8").strip().split("\n\n")
    note = rest[-1] if rest and not rest[-1].startswith("|") else ""
    return {"id": path.stem, "caption": caption.strip("*"), "columns": columns, "rows": rows, "note": note}


def figures():
    """The figures, each within the page."""
    return [
        {"title": text, "text": text, "source": embedded(f"reports/figures/{name}.png")}
        for name, text in FIGURES.items()
    ]


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
    """The line under the page's title."""
    baselines, datasets, seeds = len(params.baselines), len(params.datasets), len(params.all_seeds)
    return (
        f"A plug-in for weakly supervised temporal action localisation, in {baselines} baselines on {datasets} "
        f"data sets, {seeds} seeds, {CHECKPOINTS[params.evaluate.checkpoint]}."
    )


def versions():
    """What computed it all."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"Python {platform.python_version()}, {packages}."


def notes(params):
    """The notes of the page's sections, which mark synthetic data."""
    synthetic = SYNTHETIC if params.synthetic else ""
    banner = "the data were made by a generator, and every number, table, figure and video below with them."
    method = "The best predictions, ten for each true instance, at t-IoU 0.5, mean over seeds, in the manner of DETAD"
    return {
        "banner": f"{synthetic}: {banner}" if synthetic else "",
        "mark": SYNTHETIC,
        "diagnosis_note": f"{method} (Alwassel et al., ECCV 2018). {synthetic}",
        "training_note": synthetic,
    }


def page_data(params):
    """All that the page shows."""
    return {
        **notes(params),
        "about": about(params),
        "titles": {baseline: TITLES[baseline] for baseline in params.baselines},
        "study": study(),
        "tables": tables(),
        "figures": figures(),
        "explorer": {dataset: explorer(dataset, params) for dataset in params.datasets},
        "diagnosis": {dataset: diagnosis(dataset, params) for dataset in params.datasets},
        "training": {dataset: training(dataset, params) for dataset in params.datasets},
        "params": Path("params.yaml").read_text(encoding="utf-8"),
        "versions": versions(),
    }


def fill_page(data):
    """The page's HTML with style, code and ``data`` in their places."""
    parts = {
        "/*CSS*/": (PAGE / "page.css").read_text(encoding="utf-8"),
        "/*JS*/": (PAGE / "page.js").read_text(encoding="utf-8"),
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

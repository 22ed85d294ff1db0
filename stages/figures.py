"""Stage `figures`: Figures 2 to 5 as PNG and SVG."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from clasnet.files import replacing
from stages.drawing import contrast, gains, sweep, timeline
from stages.drawing.style import STYLE, save
from stages.errors import stage_errors
from stages.params import read_params

FIGURES = {"figure2": contrast, "figure3": gains, "figure4": sweep, "figure5": timeline}


def main():
    params = read_params()
    with replacing("reports/figures") as folder, plt.rc_context(STYLE):
        folder.mkdir()
        for name, module in FIGURES.items():
            save(module.draw(params), folder, name)
    print("reports/figures: figure2 ... figure5 as PNG and SVG")


if __name__ == "__main__":
    stage_errors(main)

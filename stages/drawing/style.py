"""What the figures share: colours, the mark of synthetic data, and files that are the same bytes every time."""

import matplotlib.pyplot as plt

from stages.results import SYNTHETIC

# Okabe and Ito's colours, which people with any colour vision can tell apart
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
PURPLE, BROWN, RED, GREY = "#8E4585", "#8C510A", "#D00000", "#777777"
STYLE = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
    "svg.hashsalt": "clasnet",
    "savefig.bbox": "tight",
    "legend.frameon": False,
}


def headline(params, text):
    """A figure's headline, with the mark of synthetic data."""
    return f"{text}\n{SYNTHETIC}" if params.synthetic else text


def save(figure, folder, name):
    """Write ``figure`` as PNG and SVG, the same bytes every time."""
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)

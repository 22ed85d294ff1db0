"""How much memory, and how long, localising one long video takes (Linux and macOS).

    python -m benchmarks.long_video [SNIPPETS ...]

CO2-Net with CLASNet, whose attention relates every snippet to every other: all heads at once, as in training, and one
at a time, as a long video is localised. A cell is a process of its own.
"""

import subprocess
import sys
import time
from math import inf

import numpy as np

from benchmarks.memory import peak_mebibytes

WAYS = {"all heads at once": inf, "one at a time": 0}
SNIPPETS = ("1000", "3000", "5000")  # of 0.64 s: 11, 32 and 53 minutes


def cell(snippets, way):
    """Seconds and MiB of one localisation, as a table's cell."""
    from clasnet import CLASNet, build_baseline, localize_video
    from clasnet.models import layers

    layers.ROOM = WAYS[way]
    model = CLASNet(build_baseline("co2net", num_classes=2, width=32, pool=1), fcsm={"heads": 8})
    model.classes, model.num_segments = ("a", "b"), 100
    features = np.random.default_rng(0).random((snippets, 64), dtype=np.float32)
    start = time.perf_counter()
    localize_video(model, features)
    return f"{time.perf_counter() - start:.1f} s, {peak_mebibytes():,.0f} MiB"


def main(*lengths):
    print(f"| snippets | {' | '.join(WAYS)} |\n|{'---|' * (1 + len(WAYS))}")
    for length in lengths or SNIPPETS:
        command = [sys.executable, "-m", "benchmarks.long_video", "--cell", length]
        cells = [subprocess.check_output([*command, way], encoding="utf-8").strip() for way in WAYS]
        print(f"| {int(length):,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--cell"]:
        print(cell(int(sys.argv[2]), sys.argv[3]))
    else:
        main(*sys.argv[1:])

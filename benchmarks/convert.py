"""Time and memory of converting released packages to the feature store, beside a plain copy of the same bytes.

    python -m benchmarks.convert [FOLDER]        # FOLDER: somewhere with 10 GB free; a temporary one without it

Packages are generated: one pickled array of 412 videos of 2048 columns with THUMOS14's size, and 12,000 short videos as
one array and as files.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import ROOT
from benchmarks.memory import peak_mebibytes
from clasnet.data.annotations import make_annotations
from clasnet.data.convert import convert

PACKAGES = {  # name: videos, columns, mean snippets, as one file
    "412 videos, one array": (412, 2048, 333, True),
    "12,000 videos, one array": (12_000, 256, 180, True),
    "12,000 videos, pairs of files": (12_000, 256, 180, False),
}


def lengths(videos, mean):
    return np.maximum(np.random.default_rng(0).gamma(1.5, mean / 1.5, videos).astype(int), 5)


def annotations(videos, mean):
    records = [
        {"id": f"v{i:05d}", "subset": "training", "duration": 0.64 * n, "segments": [(0.0, 0.64 * n / 2, "run")]}
        for i, n in enumerate(lengths(videos, mean).tolist())
    ]
    return make_annotations(["run"], records)


def generate(place, videos, columns, mean, one_file):
    length = lengths(videos, mean)
    block = np.random.default_rng(1).random((length.max(), columns), dtype=np.float32)
    place.mkdir()
    if one_file:
        array = np.empty(videos, dtype=object)
        for i, n in enumerate(length):
            array[i] = block[:n]
        np.save(place / "package.npy", array, allow_pickle=True)
    else:
        for i, n in enumerate(length):
            np.save(place / f"v{i:05d}_rgb.npy", block[:n, : columns // 2])
            np.save(place / f"v{i:05d}_flow.npy", block[:n, columns // 2 :])


def measure(place, videos, columns, mean, one_file):
    start = time.perf_counter()
    package = place / "package.npy" if one_file else place
    convert(place.parent / "store", annotations(videos, mean), package, columns=columns, subsets=("training",))
    print(f"{time.perf_counter() - start:.1f} {peak_mebibytes():.0f}")


def in_child(name, step, place):
    """What the ``step`` of the package ``name`` prints in a fresh process, so that peaks do not mix."""
    command = [sys.executable, "-m", "benchmarks.convert", name, step, str(place)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout


def main():
    if len(sys.argv) == 4:
        name, step, place = sys.argv[1:]
        return {"generate": generate, "measure": measure}[step](Path(place), *PACKAGES[name])
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        print("| package | size | copy | conversion | ratio | peak resident memory |\n|---|---|---|---|---|---|")
        for name in PACKAGES:
            place = Path(folder).resolve() / "package"
            in_child(name, "generate", place)
            size = sum(path.stat().st_size for path in place.iterdir())
            start = time.perf_counter()
            shutil.copytree(place, Path(folder) / "copy")
            copied = time.perf_counter() - start
            shutil.rmtree(Path(folder) / "copy")
            seconds, memory = in_child(name, "measure", place).split()
            cells = f"{size / 1e9:.2f} GB | {copied:.1f} s | {seconds} s | {float(seconds) / copied:.1f} | {memory} MB"
            print(f"| {name} | {cells} |", flush=True)
            shutil.rmtree(place)
            shutil.rmtree(Path(folder) / "store")


if __name__ == "__main__":
    main()

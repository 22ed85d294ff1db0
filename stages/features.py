"""Stage `features`: the feature store of one data set, drawn by the generator or converted from a published package.

python -m stages.features DATASET
"""

from collections import Counter
from pathlib import Path

from clasnet.data.annotation_files import read_annotations
from clasnet.data.annotations import tested_classes
from clasnet.data.convert import convert
from clasnet.data.datasets import benchmark_of
from clasnet.data.store import Origin, open_store
from clasnet.data.times import other_units
from clasnet.errors import InputError, shown
from stages.errors import argument, stage_errors
from stages.sources import fetch, pin
from stages.twins import write_twin
from stages.units import read_settings


def make_real(folder, dataset, settings):
    """The store of a published source, fetched first if need be, or of the user's own files."""
    origin = Origin(**settings["origin"])
    if settings["source"]:
        annotations, features = fetch(dataset, settings["source"])
    else:
        annotations, features = settings["annotations"], Path(settings["features"])
    if not features.exists():
        key = f"profiles/{settings['profile']}.yaml: data.{dataset}.features"
        raise FileNotFoundError(f"{features}: no such file or folder; {key} names it")
    if features.is_file() and features.suffix != ".npy":
        what = "a folder of .npy files, one or a pair a video, or one .npy file of all, as W-TALC's"
        raise InputError(f"{features}: must be {what}")
    benchmark = benchmark_of(dataset)
    problems = convert(
        folder,
        read_annotations(annotations),
        features,
        columns=origin.streams * settings["width"],
        subsets=(benchmark.train, benchmark.test),
        dtype=settings["dtype"],
        origin=origin,
    )
    if settings["source"]:
        pin(dataset, settings["source"])
    for kind, lines in problems.items():
        print(f"{dataset}: {kind}: {len(lines)}, {'; '.join(lines[:3])}{' ...' * (len(lines) > 3)}")


def check_subsets(dataset, annotations):
    """Raise ``InputError`` unless there are test videos with instances, and labels in the training videos, if any."""
    benchmark, found = benchmark_of(dataset), Counter(annotations.subset.tolist())
    of = {subset: annotations.subset == subset for subset in (benchmark.train, benchmark.test)}
    has = ", ".join(f"{shown(subset)}: {count}" for subset, count in sorted(found.items()))
    if not of[benchmark.test].any():
        raise InputError(f"{dataset}: no video of the subset {benchmark.test}, which is the test set; there are {has}")
    if not of[benchmark.test][annotations.segment_video].any():
        raise InputError(f"{dataset}: no instance in the {found[benchmark.test]} test videos ({benchmark.test})")
    if of[benchmark.train].any() and not annotations.labels[of[benchmark.train]].any():
        raise InputError(f"{dataset}: no label in the {found[benchmark.train]} training videos ({benchmark.train})")
    tested, untrained = tested_classes(annotations, benchmark)
    if of[benchmark.train].any() and len(untrained) == len(tested):
        names = ", ".join(map(shown, untrained[:3]))
        raise InputError(f"{dataset}: no training video has a class of the test videos, such as {names}")


def check_times(dataset, store):
    """Raise ``InputError`` if most instances lie in no seconds of their videos."""
    a = store.annotations
    if line := other_units(a.segments, store.seconds[a.segment_video], "instances"):
        raise InputError(f"{dataset}: {line}")


def main():
    dataset = argument("DATASET")
    settings, folder = read_settings("features", dataset), f"data/{dataset}"
    if settings["twin"]:
        write_twin(folder, dataset, settings["twin"], settings["annotations"], settings["dtype"])
    else:
        make_real(folder, dataset, settings)
    store = open_store(folder)
    check_subsets(dataset, store.annotations)
    check_times(dataset, store)
    a, kind = store.annotations, " (synthetic features)" if settings["twin"] else ""
    contents = f"{store.length.sum()} snippets, {len(a.segments)} instances, {len(a.classes)} classes"
    print(f"{folder}: {len(store.length)} videos, {contents}, width {store.width}{kind}")


if __name__ == "__main__":
    stage_errors(main)

"""The three benchmarks: how their subsets are named and which t-IoU thresholds their tables report."""

from dataclasses import dataclass

import numpy as np

SNIPPET_SECONDS = 0.64  # 16 frames at 25 frames per second, in every I3D package of this field


@dataclass(frozen=True)
class Benchmark:
    """The evaluation protocol of a data set."""

    title: str
    num_classes: int
    train: str  # the subset that trains
    test: str  # the subset that is evaluated
    tious: tuple[float, ...]  # evaluated thresholds, the numbers of the official evaluation to the last bit
    columns: tuple[float, ...]  # those that the table prints
    averages: dict[str, tuple[float, ...]]  # printed averages; the last one is the headline number


def _range(start, stop, step):
    return tuple(np.arange(start, stop + step / 2, step).round(2).tolist())


def _thumos14():
    tious = _range(0.1, 0.7, 0.1)
    return Benchmark(
        title="THUMOS14",
        num_classes=20,
        train="validation",
        test="test",
        tious=tious,
        columns=tious,
        averages={"0.1:0.5": _range(0.1, 0.5, 0.1), "0.3:0.7": _range(0.3, 0.7, 0.1), "0.1:0.7": tious},
    )


def _activitynet(title, num_classes):
    tious = tuple(np.linspace(0.5, 0.95, 10).tolist())  # of which one is 0.8999999999999999, as in the official code
    return Benchmark(
        title=title,
        num_classes=num_classes,
        train="training",
        test="validation",
        tious=tious,
        columns=(0.5, 0.75, 0.95),
        averages={"0.5:0.95": tious},
    )


BENCHMARKS = {
    "thumos14": _thumos14(),
    "activitynet12": _activitynet("ActivityNet v1.2", 100),
    "activitynet13": _activitynet("ActivityNet v1.3", 200),
}

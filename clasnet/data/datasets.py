"""The data sets: how each is evaluated, from datasets.json beside this file, and the time that a snippet covers.

A data set of your own is one more entry there, by a name of letters, digits and ``_``: ``title``, the names of the
subsets that ``train`` and ``test``, the ``tious`` that are evaluated, the ``columns`` and ``averages`` of them that a
table prints (the last average is the headline number), and which data set it is ``like``: whose published settings of
the networks, and whose trainings in a profile, hold where it has none of its own.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from msgspec import Struct

from clasnet.errors import InputError, shown
from clasnet.reading import Name, read_json

FILE = Path(__file__).with_suffix(".json")
SNIPPET_SECONDS = 0.64  # 16 frames at 25 frames per second, in every I3D package of this field
MOST_TIOUS = 1000
# Folders beside those of the data sets.
TAKEN = ("study", "released", "control", "units", "raw", "own", "replicates", "trials")


class Entry(Struct, forbid_unknown_fields=True):
    """What datasets.json says of one data set."""

    title: Name
    train: Name
    test: Name
    tious: str
    columns: str
    averages: list[str]
    like: str


@dataclass(frozen=True)
class Benchmark:
    """The evaluation protocol of a data set."""

    title: str
    train: str  # the subset that trains
    test: str  # the subset that is evaluated
    tious: tuple[float, ...]  # evaluated thresholds, the numbers of the official evaluation to the last bit
    columns: tuple[float, ...]  # those that the table prints
    averages: dict[str, tuple[float, ...]]  # printed averages; the last one is the headline number
    like: str  # the data set whose settings hold where this one has none of its own


@cache
def benchmarks():
    """Name to :class:`Benchmark` of every data set. Raises ``InputError`` with one line where an entry is wrong."""
    entries = read_json(FILE, dict[str, Entry])
    for name in entries:
        if not re.fullmatch(r"\w+", name, re.ASCII) or name in TAKEN:
            what = f"letters, digits and _, and none of {', '.join(TAKEN)}"
            raise InputError(f"{FILE.name}: {shown(name)}: a data set's name is one of folders: {what}")
    found = {name: _protocol(name, entry) for name, entry in entries.items()}
    titles = [one.title for one in found.values()]
    for name, one in found.items():
        if titles.count(one.title) > 1:
            raise InputError(f"{FILE.name}: {name}.title = {one.title!r}: must be that of no other data set")
        if one.like not in found or found[one.like].like != one.like:
            known = ", ".join(other for other, kind in found.items() if kind.like == other)
            raise InputError(f"{FILE.name}: {name}.like = {one.like!r}: must be one of {known}")
    return found


def benchmark_of(name):
    """The :class:`Benchmark` of the data set ``name``. Raises ``InputError`` if there is none."""
    known = benchmarks()
    if name not in known:
        raise InputError(f"unknown data set {name!r}: must be one of {', '.join(known)}, which {FILE.name} has")
    return known[name]


def _protocol(name, entry):
    place = f"{FILE.name}: {name}."
    if entry.train == entry.test:
        raise InputError(f"{place}test = {entry.test!r}: must not be the subset that trains")
    tious = _tious(entry.tious, f"{place}tious")
    averages = {key: _between(tious, key, f"{place}averages") for key in entry.averages}
    if len(set(averages.values())) != len(entry.averages):
        raise InputError(f"{place}averages = {entry.averages}: must not repeat an entry")
    if not averages:
        raise InputError(f"{place}averages: must name at least one, such as {tious[0]:g}:{tious[-1]:g}")
    columns = tuple(_of(tious, wanted, f"{place}columns") for wanted in _tious(entry.columns, f"{place}columns"))
    return Benchmark(entry.title, entry.train, entry.test, tious, columns, averages, entry.like)


def _tious(text, place):
    try:
        return to_tious(text)
    except InputError as error:
        raise InputError(f"{place} = {error}") from None


def _of(tious, wanted, place):
    """That of ``tious`` which is ``wanted``, whatever the last bit."""
    found = [tiou for tiou in tious if np.isclose(tiou, wanted)]
    if not found:
        raise InputError(f"{place}: {wanted:g} is none of its tious")
    return found[0]


def _between(tious, key, place):
    """Those of ``tious`` from the first to the second number of ``key``, such as "0.3:0.7"."""
    try:
        low, high = map(float, key.split(":"))
    except ValueError:
        raise InputError(f"{place}: {key!r}: expected two of its tious, such as {tious[0]:g}:{tious[-1]:g}") from None
    first, last = tious.index(_of(tious, low, place)), tious.index(_of(tious, high, place))
    if first > last:
        raise InputError(f"{place}: {key!r}: must not fall")
    return tious[first : last + 1]


def to_tious(text):
    """Thresholds from ``"start:stop:step"``, both ends included, or ``"0.3,0.5"``, as typed: a tuple in (0, 1].

    A range, whose steps lead to its stop, has the numbers of ``np.linspace``, as in the official evaluation, where the
    ninth of 0.5:0.95:0.05 is 0.8999999999999999: an overlap of nine tenths, which rounding may put just below 0.9,
    reaches it. Raises ``InputError`` on any other text.
    """
    try:
        if "_" in text:  # which Python skips within a number
            raise ValueError
        numbers = [float(part) for part in text.split(":" if ":" in text else ",")]
        if ":" in text:
            start, stop, step = numbers
            count = int(np.round((stop - start) / step)) + 1
            if count > MOST_TIOUS or not np.isclose(start + step * (count - 1), stop):
                raise ValueError
            numbers = np.linspace(start, stop, count).tolist()
    except (ValueError, ZeroDivisionError, OverflowError):
        numbers = []
    usable = len(set(numbers)) == len(numbers) and all(0 < t <= 1 for t in numbers)
    if not 0 < len(numbers) <= MOST_TIOUS or not usable:
        raise InputError(
            f"{text!r}: expected start:stop:step, such as 0.5:0.95:0.05, or a list, such as 0.3,0.5, within (0, 1]; "
            f"a range ends at its stop; none twice, at most {MOST_TIOUS:,}"
        )
    return tuple(numbers)

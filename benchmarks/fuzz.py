"""Valid inputs of every reader, mutated: what comes of them is a result or one line, never anything else.

    python -m benchmarks.fuzz [READER ...] [--cases 1000] [--seed 0]

A case changes bytes, or values where the file has a structure, and reads the file again. Findings: an exception that no
user can mend, more than one line, more than ten seconds, over 2 GB of memory, and a changed file that was accepted
although it carries a checksum. Every finding is printed with its traceback and the number of its case, which together
with the seed makes it again (``--only N``); the command then ends with an error.
"""

import argparse
import contextlib
import random
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

from benchmarks.memory import peak_mebibytes
from benchmarks.readers import READERS
from clasnet.errors import InputError

SECONDS, MEBIBYTES = 10, 2 << 10


class TooLong(Exception):
    """A case took more than ``SECONDS``."""


def _too_long(number, frame):
    raise TooLong


@contextlib.contextmanager
def time_limit():
    """In the block, what :func:`alarm` asks for ends in :class:`TooLong`; Windows has no such signal and no limit."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _too_long)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def alarm(seconds):
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def judge(reader, expected):
    """What came of a mutant, a word, and the finding, empty if it is none."""
    before = peak_mebibytes()
    kind, finding = outcome(reader, expected)
    if peak_mebibytes() > max(before, MEBIBYTES):  # the peak of a process never falls: this case raised it
        return "finding", "over 2 GB of memory"
    return kind, finding


def outcome(reader, expected):
    """As :func:`judge`, whatever memory it took."""
    alarm(SECONDS)
    try:
        result = reader.read()
    except (InputError, OSError, SystemExit) as error:
        alarm(0)
        line = str(error)
        if "\n" in line or not line.strip() or isinstance(error, SystemExit) and not isinstance(error.code, str):
            return "finding", f"not one line: {line!r}"
        return "refused", ""
    except BaseException:  # whatever comes is a finding
        alarm(0)
        return "finding", traceback.format_exc()
    finally:
        alarm(0)
    if reader.proof and result != expected:
        return "finding", "accepted, though changed"
    return "accepted", ""


def fuzz(name, cases, seed=0, first=0, say=print):
    """Run cases ``first`` ... of the reader ``name``. Returns how many ended how; ``say`` gets the findings."""
    counts, seen = Counter(), Counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), time_limit():
        warnings.simplefilter("ignore")
        reader = READERS[name](Path(folder))
        expected = reader.read()
        for n in range(first, first + cases):
            reader.mutate(random.Random(f"{name} {seed} {n}"))
            kind, finding = judge(reader, expected)
            counts[kind] += 1
            if finding:
                last = "\n".join(finding.splitlines()[-4:])
                seen[last] += 1
                if seen[last] == 1:
                    say(f"{name}, case {n}: {finding}")
            reader.restore()
    return counts


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)} (default: all)")
    parser.add_argument("--cases", type=int, default=1000, help="of every reader (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="this case alone")
    given = parser.parse_args()
    if unknown := [name for name in given.readers if name not in READERS]:
        parser.error(f"no reader {unknown[0]!r}: must be of {', '.join(READERS)}")
    bad = 0
    for name in given.readers or READERS:
        cases, first = (given.cases, 0) if given.only is None else (1, given.only)
        counts = fuzz(name, cases, given.seed, first)
        bad += counts["finding"]
        print(f"{name}: {cases} cases, " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()

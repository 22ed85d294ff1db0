"""Units: what one stage reads of params.yaml, of the active profile and of the code, in one small file that DVC
watches.

The stage `check` writes them, data/units/<stage>/<key>.json; a stage whose unit stays the same does not run again.
machine.json holds how this machine runs, which no result depends on, and is no dependency.
"""

from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, to_builtins

from clasnet.errors import InputError
from clasnet.reading import read_json

UNITS = Path("data/units")


class Unit(Struct):
    """What a stage reads: its settings, and the hash of each module of its code."""

    settings: dict[str, Any]
    code: dict[str, str]


class Machine(Struct):
    """How this machine runs, and β."""

    device: Literal["auto", "cpu", "cuda"]
    jobs: int | str
    threads: int
    cache: str
    beta: float


def read_settings(stage, key=""):
    """The settings of the stage ``stage`` for the model or data set ``key``. Raises ``FileNotFoundError`` with one line
    if there are none.
    """
    return read_unit(unit_path(stage, key))["settings"]


def read_machine():
    """How this machine runs: ``device``, ``jobs``, ``threads``, ``cache``; and ``beta``, which model files record for
    use outside the pipeline.
    """
    return read_unit(UNITS / "machine.json", Machine)


def unit_path(stage, key=""):
    """Where the unit of a stage lies."""
    return UNITS / (f"{stage}/{key}.json" if key else f"{stage}.json")


def read_unit(path, schema=Unit):
    """The content of one file of `check`."""
    try:
        return to_builtins(read_json(path, schema))
    except FileNotFoundError:
        line = f"{path}: no such file; params.yaml asks for no such stage, or is not checked yet: `dvc repro check`"
        raise FileNotFoundError(line) from None
    except InputError as error:
        raise InputError(f"{error}; `dvc repro --force --single-item check` writes it again") from None

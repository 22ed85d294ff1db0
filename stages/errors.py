"""How a stage begins and ends: alone at its work, and when something is wrong that its user can mend, with one line."""

import errno
import re
import signal
import sqlite3
import sys
from pathlib import Path

from clasnet.errors import InputError, out_of_memory
from stages.exclusive import exclusive
from stages.signals import stop_on_sigterm

LOCKS = Path("data/.locks")
MENDABLE = (InputError, OSError, FloatingPointError, sqlite3.OperationalError)  # the last one is of a disk that is full


def stage_errors(main):
    """Run a stage's ``main``, one process at a time for the same arguments; an error that a user can mend ends it with
    its one line instead of a traceback, and so does a stop.
    """
    name = Path(sys.argv[0]).stem
    stop_on_sigterm()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a shell may have closed them
        stream.reconfigure(errors="backslashreplace")  # a terminal may not know every letter of a class name
    try:
        with exclusive(lock_path([name, *sys.argv[1:]])):
            main()
    except KeyboardInterrupt:
        print(f"{name}: stopped; the next run goes on from here", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    except MENDABLE as error:
        raise SystemExit(f"{name}: {one_line(error)}") from None
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise SystemExit(f"{name}: not enough memory; a smaller batch, width or number of jobs needs less") from None


def argument(kind):
    """The one argument of a stage's command, a ``kind`` of thing; any others end it with how it is used."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(f"usage: python -m stages.{Path(sys.argv[0]).stem} {kind}")
    return sys.argv[1]


def lock_path(command):
    """Where the lock of a stage lies that is run as ``command``."""
    return LOCKS / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', '-'.join(command))[:100]}.lock"


def one_line(error):
    """What is wrong, in a line."""
    no_room = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, sqlite3.OperationalError) or (no_room and not error.filename):  # DVC's own, of DVCLive
        return "the disk is full; nothing half-written is left; make room and run again"
    return " ".join(str(error).split())

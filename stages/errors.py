"""How a stage begins and ends: with its parent, and when something is wrong that its user can mend, with one line."""

import errno
import os
import signal
import sqlite3
import sys
from pathlib import Path

from stages.signals import end_with_parent, stop_on_sigterm


def stage_errors(main):
    """Run a stage's ``main``; an error that a user can mend ends it with its one line instead of a traceback, and so
    does a stop.
    """
    name = Path(sys.argv[0]).stem
    if "DVC_STAGE" in os.environ:  # on its own, a stage outlives the shell that it was started from
        end_with_parent(os.getppid())
    stop_on_sigterm()
    try:
        main()
    except KeyboardInterrupt:
        print(f"{name}: stopped; the next run goes on from here", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    except (ValueError, OSError, FloatingPointError, sqlite3.OperationalError) as error:
        raise SystemExit(f"{name}: {one_line(error)}") from None


def one_line(error):
    """What is wrong, in a line."""
    no_room = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, sqlite3.OperationalError) or (no_room and not error.filename):  # DVC's own, of DVCLive
        return "the disk is full; nothing half-written is left; make room and run again"
    return " ".join(str(error).split())

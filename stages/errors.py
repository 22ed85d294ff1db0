"""How a stage ends when something is wrong that its user can mend: with one line."""

import errno
import sys
from pathlib import Path


def stage_errors(main):
    """Run a stage's ``main``; an error that a user can mend ends it with its one line instead of a traceback."""
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        no_room = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        full = no_room and not error.filename
        text = "the disk is full; nothing half-written is left; make room and run again" if full else error
        raise SystemExit(f"{Path(sys.argv[0]).stem}: {text}") from None

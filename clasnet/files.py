"""Files that are either whole or not there: written beside their place, then renamed into it."""

import glob
import json
import os
import shutil
import socket
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """A path beside ``path`` to write a file or a folder to.

    It takes the place of ``path`` when the block ends without an error. What a killed process left half-written on this
    machine is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f".{path.name}.partial-{socket.gethostname()}-"
    for left in path.parent.glob(f"{glob.escape(name)}*"):
        if not _runs(int(left.name.removeprefix(name))):
            _remove(left)
    partial = path.with_name(f"{name}{os.getpid()}")
    try:
        yield partial
        if partial.is_dir() and path.exists():  # a folder cannot be renamed onto another: the old one steps aside first
            old = path.with_name(f".{path.name}.old-{os.getpid()}")
            os.replace(path, old)
            os.replace(partial, path)
            _remove(old)
        else:
            os.replace(partial, path)
    finally:
        _remove(partial)


def _runs(pid):
    """Is there such a process? Where one cannot ask safely, yes."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path, content, indent=2):
    """Write ``content`` as JSON to ``path``. NaN and infinity, which are not JSON, raise ``ValueError``."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=indent, allow_nan=False) + "\n")

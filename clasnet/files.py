"""Files that are either whole or not there: written beside their place, then renamed into it."""

import glob
import json
import os
import shutil
import socket
import time
from contextlib import contextmanager
from pathlib import Path

STALE = 3600  # seconds without a change, after which what another machine left half-written is a leftover


@contextmanager
def replacing(path):
    """A path beside ``path`` to write a file or a folder to.

    It takes the place of ``path`` when the block ends without an error. What a killed process left half-written is
    removed: of this machine at once, of another one on a shared disk an hour after its last change.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    own = f"{socket.gethostname()}-{os.getpid()}"
    partial = path.with_name(f".{path.name}.partial-{own}")
    try:
        yield partial
        if partial.is_dir() and path.exists():  # a folder cannot be renamed onto another: the old one steps aside first
            old = path.with_name(f".{path.name}.old-{own}")
            os.replace(path, old)
            os.replace(partial, path)
            _remove(old)
        else:
            os.replace(partial, path)
    finally:
        _remove(partial)


def remove_leftovers(path):
    """Remove what killed processes left beside ``path``. One that was killed between the two renames of a folder leaves
    the old one aside and none in its place: then the old one is put back.
    """
    kinds = "partial", "old"
    for left in [p for kind in kinds for p in path.parent.glob(f".{glob.escape(path.name)}.{kind}-*")]:
        host, _, pid = left.name.removeprefix(f".{path.name}.").partition("-")[2].rpartition("-")
        if not pid.isdigit() or (_runs(int(pid)) if host == socket.gethostname() else _fresh(left)):
            continue
        if left.name.startswith(f".{path.name}.old-") and not path.exists():
            os.replace(left, path)
        else:
            _remove(left)


def _fresh(path):
    """Has anything in ``path`` changed of late?"""
    try:
        newest = max(p.stat().st_mtime for p in (path, *path.rglob("*")))
    except OSError:  # it is being renamed at this moment
        return True
    return time.time() - newest < STALE


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


def files_below(folder, ending=""):
    """Paths of all files in ``folder`` or below whose names have that ``ending``, those in linked folders too."""
    found, seen = [], set()
    for place, folders, names in os.walk(folder, followlinks=True):
        inside = os.path.realpath(place) in seen  # of itself, by a link
        seen.add(os.path.realpath(place))
        folders[:] = [] if inside else folders
        found += [] if inside else [Path(place, name) for name in names if name.endswith(ending)]
    return sorted(found)


def write_json(path, content, indent=2):
    """Write ``content`` as JSON to ``path``. NaN and infinity, which are not JSON, raise ``ValueError``."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=indent, allow_nan=False) + "\n", encoding="utf-8", newline="\n")

"""The work of a stage belongs to one process."""

import os
import socket
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def exclusive(path):
    """Hold the lock in the file ``path`` for the block; the system gives it back whatever becomes of this process.

    While another one holds it, this one waits, with a line that names the other.
    """
    path, owner = Path(path), Path(path).with_suffix(".owner")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = owner.read_text(encoding="utf-8") if owner.exists() else "another process"
        print(f"{path}: {who} is at work there; waiting until it ends", flush=True)
        lock.acquire()
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8", newline="\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()

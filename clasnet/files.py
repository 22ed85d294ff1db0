"""Files that are either whole or not there: written beside their place, then renamed into it."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """A path beside ``path`` to write a file or a folder to; it takes the place of ``path`` when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        yield partial
        if partial.is_dir() and path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)


def write_json(path, content, indent=2):
    """Write ``content`` as JSON to ``path``. NaN and infinity, which are not JSON, raise ``ValueError``."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=indent, allow_nan=False) + "\n")

"""Files from the network that arrive whole or not at all.

They are resumed after a break, checked, and renamed into place at the end. What has no known checksum must begin as
files of its name do.
"""

import errno
import hashlib
from pathlib import Path
from time import sleep as pause

import requests
from filelock import FileLock
from tqdm import tqdm

from clasnet.errors import shown

MAGIC = {  # how files of a name begin: suffix to position and bytes
    ".npy": (0, b"\x93NUMPY"),
    ".zip": (0, b"PK\x03\x04"),
    ".gz": (0, b"\x1f\x8b"),
    ".tgz": (0, b"\x1f\x8b"),
    ".xz": (0, b"\xfd7zXZ\x00"),
    ".bz2": (0, b"BZh"),
    ".tar": (257, b"ustar"),
}
BLOCK = 1 << 16  # bytes; a broken connection costs at most one
TIMEOUT = 30  # seconds without a byte


class Unavailable(Exception):
    """A source that cannot give the file, in one line; another mirror may."""


def download(url, path, *, size=None, checksum=None, attempts=5, backoff=1.0):
    """Fetch ``url`` to ``path``, which appears only when it is complete and right.

    A part of an earlier try, ``<path>.part``, is continued. ``size`` in bytes; ``checksum`` ``"sha256:<digits>"``,
    ``"md5:<digits>"`` or ``"git:<digits>"``, of which the first digits are enough. After a break it tries again,
    ``attempts`` times in all, ``backoff`` times 1, 2, 4 ... seconds apart. Raises :class:`Unavailable`, or ``OSError``
    when the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with FileLock(path.with_name(path.name + ".lock")):  # of two at once, the second finds the work done
        if path.exists():
            return
        _fetch(url, part, known=bool(checksum), attempts=attempts, backoff=backoff)
        accept(part, path, size=size, checksum=checksum, source=url)


def download_drive(id, path, *, size=None, checksum=None, attempts=5):
    """As :func:`download`, from the public Google Drive file ``id``."""
    import gdown  # which takes as long to import as all else that a stage without it needs

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".drive")  # gdown keeps what it has beside it and goes on from there
    with FileLock(path.with_name(path.name + ".lock")):
        if path.exists():
            return
        try:
            gdown.download(id=id, output=str(part), resume=True, retries=attempts - 1, timeout=TIMEOUT)
        except (gdown.DownloadError, requests.RequestException) as error:
            raise Unavailable(f"Google Drive {id}: {_reason(error)}") from None
        except OSError as error:
            raise _no_room(error, part) from None
        accept(part, path, size=size, checksum=checksum, source=f"Google Drive {id}")


def accept(part, path, *, size=None, checksum=None, source=None):
    """Rename ``part`` to ``path`` if it is the expected file; else delete it and raise :class:`Unavailable`."""
    problem = _page(part) or wrong(part, size=size, checksum=checksum, name=path.name)
    if problem:
        part.unlink()
        _validator(part).unlink(missing_ok=True)
        raise Unavailable(f"{source or path}: {problem}")
    part.replace(path)
    _validator(part).unlink(missing_ok=True)


def wrong(path, *, size=None, checksum=None, name=None):
    """What is wrong with the file ``path``, which is to be called ``name``, in words; empty if nothing."""
    if size is not None and _size(path) != size:
        return f"{_size(path)} bytes instead of {size}"
    if checksum:
        kind, _, digits = checksum.partition(":")
        found = digest(path, kind)
        if not found.startswith(digits.lower()):
            return f"its {kind} is {found[:12]}… instead of {digits[:12]}…"
        return ""
    return _other_kind(path, Path(name or path).suffix)


def _other_kind(path, suffix):
    """What to say if the file does not begin as one with that ``suffix`` does; empty if it does, or if that is not
    known.
    """
    position, magic = MAGIC.get(suffix, (0, b""))
    with open(path, "rb") as file:
        start = file.read(512)
    if start[position:].startswith(magic):
        return ""
    return f"not a {suffix} file: it begins with {shown(start[:24])}"


def digest(path, kind="sha256"):
    """Hexadecimal digest of the file ``path``; of the ``kind`` "git" the name that Git gives to its content."""
    with open(path, "rb") as file:
        total = hashlib.sha1(b"blob %d\0" % _size(path)) if kind == "git" else hashlib.new(kind)
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


class _Broken(Exception):
    """The connection ended before the file did."""


_BREAKS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, _Broken)


def _fetch(url, part, known, attempts, backoff):
    """Bring ``part`` to its end in at most ``attempts`` requests."""
    for attempt in range(attempts):
        try:
            return _continue(url, part, known)
        except _BREAKS as error:
            if attempt == attempts - 1:
                again = f"run again to go on from byte {_size(part)}"
                raise Unavailable(f"{url}: broke off {attempts} times ({_reason(error)}); {again}") from None
            pause(backoff * 2**attempt)
        except requests.RequestException as error:
            raise Unavailable(f"{url}: {_reason(error)}") from None
        except OSError as error:
            raise _no_room(error, part) from None


def _continue(url, part, known):
    """One request that brings ``part`` to its end.

    It goes on from there only if a mixture would be noticed: by the server's validator or a ``known`` checksum.
    """
    have, validator = _size(part), _validator(part)
    headers = {"Accept-Encoding": "identity"}
    if have and validator.exists():
        mark = validator.read_text(encoding="utf-8")  # another version starts anew
        headers |= {"Range": f"bytes={have}-", "If-Range": mark}
    elif have and known:
        headers |= {"Range": f"bytes={have}-"}
    else:
        have = 0
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        start = _agreed_start(answer, part, have)
        if start is not None:
            _receive(answer, part, start)


def _agreed_start(answer, part, have):
    """The byte from which ``answer`` goes on, asked for byte ``have``; None where nothing comes after it."""
    content_range = answer.headers.get("Content-Range", "")
    if answer.status_code == 416 and have:
        if content_range.endswith(f"/{have}"):
            return None
        part.unlink()
        raise _Broken("what is there is longer than the file")
    if answer.status_code in (429, 500, 502, 503, 504):
        raise _Broken(f"the server says {answer.status_code} {answer.reason}")
    answer.raise_for_status()
    if answer.status_code != 206:
        return 0  # the server ignores ranges, or has another version
    mark = answer.headers.get("ETag")
    another = mark and _validator(part).exists() and mark != _validator(part).read_text(encoding="utf-8")
    if another or not content_range.startswith(f"bytes {have}-"):
        part.unlink(missing_ok=True)
        raise _Broken(f"the server sent another version, or another range than from byte {have} on")
    return have


def _receive(answer, part, start):
    """Write what comes with ``answer`` to ``part`` from byte ``start`` on, and the server's validator beside it."""
    length = answer.headers.get("Content-Length", "")
    rest = int(length) if length.isdecimal() else None
    total = start + rest if rest is not None else None
    bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem, leave=False, disable=None)
    with bar, open(part, "ab" if start else "wb") as file:
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if mark and not mark.startswith("W/"):  # a weak one does not vouch for the same bytes
            _validator(part).write_text(mark, encoding="utf-8", newline="\n")
        else:
            _validator(part).unlink(missing_ok=True)
        for block in answer.iter_content(BLOCK):
            file.write(block)
            bar.update(len(block))
    if rest is not None and _size(part) != start + rest:
        raise _Broken(f"{_size(part) - start} of {rest} bytes came")


def _page(path):
    """What to say if the file is a web page, which quota and log-in walls send under any name; empty if it is not."""
    with open(path, "rb") as file:
        start = file.read(512).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page came instead of the file (a log-in, a quota, or a moved link)"
    return ""


def _no_room(error, part):
    """``error`` as one line, if it is about room on the disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OSError(
            error.errno, f"the disk is full; make room and run again, which goes on from byte {_size(part)}", str(part)
        )
    return error


def _validator(part):
    return part.with_name(part.name + ".etag")


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _reason(error):
    return " ".join(str(error).split())[:160] or type(error).__name__

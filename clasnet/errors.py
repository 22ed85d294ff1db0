"""What goes wrong in a way that a user can mend, told apart from programming errors."""

import reprlib

LONGEST = 2000  # characters of a line


class InputError(ValueError):
    """A file, a value or a setting is wrong. Its text is one line that names the place and what is wrong there.

    Commands and stages end with that line; any other ``ValueError`` is a programming error and keeps its traceback.
    """

    def __init__(self, text):
        text = " ".join(str(text).split())
        super().__init__(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def out_of_memory(error):
    """Is ``error`` that, as Python, NumPy, or PyTorch on a CPU or on a GPU says it?"""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # PyTorch may not be there
        return True
    return "out of memory" in str(error) or "can't allocate memory" in str(error)


_short = reprlib.Repr()
_short.maxlevel = 4
_short.maxdict = _short.maxlist = _short.maxtuple = _short.maxset = 8
_short.maxstring = _short.maxlong = _short.maxother = 500


def shown(value):
    """``value`` as an error line shows it, cut where it is long or deep."""
    try:
        return _short.repr(value)
    except (ValueError, RecursionError):  # an integer of too many digits, or nested too deep
        return f"a {type(value).__name__}"

"""What goes wrong in a way that a user can mend, told apart from programming errors."""

LONGEST = 2000  # characters of a line


class InputError(ValueError):
    """A file, a value or a setting is wrong. Its text is one line that names the place and what is wrong there.

    Commands and stages end with that line; any other ``ValueError`` is a programming error and keeps its traceback.
    """

    def __init__(self, text):
        text = " ".join(str(text).split())
        super().__init__(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def shown(value, longest=500):
    """``value`` as an error line shows it, cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of too many digits, or nested too deep
        text = f"a {type(value).__name__}"
    return text if len(text) <= longest else f"{text[:longest]}…"

"""How a command of the library ends: what its user can mend is one line, and so is a stop."""

import os
import signal
import sys
from contextlib import contextmanager

from clasnet.errors import InputError, out_of_memory


@contextmanager
def command(name):
    """What the command ``name`` does, with all that it prints; errors that are no programming errors end it with a
    line.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a shell may have closed them
        stream.reconfigure(errors="backslashreplace")  # a terminal may not know every letter of a name
    try:
        yield
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:  # of `| head`: whoever reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
        sys.exit(128 + 13)
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except ModuleNotFoundError as error:
        sys.exit(f"{name}: needs {error.name}: pip install 'clasnet[video]'")
    except (InputError, OSError, MemoryError) as error:
        sys.exit(f"{name}: {' '.join(str(error).split()) or 'not enough memory'}")
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        sys.exit(f"{name}: {' '.join(str(error).split())}")

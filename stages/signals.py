"""How a stage stops: with its parent, and at SIGTERM or Ctrl-C with one line, leaving nothing at work."""

import ctypes
import os
import signal
import sys
import time
from threading import Thread

PR_SET_PDEATHSIG = 1
GRACE = 1.0  # seconds that a process has to write its checkpoint when it is asked to stop
LOOK = 0.5  # seconds between two looks for the parent


def end_with_parent(parent):
    """Have this process get a SIGTERM when the process ``parent`` that started it is gone: on Linux by the kernel,
    elsewhere from a thread that looks.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # gone before that call
            os.kill(os.getpid(), signal.SIGTERM)
    else:
        Thread(target=_look_for, args=(parent,), daemon=True).start()


def _look_for(parent):
    import psutil  # DVC needs it, so it is there

    while os.getppid() == parent and psutil.pid_exists(parent):
        time.sleep(LOOK)
    signal.raise_signal(signal.SIGTERM)


def stop_on_sigterm():
    """Turn a SIGTERM to this process into the exception that Ctrl-C raises, so that both end in the same way."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number, frame):
    end_within(1.6 * GRACE)  # after the processes that it may have started
    raise KeyboardInterrupt


def end_within(seconds):
    """Have the system end this process after ``seconds``, if it has not ended by itself."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


class StopRequest:
    """Asked for by SIGTERM or SIGINT from now on; call it to know. Who does not ask in time is ended."""

    def __init__(self):
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number, frame):
        self.asked = True
        end_within(GRACE)

    def __call__(self):
        return self.asked

"""How a stage stops: with its parent, and at SIGTERM or Ctrl-C with one line, leaving nothing at work."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with_parent(parent):
    """Have the kernel send this process a SIGTERM when the process ``parent`` that started it is gone; Linux only:
    elsewhere the parent sees to it as long as it can.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # gone before that call
            os.kill(os.getpid(), signal.SIGTERM)


def stop_on_sigterm():
    """Turn a SIGTERM to this process into the exception that Ctrl-C raises, so that both end in the same way."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number, frame):
    raise KeyboardInterrupt


class StopRequest:
    """Asked for by SIGTERM or SIGINT from now on; call it to know."""

    def __init__(self):
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number, frame):
        self.asked = True

    def __call__(self):
        return self.asked

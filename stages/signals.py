"""How a stage stops: with its parent, and at SIGTERM or Ctrl-C with one line, leaving nothing at work."""

import contextlib
import ctypes
import os
import signal
import sys
import time
from threading import Thread

PR_SET_PDEATHSIG = 1
GRACE = 1.0  # seconds that a process has to write its checkpoint when it is asked to stop
LOOK = 0.2  # seconds between two looks for the parent


def end_with_parent(parent):
    """Have this process get a SIGTERM when the process ``parent`` that started it is gone: on Linux by the kernel,
    elsewhere from a thread that looks.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # gone before that call
            os.kill(os.getpid(), signal.SIGTERM)
    else:
        look_for(parent, os.getppid)


def end_with_dvc():
    """Have this process, a stage, get a SIGTERM when the DVC that runs it is gone: its parent, or the parent of a shell
    between the two. Of the shells that DVC may start a stage in, bash and zsh become the stage; dash and fish wait for
    it, and outlive DVC.
    """
    import psutil  # DVC needs it, so it is there

    parent = os.getppid()
    end_with_parent(parent)
    with contextlib.suppress(psutil.Error):  # it may be gone by now, or another user's
        shell = psutil.Process(parent)
        if any("-m stages." in argument for argument in shell.cmdline()):  # the whole command as one: a shell's
            look_for(shell.ppid(), shell.ppid)


def look_for(process, ask):
    """Get a SIGTERM as soon as ``ask()`` is no longer the number ``process``, or no such process is left."""
    Thread(target=_look_for, args=(process, ask), daemon=True).start()


def _look_for(process, ask):
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        while ask() == process and psutil.pid_exists(process):
            time.sleep(LOOK)
    if os.name == "posix":
        os.kill(os.getpid(), signal.SIGTERM)  # the whole process, or a main thread that waits would not wake
    else:
        signal.raise_signal(signal.SIGTERM)  # there, the former would end it at once


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

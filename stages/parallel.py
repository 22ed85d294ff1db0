"""A process a seed, as many at once as `jobs` in params.yaml says; what they compute does not depend on how many."""

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from multiprocessing.connection import wait

import torch

from clasnet.errors import InputError
from stages.errors import MENDABLE
from stages.signals import GRACE, end_with_parent


def run_each(function, items, machine):
    """``[function(item, device) for item in items]``, every item in a process of its own.

    The processes start as copies of this one where the system can, so its imports are paid once. ``machine`` is that of
    :func:`stages.units.read_machine`; on GPUs they take turns over the cards. The first error stops the others and is
    raised; none outlives this function.
    """
    keep_memory()
    devices = visible_devices(machine["device"])
    waiting = [(i, item, devices[i % len(devices)]) for i, item in reversed(list(enumerate(items)))]
    jobs, context, at_work, results = processes(machine, devices), start_method(), {}, {}
    try:
        while waiting or at_work:
            while waiting and len(at_work) < jobs:
                i, item, device = waiting.pop()
                connection, theirs = context.Pipe(duplex=False)
                arguments = (theirs, os.getpid(), function, item, device, machine["threads"])
                process = context.Process(target=work, args=arguments)
                process.start()
                theirs.close()
                at_work[connection] = i, item, process
            for connection in wait(at_work):
                i, item, process = at_work[connection]
                results[i] = outcome(connection, item)
                process.join()
                del at_work[connection]
    finally:
        stop([process for _, _, process in at_work.values()])
    return [results[i] for i in range(len(items))]


def work(connection, parent, function, item, device, threads):
    """What a process does: the function's result, or its error, goes into ``connection``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent sees to this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent(parent)
    torch.set_num_threads(threads)
    try:
        result, error, where = function(item, device), None, ""
    except BaseException as raised:  # whatever it is, the parent raises it
        result, error, where = None, raised, traceback.format_exc()
    connection.send((result, error, where))


def outcome(connection, item):
    """The result of a process; its error is raised."""
    try:
        result, error, where = connection.recv()
    except EOFError:
        raise InputError(f"{item}: its process was killed; run again, which goes on from its last checkpoint") from None
    if isinstance(error, MENDABLE):
        raise error
    if error:
        raise error from Elsewhere(where)
    return result


class Elsewhere(Exception):
    """Where in another process an error was raised: the text of its traceback."""

    def __str__(self):
        return f"\n{self.args[0]}"


def stop(processes):
    """Have all ``processes`` stop, and wait until they have."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(1.2 * GRACE)
        process.kill()
        process.join()


def start_method():
    """How processes start: as copies of this one where that is safe."""
    copies = sys.platform == "linux"
    return multiprocessing.get_context("fork" if copies else "spawn")


def keep_memory():
    """Have glibc keep the memory of large tensors, which it would give back to the system after every operation: that
    takes a sixth of a training, and changes no byte of it.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            libc.mallopt(option, 1 << 30)


def visible_devices(wanted):
    """Names of the devices to use: every CUDA device that this process may see, else the CPU.

    CUDA itself is left alone: it survives no fork.
    """
    count = torch.cuda.device_count() if wanted != "cpu" else 0
    if wanted == "cuda" and not count:
        raise InputError("params.yaml: device = 'cuda': PyTorch sees no CUDA device here; use auto or cpu")
    return [f"cuda:{i}" for i in range(count)] or ["cpu"]


def processes(machine, devices):
    """How many processes at once: `jobs`; with ``auto`` one a GPU, on a CPU twice what the cores have threads for.

    Twice, because the system shares the cores out evenly among them: three seeds then keep two cores at work to the
    end.
    """
    if machine["jobs"] != "auto":
        return machine["jobs"]
    return len(devices) if devices[0] != "cpu" else max(1, 2 * cores() // machine["threads"])


def cores():
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

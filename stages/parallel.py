"""A process a seed, as many at once as `jobs` in params.yaml says; what they compute does not depend on how many."""

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from multiprocessing.connection import wait
from typing import NamedTuple

import torch

from clasnet.errors import InputError
from clasnet.models.precision import set_tf32
from stages.errors import MENDABLE
from stages.signals import GRACE, end_with_parent

SMALL = 2 << 30  # bytes that a process takes on a card by itself: CUDA, PyTorch, a model that looks at one video


class Place(NamedTuple):
    """Where a process works."""

    device: str
    sharing: int  # processes that are at work at once, which share memory: this one and those beside it


def run_each(function, items, machine, memory=SMALL):
    """``[function(item, place) for item in items]``, every item in a process of its own, at its :class:`Place`.

    The processes start as copies of this one where the system can, so its imports are paid once. ``machine`` is that of
    :func:`stages.units.read_machine`; on GPUs each starts where the fewest are at work, and ``memory`` is how many
    bytes of a card it takes. The first error stops the others and is raised; none outlives this function.
    """
    keep_memory()
    devices = visible_devices(machine["device"])
    jobs = min(processes(machine, devices, memory), len(items))
    waiting, at_work, results = list(reversed(list(enumerate(items)))), {}, {}
    try:
        while waiting or at_work:
            while waiting and len(at_work) < jobs:
                i, item = waiting.pop()
                device = emptiest(devices, [device for _, _, device, _ in at_work.values()])
                connection, process = start(function, item, Place(device, jobs), machine["threads"])
                at_work[connection] = i, item, device, process
            for connection in wait(at_work):
                i, item, _, process = at_work[connection]
                results[i] = outcome(connection, item)
                process.join()
                del at_work[connection]
    finally:
        stop([process for *_, process in at_work.values()])
    return [results[i] for i in range(len(items))]


def emptiest(devices, busy):
    """The first of those ``devices`` that are named least often in ``busy``."""
    return min(devices, key=busy.count)


def start(function, item, place, threads):
    """Start ``function(item, place)`` in a process: the connection that its result comes from, and the process."""
    context = start_method()
    connection, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(theirs, os.getpid(), function, item, place, threads))
    process.start()
    theirs.close()
    return connection, process


def work(connection, parent, function, item, place, threads):
    """What a process does: the function's result, or its error, goes into ``connection``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent sees to this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent(parent)
    torch.set_num_threads(threads)
    set_tf32(False)
    try:
        result, error, where = function(item, place), None, ""
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


def processes(machine, devices, memory):
    """How many processes at once: `jobs`; with ``auto`` on GPUs as many as find ``memory`` bytes there, at least one a
    card and at most one a core; on a CPU twice what the cores have threads for.

    Twice, because the system shares the cores out evenly among them: three seeds then keep two cores at work to the
    end. On a card twice the memory must be free: half of a share is for the cache of batches.
    """
    if machine["jobs"] != "auto":
        return machine["jobs"]
    if devices[0] == "cpu":
        return max(1, 2 * cores() // machine["threads"])
    each = min(free // (2 * memory) for free in free_memory(devices))
    return len(devices) * max(1, min(each, cores() // (len(devices) * machine["threads"])))


def free_memory(devices):
    """Bytes that are free on each of the CUDA ``devices``, asked in a process of its own: CUDA survives no fork."""
    connection, process = start(ask_memory, devices, None, threads=1)
    try:
        return outcome(connection, "the question what is free on the GPUs")
    finally:
        stop([process])


def ask_memory(devices, place):
    """What :func:`free_memory` returns; it needs no ``place``."""
    return [torch.cuda.mem_get_info(device)[0] for device in devices]


def cores():
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

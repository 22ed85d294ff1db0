"""A process a seed, as many at once as `jobs` in params.yaml says; what they compute does not depend on how many."""

import ctypes
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import torch


def run_each(function, items, machine):
    """``[function(item, device) for item in items]``, in processes that start as copies of this one where the system
    can (its imports are paid once).

    ``machine`` is that of :func:`stages.units.read_machine`. On GPUs the processes take turns over the cards. The first
    error is raised."""
    keep_memory()
    devices = visible_devices(machine["device"])
    tasks = [(function, item, devices[i % len(devices)], machine["threads"]) for i, item in enumerate(items)]
    jobs = min(processes(machine, devices), len(tasks))
    if jobs == 1:
        return [run_one(task) for task in tasks]
    forks = "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if forks else "spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        return list(pool.map(run_one, tasks))


def run_one(task):
    function, item, device, threads = task
    torch.set_num_threads(threads)
    return function(item, device)


def keep_memory():
    """Have glibc keep the memory of large tensors, which it would give back to the system after every operation: that
    takes a sixth of a training, and changes no byte of it."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            libc.mallopt(option, 1 << 30)


def visible_devices(wanted):
    """Names of the devices to use: every CUDA device that this process may see, else the CPU. CUDA itself is left
    alone: it survives no fork."""
    count = torch.cuda.device_count() if wanted != "cpu" else 0
    if wanted == "cuda" and not count:
        raise ValueError("params.yaml: device = 'cuda': PyTorch sees no CUDA device here; use auto or cpu")
    return [f"cuda:{i}" for i in range(count)] or ["cpu"]


def processes(machine, devices):
    """How many processes at once: `jobs`, or with ``auto`` one a GPU, on a CPU as many as its cores have room for their
    threads."""
    if machine["jobs"] != "auto":
        return machine["jobs"]
    return len(devices) if devices[0] != "cpu" else max(1, cores() // machine["threads"])


def cores():
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

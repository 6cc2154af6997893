"""MPI's communicators: the number of ranks that a launcher started, and the data that they gather from each other.

A communicator is mpi4py's own, such as ``MPI.COMM_WORLD``. Only buffers are sent, by non-blocking collectives; nothing
is pickled. A program without a launcher gets `ALONE` and needs no MPI.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ..runtime.extras import how_to_install, require
from ..runtime.threads import get_num_threads
from ..spec import Array

__all__ = ["ALONE", "Launch", "fair_threads", "gather", "gather_bytes", "launch_of", "merge", "wait", "world"]

_LAUNCHERS = {  # MPI's launchers come first, because srun may have started them
    "mpiexec of Open MPI": ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    "mpiexec": ("PMI_SIZE", "PMI_RANK"),
    "srun": ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
    "torchrun": ("WORLD_SIZE", "RANK"),
}
"""The environment variables in which each launcher passes the number of processes and the number of this process."""
_NUMBERS_OF_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_EAGER = 0.002  # seconds for which a waiting rank only yields its processor; sending a bucket takes about as long
_POLLS = 32  # between two naps: each poll makes MPI move a chunk of a message, 64 KB if UCX uses TCP
_NAP = 0.0005  # seconds between polls after a long wait, so that the rank uses no processor time


class Launch(NamedTuple):
    """by: the launcher. size: how many processes it started. rank: the number of this process, 0 if unknown."""

    by: str
    size: int
    rank: int


def launch_of(environment: Mapping[str, str] | None = None) -> Launch | None:
    """Return what a launcher passed to this process; None if no launcher started it.

    Raises:
        ValueError: if a launcher's variable is not a number.

    >>> launch_of({"WORLD_SIZE": "4", "RANK": "2"})
    Launch(by='torchrun', size=4, rank=2)
    >>> launch_of({}) is None
    True
    """
    environment = os.environ if environment is None else environment
    for by, names in _LAUNCHERS.items():
        if names[0] in environment:
            return Launch(by, *(int(environment.get(name, "0")) for name in names))
    return None


ALONE: Any = SimpleNamespace(rank=0, size=1)
"""The communicator of a process without others."""


def world() -> Any:
    """Return MPI's ``COMM_WORLD``, all ranks that were started together; `ALONE` if no launcher started this process.

    Raises:
        ModuleNotFoundError: if there are several processes and mpi4py or MPI is missing.
        ValueError: if the launcher did not start as many processes as MPI sees.

    >>> world().size
    1
    """
    launch = launch_of()
    if "mpi4py.MPI" not in sys.modules and (launch is None or launch.size == 1):
        return ALONE
    try:
        comm = require("mpi4py.MPI", "mpi").COMM_WORLD
    except RuntimeError as error:  # mpi4py's, where it finds no library
        raise ModuleNotFoundError(f"mpi4py finds no MPI: {how_to_install('mpi', 'mpich')}") from error
    if launch is not None and launch.size != comm.size:
        raise ValueError(
            f"{launch.by} started {launch.size} processes, but MPI sees {comm.size} here. Start them with the "
            "mpiexec of the MPI that mpi4py uses (with the package mpich: its mpiexec), or with srun --mpi=…"
        )
    return comm


def wait(request: Any) -> None:
    """Wait for an MPI request, while other processes can run and Ctrl-C can interrupt.

    MPI's own wait polls all the time: with more ranks than processors it uses the time that the awaited rank needs.
    """
    begun = time.monotonic()
    while not any(request.Test() for _ in range(_POLLS)):
        time.sleep(0 if time.monotonic() - begun < _EAGER else _NAP)


def gather(comm: Any, numbers: Any) -> Array:
    """Return the numbers (n,) of all ranks on every rank: float64 (ranks, n); n is the same on every rank.

    >>> gather(ALONE, [1, 2])
    array([[1., 2.]])
    """
    own = np.array(numbers, np.float64)
    every = np.array([own] * comm.size)
    if comm.size > 1:
        wait(comm.Iallgather(own, every))
    return every


def gather_bytes(comm: Any, content: bytes) -> list[bytes]:
    """Return the bytes of each rank on rank 0, of any length, in the order of ranks; on others an empty list.

    >>> gather_bytes(ALONE, b"alone")
    [b'alone']
    """
    if comm.size == 1:
        return [content]
    lengths = gather(comm, [len(content)])[:, 0].astype(int)
    whole = np.empty(lengths.sum(), np.uint8)
    wait(comm.Igatherv(np.frombuffer(content, np.uint8), [whole, lengths] if comm.rank == 0 else None))
    return [part.tobytes() for part in np.split(whole, np.cumsum(lengths)[:-1])] if comm.rank == 0 else []


def merge(comm: Any, array: Array) -> Array:
    """Return on every rank the sum of arrays over ranks; each rank has filled a part of its array and left 0 elsewhere.

    >>> merge(ALONE, np.array([1, 2]))
    array([1, 2])
    """
    if comm.size == 1:
        return array
    from mpi4py import MPI

    whole = np.empty_like(array)
    wait(comm.Iallreduce(array, whole, MPI.SUM))  # exact in any order: at most one addend is not 0
    return whole


def fair_threads(comm: Any = None, environment: Mapping[str, str] | None = None) -> int:
    """Return the number of threads for this rank, so that the ranks of a machine together use each processor once.

    Every rank calls it. The user's settings take precedence: OPENBLAS_NUM_THREADS, OMP_NUM_THREADS (torchrun sets it)
    or MKL_NUM_THREADS, then SLURM_CPUS_PER_TASK. Otherwise a rank gets 1/n of each processor
    that n ranks share, and all of those bound to it alone.

    >>> fair_threads() == get_num_threads()
    True
    """
    comm = world() if comm is None else comm
    environment = os.environ if environment is None else environment
    if comm.size == 1:
        return get_num_threads()
    from mpi4py import MPI

    machine = comm.Split_type(MPI.COMM_TYPE_SHARED, comm.rank)
    mine = np.zeros(4096, int)  # a machine has fewer processors
    mine[list(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))] = 1
    users = merge(machine, mine)
    machine.Free()
    if any(environment.get(name) for name in _NUMBERS_OF_THREADS):
        return get_num_threads()
    # 1e-9, so that 1/3 + 1/3 + 1/3 rounds down to 1
    return int(environment.get("SLURM_CPUS_PER_TASK") or max(1, (1 / users[mine > 0]).sum() + 1e-9))

"""How many threads a rank computes with, so that the ranks of a machine fill its processors once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..runtime.threads import get_num_threads
from .communicators import wait, world

__all__ = ["fair_threads"]

_SAID = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_MOST = 4096  # processors of a machine


def fair_threads(comm: Any = None, environment: Mapping[str, str] | None = None) -> int:
    """The number of threads for this rank: collective, every rank calls it.

    What somebody asked for stays: OPENBLAS_NUM_THREADS, OMP_NUM_THREADS (torchrun sets it) or MKL_NUM_THREADS; then
    SLURM_CPUS_PER_TASK. Else each processor that this rank may use is divided by the number of ranks of the machine
    that may use it, too: a launcher that binds ranks to processors of their own has divided them already.

    >>> fair_threads() == get_num_threads()
    True
    """
    comm = world() if comm is None else comm
    environment = os.environ if environment is None else environment
    shares = _shares(comm)
    if comm.size == 1 or any(environment.get(name) for name in _SAID):
        return get_num_threads()
    of_slurm = environment.get("SLURM_CPUS_PER_TASK", "")
    if of_slurm.isdecimal() and int(of_slurm):
        return int(of_slurm)
    return max(1, int(shares + 1e-9))  # thirds of three processors are one


def _shares(comm: Any) -> float:
    """The processors of this rank, each by how many ranks of the machine may use it."""
    if comm.size == 1:
        return 1.0
    from mpi4py import MPI

    mine = np.zeros(_MOST, np.uint8)
    mine[sorted(_processors())] = 1
    machine = comm.Split_type(MPI.COMM_TYPE_SHARED, comm.rank)
    every = np.empty((machine.size, _MOST), np.uint8)
    wait(machine.Iallgather(mine, every))
    machine.Free()
    users = every.sum(axis=0, dtype=int)
    return float((1 / users[mine > 0]).sum())


def _processors() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))

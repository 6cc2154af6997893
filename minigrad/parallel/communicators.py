"""MPI's communicators, and how this package waits for what it has asked of one.

A communicator is mpi4py's own, such as ``MPI.COMM_WORLD``. Everything goes through its collectives on buffers: no
object is ever pickled. A program that no launcher started needs no MPI: it is `ALONE`.
"""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Any

import numpy as np

from ..runtime.extras import how_to_install, require
from ..spec import Array
from .launchers import launch_of

__all__ = ["ALONE", "Alone", "gather", "gather_bytes", "merge", "pin", "unpin", "wait", "world"]

_EAGER = 0.002  # seconds in which a wait only lets others run; a bucket takes about as long
_ASKED = 32  # times between two naps: MPI moves a piece of a message when it is asked, of 64 KB where UCX has TCP
_NAP = 0.0005  # seconds; so a rank that waits for long, as while another writes, takes no processor


class Alone:
    """The communicator of a process without others."""

    rank, size = 0, 1


ALONE = Alone()


def world() -> Any:
    """All ranks that were started together: MPI's ``COMM_WORLD``; `ALONE` if no launcher started this process.

    Raises:
        ModuleNotFoundError: if there are several and mpi4py, or MPI itself, is missing: how to install it.
        ValueError: if the launcher started another number of processes than MPI knows of.

    >>> world().size
    1
    """
    launch = launch_of()
    if "mpi4py.MPI" not in sys.modules and (launch is None or launch.size == 1):
        return ALONE
    comm = _mpi().COMM_WORLD
    if launch is not None and launch.size != comm.size:
        raise ValueError(
            f"{launch.by} started {launch.size} processes, of which MPI sees {comm.size} here: start them with the "
            "mpiexec of the MPI that mpi4py uses (with the package mpich: its mpiexec), or with srun --mpi=…"
        )
    return comm


def _mpi() -> Any:
    try:
        return require("mpi4py.MPI", "mpi")
    except RuntimeError as error:  # mpi4py's, where it finds no library
        raise ModuleNotFoundError(f"mpi4py finds no MPI: {how_to_install('mpi', 'mpich')}") from error


def wait(request: Any) -> None:
    """Wait for a request of MPI's, so that other ranks of the machine get on, and Ctrl-C gets in.

    MPI's own wait asks on and on: where ranks are more than processors it takes what the one waited for needs.
    """
    begun = time.monotonic()
    while not any(request.Test() for _ in range(_ASKED)):
        time.sleep(0 if time.monotonic() - begun < _EAGER else _NAP)


def pin(owner: object) -> None:
    """Keep an object, and the memory that it holds, until `unpin`, even if nobody knows it any more.

    MPI writes into memory as long as something is on its way there: after an error, until the process ends.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))


def unpin(owner: object) -> None:
    """Let an object go that was kept by `pin`."""
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(owner))


def gather(comm: Any, numbers: Any) -> Array:
    """The numbers (n,) of all ranks on every rank: float64 (ranks, n). Every rank calls it, with as many.

    >>> gather(ALONE, [1, 2])
    array([[1., 2.]])
    """
    own = np.array(numbers, np.float64)
    every = np.empty((comm.size, *own.shape))
    if comm.size == 1:
        every[0] = own
    else:
        wait(comm.Iallgather(own, every))
    return every


def gather_bytes(comm: Any, content: bytes) -> list[bytes]:
    """What each rank has, of any length, in the order of ranks: on rank 0; nothing on others. Every rank calls it.

    >>> gather_bytes(ALONE, b"alone")
    [b'alone']
    """
    if comm.size == 1:
        return [content]
    lengths = gather(comm, [len(content)])[:, 0].astype(int)
    whole = np.empty(lengths.sum() if comm.rank == 0 else 0, np.uint8)
    wait(comm.Igatherv(np.frombuffer(content, np.uint8), [whole, lengths] if comm.rank == 0 else None))
    parts = np.split(whole, np.cumsum(lengths)[:-1]) if comm.rank == 0 else []
    return [part.tobytes() for part in parts]


def merge(comm: Any, array: Array) -> Array:
    """An array of which each rank has filled a part, as a whole on every rank; what others fill is 0 on a rank.

    >>> merge(ALONE, np.array([1, 2]))
    array([1, 2])
    """
    if comm.size == 1:
        return array
    from mpi4py import MPI

    whole = np.empty_like(array)
    wait(comm.Iallreduce(array, whole, MPI.SUM))  # in any order: one of the addends is not 0
    return whole

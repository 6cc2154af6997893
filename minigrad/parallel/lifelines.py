"""Ranks that live and die together: what one cannot go on with ends all, with its name.

A rank that fails alone would leave the others waiting for it for ever, in whatever they do next together.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..spec import Array
from . import witness_process
from .communicators import gather, wait, world

__all__ = ["OtherRankError", "agreed", "name_of", "together"]


class OtherRankError(RuntimeError):
    """What `agreed` raises on ranks that have no error themselves; the one that has says what it is."""


def name_of(comm: Any) -> str:
    """A rank in words, for people who look for it.

    >>> from minigrad.parallel.communicators import ALONE
    >>> name_of(ALONE)  # doctest: +ELLIPSIS
    'rank 0 of 1 (process ... on ...)'
    """
    return f"rank {comm.rank} of {comm.size} (process {os.getpid()} on {socket.gethostname()})"


@contextmanager
def agreed(comm: Any = None) -> Iterator[None]:
    """All ranks do what is in this context, each by itself, and go on only if none has an error.

    Nothing that ranks do together may be in it. Afterwards, with errors, the lowest of the ranks that have one raises
    it, with its name in front where others have none, and all others an `OtherRankError`.

    >>> with agreed():
    ...     checked = 1 + 1
    """
    comm = world() if comm is None else comm
    error: Exception | None = None
    try:
        yield
    except Exception as raised:
        error = raised
    failed = np.flatnonzero(gather(comm, [error is not None])[:, 0])
    if not len(failed):
        return
    if error is not None and comm.rank == failed[0]:
        if len(failed) < comm.size and comm.rank:
            error.add_note(name_of(comm))
        raise error
    raise OtherRankError(f"rank {failed[0]} of {comm.size} has an error, and says which") from error


@contextmanager
def together(comm: Any = None, hint: str = "", alike: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Within this context an error of one rank, or its death, ends all of them, and is told with the rank's name.

    The death of a process (kill -9, too little memory, a crash) is told where the system can (Linux), by a process
    that each machine starts for that; that the others end, too, is the launcher's part, and where it does not do it,
    on that machine, this process's. Ranks leave the context together.

    Args:
        comm: mpi4py's communicator; all that were started together by default.
        hint: what to do next, behind the message.
        alike: errors that all ranks have at once, such as a loss that is not finite; they are raised as they are.

    >>> with together():
    ...     trained = True
    """
    comm = world() if comm is None else comm
    if comm.size == 1:
        yield
        return
    witness = _start_witness(comm, hint)
    try:
        yield
    except alike:
        _dismiss(witness, comm)
        raise
    except BaseException as error:
        print(f"{name_of(comm)}: {type(error).__name__}: {error}{hint}", file=sys.stderr, flush=True)
        comm.Abort(130 if isinstance(error, KeyboardInterrupt) else 2)
        raise
    _dismiss(witness, comm)


def _start_witness(comm: Any, hint: str) -> subprocess.Popen[bytes] | None:
    """On each machine its first rank starts the process that watches those of this machine."""
    from mpi4py import MPI

    machine = comm.Split_type(MPI.COMM_TYPE_SHARED, comm.rank)
    pairs = gather(machine, [comm.rank, os.getpid()])
    first = machine.rank == 0
    machine.Free()
    witness = _witness_of(comm, pairs, hint) if first and witness_process.can_watch() else None
    wait(comm.Ibarrier())  # from now on all are watched
    return witness


def _witness_of(comm: Any, pairs: Array, hint: str) -> subprocess.Popen[bytes]:
    """Start the process that watches some ranks, pairs of a rank and its process; returns when it does."""
    ranks = {int(rank): int(process) for rank, process in pairs}
    told = {"size": comm.size, "host": socket.gethostname(), "ranks": ranks, "hint": hint}
    command = [sys.executable, "-I", "-S", witness_process.__file__, json.dumps(told)]
    witness = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert witness.stdout is not None
    witness.stdout.readline()
    return witness


def _dismiss(witness: subprocess.Popen[bytes] | None, comm: Any) -> None:
    """Let the witnesses go, before any rank does."""
    wait(comm.Ibarrier())
    if witness is not None:
        witness.communicate(b".")
    wait(comm.Ibarrier())

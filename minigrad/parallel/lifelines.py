"""Ranks that live and die together: what one cannot go on with ends all, with its name.

A rank that fails alone would leave the others waiting for it for ever, in whatever they do next together.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import numpy as np

from . import witness_process
from .broadcasting import broadcast_bytes
from .communicators import gather, wait, world
from .launchers import launch_of

__all__ = ["OtherRankError", "agreed", "end_stopped", "name_of", "together", "watched"]

_PATIENCE = 20  # seconds that a rank waits for others at the end before it says so
_NAP = 0.005
_COURTESY = 1.0  # seconds in which rank 0 may say that all are stopped, and end the others
_HEARD = 0.2  # seconds in which a launcher takes over what was printed: what it has not is lost when a job is ended


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
    it, with its name in a note where others have none, and all others an `OtherRankError`.

    >>> with agreed():
    ...     checked = 1 + 1
    """
    comm = world() if comm is None else comm
    error: Exception | None = None
    try:
        yield
    except Exception as raised:
        error = raised
    except BaseException as stop:  # the others wait to hear whether this one has an error
        if comm.size > 1:
            _end_all(comm, stop, "")
        raise
    failed = np.flatnonzero(gather(comm, [error is not None])[:, 0])
    if not len(failed):
        return
    if error is not None and comm.rank == failed[0]:
        if len(failed) < comm.size and comm.rank:
            error.add_note(f"[{name_of(comm)}]")
        raise error
    raise OtherRankError(f"rank {failed[0]} of {comm.size} has an error, and says which") from error


@contextmanager
def together(
    comm: Any = None, hint: str = "", alike: tuple[type[Exception], ...] = (), watch: bool = True
) -> Iterator[None]:
    """Within this context an error of one rank, or its death, ends all of them, and is told with the rank's name.

    Ranks enter and leave the context together. One that comes to its end long before the others says so: they may wait
    for it, in a loop that they go through more often.

    Args:
        comm: mpi4py's communicator; all that were started together by default.
        hint: what to do next, behind the message.
        alike: errors that all ranks have at once, such as a loss that is not finite; they are raised as they are.
        watch: whether it is a `watched` context, too.

    >>> with together():
    ...     trained = True
    """
    comm = world() if comm is None else comm
    end = comm.Dup() if watch and comm.size > 1 else None  # at the end others may still do something on comm
    with watched(comm, hint) if watch else nullcontext():
        try:
            yield
        except alike:
            raise
        except BaseException as error:
            if comm.size > 1 and not (watch and _is_a_stop(error)):  # which `watched` tells
                _end_all(comm, error, hint)
            raise
        if end is not None:
            _wait_for_others(end)
            end.Free()


def _is_a_stop(error: BaseException) -> bool:
    return not isinstance(error, Exception)


@contextmanager
def watched(comm: Any = None, hint: str = "") -> Iterator[None]:
    """Within this context the death of a rank is told with its name: by kill -9, too little memory, a crash.

    Each machine starts a process for that, where the system can tell of deaths (Linux). That the other ranks end is the
    launcher's part; where it does not do it, that process does it to those of its machine. Ranks enter and leave the
    context together, also by an error that all have.

    >>> with watched():
    ...     trained = True
    """
    comm = world() if comm is None else comm
    if comm.size == 1:
        yield
        return
    lifeline = _lifeline(comm, hint)
    try:
        yield
    except Exception:
        _leave(lifeline)
        raise
    except BaseException as stop:  # which others may have at another place, or not at all
        _end_all(comm, stop, "")
        raise
    _leave(lifeline)


def end_stopped(stop: KeyboardInterrupt) -> None:
    """End the job of a rank that was stopped before it was `watched`; a process without others goes on.

    It takes part in the start of MPI before: others, which may wait for it there, would do so for ever.
    """
    launch = launch_of()
    if launch is not None and launch.size > 1:
        _end_all(world(), stop, "")


def _wait_for_others(comm: Any) -> None:
    """Wait until all ranks have left; say so if it takes long: another one may wait for this one, in its loop."""
    request = comm.Ibarrier()
    begun, told = time.monotonic(), False
    while not request.Test():
        time.sleep(_NAP)
        if not told and time.monotonic() - begun > _PATIENCE:
            told = True
            print(f"{name_of(comm)}: has come to the end of `together`, and waits for the others: do all ranks loop "
                  "as often?", file=sys.stderr, flush=True)  # fmt: skip


def _end_all(comm: Any, error: BaseException, hint: str) -> None:
    """Say what this rank cannot go on with, and end the job."""
    told = f"{type(error).__name__}: {_words_of(error)}{hint}"
    if isinstance(error, KeyboardInterrupt):
        told = _words_of(error) or "stopped"
        if comm.rank:  # what stops a job is sent to all ranks, and need be said once; but this one may be stopped alone
            _sleep(_COURTESY + comm.rank / comm.size)
    print(f"{name_of(comm)}: {told}", file=sys.stderr, flush=True)
    _sleep(_HEARD)
    comm.Abort(_status(error))


def _words_of(error: BaseException) -> str:
    """What it says, if it can: whatever happens, the others are to be ended."""
    try:
        return str(error)
    except Exception as wrong:
        return f"(its words are lost: {type(wrong).__name__})"


def _sleep(seconds: float) -> None:
    """Wait, or until the next Ctrl-C."""
    with suppress(KeyboardInterrupt):
        time.sleep(seconds)


def _status(error: BaseException) -> int:
    """The exit status of a job that an error ends: 128 and the signal after one, what `sys.exit` says, else 2."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + getattr(error, "number", signal.SIGINT)
    return error.code if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code else 2


def _lifeline(comm: Any, hint: str) -> int | None:
    """A connection to the process that watches the ranks of this machine, which the first of them starts."""
    from mpi4py import MPI

    machine = comm.Split_type(MPI.COMM_TYPE_SHARED, comm.rank)
    address = f"\0minigrad-{os.getpid()}-{secrets.token_hex(8)}"  # of no file: it is gone with its sockets
    address = broadcast_bytes(address.encode(), 0, machine).decode()
    can_watch = witness_process.can_watch()
    if not can_watch:
        return None
    if machine.rank == 0:
        witness = _start_witness(address, machine.size, comm.size, hint)
    wait(machine.Ibarrier())
    lifeline = _connected(address, comm.rank)
    if machine.rank == 0:
        assert witness.stdout is not None
        witness.stdout.readline()
    wait(machine.Ibarrier())  # from now on all are watched
    machine.Free()
    return lifeline


def _start_witness(address: str, here: int, size: int, hint: str) -> subprocess.Popen[bytes]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(here)
        told = {"listener": listener.fileno(), "here": here, "size": size, "host": socket.gethostname(), "hint": hint}
        command = [sys.executable, "-I", "-S", witness_process.__file__, json.dumps(told)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
                                pass_fds=[listener.fileno()])  # fmt: skip


def _connected(address: str, rank: int) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendall(witness_process.hello(rank))
        return os.dup(connection.fileno())


def _leave(lifeline: int | None) -> None:
    if lifeline is not None:
        os.write(lifeline, witness_process.GOODBYE)
        os.close(lifeline)

"""End all ranks when one cannot continue; otherwise the others would wait forever.

If a rank is killed or crashes, ``mpiexec`` ends the job.
"""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from .communicators import gather, world

__all__ = ["OtherRankError", "agreed", "together", "watched"]


class OtherRankError(RuntimeError):
    """Raised by `agreed` on ranks that have no error themselves."""


@contextmanager
def agreed(comm: Any = None) -> Iterator[None]:
    """Let ranks leave this context only if none of them raised an error in it.

    Each rank works by itself in the context; it contains no collective. The lowest rank with an error raises it, and
    all others raise an `OtherRankError`.

    >>> with agreed():
    ...     checked = 1 + 1
    """
    comm = world() if comm is None else comm
    error: Exception | None = None
    try:
        with watched(comm):
            yield
    except Exception as raised:
        error = raised
    failed = [rank for rank, (has_error,) in enumerate(gather(comm, [error is not None])) if has_error]
    if not failed:
        return
    if error is None or comm.rank != failed[0]:
        raise OtherRankError(f"rank {failed[0]} of {comm.size} raised an error and prints it") from error
    if comm.rank:
        error.add_note(f"[{_name(comm)}]")
    raise error


@contextmanager
def together(comm: Any = None, hint: str = "", alike: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """End all ranks if an error or Ctrl-C leaves this context on one of them; it prints the error with its rank.

    Args:
        comm: mpi4py's communicator; by default all processes that were started together.
        hint: what to do next; it follows the message.
        alike: errors that all ranks raise at the same time, such as a loss that is not finite; they are raised
            unchanged.

    >>> with together():
    ...     trained = True
    """
    try:
        yield
    except alike:
        raise
    except BaseException as error:
        comm = world() if comm is None else comm  # only now, because Ctrl-C may arrive while MPI starts
        if comm.size > 1:
            _abort(comm, error, hint)
        raise


def watched(comm: Any = None, hint: str = "") -> AbstractContextManager[None]:
    """End all ranks if Ctrl-C or another stop leaves this context on one of them; errors are raised unchanged.

    >>> with watched():
    ...     trained = True
    """
    return together(comm, hint, alike=(Exception,))


def _name(comm: Any) -> str:
    return f"rank {comm.rank} of {comm.size} on {socket.gethostname()}"


def _abort(comm: Any, error: BaseException, hint: str) -> None:
    """Print the error, and end the job with the exit status of Ctrl-C, that of `sys.exit`, or 2."""
    status = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code else 2
    try:
        told = f"{type(error).__name__}: {error}"
        if isinstance(error, KeyboardInterrupt):
            told, status = str(error) or "stopped", 128 + getattr(error, "number", signal.SIGINT)
            time.sleep(min(comm.rank, 1) + comm.rank / comm.size)  # all ranks get the signal, but only one reports it
        print(f"{_name(comm)}: {told}{hint}", file=sys.stderr, flush=True)
        time.sleep(0.2)  # the launcher loses output that it has not read before the job ends
    finally:
        comm.Abort(status)

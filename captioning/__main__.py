"""`python -m captioning` and the console script `captioning`; see `captioning.cli`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["main"]

_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "WORLD_SIZE")
"""Launchers' variables for the number of processes; `minigrad.parallel.communicators` is not imported yet."""


def main() -> int:
    """Run the command line of `sys.argv`; the exit status. Ctrl-C and SIGTERM end it in one line while it is imported,
    too."""
    seen: list[int] = []
    try:
        with _noting(seen):
            run = _imported()
        if not seen:  # or what is imported swallowed it
            return run()
    except KeyboardInterrupt:
        pass
    status = 128 + (seen[0] if seen else signal.SIGINT)
    comm = _others() if any(os.environ.get(name, "1") != "1" for name in _SIZES) else None
    if sys.stderr is not None:
        print("captioning: stopped", file=sys.stderr, flush=True)
    if comm is not None:
        time.sleep(0.2)  # what the launcher has not heard by then is lost
        comm.Abort(status)
    return status


def _others() -> Any:
    """MPI's communicator of all ranks, which wait for this one while MPI starts, so that it cannot just end; None
    without MPI. On others than the first a second later and one after the other: who ends all says alone that they were
    stopped.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError):
        return None
    comm = MPI.COMM_WORLD
    if comm.rank:
        time.sleep(1 + comm.rank / comm.size)
    return comm


def _imported() -> Callable[[], int]:
    from captioning.cli.entry import main as run

    return run


@contextmanager
def _noting(seen: list[int]) -> Iterator[None]:
    """Let both signals, where they are as Python has them, raise KeyboardInterrupt, and note which it was.

    `captioning.command`, which does the same for the commands, is among what is yet to be imported.
    """
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = {number: handler for number, handler in usual.items() if signal.getsignal(number) == handler}

    def handle(number: int, frame: Any) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    for number in ours:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    raise SystemExit(main())

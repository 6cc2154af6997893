"""Commands on several MPI ranks, which a launcher such as mpiexec starts.

A command of `on_ranks` runs on every rank. A command of `lead` runs on the first rank only: it reads, prints and writes
as one process does, and the other ranks help it to map a function over tasks.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any, TypeVar

import minigrad as mg

__all__ = ["MapTasks", "help_map", "lead", "map_on_ranks", "on_ranks", "threads"]

_DONE, _FAILED = b"done", b"failed"
"""Messages that rank 0 sends instead of tasks when it has ended."""

Job = TypeVar("Job")

MapTasks = Callable[[Callable[[bytes], bytes], Iterable[bytes]], Iterable[bytes]]
"""Maps a function over tasks in their order, as `map` does."""


def on_ranks(
    work: Callable[[argparse.Namespace, Any, ExitStack], int], alike: tuple[type[Exception], ...] = ()
) -> Callable[[argparse.Namespace], int]:
    """Return a command that calls `work` on every rank and returns its exit status.

    work: takes the options, the communicator, and a stack that is closed at the end. Each rank uses its share of the
    processors. alike: errors that all ranks raise together, so that only the first rank prints them. The rank that
    raises another error prints it (`minigrad.parallel.agreed`).
    """

    def command(options: argparse.Namespace) -> int:
        comm = mg.parallel.world()
        try:
            with ExitStack() as stack:
                with mg.parallel.agreed(comm):
                    stack.enter_context(threads(mg.parallel.fair_threads(comm)))
                status = work(options, comm, stack)
            if comm.size > 1 and threading.current_thread() is threading.main_thread():
                for number in (signal.SIGINT, signal.SIGTERM):  # they would end ranks that still work
                    signal.signal(number, signal.SIG_IGN)
            return status
        except mg.parallel.OtherRankError:  # the other rank prints its error
            return 2
        except alike:
            if comm.rank:
                return 2
            raise

    return command


def lead(
    prepare: Callable[[argparse.Namespace, bool], Job],
    function: Callable[[Job], Callable[[bytes], bytes]],
    work: Callable[[argparse.Namespace, Job, MapTasks], int],
) -> Callable[[argparse.Namespace], int]:
    """Return a command that runs `work` on the first rank with the help of the others.

    prepare: opens and checks what every rank needs, from the options and whether this is the first rank. function:
    returns the function that the ranks map, from the result of `prepare`. work: returns the exit status, from the
    options, the result of `prepare`, and a `map` that all ranks share.
    """

    def lead_or_help(options: argparse.Namespace, comm: Any, stack: ExitStack) -> int:
        with mg.parallel.agreed(comm):
            job = prepare(options, comm.rank == 0)
        if comm.rank:
            return 0 if help_map(function(job), comm) else 2  # the first rank prints its error
        try:
            status = work(options, job, map_on_ranks(comm))
        except Exception:  # not Ctrl-C, which may interrupt a communication; it ends all ranks at once
            mg.parallel.broadcast_bytes(_FAILED, 0, comm)
            raise
        mg.parallel.broadcast_bytes(_DONE, 0, comm)
        return status

    return on_ranks(lead_or_help)


def map_on_ranks(comm: Any) -> MapTasks:
    """Return a `map` for rank 0 that gives each rank of `comm` one of the next tasks.

    The other ranks call `help_map` with the same function. Only one task per rank is in memory at a time.

    >>> from minigrad.parallel.communicators import ALONE
    >>> list(map_on_ranks(ALONE)(bytes.upper, [b"dog", b"cat"]))
    [b'DOG', b'CAT']
    """

    def mapped(work: Callable[[bytes], bytes], tasks: Iterable[bytes]) -> Iterator[bytes]:
        tasks = iter(tasks)
        while batch := list(islice(tasks, comm.size)):
            mg.parallel.broadcast_bytes(b"".join(len(task).to_bytes(8, "little") + task for task in batch), 0, comm)
            yield from _answers(batch, work, comm)

    return mapped


def help_map(work: Callable[[bytes], bytes], comm: Any) -> bool:
    """Work on tasks for rank 0 until it ends; return whether it ended without an error."""
    while (order := mg.parallel.broadcast_bytes(b"", 0, comm)) not in (_DONE, _FAILED):
        tasks = []
        while order:
            end = 8 + int.from_bytes(order[:8], "little")
            tasks.append(order[8:end])
            order = order[end:]
        _answers(tasks, work, comm)
    return bool(order == _DONE)


def _answers(tasks: Sequence[bytes], work: Callable[[bytes], bytes], comm: Any) -> list[bytes]:
    """Give each rank at most one task; return the answers in order on rank 0, and nothing on others."""
    with mg.parallel.together(comm):
        own = [work(task) for task in mg.parallel.shard(tasks, comm.rank, comm.size)]
        answers = mg.parallel.gather_bytes(comm, own[0] if comm.rank and own else b"")
        return own + answers[1 : len(tasks)] if comm.rank == 0 else []


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with this number of threads within a `with` block."""
    before = mg.get_num_threads()
    if number != before:
        mg.set_num_threads(number)
    try:
        yield
    finally:
        if number != before:
            mg.set_num_threads(before)

"""Commands on several MPI ranks, which a launcher such as mpiexec starts: they begin and end together.

A command of `on_ranks` runs on every rank. A command of `lead` runs on the first rank alone. It reads, prints and
writes as one process does, and maps functions by `map_on_ranks`. The others wait for tasks in `help_map`.
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

__all__ = ["help_map", "lead", "leading", "map_on_ranks", "on_ranks", "threads"]

_DONE, _FAILED = b"done", b"failed"
"""What rank 0 sends at the end, in place of tasks."""

Opened = TypeVar("Opened")


def on_ranks(
    work: Callable[[argparse.Namespace, Any, ExitStack], int], alike: tuple[type[Exception], ...] = ()
) -> Callable[[argparse.Namespace], int]:
    """Return a command that calls `work` on every rank and returns its exit status.

    work: takes the options, the communicator, and a stack that is closed at the end. Each rank computes with its fair
    share of the processors. An error is printed once: by the rank that alone has it (`minigrad.parallel.agreed`), or by
    the first rank if it is one of `alike`, which all ranks have at once.
    """

    def command(options: argparse.Namespace) -> int:
        comm = mg.parallel.world()
        try:
            with ExitStack() as stack:
                with mg.parallel.agreed(comm):
                    stack.enter_context(threads(mg.parallel.fair_threads(comm)))
                status = work(options, comm, stack)
            if comm.size > 1 and threading.current_thread() is threading.main_thread():
                for number in (signal.SIGINT, signal.SIGTERM):  # or one ends the ranks that still work
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
    prepare: Callable[[argparse.Namespace, bool], Opened],
    help_with: Callable[[Opened, Any], bool],
    work: Callable[[argparse.Namespace, Opened, Any], int],
) -> Callable[[argparse.Namespace], int]:
    """Return a command that runs `work` on the first rank with the help of the others.

    prepare: opens and checks what every rank needs, given the options and whether this is the first rank. help_with:
    what the others do, a function that calls `help_map`. Both get what `prepare` returned and the communicator.
    """

    def lead_or_help(options: argparse.Namespace, comm: Any, stack: ExitStack) -> int:
        with mg.parallel.agreed(comm):
            opened = prepare(options, comm.rank == 0)
        if comm.rank:
            return 0 if help_with(opened, comm) else 2  # the first rank prints its error
        with leading(comm):
            return work(options, opened, comm)

    return on_ranks(lead_or_help)


@contextmanager
def leading(comm: Any) -> Iterator[None]:
    """The context in which rank 0 gives tasks; at its end `help_map` returns on the other ranks."""
    try:
        yield
    except Exception:  # not Ctrl-C, which may come while ranks do something together: that ends all at once
        mg.parallel.broadcast_bytes(_FAILED, 0, comm)
        raise
    mg.parallel.broadcast_bytes(_DONE, 0, comm)


def map_on_ranks(comm: Any) -> Callable[[Callable[[bytes], bytes], Iterable[bytes]], Iterator[bytes]]:
    """Return a `map` that gives each rank of `comm` one of the next tasks; call it on rank 0, which is `leading`.

    The other ranks call `help_map` with the same function. As many tasks as ranks are in memory at once.

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
    """Work on tasks for rank 0 until it has ended; return whether it had no error."""
    while (order := mg.parallel.broadcast_bytes(b"", 0, comm)) not in (_DONE, _FAILED):
        tasks = []
        while order:
            end = 8 + int.from_bytes(order[:8], "little")
            tasks.append(order[8:end])
            order = order[end:]
        _answers(tasks, work, comm)
    return bool(order == _DONE)


def _answers(tasks: Sequence[bytes], work: Callable[[bytes], bytes], comm: Any) -> list[bytes]:
    """Return the answers to at most one task for each rank, in their order, on rank 0, and nothing on others."""
    with mg.parallel.together(comm):
        own = [work(task) for task in mg.parallel.shard(tasks, comm.rank, comm.size)]
        answers = mg.parallel.gather_bytes(comm, own[0] if comm.rank and own else b"")
        return own + answers[1 : len(tasks)] if comm.rank == 0 else []


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with so many threads in this context."""
    before = mg.get_num_threads()
    if number != before:
        mg.set_num_threads(number)
    try:
        yield
    finally:
        if number != before:
            mg.set_num_threads(before)

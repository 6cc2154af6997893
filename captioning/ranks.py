"""Commands on several MPI ranks, which a launcher such as mpiexec starts: they begin and end together.

A command of `on_ranks` runs on every rank. A command of `lead` runs on the first rank alone. It reads, prints and
writes as one process does, and calls `map_batches` where there is work to share. The others wait for orders and do
their part.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import minigrad as mg

__all__ = ["follow", "lead", "leading", "map_batches", "on_ranks", "send_order", "threads"]

_DONE, _FAILED = b"done", b"failed"
"""What rank 0 sends at the end, in place of an order."""

Task = TypeVar("Task")
Found = TypeVar("Found")
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
    what the others do, a function that calls `follow`. Both functions get what `prepare` returned and the communicator.
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
    """The context in which rank 0 gives orders; at its end `follow` returns on the other ranks."""
    try:
        yield
    except Exception:  # not Ctrl-C, which may come while ranks do something together: that ends all at once
        mg.parallel.broadcast_bytes(_FAILED, 0, comm)
        raise
    mg.parallel.broadcast_bytes(_DONE, 0, comm)


def follow(carry_out: Callable[[bytes], Any], comm: Any) -> bool:
    """Carry out the orders of rank 0, which is `leading`, until it has ended; return whether it had no error."""
    while (content := mg.parallel.broadcast_bytes(b"", 0, comm)) not in (_DONE, _FAILED):
        with mg.parallel.together(comm):  # rank 0 waits for what is found
            carry_out(content)
    return bool(content == _DONE)


def send_order(content: bytes, comm: Any) -> None:
    """Send an order to the ranks that `follow`; a process alone sends nothing."""
    mg.parallel.broadcast_bytes(content, 0, comm)


def map_batches(
    batches: Sequence[Task],
    work: Callable[[Task], Found],
    pack: Callable[[Found], bytes],
    unpack: Callable[[bytes], Found],
    comm: Any,
) -> list[Found]:
    """Return what `work` finds of each batch, in their order, on rank 0, and nothing on others. Every rank calls it.

    batches: at most one for each rank. pack, unpack: turn what is found into bytes and back.

    >>> from minigrad.parallel.communicators import ALONE
    >>> map_batches(["dog"], str.upper, str.encode, bytes.decode, ALONE)
    ['DOG']
    """
    with mg.parallel.together(comm):
        own = [work(task) for task in mg.parallel.shard(batches, comm.rank, comm.size)]
        answers = mg.parallel.gather_bytes(comm, b"".join(map(pack, own)) if comm.rank else b"")
        return own + [unpack(answer) for answer in answers[1 : len(batches)]] if comm.rank == 0 else []


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

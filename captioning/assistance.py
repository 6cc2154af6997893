"""Ranks of which the first leads, and the others do a share of the work whenever it asks for it.

Rank 0 goes through a command as one process does: what is read, printed and written is its own, and errors are its to
raise. Where there is work to share it sends an order to all, everybody does a part of it, and it gets what was found.
The others only wait for orders, until it says that there are no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import minigrad as mg

__all__ = ["assist", "assisted", "order", "shared"]

_DONE, _FAILED = b"done", b"failed"
"""What rank 0 sends at the end, in place of an order."""

Task = TypeVar("Task")
Found = TypeVar("Found")


def assist(carry_out: Callable[[bytes], Any], comm: Any) -> bool:
    """Carry out what rank 0 orders, which is `assisted`, until it has ended; whether it had no error."""
    while (content := mg.parallel.broadcast_bytes(b"", 0, comm)) not in (_DONE, _FAILED):
        with mg.parallel.together(comm):  # rank 0 waits for what is found
            carry_out(content)
    return bool(content == _DONE)


@contextmanager
def assisted(comm: Any) -> Iterator[None]:
    """The context in which rank 0 gives orders; with it end those that `assist`, after an error as failed."""
    try:
        yield
    except Exception:  # not Ctrl-C, which may have come while ranks do something together: that ends all at once
        mg.parallel.broadcast_bytes(_FAILED, 0, comm)
        raise
    mg.parallel.broadcast_bytes(_DONE, 0, comm)


def order(content: bytes, comm: Any) -> None:
    """Send an order to the ranks that `assist`; a process alone sends nothing."""
    mg.parallel.broadcast_bytes(content, 0, comm)


def shared(
    tasks: Sequence[Task],
    work: Callable[[Task], Found],
    pack: Callable[[Found], bytes],
    unpack: Callable[[bytes], Found],
    comm: Any,
) -> list[Found]:
    """What `work` finds of each task, in their order, on rank 0; nothing on others. Every rank calls it.

    tasks: at most one for each rank. pack, unpack: what is found as bytes, in which it travels.

    >>> from minigrad.parallel.communicators import ALONE
    >>> shared(["dog"], str.upper, str.encode, bytes.decode, ALONE)
    ['DOG']
    """
    with mg.parallel.together(comm):
        own = [work(task) for task in mg.parallel.shard(tasks, comm.rank, comm.size)]
        answers = mg.parallel.gather_bytes(comm, b"".join(map(pack, own)) if comm.rank else b"")
        return own + [unpack(answer) for answer in answers[1 : len(tasks)]] if comm.rank == 0 else []

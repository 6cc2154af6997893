"""Map a function from bytes to bytes over many tasks, on all MPI ranks: the first gives tasks, the others help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from captioning import assistance

__all__ = ["help_map", "map_on_ranks"]


def map_on_ranks(comm: Any) -> Callable[[Callable[[bytes], bytes], Iterable[bytes]], Iterator[bytes]]:
    """Return a `map` that gives each rank of `comm` one of the next tasks; call it on rank 0.

    The other ranks call `help_map` with the same function. As many tasks as ranks are in memory at once.
    """

    def mapped(work: Callable[[bytes], bytes], tasks: Iterable[bytes]) -> Iterator[bytes]:
        tasks = iter(tasks)
        while some := list(islice(tasks, comm.size)):
            assistance.order(b"".join(len(task).to_bytes(8, "little") + task for task in some), comm)
            yield from assistance.shared(some, work, bytes, bytes, comm)

    return mapped


def help_map(work: Callable[[bytes], bytes], comm: Any) -> bool:
    """Work on tasks for rank 0 until it has ended; return whether it had no error."""
    return assistance.assist(lambda order: assistance.shared(_tasks(order), work, bytes, bytes, comm), comm)


def _tasks(order: bytes) -> Sequence[bytes]:
    tasks = []
    while order:
        end = 8 + int.from_bytes(order[:8], "little")
        tasks.append(order[8:end])
        order = order[end:]
    return tasks

"""A communicator that counts what goes through it."""

from __future__ import annotations

from collections import Counter
from typing import Any

__all__ = ["Counting"]


class Counting:
    """MPI's communicator with a count of the bytes that this rank has for others, in ``sent["bytes"]``.

    They are counted as collectives get them, whatever route MPI takes: what an all-to-all has for others; of an
    all-gather the own part, and of a broadcast the whole, once for each of the others. Communicators made by `Dup`
    count into the same number.
    """

    def __init__(self, comm: Any, sent: Counter[str] | None = None) -> None:
        self._comm, self.rank, self.size = comm, comm.rank, comm.size
        self.sent: Counter[str] = Counter() if sent is None else sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._comm, name)

    def Dup(self) -> Counting:  # noqa: N802  (mpi4py's names)
        return Counting(self._comm.Dup(), self.sent)

    def Ialltoall(self, send: Any, receive: Any) -> Any:  # noqa: N802
        self._count(send.nbytes * (self.size - 1) // self.size)
        return self._comm.Ialltoall(send, receive)

    def Iallgather(self, send: Any, receive: Any) -> Any:  # noqa: N802
        self._count(send.nbytes * (self.size - 1))
        return self._comm.Iallgather(send, receive)

    def Ibcast(self, message: Any, root: int) -> Any:  # noqa: N802
        self._count(message.nbytes * (self.size - 1) * (self.rank == root))
        return self._comm.Ibcast(message, root)

    def _count(self, number: int) -> None:
        self.sent["bytes"] += number

"""Sums over shards of tables of which each shard has a gradient in few rows: only these travel.

The gradient of an embedding is 0 in the row of every word that a shard does not have. Each rank adds up a range of
rows, in the order of shards, as an `OrderedSum` does a slice; what is sent to it, and what it gives back, are the rows
that are not all 0, and their numbers. How many these are is told first. The sum is the dense one's, bit by bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spec import Array, DType
from .communicators import wait

__all__ = ["RowSum"]


class RowSum:
    """The sum of a table (V, D) over shards, in their order; used again and again, as an `OrderedSum` of it.

    Args:
        shape, dtype: of the table.
        blocks: the shards of each rank.
        counting, there, back: communicators of the same ranks, for the numbers of rows, for rows, and for sums.
    """

    def __init__(
        self, shape: tuple[int, int], dtype: DType, blocks: list[range], counting: Any, there: Any, back: Any
    ) -> None:
        self._shape, self._blocks = shape, blocks
        self._counting, self._there, self._back = counting, there, back
        rounds = max(map(len, blocks))
        self.rows = np.zeros((rounds, shape[0] * shape[1]), dtype)
        width = -(-shape[0] // len(blocks))  # rows of a rank's range
        self._bounds = np.minimum(width * np.arange(len(blocks) + 1), shape[0])
        self._counted: list[tuple[Any, Array, Array]] = []
        self._sent: list[tuple[list[Any], Array, Array, Array]] = []
        self._returning: Any = None

    def send(self, k: int) -> None:
        """Tell each rank how many rows of its range this rank's `k`-th table has; they follow when all have told."""
        used = _used(self.rows[k].reshape(self._shape))
        numbers = np.diff(np.searchsorted(used, self._bounds))
        theirs = np.empty_like(numbers)
        self._counted.append((self._counting.Ialltoall(numbers, theirs), numbers, theirs))

    def arrived(self) -> bool:
        """Whether all rows that belong to this rank are here."""
        while len(self._sent) < len(self._counted) and self._counted[len(self._sent)][0].Test():
            self._send_rows(len(self._sent))
        return len(self._sent) == len(self.rows) and all(r.Test() for requests, *_ in self._sent for r in requests)

    def _send_rows(self, k: int) -> None:
        _, numbers, theirs = self._counted[k]
        table = self.rows[k].reshape(self._shape)
        used = _used(table)
        indices, rows = np.empty(theirs.sum(), np.int64), np.empty((theirs.sum(), table.shape[1]), table.dtype)
        requests = [
            self._there.Ialltoallv([used, numbers], [indices, theirs]),
            self._there.Ialltoallv(_bytes(table[used], numbers), _bytes(rows, theirs)),
        ]
        self._sent.append((requests, theirs, indices, rows))

    def gather(self) -> None:
        """Add up this rank's range, waiting for what is not here yet, and start to give it to all."""
        for request, *_ in self._counted:
            wait(request)
        while len(self._sent) < len(self._counted):
            self._send_rows(len(self._sent))
        for requests, *_ in self._sent:
            for request in requests:
                wait(request)
        own = self._range_sum()
        used = _used(own)
        numbers = np.empty(len(self._blocks), np.int64)
        told = self._back.Iallgather(np.array([len(used)]), numbers)
        self._returning = told, numbers, used + self._bounds[self._back.rank], own[used]
        self._counted.clear()
        self._sent.clear()

    def _range_sum(self) -> Array:
        """The sum of this rank's range of rows over all shards, in their order."""
        rank = self._back.rank
        first, last = int(self._bounds[rank]), int(self._bounds[rank + 1])
        total: Array | None = None
        for sender, block in enumerate(self._blocks):
            for _, numbers, indices, rows in self._sent[: len(block)]:
                end = numbers[: sender + 1].sum()
                part = slice(end - numbers[sender], end)
                table = np.zeros((last - first, rows.shape[1]), rows.dtype)
                table[indices[part] - first] = rows[part]
                total = table if total is None else np.add(total, table, out=total)
        assert total is not None
        return total

    def total(self) -> Array:
        """The sum, flat: the first of `rows`, good until that is filled again."""
        told, numbers, used, own = self._returning
        wait(told)
        indices, rows = np.empty(numbers.sum(), np.int64), np.empty((numbers.sum(), own.shape[1]), own.dtype)
        wait(self._back.Iallgatherv(used, [indices, numbers]))
        wait(self._back.Iallgatherv(own.reshape(-1).view(np.uint8), _bytes(rows, numbers)))
        table = self.rows[0].reshape(self._shape)
        table[...] = 0
        table[indices] = rows
        self._returning = None
        flat: Array = self.rows[0]
        return flat


def _used(table: Array) -> Array:
    """The rows (V, D) in which any bit is set: of -0.0 one is, and a sum may show it."""
    bits = table.view(np.dtype(f"u{table.itemsize}"))
    return np.flatnonzero(np.any(bits, axis=1))


def _bytes(rows: Array, numbers: Array) -> list[Any]:
    """Rows (n, D) as MPI is to send them, so many to, or from, each rank."""
    width = rows.shape[1] * rows.itemsize
    return [rows.reshape(-1).view(np.uint8), numbers * width]

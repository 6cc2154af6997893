"""Sums over shards that are added up in the order of shards, whatever MPI does.

MPI may add up in any order that its algorithm likes, and floating-point sums depend on it. So nothing is added by MPI:
every rank gets a slice of each shard's array from whoever has it (all-to-all), adds the slices in the order of shards,
and all ranks get all slices back (all-gather). As many bytes travel as in a reduction that is good for large arrays,
which has the same two halves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spec import Array, DType
from .communicators import wait

__all__ = ["OrderedSum"]


class OrderedSum:
    """The sum of a flat array over shards, in their order; used again and again.

    Each rank fills an array ``rows[k]``, whose first ``length`` numbers count, for each of its shards, and calls
    `send`. When all have `arrived`, or sooner, `gather` sends the sum back, and `total` waits for it. Every rank calls
    `send` and `gather` in the same order.

    Args:
        length, dtype: of the array.
        blocks: the shards of each rank, as `sharding.blocks_of_shards` gives them.
        there, back: two communicators of the same ranks, so that what starts on the one does not depend on how far
            the other is.
        wire: the dtype in which numbers travel, such as float16; that of the array by default. `rounding` is then the
            rounding of what this rank sent since it was last set: the sum of its squares, and of those of the numbers.
    """

    def __init__(
        self, length: int, dtype: DType, blocks: list[range], there: Any, back: Any, wire: DType | None = None
    ) -> None:
        self.length, self._blocks, self._there, self._back = length, blocks, there, back
        rounds = max(map(len, blocks))
        width = -(-length // len(blocks))  # of a slice; the last one is padded
        self.rows = np.zeros((rounds, width * len(blocks)), dtype)
        self._wire = None if wire is None or wire.itemsize >= dtype.itemsize else wire
        self._received = np.zeros((rounds, len(blocks), width), self._wire or dtype)
        self._whole = self.rows[0] if self._wire is None else np.zeros(self.rows.shape[1], self._wire)
        self.rounding = np.zeros(2)
        self._sent: list[Any] = []
        self._returning: Any = None

    def send(self, k: int) -> None:
        """Send the slices of this rank's `k`-th array to whom they belong; it may not be written into any more.

        A rank with fewer shards than others sends an array that nobody adds.
        """
        self._sent.append(self._there.Ialltoall(_bytes(self._rounded(self.rows[k])), _bytes(self._received[k])))

    def arrived(self) -> bool:
        """Whether all slices that belong to this rank are here."""
        return len(self._sent) == len(self.rows) and all(request.Test() for request in self._sent)

    def gather(self) -> None:
        """Add up this rank's slice, waiting for what is not here yet, and start to give it to all."""
        for request in self._sent:
            wait(request)
        self._sent.clear()
        slices = (self._received[k, rank] for rank, block in enumerate(self._blocks) for k in range(len(block)))
        own = next(slices).astype(self.rows.dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # a number that is too large shows in the loss, and once
            for slice_ in slices:
                own += slice_
        self._returning = self._back.Iallgather(_bytes(self._rounded(own)), _bytes(self._whole))

    def _rounded(self, array: Array) -> Array:
        """An array as it travels."""
        if self._wire is None:
            return array
        with np.errstate(over="ignore", invalid="ignore"):
            message = array.astype(self._wire)
            wide = array.astype(np.float64)
            self.rounding += np.sum((wide - message) ** 2), np.sum(wide**2)
        return message

    def total(self) -> Array:
        """The sum (length,): the first of `rows`, good until that is filled again."""
        wait(self._returning)
        self._returning = None
        if self._wire is not None:
            self.rows[0] = self._whole
        return self.rows[0, : self.length]


def _bytes(array: Array) -> Array:
    """The same memory for MPI, which has no name for float16 and need not know what is added."""
    return array.reshape(-1).view(np.uint8)

"""Gradients in flat buckets, each on its way as soon as it is full.

A message for each parameter would take longer to begin than to send; one for all could begin only when the reverse pass
has ended. So parameters lie in buckets of some megabytes, the last layers', whose gradients come first, in the first.
Buckets leave in their order on every rank, as MPI asks for: a full one waits for those before it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import Tensor
from ..spec import Array, DType
from .communicators import wait
from .ordered_sums import OrderedSum
from .row_sums import RowSum
from .top_sums import TopSum

__all__ = ["BUCKET_BYTES", "Buckets", "Place", "places_of"]

BUCKET_BYTES = 2**22
"""How large a bucket is, unless told otherwise."""


class Place(NamedTuple):
    """Where a parameter's gradient lies: in which bucket, and where there."""

    bucket: int
    where: slice


def places_of(params: Sequence[Tensor], bucket_bytes: int = BUCKET_BYTES, tables: Collection[int] = ()) -> list[Place]:
    """Of each parameter its place. A bucket is of one dtype, and above ``bucket_bytes`` only if one parameter is.

    tables: the numbers of those that have a bucket of their own.

    >>> import minigrad as mg
    >>> places_of([mg.tensor([1.0, 2.0]), mg.tensor([3.0])], bucket_bytes=8)
    [Place(bucket=1, where=slice(0, 2, None)), Place(bucket=0, where=slice(0, 1, None))]
    """
    places: list[Place] = []
    bucket, end = -1, 0
    dtype: DType | None = None  # of the bucket that is being filled, if another may join it
    for i, p in reversed(list(enumerate(params))):
        # asked first: None stands for float64 where NumPy compares dtypes
        if dtype is None or p.dtype != dtype or i in tables or (end + p.size) * p.dtype.itemsize > bucket_bytes:
            bucket, end = bucket + 1, 0
        places.append(Place(bucket, slice(end, end + p.size)))
        end += p.size
        dtype = None if i in tables else p.dtype
    return places[::-1]


class Buckets:
    """The gradients of parameters on their way to being summed over all shards.

    For each of a rank's shards, `put` takes the gradients there are, in any order, and `close` says that there are no
    more; `sums` ends it. While gradients come, full buckets travel. tables: the numbers of parameters (V, D) whose
    gradients are 0 in most rows; these travel as they are, the others in the dtype ``wire``, if there is one, or only
    the ``share`` of them that is largest, if that is given, as of a `TopSum`.
    """

    def __init__(
        self,
        params: Sequence[Tensor],
        blocks: list[range],
        comm: Any,
        bucket_bytes: int = BUCKET_BYTES,
        tables: Collection[int] = (),
        wire: DType | None = None,
        share: float | None = None,
    ) -> None:
        self.places = places_of(params, bucket_bytes, tables)
        self._shapes = [p.shape for p in params]
        self._there, self._rows, self._back = comm.Dup(), comm.Dup(), comm.Dup()
        of_table: dict[int, Any] = {self.places[i].bucket: params[i].shape for i in tables}
        self._sums: list[Any] = []
        for b, (length, dtype) in enumerate(_likes(params, self.places)):
            if b in of_table:
                sums: Any = RowSum(of_table[b], dtype, blocks, self._there, self._rows, self._back)
            elif share is not None:
                sums = TopSum(length, dtype, blocks, share, self._there, self._rows, self._back)
            else:
                sums = OrderedSum(length, dtype, blocks, self._there, self._back, wire)
            self._sums.append(sums)
        self._rounds = max(map(len, blocks))
        self._keeps = share is not None
        self._found = np.zeros(len(params), np.uint8)  # whether any shard here had a gradient of a parameter
        self._clear()

    def _clear(self) -> None:
        """Begin anew, as if nothing had been put in."""
        self._round = 0
        self._gathered = 0
        if not self._keeps:  # else some of an earlier gradient may still come
            self._found[:] = 0
        self._open()

    def _open(self) -> None:
        """Be ready for the gradients of the next shard."""
        self._missing = [
            {i for i, place in enumerate(self.places) if place.bucket == b} for b in range(len(self._sums))
        ]
        self._sent = 0

    def put(self, i: int, gradient: Array) -> None:
        """Take the gradient of parameter ``i`` of the shard at hand.

        Raises:
            ValueError: if it is here already.
        """
        bucket, where = self.places[i]
        if i not in self._missing[bucket]:
            raise ValueError(
                "parallel: a second backward pass brought a gradient of the same part, when the first one may have "
                "been sent: add up the losses of a part, and go backward once"
            )
        self._sums[bucket].rows[self._round, where] = gradient.reshape(-1)
        self._missing[bucket].remove(i)
        self._found[i] = 1
        self._advance()

    def close(self) -> None:
        """No more gradients of this shard: what it has none of adds nothing to the sum."""
        for bucket, missing in enumerate(self._missing):
            for i in missing:
                self._sums[bucket].rows[self._round, self.places[i].where] = -0.0  # x + -0.0 is x, also of x = -0.0
            missing.clear()
        self._advance()
        self._round += 1
        if self._round < self._rounds:
            self._open()

    def sums(self) -> list[Array | None]:
        """The gradient of each parameter summed over all shards, a new array; None where no shard had one."""
        while self._round < self._rounds:  # a rank with fewer shards than others
            self.close()
        found = np.empty_like(self._found)
        counting = self._there.Iallreduce(self._found, found, _largest())
        for bucket in self._sums[self._gathered :]:
            bucket.gather()
        totals = [bucket.total() for bucket in self._sums]
        wait(counting)
        result = [
            totals[bucket][where].reshape(shape).copy() if there else None
            for (bucket, where), shape, there in zip(self.places, self._shapes, found, strict=True)
        ]
        self._clear()
        return result

    def rounding(self) -> float:
        """What this rank has rounded off, or kept, since it was last asked, relative: 0 where all was sent as it is."""
        dense = [bucket for bucket in self._sums if isinstance(bucket, OrderedSum | TopSum)]
        lost, whole = sum((bucket.rounding for bucket in dense), np.zeros(2))
        for bucket in dense:
            bucket.rounding = np.zeros(2)
        if not np.isfinite([lost, whole]).all():  # a number was too large
            return float("inf")
        return float(np.sqrt(lost / whole)) if lost else 0.0

    def _advance(self) -> None:
        """Send what can be sent, and give back what has been added up: each in the order of buckets."""
        while self._sent < len(self._sums) and not self._missing[self._sent]:
            self._sums[self._sent].send(self._round)
            self._sent += 1
        while self._gathered < len(self._sums) and self._sums[self._gathered].arrived():
            self._sums[self._gathered].gather()
            self._gathered += 1

    def free(self) -> None:
        """Give back the communicators."""
        for comm in (self._there, self._rows, self._back):
            comm.Free()


def _likes(params: Sequence[Tensor], places: list[Place]) -> list[tuple[int, Any]]:
    """The length and dtype of each bucket."""
    likes: dict[int, tuple[int, Any]] = {}
    for p, place in zip(params, places, strict=True):
        likes[place.bucket] = max(
            likes.get(place.bucket, (0, p.dtype)), (place.where.stop, p.dtype), key=lambda n: n[0]
        )
    return [likes[bucket] for bucket in range(len(likes))]


def _largest() -> Any:
    from mpi4py import MPI

    return MPI.MAX

"""Sums over shards to which each shard gives only its largest numbers, and keeps the rest for later.

Deep gradient compression (Lin, Han, Mao, Wang and Dally, 2018): what a step does not send is not lost but added to the
gradient of the next one (error feedback), until it is large enough. In step t a shard with gradient g and rest r sends

    top(r + g),    and keeps    r' = r + g - top(r + g),

where top is 0 at all but the numbers that are largest in size. They travel as a `RowSum` sends rows, these of a number
each. Rests belong to shards, so that the bits do not depend on how many ranks there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spec import Array, DType
from .row_sums import RowSum

__all__ = ["TopSum", "largest"]


class TopSum(RowSum):
    """The sum of what shards send of a flat array (length,), in their order; used again and again.

    Args:
        length, dtype: of the array.
        blocks: the shards of each rank.
        share: of the numbers, how many a shard sends; at least one.
        counting, there, back: as of a `RowSum`.

    `rounding` is what this rank kept since it was last set: the sum of its squares, and of those of what there was.
    """

    def __init__(
        self, length: int, dtype: DType, blocks: list[range], share: float, counting: Any, there: Any, back: Any
    ) -> None:
        super().__init__((length, 1), dtype, blocks, counting, there, back)
        self._number = max(1, round(share * length))
        self._rests = np.zeros_like(self.rows)
        self.rounding = np.zeros(2)

    def send(self, k: int) -> None:
        """Send the largest numbers of this rank's `k`-th array with what was kept of the earlier ones."""
        row, rest = self.rows[k], self._rests[k]
        with np.errstate(over="ignore", invalid="ignore"):
            rest += row
            whole = _square(rest)
            sent = largest(rest, self._number)
            row[...] = 0
            row[sent] = rest[sent]
            rest[sent] = 0
            rest[~np.isfinite(rest)] = 0  # what was sent shows it, and later batches need not
            self.rounding += _square(rest), whole
        super().send(k)


def largest(numbers: Array, count: int) -> Array:
    """The places of so many numbers that are largest in size, rising; of equal ones the first, and NaN before all.

    >>> largest(np.array([1.0, -3.0, 2.0, 3.0, -2.0]), 3)
    array([1, 2, 3])
    """
    sizes = np.abs(numbers)
    sizes[np.isnan(sizes)] = np.inf  # what is wrong must be seen, not kept
    least = np.partition(sizes, -count)[-count]
    above, equal = np.flatnonzero(sizes > least), np.flatnonzero(sizes == least)
    places: Array = np.sort(np.concatenate([above, equal[: count - len(above)]]))
    return places


def _square(numbers: Array) -> float:
    return float(np.sum(numbers.astype(np.float64) ** 2))

"""How a batch is divided: rows into shards, and shards among ranks.

Shards, not ranks, decide what is computed: each is a part of the batch with a pass of its own, and gradients are summed
in the order of shards. So any number of ranks that divides the same shards comes to the same bits.
"""

from __future__ import annotations

from typing import Any

from ..runtime.threads import split
from .communicators import world

__all__ = ["blocks_of_shards", "shard"]


def shard(rows: Any, number: int | None = None, of: int | None = None) -> Any:
    """The rows that belong to a shard: every ``of``-th of them, from ``number`` on.

    Args:
        rows: an array, a list or anything that has slices: (N, …).
        number: of the shard, from 0; this process's rank by default.
        of: how many shards there are; as many as ranks by default.

    Returns:
        rows[number::of], about N / of rows. Neighbours go to different shards: where rows are sorted by length,
        shards are alike.

    Raises:
        ValueError: unless 0 <= number < of.

    >>> shard([5, 6, 7, 8, 9], 1, of=2)
    [6, 8]
    """
    if number is None or of is None:
        comm = world()
        number = comm.rank if number is None else number
        of = comm.size if of is None else of
    if not 0 <= number < of:
        raise ValueError(f"shard: number must be from 0 to below {of}, the number of shards; got {number}")
    return rows[number::of]


def blocks_of_shards(shards: int, ranks: int) -> list[range]:
    """Which shards each rank computes: runs of about equal length.

    Raises:
        ValueError: if there are fewer shards than ranks.

    >>> blocks_of_shards(4, 2)
    [range(0, 2), range(2, 4)]
    """
    if shards < ranks:
        raise ValueError(
            f"{ranks} ranks cannot share {shards} shard{'s' if shards > 1 else ''}: each needs one; start at most "
            f"{shards}, or make {ranks} shards"
        )
    return [range(part.start, part.stop) for part in split(shards, ranks)]

"""The order in which an epoch sees the captions of a split, and how they fall into batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["batches_from", "epoch_order"]


def epoch_order(
    lengths: NDArray[np.integer], batch_size: int, buckets: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The rows of all captions in a random order, for batches of `batch_size` one after the other; the last may be
    short.

    lengths: (N,) of the captions, in words. buckets: so many batches' captions are sorted by length before they fall
    into batches, which then come in a random order: captions of a batch are about as long, and little is computed
    behind their ends. 1 leaves the order as it is drawn.

    >>> order = epoch_order(np.array([3, 9, 8, 2]), 2, 2, np.random.default_rng(0))
    >>> sorted(sorted(pair) for pair in order.reshape(2, 2).tolist())
    [[0, 3], [1, 2]]
    """
    order = rng.permutation(len(lengths))
    if buckets == 1:
        return order
    whole = len(order) // batch_size * batch_size
    batches: list[NDArray[np.int64]] = []
    for start in range(0, whole, buckets * batch_size):
        near = order[start : min(start + buckets * batch_size, whole)]
        near = near[np.argsort(lengths[near], kind="stable")]
        batches += np.split(near, len(near) // batch_size)
    shuffled = [batches[k] for k in rng.permutation(len(batches))]
    return np.concatenate([*shuffled, order[whole:]])


def batches_from(order: NDArray[np.int64], batch_size: int, position: int, most: int) -> list[NDArray[np.int64]]:
    """The batches of an order (N,) from the one at `position` on, at most so many; the order's last may be short.

    >>> [batch.tolist() for batch in batches_from(np.array([7, 5, 6, 9, 8]), 2, 1, most=3)]
    [[6, 9], [8]]
    """
    stop = min((position + most) * batch_size, len(order))
    return [order[start : start + batch_size] for start in range(position * batch_size, stop, batch_size)]

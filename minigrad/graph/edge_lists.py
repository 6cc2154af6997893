"""The sort of large graphs on numbered vertices, whose edges are given as one array."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .order import Cycle, Order, topological_order

__all__ = ["topological_order_of_edges"]

# NumPy takes a wide level of ready vertices at once; a Python loop is faster for narrow ones, as in a chain.
_WIDE = 32
_CHUNK = 256  # vertices that the loop takes before it counts again how many are ready


def topological_order_of_edges(n: int, edges: Any) -> Order[int] | Cycle[int]:
    """Sort the graph on vertices 0 … n-1 whose edges are given as an array.

    Kahn's algorithm: a vertex is ready when all its parents have been taken. Many ready vertices are taken at once, in
    NumPy; few are taken one by one. A vertex that never becomes ready has a parent that does not either; following
    such parents ends in a cycle. The sort takes O(n + E log E) and is deterministic. A million vertices and three
    million edges take about half a second.

    Args:
        n: the number of vertices.
        edges: integers of shape (E, 2), a row (parent, child) for each edge; an edge may be repeated.

    Returns:
        ``Order`` if the graph is acyclic, else a ``Cycle`` in it.

    Raises:
        ValueError: if ``edges`` has another shape or names a vertex outside 0 … n-1.
        TypeError: if ``edges`` is not of integers.

    Source: A. B. Kahn, Topological sorting of large networks (1962).

    >>> topological_order_of_edges(3, [(2, 0), (0, 1)])
    Order(nodes=(2, 0, 1))
    >>> topological_order_of_edges(3, [(2, 0), (0, 1), (1, 0)])
    Cycle(nodes=(0, 1))
    """
    parent, child = _columns(n, edges)
    if (parent < child).all():  # vertices are often numbered in topological order already
        return Order(tuple(range(n)))
    waits = np.bincount(
        child.astype(np.intp, copy=False), minlength=n
    )  # the number of parents that each vertex waits for
    order = _kahn(waits, parent, child)
    if len(order) == n:
        return Order(tuple(order))
    blocks = waits[parent] > 0
    awaited = dict(zip(child[blocks].tolist(), parent[blocks].tolist(), strict=True))  # one such parent of each
    return topological_order(awaited, lambda v: (awaited[v],))


def _columns(n: int, edges: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the parents and children of checked edges."""
    array = np.asarray(edges) if len(edges) else np.zeros((0, 2), np.int64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"topological_order_of_edges: edges must have shape (E, 2), not {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"topological_order_of_edges: edges must be integers, not {array.dtype}")
    if array.size and not (array.min() >= 0 and array.max() < n):
        raise ValueError(f"topological_order_of_edges: edges name vertices outside 0 … {n - 1}")
    parent, child = np.ascontiguousarray(array.T, dtype=np.int64)
    return parent, child


def _kahn(waits: NDArray[np.int64], parent: NDArray[np.int64], child: NDArray[np.int64]) -> list[int]:
    """Return all vertices that can be ordered. ``waits`` is counted down; it stays positive for the others."""
    # v's children are flat[start[v] : start[v + 1]]. Sorting one number for each edge takes a tenth of an argsort.
    start = np.concatenate([[0], np.cumsum(np.bincount(parent.astype(np.intp, copy=False), minlength=len(waits)))])
    flat = np.sort(parent << 32 | child) & (1 << 32) - 1
    order: list[int] = []
    ready = np.flatnonzero(waits == 0)
    while ready.size:
        if ready.size >= _WIDE:
            order += ready.tolist()
            ready = _take_level(ready, waits, start, flat)
        else:
            queue = ready.tolist()
            _take_chunk(queue, waits.data, start.data, flat.data)
            order += queue[:_CHUNK]
            ready = np.array(queue[_CHUNK:], np.int64)
    return order


def _take_level(
    ready: NDArray[np.int64], waits: NDArray[np.int64], start: NDArray[np.int64], flat: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Take all vertices that are ready; return those that are ready then."""
    first = start[ready]
    counts = start[ready + 1] - first
    # a child's place is its rank among all children, shifted by its parent's row and the counts before it
    children = flat[np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())]
    np.subtract.at(waits, children, 1)
    return np.unique(children[waits[children] == 0])


def _take_chunk(queue: list[int], waits: memoryview, start: memoryview, flat: memoryview) -> None:
    """Take vertices one by one, at most ``_CHUNK`` of them; those that become ready join the queue.

    Memory views of the arrays need no conversion, and are faster than lists: 1.3 s against 1.9 s for a chain of a
    million vertices and three million edges.
    """
    for v in islice(queue, _CHUNK):
        for w in flat[start[v] : start[v + 1]]:
            waits[w] = left = waits[w] - 1
            if not left:
                queue.append(w)

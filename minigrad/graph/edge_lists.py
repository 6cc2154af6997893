"""The sort of large graphs on numbered vertices, whose edges are given as one array."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .order import Cycle, Order

__all__ = ["topological_order_of_edges"]

# A level of so many vertices costs NumPy's dozen calls as much as a Python loop; wider ones cost NumPy less.
_WIDE = 32
_SPELL = 256  # vertices that the loop takes before it looks again at how many wait


def topological_order_of_edges(n: int, edges: Any) -> Order[int] | Cycle[int]:
    """Sort the graph on vertices 0 … n-1 whose edges are given as an array.

    Kahn's way: whoever has no parent left to wait for is ready; taking the ready ones readies some of their children.
    While many are ready they are taken together, level by level in NumPy; while few are, as in a chain, one by one.
    Who is never readied waits for a parent that is not either, and going from parent to parent ends in a cycle. It
    takes O(n + E log E) and is deterministic. A million vertices and three million edges take about half a second.

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
    Cycle(nodes=(1, 0))
    """
    parent, child = _columns(n, edges)
    if (parent < child).all():  # vertices are often numbered in an order already
        return Order(tuple(range(n)))
    waits = np.bincount(child, minlength=n)  # for how many parents
    order = _kahn(waits, *_children(n, parent, child))
    return Order(tuple(order)) if len(order) == n else _cycle_of_waiting(waits > 0, parent, child)


def _columns(n: int, edges: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Parents and children of checked edges."""
    array = np.asarray(edges).reshape(-1, 2) if len(edges) == 0 else np.asarray(edges)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"topological_order_of_edges: edges must have shape (E, 2), not {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"topological_order_of_edges: edges must be integers, not {array.dtype}")
    if array.size and not (array.min() >= 0 and array.max() < n):
        raise ValueError(f"topological_order_of_edges: edges name vertices outside 0 … {n - 1}")
    parent, child = np.ascontiguousarray(array.T, dtype=np.int64)
    return parent, child


def _children(n: int, parent: NDArray[np.int64], child: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """The graph in compressed rows: v's children are ``flat[start[v] : start[v + 1]]``."""
    start = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(parent, minlength=n), out=start[1:])
    # One number an edge, for sorting them takes a tenth of an argsort; 2^32 vertices would fill a terabyte.
    flat = parent << 32 | child
    flat.sort()
    flat &= (1 << 32) - 1
    return start, flat


def _kahn(waits: NDArray[np.int64], start: NDArray[np.int64], flat: NDArray[np.int64]) -> list[int]:
    """All vertices that can be ordered. ``waits`` is counted down; it stays positive for the others."""
    order: list[int] = []
    only = _only_children(waits, start, flat)
    views = [array.data for array in (waits, start, flat, only)]
    ready = np.flatnonzero(waits == 0)
    while ready.size:
        if ready.size >= _WIDE:
            order += ready.tolist()
            ready = _take_level(ready, waits, start, flat)
        else:
            queue = ready.tolist()
            _take_spell(queue, *views)
            order += queue[:_SPELL]
            ready = np.array(queue[_SPELL:], np.int64)
    return order


def _take_level(
    ready: NDArray[np.int64], waits: NDArray[np.int64], start: NDArray[np.int64], flat: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Take all that are ready at once; returns who is ready then."""
    first = start[ready]
    counts = start[ready + 1] - first
    # child number i of all of them lies as far behind i as its parent's row behind the counts before it
    places = np.repeat(first - (np.cumsum(counts) - counts), counts)
    places += np.arange(places.size)
    children = flat[places]
    np.subtract.at(waits, children, 1)
    return np.unique(children[waits[children] == 0])


def _only_children(waits: NDArray[np.int64], start: NDArray[np.int64], flat: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each vertex whose only child has no other parent this child, for all others -1."""
    only = np.full(waits.size, -1)
    parents = np.flatnonzero(np.diff(start) == 1)
    children = flat[start[parents]]
    lone = waits[children] == 1
    only[parents[lone]] = children[lone]
    return only


def _take_spell(queue: list[int], waits: memoryview, start: memoryview, flat: memoryview, only: memoryview) -> None:
    """Take one after the other, at most ``_SPELL`` of them; who becomes ready joins the queue.

    Memory views see the arrays' own numbers: nothing is converted when NumPy and this loop take turns, and numbers
    lie closer than a list's objects, 1.3 s against 1.9 s for a chain of a million vertices and three million edges.
    Following only children takes a bare path in a third of the time.
    """
    join = queue.append
    for v in islice(queue, _SPELL):
        w = only[v]
        if w >= 0:
            waits[w] = 0
            join(w)
            continue
        for w in flat[start[v] : start[v + 1]]:
            left = waits[w] - 1
            waits[w] = left
            if not left:
                join(w)


def _cycle_of_waiting(waiting: NDArray[np.bool_], parent: NDArray[np.int64], child: NDArray[np.int64]) -> Cycle[int]:
    """A cycle, where each of the waiting vertices has a waiting parent."""
    blocks = waiting[parent]
    awaited = np.zeros(waiting.size, np.int64)  # one such parent of each
    awaited[child[blocks]] = parent[blocks]
    path: dict[int, None] = {}
    v = int(np.argmax(waiting))
    while v not in path:
        path[v] = None
        v = int(awaited[v])
    walk = list(path)  # each a child of the next
    return Cycle(tuple(reversed(walk[walk.index(v) :])))

"""Graphs as mappings from each vertex to its parents: of edges, of minigrad's traces, every small one, two to show."""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from itertools import product
from math import comb
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

import minigrad as mg
from minigrad.core import Node
from minigrad.graph import Cycle, Order, topological_order

__all__ = [
    "CYCLIC", "LABELLED_DAGS", "LAYER", "PURPORTED", "bend", "check_graph", "count_by_recurrence", "cycle_of_example",
    "every_digraph", "parents_of_edges", "parents_of_trace", "show_cycle", "show_graph", "sorted_by_graphlib",
]  # fmt: skip

V = TypeVar("V", bound=Hashable)


# Graphs as plain data -----------------------------------------------------------------------------


def check_graph(parents: Mapping[V, Collection[V]], what: str) -> None:
    """Raise an error that begins with `what` unless every parent is a vertex.

    >>> check_graph({"a": ["b"]}, "sort")
    Traceback (most recent call last):
    ValueError: sort: 'b', a parent of 'a', is not a vertex of the graph; it needs an entry, such as 'b': ()
    """
    if not isinstance(parents, Mapping):
        raise TypeError(f"{what}: the graph must map each vertex to its parents; got {type(parents).__name__}")
    for vertex, several in parents.items():
        if not isinstance(several, Collection):
            raise TypeError(f"{what}: the parents of {vertex!r} must be a collection, such as a tuple; got {several!r}")
        for parent in several:
            if parent not in parents:
                raise ValueError(
                    f"{what}: {parent!r}, a parent of {vertex!r}, is not a vertex of the graph; "
                    f"it needs an entry, such as {parent!r}: ()"
                )


def parents_of_edges(n: int, edges: ArrayLike | Sequence[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    """The graph on the vertices 0 … n-1 with the given edges.

    Args:
        n: the number of vertices.
        edges: integers of shape (E, 2), a row (u, v) for each edge u -> v.

    Raises:
        TypeError: if n or an edge is not of integers.
        ValueError: if n is negative, or `edges` has another shape or names a vertex outside 0 … n-1.

    >>> parents_of_edges(3, [(2, 0), (0, 1), (2, 1)])
    {0: (2,), 1: (0, 2), 2: ()}
    """
    if type(n) is not int:
        raise TypeError(f"parents_of_edges: n must be an int; got {n!r}")
    if n < 0:
        raise ValueError(f"parents_of_edges: n, the number of vertices, must be at least 0; got {n}")
    try:
        array = np.asarray(edges)
    except ValueError:
        raise ValueError("parents_of_edges: edges must have shape (E, 2), got rows of unequal lengths") from None
    if array.size == 0:
        return dict.fromkeys(range(n), ())
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"parents_of_edges: edges must have shape (E, 2), a row (u, v) an edge; got {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"parents_of_edges: edges must be integers; got {array.dtype}")
    outside = (array < 0) | (array >= n)
    if outside.any():
        u, v = array[outside.any(axis=1)][0]
        there = f"the vertices are 0 … {n - 1}" if n else "there are no vertices"
        raise ValueError(f"parents_of_edges: the edge {u} -> {v} names an unknown vertex; {there}")
    parents: list[list[int]] = [[] for _ in range(n)]
    for u, v in array.tolist():
        parents[v].append(u)
    return {v: tuple(several) for v, several in enumerate(parents)}


def parents_of_trace(tensors: Sequence[mg.Tensor]) -> dict[Node, tuple[Node, ...]]:
    """The graph that minigrad recorded behind some tensors: each node's parents, the nodes of its inputs.

    Raises:
        ValueError: if nothing is recorded behind one of them.

    >>> x = mg.tensor(1.0, requires_grad=True)
    >>> for node, parents in parents_of_trace([mg.tanh(x) * x]).items():
    ...     print(node, parents)
    <multiply float32 ()> (<tanh float32 ()>, <leaf float32 ()>)
    <leaf float32 ()> ()
    <tanh float32 ()> (<leaf float32 ()>,)
    """
    found: dict[Node, tuple[Node, ...]] = {}
    to_visit: list[Node] = []
    for i, tensor in enumerate(tensors):
        if tensor.node is None:
            raise ValueError(f"parents_of_trace: tensor {i} depends on nothing that requires a gradient: no graph")
        to_visit.append(tensor.node)
    while to_visit:
        node = to_visit.pop()
        if node not in found:
            found[node] = node.parents
            to_visit += node.parents
    return found


def show_graph(parents: Mapping[Any, Collection[Any]], most: int = 40) -> str:
    """A graph in a line.

    >>> show_graph({0: (), 1: (0,), 2: (1, 2)})
    '3 vertices; 0 -> 1, 1 -> 2, 2 -> 2'
    >>> show_graph({0: (), 1: ()})
    '2 vertices without edges'
    """
    if not parents:
        return "no vertices"
    edges = [f"{u} -> {v}" for v, several in parents.items() for u in several]
    count = f"{len(parents):,} {'vertex' if len(parents) == 1 else 'vertices'}"
    if len(edges) > most:
        return f"{count}; {', '.join(edges[:most])} and {len(edges) - most:,} edges more"
    return f"{count}; {', '.join(edges)}" if edges else f"{count} without edges"


def show_cycle(cycle: Cycle[Any], most: int = 12) -> str:
    """A cycle in a line, closed.

    >>> show_cycle(Cycle((0, 1)))
    '0 -> 1 -> 0'
    """
    if len(cycle.nodes) > most:
        return " -> ".join(map(str, cycle.nodes[:most])) + f" -> … ({len(cycle.nodes):,} vertices)"
    return " -> ".join(map(str, (*cycle.nodes, *cycle.nodes[:1])))


def bend(made: Order[Node]) -> None:
    """Make the newest descendant of a trace's first node a parent of it, which closes a cycle.

    >>> x = mg.tensor(1.0, requires_grad=True)
    >>> y = mg.tanh(x)
    >>> bend(Order((x.node, y.node)))
    >>> x.node.parents
    (<tanh float32 ()>,)
    """
    first = made.nodes[0]
    behind = {first}
    newest = first
    for node in made.nodes:
        if behind.intersection(node.parents):
            behind.add(node)
            newest = node
    first.parents = (newest,)


def sorted_by_graphlib(parents: Mapping[V, Any]) -> Order[V] | Cycle[V]:
    """The answer of Python's own sort, in the types of minigrad's.

    >>> sorted_by_graphlib({"a": "b", "b": "a"})
    Cycle(nodes=('a', 'b'))
    """
    try:
        return Order(tuple(graphlib.TopologicalSorter(parents).static_order()))
    except graphlib.CycleError as error:
        return Cycle(tuple(error.args[1][:-1]))  # it names the first vertex again at the end


# Every small graph ------------------------------------------------------------------------------


def every_digraph(n: int, loops: bool = False) -> Iterator[dict[int, tuple[int, ...]]]:
    """Every graph on the vertices 0 … n-1: 2^(n(n-1)) of them, or 2^(n n) with loops. The first has no edges.

    >>> [show_graph(graph) for graph in every_digraph(1, loops=True)]
    ['1 vertex without edges', '1 vertex; 0 -> 0']
    """
    if n < 0:
        raise ValueError(f"every_digraph: n must be at least 0; got {n}")
    subsets = [tuple(u for u in range(n) if mask >> u & 1) for mask in range(2**n)]
    choices = [[subset for subset in subsets if loops or v not in subset] for v in range(n)]
    return (dict(enumerate(several)) for several in product(*choices))


LABELLED_DAGS = (1, 1, 3, 25, 543, 29281)
"""How many of the labelled digraphs on 0, 1, 2, … vertices are acyclic. Source: OEIS A003024."""


def count_by_recurrence(n: int) -> int:
    """The same number of any n.

    With k of the vertices chosen as sources, any edges from them to the n - k others, and a DAG on these, each DAG
    is counted once for every non-empty set of its sources; inclusion and exclusion leaves it counted once:
    a(n) = sum over k = 1 … n of (-1)^(k+1) C(n, k) 2^(k (n-k)) a(n-k), a(0) = 1. That sources exist is the lemma.

    Source: R. W. Robinson, Counting labeled acyclic digraphs (1973).

    >>> [count_by_recurrence(n) for n in range(1, 6)]
    [1, 3, 25, 543, 29281]
    """
    if n < 0:
        raise ValueError(f"count_by_recurrence: n must be at least 0; got {n}")
    a = [1]
    for m in range(1, n + 1):
        a.append(sum((-1) ** (k + 1) * comb(m, k) * 2 ** (k * (m - k)) * a[m - k] for k in range(1, m + 1)))
    return a[n]


# The graphs that are shown and drawn --------------------------------------------------------------

LAYER = {"x": (), "W": (), "b": (), "Wx": ("W", "x"), "z": ("Wx", "b"), "h": ("z",), "loss": ("h", "W")}
"""The graph of a layer and its regularised loss: z = Wx + b, h = tanh(z), loss = |h|^2 + |W|^2."""

CYCLIC = {"a": (), "b": ("a", "e"), "c": ("b",), "d": ("c", "a"), "e": ("d",), "f": ("c", "e")}
"""A graph with one cycle."""

PURPORTED = Order(tuple("abcdef"))
"""An order of its vertices that is claimed to be topological."""


def cycle_of_example() -> Cycle[str]:
    """The cycle of the example as minigrad's sort finds it from e.

    >>> show_cycle(cycle_of_example())
    'b -> c -> d -> e -> b'
    """
    found = topological_order("e", CYCLIC.__getitem__)
    assert isinstance(found, Cycle)
    return found

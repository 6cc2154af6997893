"""Graphs as mappings from each vertex to its parents: from edges, from minigrad's traces, and all small ones."""

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
    "CYCLIC", "LABELLED_DAGS", "LAYER", "PURPORTED", "bend", "count_by_recurrence", "cycle_of_example", "every_digraph",
    "parents_of_edges", "parents_of_trace", "show_cycle", "show_graph", "sorted_by_graphlib",
]  # fmt: skip

V = TypeVar("V", bound=Hashable)


# Graphs as plain data -----------------------------------------------------------------------------


def parents_of_edges(n: int, edges: ArrayLike | Sequence[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    """Return the graph on the vertices 0 … n-1 with the edges u -> v in the rows (u, v) of `edges`, (E, 2).

    >>> parents_of_edges(3, [(2, 0), (0, 1), (2, 1)])
    {0: (2,), 1: (0, 2), 2: ()}
    """
    parents: list[list[int]] = [[] for _ in range(n)]
    for u, v in np.asarray(edges).tolist():
        parents[v].append(u)
    return {v: tuple(several) for v, several in enumerate(parents)}


def parents_of_trace(tensors: Sequence[mg.Tensor]) -> dict[Node, tuple[Node, ...]]:
    """Return the graph that minigrad recorded for some tensors: the parents of each node, the nodes of its inputs.

    >>> x = mg.tensor(1.0, requires_grad=True)
    >>> for node, parents in parents_of_trace([mg.tanh(x) * x]).items():
    ...     print(node, parents)
    <multiply float32 ()> (<tanh float32 ()>, <leaf float32 ()>)
    <leaf float32 ()> ()
    <tanh float32 ()> (<leaf float32 ()>,)
    """
    found: dict[Node, tuple[Node, ...]] = {}
    to_visit = [tensor.node for tensor in tensors if tensor.node is not None]
    while to_visit:
        node = to_visit.pop()
        if node not in found:
            found[node] = node.parents
            to_visit += node.parents
    return found


def show_graph(parents: Mapping[Any, Collection[Any]], most: int = 40) -> str:
    """Write a graph on one line.

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
    """Write a cycle on one line.

    >>> show_cycle(Cycle((0, 1)))
    '0 -> 1 -> 0'
    """
    if len(cycle.nodes) > most:
        return " -> ".join(map(str, cycle.nodes[:most])) + f" -> … ({len(cycle.nodes):,} vertices)"
    return " -> ".join(map(str, (*cycle.nodes, *cycle.nodes[:1])))


def bend(made: Order[Node]) -> None:
    """Close a cycle: make the newest descendant of a trace's first node a parent of that node.

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
    """Sort by Python's graphlib, with minigrad's types.

    >>> sorted_by_graphlib({"a": "b", "b": "a"})
    Cycle(nodes=('a', 'b'))
    """
    try:
        return Order(tuple(graphlib.TopologicalSorter(parents).static_order()))
    except graphlib.CycleError as error:
        return Cycle(tuple(error.args[1][:-1]))  # graphlib repeats the first vertex at the end


# Every small graph ------------------------------------------------------------------------------


def every_digraph(n: int, loops: bool = False) -> Iterator[dict[int, tuple[int, ...]]]:
    """Yield every graph on the vertices 0 … n-1: 2^(n(n-1)), or 2^(n n) with loops. The first has no edges.

    >>> [show_graph(graph) for graph in every_digraph(1, loops=True)]
    ['1 vertex without edges', '1 vertex; 0 -> 0']
    """
    subsets = [tuple(u for u in range(n) if mask >> u & 1) for mask in range(2**n)]
    choices = [[subset for subset in subsets if loops or v not in subset] for v in range(n)]
    return (dict(enumerate(several)) for several in product(*choices))


LABELLED_DAGS = (1, 1, 3, 25, 543, 29281)
"""The numbers of labelled acyclic digraphs on 0, 1, 2, … vertices. Source: OEIS A003024."""


def count_by_recurrence(n: int) -> int:
    """Count the labelled acyclic digraphs on n vertices.

    Choose k vertices as sources, any edges from them to the n - k others, and a DAG on these. This counts each DAG
    once for every non-empty set of its sources, so by inclusion and exclusion
    a(n) = sum over k = 1 … n of (-1)^(k+1) C(n, k) 2^(k (n-k)) a(n-k), a(0) = 1. The lemma says that sources exist.

    Source: R. W. Robinson, Counting labeled acyclic digraphs (1973).

    >>> [count_by_recurrence(n) for n in range(1, 6)]
    [1, 3, 25, 543, 29281]
    """
    a = [1]
    for m in range(1, n + 1):
        a.append(sum((-1) ** (k + 1) * comb(m, k) * 2 ** (k * (m - k)) * a[m - k] for k in range(1, m + 1)))
    return a[n]


# Examples to show and draw -----------------------------------------------------------------------

LAYER = {"x": (), "W": (), "b": (), "Wx": ("W", "x"), "z": ("Wx", "b"), "h": ("z",), "loss": ("h", "W")}
"""The graph of a layer and its regularised loss: z = Wx + b, h = tanh(z), loss = |h|^2 + |W|^2."""

CYCLIC = {"a": (), "b": ("a", "e"), "c": ("b",), "d": ("c", "a"), "e": ("d",), "f": ("c", "e")}
"""A graph with one cycle."""

PURPORTED = Order(tuple("abcdef"))
"""An order of its vertices, wrongly claimed to be topological."""


def cycle_of_example() -> Cycle[str]:
    """Return the cycle that minigrad's sort finds from e.

    >>> show_cycle(cycle_of_example())
    'b -> c -> d -> e -> b'
    """
    found = topological_order("e", CYCLIC.__getitem__)
    assert isinstance(found, Cycle)
    return found

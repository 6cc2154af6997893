"""The theorems of topological order as functions: the lemma, the removal of sources, the contradiction.

A graph is a mapping from each vertex to its parents: v has the parent u if there is an edge u -> v. A vertex is
anything hashable, a parent may be repeated, and a vertex may be its own parent (a loop). `theory.ordering.graphs`
makes such mappings from edges and from the graphs that minigrad records.

Each function is the constructive form of one step of the homework's proofs, so that it returns what the step says
exists: an order, a cycle, a source, an edge. `theory.ordering.certificates` checks these by their definitions alone;
`minigrad.graph.topological_order` is the same theorem by depth-first search, and shares no code with this.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from minigrad.graph import Cycle, Order
from theory.ordering.graphs import check_graph

__all__ = ["Removal", "Source", "Stuck", "remove_sources", "removals", "source_or_cycle", "violated_edge", "without"]

V = TypeVar("V", bound=Hashable)


@dataclass(frozen=True)
class Source(Generic[V]):
    """A vertex without incoming edges."""

    vertex: V


@dataclass(frozen=True)
class Removal(Generic[V]):
    """One step of the construction: the source that is removed, and the graph that is left."""

    vertex: V
    left: Mapping[V, Collection[V]]


@dataclass(frozen=True)
class Stuck(Generic[V]):
    """Where the construction ends on a cyclic graph.

    removed: the vertices in the order of removal. left: the graph that is left, in which every vertex has a
    parent. cycle: a cycle in it.
    """

    removed: tuple[V, ...]
    left: Mapping[V, Collection[V]]
    cycle: Cycle[V]


def without(parents: Mapping[V, Collection[V]], vertex: V) -> dict[V, tuple[V, ...]]:
    """The graph without a vertex and the edges at it.

    >>> without({"a": (), "b": "a", "c": "ab"}, "a")
    {'b': (), 'c': ('b',)}
    """
    if vertex not in parents:
        raise ValueError(f"without: {vertex!r} is not a vertex of the graph")
    return {v: tuple(u for u in several if u != vertex) for v, several in parents.items() if v != vertex}


def source_or_cycle(parents: Mapping[V, Collection[V]], start: V | None = None) -> Source[V] | Cycle[V]:
    """The lemma: walk from a vertex to a parent of it, again and again; the walk ends in a source or closes a cycle.

    A walk of n + 1 vertices in a graph of n meets one of them twice, and what lies between is a cycle. In a DAG
    that cannot be, so the walk ends after at most n vertices, in a vertex without parents.

    Args:
        parents: the graph; not empty.
        start: where the walk begins (default: the first vertex).

    Raises:
        ValueError: if the graph is empty, a parent is not a vertex, or `start` is not.

    Source: homework 2-1, the lemma.

    >>> source_or_cycle({"a": "", "b": "a", "c": "b"}, "c")
    Source(vertex='a')
    >>> source_or_cycle({"a": "b", "b": "a", "c": "b"}, "c")
    Cycle(nodes=('a', 'b'))
    """
    check_graph(parents, "source_or_cycle")
    if not parents:
        raise ValueError("source_or_cycle: the graph is empty; the lemma needs a graph of at least one vertex")
    vertex = next(iter(parents)) if start is None else start
    if vertex not in parents:
        raise ValueError(f"source_or_cycle: the start {vertex!r} is not a vertex of the graph")
    step: dict[V, int] = {}  # when the walk came to each vertex
    while several := parents[vertex]:
        if vertex in step:
            walk = list(step)[step[vertex] :]  # each a child of the next, the first of it a parent of the last
            return Cycle(tuple(reversed(walk)))
        step[vertex] = len(step)
        vertex = next(iter(several))
    return Source(vertex)


def removals(parents: Mapping[V, Collection[V]]) -> Iterator[Removal[V] | Cycle[V]]:
    """The construction step by step, as the proof does it: find a source by the lemma, remove it, repeat.

    Each step comes with the graph that is left. The last is a graph without vertices; or else the walk of
    the lemma has closed a cycle, which is given in place of a step and ends the construction.
    It copies the graph at every step; `remove_sources` does the same in O(vertices + edges).

    Raises:
        ValueError: if a parent is not a vertex.

    Source: homework 2-1.

    >>> for step in removals({"b": "a", "a": ""}):
    ...     print(step)
    Removal(vertex='a', left={'b': ()})
    Removal(vertex='b', left={})
    """
    check_graph(parents, "removals")
    return _removals(parents)


def _removals(parents: Mapping[V, Collection[V]]) -> Iterator[Removal[V] | Cycle[V]]:
    left: Mapping[V, Collection[V]] = parents
    while left:
        found = source_or_cycle(left)
        if isinstance(found, Cycle):
            yield found
            return
        left = without(left, found.vertex)
        yield Removal(found.vertex, left)


def remove_sources(parents: Mapping[V, Collection[V]]) -> Order[V] | Stuck[V]:
    """The construction in O(vertices + edges): an order of removal, or what is left and a cycle in it.

    Instead of the graph that is left it keeps for each vertex how many of its parents are left. A vertex with
    none is a source of that graph. If no source is left but vertices are, each has a parent among them, so the walk
    of the lemma closes a cycle. The empty graph has the empty order.

    Raises:
        ValueError: if a parent is not a vertex.

    Source: homework 2-1; A. B. Kahn, Topological sorting of large networks (1962).

    >>> remove_sources({"c": "ba", "b": "a", "a": ""})
    Order(nodes=('a', 'b', 'c'))
    >>> remove_sources({"a": "", "b": "ac", "c": "b"})
    Stuck(removed=('a',), left={'b': ('c',), 'c': ('b',)}, cycle=Cycle(nodes=('c', 'b')))
    """
    check_graph(parents, "remove_sources")
    distinct = {v: tuple(dict.fromkeys(several)) for v, several in parents.items()}
    children: dict[V, list[V]] = {v: [] for v in parents}
    for vertex, several in distinct.items():
        for parent in several:
            children[parent].append(vertex)
    count = {v: len(several) for v, several in distinct.items()}
    removed = [v for v in parents if count[v] == 0]
    for vertex in removed:  # which grows meanwhile
        for child in children[vertex]:
            count[child] -= 1
            if count[child] == 0:
                removed.append(child)
    if len(removed) == len(parents):
        return Order(tuple(removed))
    left = {v: tuple(u for u in distinct[v] if count[u]) for v in parents if count[v]}
    cycle = source_or_cycle(left)
    assert isinstance(cycle, Cycle)  # for there is no source
    return Stuck(tuple(removed), left, cycle)


def violated_edge(order: Order[V], cycle: Cycle[V]) -> tuple[V, V]:
    """The contradiction: an edge of the cycle whose end does not come after its start in the order.

    Along every edge of a topological order the position grows. Around v0 -> v1 -> ... -> v0 it cannot grow at
    every edge, as it would end above where it began. So an order and a cycle are never both valid: one edge
    of the cycle refutes any order proposed, whatever the graph.

    Raises:
        ValueError: if the order names a vertex twice, or the cycle is empty or has a vertex that the order has not.

    Source: homework 2-2.

    >>> violated_edge(Order(("a", "b", "c")), Cycle(("b", "c", "a")))
    ('c', 'a')
    """
    position = {v: i for i, v in enumerate(order.nodes)}
    if len(position) != len(order.nodes):
        raise ValueError("violated_edge: the order names a vertex twice")
    if not cycle.nodes:
        raise ValueError("violated_edge: the cycle is empty; a cycle has at least one vertex")
    for vertex in cycle.nodes:
        if vertex not in position:
            raise ValueError(f"violated_edge: {vertex!r} is in the cycle but not in the order")
    edges = zip(cycle.nodes, (*cycle.nodes[1:], cycle.nodes[0]), strict=True)
    return next((u, v) for u, v in edges if position[u] >= position[v])

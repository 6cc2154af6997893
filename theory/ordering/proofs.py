"""The theorems of topological order as functions: the lemma, the removal of sources, the contradiction.

A graph maps each vertex to its parents: v has the parent u if there is an edge u -> v. Vertices are hashable, parents
may repeat, and a vertex may be its own parent (a loop).

Each function is one step of the homework's proofs in constructive form: it returns the order, cycle, source or edge
that the step says exists. `theory.ordering.certificates` checks these by definition. `minigrad.graph.topological_order`
is the same theorem by depth-first search, and shares no code with this module.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from minigrad.graph import Cycle, Order

__all__ = ["Removal", "Source", "Stuck", "remove_sources", "removals", "source_or_cycle", "violated_edge", "without"]

V = TypeVar("V", bound=Hashable)


@dataclass(frozen=True)
class Source(Generic[V]):
    """A vertex without incoming edges."""

    vertex: V


@dataclass(frozen=True)
class Removal(Generic[V]):
    """One step of the construction: the removed source, and the remaining graph."""

    vertex: V
    left: Mapping[V, Collection[V]]


@dataclass(frozen=True)
class Stuck(Generic[V]):
    """The end of the construction on a cyclic graph.

    removed: the vertices in the order of removal. left: the remaining graph, in which every vertex has a parent.
    cycle: a cycle in it.
    """

    removed: tuple[V, ...]
    left: Mapping[V, Collection[V]]
    cycle: Cycle[V]


def without(parents: Mapping[V, Collection[V]], vertex: V) -> dict[V, tuple[V, ...]]:
    """Return the graph without a vertex and its edges.

    >>> without({"a": (), "b": "a", "c": "ab"}, "a")
    {'b': (), 'c': ('b',)}
    """
    return {v: tuple(u for u in several if u != vertex) for v, several in parents.items() if v != vertex}


def source_or_cycle(parents: Mapping[V, Collection[V]], start: V | None = None) -> Source[V] | Cycle[V]:
    """The lemma: walk from a vertex to a parent, again and again; the walk ends in a source or closes a cycle.

    A walk of n + 1 vertices in a graph of n visits one of them twice, and the part in between is a cycle. A DAG has
    none, so there the walk ends after at most n vertices in a vertex without parents. The graph must not be empty. The
    walk starts at `start`, by default the first vertex.

    Source: homework 2-1, the lemma.

    >>> source_or_cycle({"a": "", "b": "a", "c": "b"}, "c")
    Source(vertex='a')
    >>> source_or_cycle({"a": "b", "b": "a", "c": "b"}, "c")
    Cycle(nodes=('a', 'b'))
    """
    vertex = next(iter(parents)) if start is None else start
    step: dict[V, int] = {}  # when the walk visited each vertex
    while several := parents[vertex]:
        if vertex in step:
            walk = list(step)[step[vertex] :]  # each vertex is a child of the next, and the last a child of the first
            return Cycle(tuple(reversed(walk)))
        step[vertex] = len(step)
        vertex = next(iter(several))
    return Source(vertex)


def removals(parents: Mapping[V, Collection[V]]) -> Iterator[Removal[V] | Cycle[V]]:
    """Yield the steps of the proof's construction: find a source by the lemma, remove it, repeat.

    Each step has the remaining graph. The construction ends when no vertex remains, or with the cycle that the walk of
    the lemma closes. Each step copies the graph; `remove_sources` does the same in O(vertices + edges).

    Source: homework 2-1.

    >>> for step in removals({"b": "a", "a": ""}):
    ...     print(step)
    Removal(vertex='a', left={'b': ()})
    Removal(vertex='b', left={})
    """
    left: Mapping[V, Collection[V]] = parents
    while left:
        found = source_or_cycle(left)
        if isinstance(found, Cycle):
            yield found
            return
        left = without(left, found.vertex)
        yield Removal(found.vertex, left)


def remove_sources(parents: Mapping[V, Collection[V]]) -> Order[V] | Stuck[V]:
    """Run the construction in O(vertices + edges): return the order of removal, or the remaining graph and its cycle.

    It counts the remaining parents of each vertex; a vertex with none is a source of the remaining graph. If vertices
    remain but no source, each has a parent among them, so the walk of the lemma closes a cycle.

    Source: homework 2-1; A. B. Kahn, Topological sorting of large networks (1962).

    >>> remove_sources({"c": "ba", "b": "a", "a": ""})
    Order(nodes=('a', 'b', 'c'))
    >>> remove_sources({"a": "", "b": "ac", "c": "b"})
    Stuck(removed=('a',), left={'b': ('c',), 'c': ('b',)}, cycle=Cycle(nodes=('c', 'b')))
    """
    distinct = {v: tuple(dict.fromkeys(several)) for v, several in parents.items()}
    children: dict[V, list[V]] = {v: [] for v in parents}
    for vertex, several in distinct.items():
        for parent in several:
            children[parent].append(vertex)
    count = {v: len(several) for v, several in distinct.items()}
    removed = [v for v in parents if count[v] == 0]
    for vertex in removed:  # the list grows meanwhile
        for child in children[vertex]:
            count[child] -= 1
            if count[child] == 0:
                removed.append(child)
    if len(removed) == len(parents):
        return Order(tuple(removed))
    left = {v: tuple(u for u in distinct[v] if count[u]) for v in parents if count[v]}
    cycle = source_or_cycle(left)
    assert isinstance(cycle, Cycle)  # there is no source
    return Stuck(tuple(removed), left, cycle)


def violated_edge(order: Order[V], cycle: Cycle[V]) -> tuple[V, V]:
    """The contradiction: return an edge of the cycle whose end does not come after its start in the order.

    The position in a topological order grows along every edge. Around v0 -> v1 -> ... -> v0 it cannot grow at every
    edge, so an order and a cycle are never both valid: one edge of the cycle refutes any order.

    Source: homework 2-2.

    >>> violated_edge(Order(("a", "b", "c")), Cycle(("b", "c", "a")))
    ('c', 'a')
    """
    position = {v: i for i, v in enumerate(order.nodes)}
    edges = zip(cycle.nodes, (*cycle.nodes[1:], cycle.nodes[0]), strict=True)
    return next((u, v) for u, v in edges if position[u] >= position[v])

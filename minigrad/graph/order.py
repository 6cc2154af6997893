"""Graphs without tensors: find a topological order or a cycle, and the nodes that depend on some sources.

A graph is given by its nodes (anything hashable) and a function from a node to its parents. So the reverse pass, the
renderer and the theory package share one sort. Nothing here recurses.

Theorems 2-1 and 2-2 of the homework say that a finite graph is acyclic if and only if it has a topological order.
:func:`topological_order` proves this by construction: it returns an :class:`Order` or a :class:`Cycle`.
:mod:`minigrad.graph.certificates` checks both.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)

__all__ = ["Cycle", "Order", "dependents", "topological_order", "with_late_leaves"]


@dataclass(frozen=True, slots=True)
class Order(Generic[N]):
    """A topological order: every node of the graph once, each after all of its parents."""

    nodes: tuple[N, ...]


@dataclass(frozen=True, slots=True)
class Cycle(Generic[N]):
    """A cycle: each node is a parent of the next one, and the last is a parent of the first."""

    nodes: tuple[N, ...]


def topological_order(
    nodes: Iterable[N], parents: Callable[[N], Iterable[N]], *, strict: bool = False
) -> Order[N] | Cycle[N]:
    """Sort a graph so that parents come first, or find a cycle in it.

    The search is depth-first and iterative. It opens a node, places all its parents, and then places the node. A parent
    that is open lies on the path to its own child, so there is a cycle. The time is O(nodes + edges). The result
    depends only on the order of ``nodes`` and of the parents.

    Args:
        nodes: hashable nodes; duplicates count once.
        parents: returns a node's parents, the same at every call; a parent may be repeated.
        strict: if true, every parent must be among ``nodes``; if false, other parents belong to the graph too.

    Returns:
        an ``Order`` if the graph is acyclic, else a ``Cycle``.

    Raises:
        ValueError: if ``strict`` and a parent is not among ``nodes``.

    Source: homework 2-1 and 2-2; R. E. Tarjan, Edge-disjoint spanning trees and depth-first search (1976).

    >>> topological_order("c", {"a": "", "b": "a", "c": "ba"}.__getitem__)
    Order(nodes=('a', 'b', 'c'))
    >>> topological_order("ab", {"a": "b", "b": "a"}.__getitem__)
    Cycle(nodes=('b', 'a'))
    """
    stack = list(nodes)
    given = set(stack) if strict else None
    stack.reverse()
    placed: dict[N, bool] = {}  # false for open nodes, which form the current path
    order: list[N] = []
    while stack:
        node = stack.pop()
        if node in placed:  # all its parents are placed, or it was pushed twice
            if not placed[node]:
                placed[node] = True
                order.append(node)
            continue
        while True:
            placed[node] = False
            last = node  # becomes the last parent that is not placed; the node and its other parents wait on the stack
            for parent in parents(node):
                if parent not in placed:
                    if given is not None and parent not in given:
                        raise ValueError(f"topological_order: {parent!r}, a parent of {node!r}, is not among the nodes")
                    stack.append(last)
                    last = parent
                elif not placed[parent]:
                    path = [node for node in placed if not placed[node]]  # each a child of the next
                    return Cycle(tuple(reversed(path[path.index(parent) :])))
            if last is node:
                placed[node] = True
                order.append(node)
                break
            node = last
    return Order(tuple(order))


def with_late_leaves(order: Order[N], parents: Callable[[N], Iterable[N]]) -> Order[N]:
    """Move each node without parents to just before the first node that needs it.

    A reverse walk then reaches each leaf right after all its uses, and not at the very end.

    >>> with_late_leaves(Order(("W", "V", "x", "y")), {"V": "", "W": "", "x": "V", "y": "Wx"}.__getitem__)
    Order(nodes=('V', 'x', 'W', 'y'))
    """
    placed: dict[N, None] = {}
    for node in order.nodes:
        if needed := tuple(parents(node)):
            placed.update(dict.fromkeys((*needed, node)))
    placed.update(dict.fromkeys(order.nodes))
    return Order(tuple(placed))


def dependents(order: Order[N], sources: Iterable[N], parents: Callable[[N], Iterable[N]]) -> set[N]:
    """Return the sources and every node of the order that depends on one of them.

    >>> parents = {"a": "", "b": "", "c": "a", "d": "bc"}.__getitem__
    >>> sorted(dependents(topological_order("d", parents), "a", parents))
    ['a', 'c', 'd']
    """
    live = set(sources)
    for node in order.nodes:
        if not live.isdisjoint(parents(node)):
            live.add(node)
    return live

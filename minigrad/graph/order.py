"""Pure graph theory: a topological order or a cycle, both certified; and liveness.

A graph is given by its nodes (anything hashable) and a function from a node to its parents, so one
sort serves a reverse pass, a renderer and a theorem alike. Nothing here recurses and nothing here
knows of tensors.

Theorems 2-1 and 2-2 of the homework say that a finite graph is acyclic exactly if it has a
topological order. :func:`topological_order` is their constructive form: it returns an
:class:`Order` or a :class:`Cycle`, and either can be checked by :func:`certify`, which shares no
code with the sort.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)

__all__ = ["Cycle", "Order", "certify", "dependents", "topological_order", "with_late_sources"]


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
    """Sort a graph so that parents come first, or show a cycle in it.

    Depth-first and iterative: a node is opened, then all its parents are placed, then it is closed and
    placed itself. A parent that is open but not closed lies on the path to its own child: a cycle. It takes
    O(nodes + edges) and is deterministic: it depends on the order of ``nodes`` and of parents only.

    Args:
        nodes: hashable nodes; a node named twice counts once.
        parents: gives a node's parents, the same at every call; a parent may be repeated.
        strict: if false, nodes reached only through ``parents`` belong to the graph too.

    Returns:
        ``Order`` if the graph is acyclic, else a ``Cycle`` in it.

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
    pop, push = stack.pop, stack.append
    opened: dict[N, None] = {}  # in the order of opening, so that those not closed are the current path
    closed: set[N] = set()
    close = closed.add
    order: list[N] = []
    while stack:
        node = pop()
        if node in opened:  # all parents are placed, or it was pushed twice
            if node not in closed:
                close(node)
                order.append(node)
            continue
        while True:
            opened[node] = None
            push(node)
            last = node
            for parent in parents(node):
                if parent not in opened:
                    if given is not None and parent not in given:
                        raise ValueError(f"topological_order: {parent!r}, a parent of {node!r}, is not among the nodes")
                    if last is not node:
                        push(last)
                    last = parent
                elif parent not in closed:
                    path = [node for node in opened if node not in closed]  # each a child of the next
                    return Cycle(tuple(reversed(path[path.index(parent) :])))
            if last is node:
                break
            node = last  # goes on without a turn on the stack, a tenth of the time
    return Order(tuple(order))


def with_late_sources(order: Order[N], parents: Callable[[N], Iterable[N]]) -> Order[N]:
    """The order with each node that has no parents moved to just before the first node that needs it.

    Backwards, one is then done with as soon as nothing before it needs it, and not after all else.

    >>> with_late_sources(Order(("W", "V", "x", "y")), {"V": "", "W": "", "x": "V", "y": "Wx"}.__getitem__)
    Order(nodes=('V', 'x', 'W', 'y'))
    """
    placed: dict[N, None] = {}
    for node in order.nodes:
        if above := tuple(parents(node)):
            placed.update(dict.fromkeys((*above, node)))
    placed.update(dict.fromkeys(order.nodes))
    return Order(tuple(placed))


def certify(result: Order[N] | Cycle[N], nodes: Iterable[N], parents: Callable[[N], Iterable[N]]) -> bool:
    """Check a result of :func:`topological_order` against the graph's definition alone.

    An order must hold ``nodes`` and everything reached from them through ``parents``, nothing twice,
    and every parent before its child. A cycle must be a closed walk along edges of the graph, visiting
    no node twice.

    Returns:
        True; a result that is wrong raises.

    Raises:
        ValueError: says what is wrong with the certificate.
        TypeError: if ``result`` is neither an ``Order`` nor a ``Cycle``.

    >>> certify(Order(("a", "b")), "ab", {"a": "", "b": "a"}.__getitem__)
    True
    >>> certify(Order(("b", "a")), "ab", {"a": "", "b": "a"}.__getitem__)
    Traceback (most recent call last):
    ...
    ValueError: certify: 'a' is a parent of 'b' but does not come before it
    """
    if isinstance(result, Order):
        _certify_order(result.nodes, nodes, parents)
    elif isinstance(result, Cycle):
        _certify_cycle(result.nodes, nodes, parents)
    else:
        raise TypeError(f"certify: expected an Order or a Cycle, not {type(result).__name__}")
    return True


def _certify_order(order: Sequence[N], nodes: Iterable[N], parents: Callable[[N], Iterable[N]]) -> None:
    placed: set[N] = set()
    for node in order:
        if node in placed:
            raise ValueError(f"certify: {node!r} comes twice in the order")
        for parent in parents(node):
            if parent not in placed:
                raise ValueError(f"certify: {parent!r} is a parent of {node!r} but does not come before it")
        placed.add(node)
    asked = set(nodes)
    if missing := asked - placed:
        raise ValueError(f"certify: {next(iter(missing))!r} is missing from the order")
    # Every placed node must be asked for or be an ancestor of one that is. Going from children to
    # parents, a placed node that is neither asked for nor the parent of a belonging one is foreign.
    belongs = set(asked)
    for node in reversed(order):
        if node not in belongs:
            raise ValueError(f"certify: {node!r} is in the order but not in the graph")
        belongs.update(parents(node))


def _certify_cycle(cycle: Sequence[N], nodes: Iterable[N], parents: Callable[[N], Iterable[N]]) -> None:
    if not cycle:
        raise ValueError("certify: the cycle is empty")
    if len(set(cycle)) != len(cycle):
        raise ValueError("certify: the cycle visits a node twice")
    for parent, node in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
        if parent not in parents(node):
            raise ValueError(f"certify: {parent!r} is not a parent of {node!r}")
    reached = set(nodes)
    frontier = list(reached)
    while frontier and cycle[0] not in reached:
        new = {parent for node in frontier for parent in parents(node)} - reached
        reached |= new
        frontier = list(new)
    if cycle[0] not in reached:
        raise ValueError(f"certify: {cycle[0]!r} is in the cycle but not in the graph")


def dependents(order: Order[N], sources: Iterable[N], parents: Callable[[N], Iterable[N]]) -> set[N]:
    """The sources themselves and every node of the order with a path from one of them: what is live.

    >>> parents = {"a": "", "b": "", "c": "a", "d": "bc"}.__getitem__
    >>> sorted(dependents(topological_order("d", parents), "a", parents))
    ['a', 'c', 'd']
    """
    live = set(sources)
    for node in order.nodes:
        if node not in live and any(parent in live for parent in parents(node)):
            live.add(node)
    return live

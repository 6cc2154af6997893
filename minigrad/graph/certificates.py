"""Check a topological order or a cycle against its definition, without code of the sort."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from .order import Cycle, Order

N = TypeVar("N", bound=Hashable)

__all__ = ["certify"]


def certify(result: Order[N] | Cycle[N], nodes: Iterable[N], parents: Callable[[N], Iterable[N]]) -> bool:
    """Check a result of :func:`topological_order` against the definition of an order or a cycle.

    An order must contain ``nodes`` and everything reached from them through ``parents``, without duplicates, and every
    parent before its child. A cycle must be a closed walk along edges of the graph, visiting no node twice.

    Returns:
        True; a wrong result raises an error.

    Raises:
        ValueError: if the certificate is wrong; names the problem.
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
    given = set(nodes)
    if missing := given - placed:
        raise ValueError(f"certify: {next(iter(missing))!r} is missing from the order")
    # Every placed node must be one of the given nodes or an ancestor of one. Going from children to parents, the
    # ancestors found so far are in `belongs`.
    belongs = set(given)
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

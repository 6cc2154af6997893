"""Check orders, cycles and acyclic graphs directly from their definitions, without the code of the sorts.

Each `check_...` raises :class:`theory.Refuted` if its certificate is wrong. A graph maps each vertex to its parents, as
in `theory.ordering.proofs`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import TypeVar

import numpy as np

from minigrad.graph import Cycle, Order, certify
from theory import checker
from theory.refutation import Refuted, accepts, certified

__all__ = ["check", "check_cycle", "check_order", "cycles", "is_acyclic", "orders"]

V = TypeVar("V", bound=Hashable)
Parents = Mapping[V, Collection[V]]


def check_order(order: Sequence[V], parents: Parents[V]) -> None:
    """An order has every vertex once, and every edge goes forward in it.

    >>> check_order("ba", {"a": "", "b": "a"})
    Traceback (most recent call last):
    theory.refutation.Refuted: the edge 'a' -> 'b' goes backward in the order
    """
    certified(checker.order, parents, order)


def check_cycle(cycle: Sequence[V], parents: Parents[V]) -> None:
    """A cycle has at least one vertex, none twice, and an edge from each to the next and from the last to the first.

    >>> check_cycle("a", {"a": "a"})
    >>> check_cycle("ab", {"a": "", "b": "a"})
    Traceback (most recent call last):
    theory.refutation.Refuted: the cycle has no edge 'b' -> 'a' in the graph
    """
    certified(checker.cycle, parents, cycle)


def check(result: Order[V] | Cycle[V], parents: Parents[V]) -> None:
    """Check an order or a cycle of the graph by its definition here, and by `minigrad.graph.certify`."""
    if isinstance(result, Order):
        check_order(result.nodes, parents)
    else:
        check_cycle(result.nodes, parents)
    try:
        certify(result, parents, parents.__getitem__)
    except ValueError as wrong:
        raise Refuted(str(wrong)) from wrong


def is_acyclic(parents: Parents[V]) -> bool:
    """Return whether the adjacency matrix A of the graph is nilpotent, which is equivalent to having no cycle.

    (A^k)[u, v] counts the walks of k edges from u to v. With n vertices a walk of n edges visits a vertex twice, so
    A^n = 0 if there is no cycle; around a cycle there are walks of any length.

    >>> is_acyclic({"a": "", "b": "a"}), is_acyclic({"a": "b", "b": "a"})
    (True, False)
    """
    index = {vertex: i for i, vertex in enumerate(parents)}
    A = np.zeros((len(index), len(index)), dtype=bool)
    for vertex, several in parents.items():
        for parent in several:
            A[index[parent], index[vertex]] = True
    power, length = A, 1
    while length < len(index):
        power, length = power @ power, 2 * length  # of boolean matrices: whether there is a walk
    return not power.any()


def orders(parents: Parents[V]) -> Iterator[Order[V]]:
    """Yield all topological orders of a small graph, by trying all n! sequences of its vertices.

    >>> len(list(orders({"a": "", "b": "a", "c": "a"})))
    2
    """
    return (Order(sequence) for sequence in permutations(parents) if accepts(check_order, sequence, parents))


def cycles(parents: Parents[V]) -> Iterator[Cycle[V]]:
    """Yield all cycles of a small graph from each of their vertices, by trying all sequences of different vertices.

    >>> [cycle.nodes for cycle in cycles({"a": "b", "b": "a", "c": "c"})]
    [('c',), ('a', 'b'), ('b', 'a')]
    """
    sequences = (s for length in range(1, len(parents) + 1) for s in permutations(parents, length))
    return (Cycle(sequence) for sequence in sequences if accepts(check_cycle, sequence, parents))

"""The definitions of an order and a cycle: what is none is refused."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given

from minigrad.graph import Cycle, Order
from tests.theory.ordering.by_networkx import as_networkx, edges_of
from theory import Refuted
from theory.ordering.certificates import check, check_cycle, check_order, cycles, is_acyclic, orders
from theory.ordering.domains import digraphs


@given(digraphs(0, 4))
def test_all_orders_and_all_cycles_are_those_of_networkx(parents):
    graph = as_networkx(parents)
    acyclic = networkx.is_directed_acyclic_graph(graph)
    expected = set(map(tuple, networkx.all_topological_sorts(graph))) if acyclic else set()
    assert {order.nodes for order in orders(parents)} == expected
    rotations = {tuple(c[i:] + c[:i]) for c in networkx.simple_cycles(graph) for i in range(len(c))}
    assert {cycle.nodes for cycle in cycles(parents)} == rotations


@pytest.mark.parametrize(("order", "message"), [
    ("ab", "not those of the graph"), ("abcd", "not those of the graph"), ("abca", "twice"), ("bac", "'a' -> 'b'"),
    ("cab", "'b' -> 'c'"),
])  # fmt: skip
def test_a_wrong_order_is_refused(order, message):
    parents = {"a": "", "b": "a", "c": "b"}
    check(Order(tuple("abc")), parents)
    with pytest.raises(Refuted, match=message):
        check_order(order, parents)
    with pytest.raises(Refuted):
        check(Order(tuple(order)), parents)


@pytest.mark.parametrize(("cycle", "message"), [
    ("", "empty"), ("abab", "twice"), ("ac", "'c' -> 'a'"),
    ("b c", "'c' -> 'b'"), ("bda", "'b' -> 'd'"), ("b", "'b' -> 'b'"),
])  # fmt: skip
def test_a_wrong_cycle_is_refused(cycle, message):
    parents = {"a": "b", "b": "a", "c": "ab"}
    check(Cycle(("a", "b")), parents)
    with pytest.raises(Refuted, match=message):
        check_cycle(cycle, parents)
    with pytest.raises(Refuted):
        check(Cycle(tuple(cycle)), parents)


def test_what_certify_refuses_is_refused(monkeypatch):
    def refuse(*_):
        raise ValueError("not so")

    monkeypatch.setattr("theory.ordering.certificates.certify", refuse)
    with pytest.raises(Refuted, match="not so"):
        check(Order(()), {})


@given(digraphs(1, 6))
def test_a_graph_is_acyclic_exactly_if_no_power_of_its_adjacency_matrix_has_a_trace(parents):
    A = np.zeros((len(parents), len(parents)))
    for u, v in edges_of(parents):
        A[u, v] = 1
    walks_back = sum(np.trace(np.linalg.matrix_power(A, k)) for k in range(1, len(parents) + 1))
    assert is_acyclic(parents) == (walks_back == 0)

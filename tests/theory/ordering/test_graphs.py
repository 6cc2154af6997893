"""Graphs as plain data: of edges, of traces, every small one, and how they are written."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.graph import Cycle, Order, topological_order_of_edges
from tests.theory.ordering.by_networkx import as_networkx, edges_of
from theory.ordering.certificates import check, is_acyclic
from theory.ordering.domains import programs, run_program
from theory.ordering.graphs import (
    LABELLED_DAGS,
    check_graph,
    count_by_recurrence,
    every_digraph,
    parents_of_edges,
    parents_of_trace,
    show_cycle,
    show_graph,
)
from theory.ordering.proofs import remove_sources


@pytest.mark.parametrize("n", range(5))
@pytest.mark.parametrize("loops", [False, True])
def test_every_digraph_is_every_digraph(n, loops):
    graphs = {tuple(graph.values()) for graph in every_digraph(n, loops)}
    assert len(graphs) == 2 ** (n * n if loops else n * (n - 1))
    assert all(len(parents) == n for parents in graphs)
    assert loops or not any(v in several for parents in graphs for v, several in enumerate(parents))
    assert edges_of(next(every_digraph(n, loops))) == []


def test_numbers_of_dags():
    assert [count_by_recurrence(n) for n in range(6)] == [1, 1, 3, 25, 543, 29281] == list(LABELLED_DAGS)
    assert count_by_recurrence(8) == 783_702_329_343
    assert [sum(map(is_acyclic, every_digraph(n))) for n in range(5)] == [1, 1, 3, 25, 543]


@given(st.integers(1, 6), st.data())
def test_edges_and_parents_say_the_same(n, data):
    vertex = st.integers(0, n - 1)
    edges = data.draw(st.lists(st.tuples(vertex, vertex), max_size=12))
    parents = parents_of_edges(n, edges)
    assert list(parents) == list(range(n))
    assert sorted(edges_of(parents)) == sorted(edges)
    assert parents_of_edges(n, np.array(edges, dtype=np.uint8).reshape(-1, 2)) == parents
    result = topological_order_of_edges(n, edges)
    assert isinstance(result, Order) == isinstance(remove_sources(parents), Order)
    check(result, parents)


def test_show_graph():
    assert show_graph({}) == "no vertices"
    assert show_graph({0: (0,)}) == "1 vertex; 0 -> 0"
    many = show_graph({v: range(20) for v in range(1000)})
    assert many.startswith("1,000 vertices; 0 -> 0, 1 -> 0, ")
    assert many.endswith(" and 19,960 edges more")
    assert show_cycle(Cycle(("a",))) == "a -> a"
    assert show_cycle(Cycle(range(1000))).endswith(" -> 11 -> … (1,000 vertices)")


@given(programs())
def test_traces_hold_every_node_once(steps):
    tensors = run_program(steps)
    parents = parents_of_trace(tensors)
    assert set(parents) == {tensor.node for tensor in tensors}
    assert all(several == node.parents for node, several in parents.items())
    assert networkx.is_directed_acyclic_graph(as_networkx(parents))


def test_a_long_trace_is_walked_without_recursion():
    x = mg.tensor([], requires_grad=True)
    for _ in range(30_000):
        x = mg.tanh(x)
    assert len(parents_of_trace([x])) == 30_001


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: check_graph(None, "what"), TypeError, "what: the graph must map .* got NoneType"),
    (lambda: parents_of_edges(3, [(0, 1), (1, 3)]), ValueError, "the edge 1 -> 3 .* the vertices are 0 … 2"),
    (lambda: parents_of_edges(3, [(-1, 0)]), ValueError, "the edge -1 -> 0 names an unknown vertex"),
    (lambda: parents_of_edges(0, [(0, 0)]), ValueError, "there are no vertices"),
    (lambda: parents_of_edges(3, [(0, 1, 2)]), ValueError, r"shape \(E, 2\), a row \(u, v\) an edge; got \(1, 3\)"),
    (lambda: parents_of_edges(3, [0, 1]), ValueError, r"got \(2,\)"),
    (lambda: parents_of_edges(3, [(0, 1), (2,)]), ValueError, r"shape \(E, 2\), .* rows of unequal lengths"),
    (lambda: parents_of_edges(3, [(0.0, 1.0)]), TypeError, "edges must be integers; got float64"),
    (lambda: parents_of_edges(-1, []), ValueError, "at least 0; got -1"),
    (lambda: parents_of_edges(2.0, []), TypeError, "n must be an int; got 2.0"),
    (lambda: parents_of_trace([mg.tensor(1.0)]), ValueError, "tensor 0 depends on nothing that requires a gradient"),
    (lambda: count_by_recurrence(-1), ValueError, "at least 0; got -1"),
    (lambda: every_digraph(-1), ValueError, "at least 0; got -1"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()

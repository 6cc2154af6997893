"""Graphs as plain data: of edges, of traces, every small one, and how they are written."""

from __future__ import annotations

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.graph import Cycle, Order, topological_order_of_edges
from tests.theory.ordering.by_networkx import as_networkx, edges_of
from theory.ordering.certificates import check, check_cycle, is_acyclic
from theory.ordering.domains import planted_graph, planted_graphs, programs, run_program
from theory.ordering.graphs import (
    LABELLED_DAGS,
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


def test_planted_graphs():
    sizes = [(graph.n, len(graph.cycle.nodes)) for graph in planted_graphs(100)]
    assert sizes == [(3, 3), (3, 2), (3, 1), (100_000, 100_000)]
    graph = planted_graph(50, 2, seed=3)
    assert is_acyclic(parents_of_edges(graph.n, graph.dag))
    assert len(graph.planted) == len(graph.dag) + 2
    check_cycle(graph.cycle.nodes, parents_of_edges(graph.n, graph.planted))

"""The graphs that the claims 2-1 and 2-2 are tried on."""

from __future__ import annotations

import networkx
import numpy as np
import pytest

from tests.theory.ordering.by_networkx import as_networkx
from theory.ordering.certificates import check_cycle
from theory.ordering.domains import planted_graph, planted_graphs, run_program, small_dags, small_digraphs
from theory.ordering.graphs import parents_of_edges


def test_sizes_of_the_finite_domains():
    assert [sum(1 for _ in small_digraphs(n)) for n in (1, 99, 100, 999)] == [530, 530, 4626, 4626]
    assert sum(1 for _ in small_digraphs(1000, most=4)) == 2 + 16 + 512 + 65_536
    assert [sum(1 for _ in small_dags(n)) for n in (1, 100)] == [30, 573]
    assert sum(1 for _ in small_dags(100, least=2)) == 571


def test_planted_graphs_of_a_check():
    """The sizes do not depend on a seed: one large graph by default, more if more examples are asked for."""
    small = [(3, 3), (3, 2), (3, 1)]
    sizes = [[(graph.n, len(graph.cycle.nodes)) for graph in planted_graphs(n)] for n in (1, 99, 100, 300)]
    large = [(100_000, 100_000), (100_000, 2), (100_000, 1)]
    assert sizes == [small, small, small + large[:1], small + large]


@pytest.mark.parametrize("length", [1, 2, 50])
def test_planted_graphs(length):
    graph = planted_graph(50, length, seed=3)
    dag, planted = parents_of_edges(graph.n, graph.dag), parents_of_edges(graph.n, graph.planted)
    assert networkx.is_directed_acyclic_graph(as_networkx(dag))
    assert 80 < len(graph.dag) <= 100
    assert len(graph.planted) == len(graph.dag) + length == len(graph.dag) + len(graph.cycle.nodes)
    check_cycle(graph.cycle.nodes, planted)
    assert np.array_equal(planted_graph(50, length, seed=3).planted, graph.planted)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: run_program([("divide", 0, 0)]), ValueError, "'divide' is not an operation; they are leaf, tanh"),
    (lambda: planted_graph(3, 0, 0), ValueError, "must be 1 … n, n = 3; got 0"),
    (lambda: planted_graph(3, 4, 0), ValueError, "must be 1 … n, n = 3; got 4"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()

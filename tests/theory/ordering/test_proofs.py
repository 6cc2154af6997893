"""The theorems on topological order as functions: against networkx, graphlib, NumPy, and bad input."""

from __future__ import annotations

import networkx
import pytest
from hypothesis import given

from minigrad.graph import Cycle, Order, certify, topological_order_of_edges
from tests.theory.ordering.by_networkx import as_networkx, edges_of
from theory.ordering.certificates import cycles, is_acyclic, orders
from theory.ordering.domains import digraphs, disputed
from theory.ordering.graphs import parents_of_edges
from theory.ordering.proofs import (
    Removal,
    Source,
    Stuck,
    removals,
    remove_sources,
    source_or_cycle,
    violated_edge,
    without,
)

# The lemma ----------------------------------------------------------------------------------------


@given(digraphs(1))
def test_lemma_gives_a_source_or_a_cycle_that_networkx_knows(parents):
    graph = as_networkx(parents)
    for start in parents:
        found = source_or_cycle(parents, start)
        if isinstance(found, Source):
            assert graph.in_degree(found.vertex) == 0
            assert networkx.has_path(graph, found.vertex, start)
        else:
            assert networkx.is_simple_path(graph, found.nodes)
            assert graph.has_edge(found.nodes[-1], found.nodes[0])
            assert networkx.has_path(graph, found.nodes[0], start)
    assert source_or_cycle(parents) == source_or_cycle(parents, next(iter(parents)))


def test_lemma_on_a_long_walk():
    n = 100_000
    chain = {v: (v - 1,) if v else () for v in range(n)}
    assert source_or_cycle(chain, n - 1) == Source(0)
    chain[0] = (n - 1,)
    assert source_or_cycle(chain, 5).nodes[0] == 6
    assert len(source_or_cycle(chain, 5).nodes) == n


# The construction ---------------------------------------------------------------------------------


@given(digraphs())
def test_removal_of_sources_leaves_what_networkx_leaves(parents):
    result = remove_sources(parents)
    graph = as_networkx(parents)
    # What can be reached from a cycle cannot be removed, and nothing else is left.
    on_cycles = set().union(*(c for c in networkx.strongly_connected_components(graph) if len(c) > 1),
                            networkx.nodes_with_selfloops(graph))  # fmt: skip
    stay = on_cycles.union(*(networkx.descendants(graph, v) for v in on_cycles))
    if not stay:
        assert isinstance(result, Order)
        assert certify(result, parents, parents.__getitem__)
        return
    assert isinstance(result, Stuck)
    assert set(result.left) == stay
    assert set(edges_of(result.left)) == set(graph.subgraph(stay).edges)
    assert certify(result.cycle, parents, parents.__getitem__)
    assert sorted((*result.removed, *result.left)) == sorted(parents)
    position = {v: i for i, v in enumerate(result.removed)}
    assert all(position[u] < position[v] for u, v in edges_of(parents) if v in position)


@given(disputed())
def test_steps_of_the_construction_on_a_cyclic_graph_end_with_a_cycle(case):
    *steps, last = removals(case.parents)
    assert all(isinstance(step, Removal) for step in steps)
    assert isinstance(last, Cycle)
    assert certify(last, case.parents, case.parents.__getitem__)


def test_names_of_vertices_and_forms_of_parents_do_not_matter():
    for parents in ({"b": {"a"}, "a": set()}, {"b": "a", "a": ""}, {"b": ["a", "a"], "a": []}):
        assert remove_sources(parents) == Order(("a", "b"))
        assert [step.vertex for step in removals(parents)] == ["a", "b"]
    assert remove_sources({(1, 2): [None], None: []}) == Order((None, (1, 2)))
    assert without({"a": "aa", "b": "ab"}, "a") == {"b": ("b",)}


def test_the_empty_graph_has_the_empty_order():
    assert remove_sources({}) == Order(())
    assert list(removals({})) == []
    assert is_acyclic({})
    assert list(orders({})) == [Order(())]
    assert list(cycles({})) == []
    assert topological_order_of_edges(0, []) == Order(())
    assert parents_of_edges(0, []) == {}


# The contradiction --------------------------------------------------------------------------------


@given(disputed())
def test_violated_edge_goes_backward(case):
    u, v = violated_edge(case.order, case.cycle)
    assert u in case.parents[v]
    assert case.order.nodes.index(u) >= case.order.nodes.index(v)
    i = case.cycle.nodes.index(u)
    assert v == case.cycle.nodes[(i + 1) % len(case.cycle.nodes)]
    with pytest.raises(ValueError, match="does not come before"):
        certify(case.order, case.parents, case.parents.__getitem__)

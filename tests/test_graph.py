"""The sort, its certificates, and liveness, against independent answers."""

from __future__ import annotations

import graphlib
import itertools

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.graph import Cycle, Order, certify, dependents, topological_order, topological_order_of_edges


@st.composite
def graphs(draw, max_nodes=8):
    """A parent table over 0 … n-1, possibly cyclic, with repeated parents and self-loops."""
    n = draw(st.integers(1, max_nodes))
    return {v: draw(st.lists(st.integers(0, n - 1), max_size=4)) for v in range(n)}


@given(graphs())
def test_result_is_certified_and_agrees_with_graphlib_and_networkx(parents):
    result = topological_order(parents, parents.__getitem__)
    assert certify(result, parents, parents.__getitem__)
    graph = networkx.DiGraph((p, v) for v, ps in parents.items() for p in ps)
    assert isinstance(result, Order) == networkx.is_directed_acyclic_graph(graph)
    try:
        tuple(graphlib.TopologicalSorter(parents).static_order())
        acyclic = True
    except graphlib.CycleError:
        acyclic = False
    assert isinstance(result, Order) == acyclic


@pytest.mark.parametrize(("n", "acyclic"), [(1, 1), (2, 3), (3, 25), (4, 543)])
def test_every_labelled_digraph_is_sorted_or_has_a_cycle(n, acyclic):
    """The number of labelled DAGs is 1, 3, 25, 543 (R. W. Robinson, 1973)."""
    edges = [(a, b) for a in range(n) for b in range(n) if a != b]
    orders = 0
    for mask in range(2 ** len(edges)):
        parents = {v: [] for v in range(n)}
        for bit, (a, b) in enumerate(edges):
            if mask >> bit & 1:
                parents[b].append(a)
        result = topological_order(parents, parents.__getitem__)
        certify(result, parents, parents.__getitem__)
        orders += isinstance(result, Order)
    assert orders == acyclic


def test_nodes_reached_only_through_parents_are_included_unless_strict():
    parents = {"b": ["a"], "a": []}
    assert topological_order(["b"], parents.__getitem__).nodes == ("a", "b")
    with pytest.raises(ValueError, match=r"'a', a parent of 'b', is not among the nodes"):
        topological_order(["b"], parents.__getitem__, strict=True)


def test_no_nodes_give_an_empty_order():
    assert topological_order([], lambda node: []) == Order(())


def test_a_self_loop_is_a_cycle():
    assert topological_order([0], lambda node: [0]) == Cycle((0,))


def test_chain_of_a_million_nodes():
    n = 1_000_000
    result = topological_order([n - 1], lambda v: (v - 1,) if v else ())
    assert result.nodes[0] == 0
    assert len(result.nodes) == n


@given(graphs(), st.randoms(use_true_random=False))
def test_certify_refuses_a_spoiled_order(parents, random):
    result = topological_order(parents, parents.__getitem__)
    if isinstance(result, Cycle):
        return
    nodes = list(result.nodes)
    with pytest.raises(ValueError, match="missing"):
        certify(Order(tuple(nodes[:-1])), parents, parents.__getitem__)
    with pytest.raises(ValueError, match="twice"):
        certify(Order((*nodes, nodes[0])), parents, parents.__getitem__)
    child = next((v for v in nodes if parents[v]), None)
    if child is not None:
        nodes.remove(child)
        with pytest.raises(ValueError, match="does not come before"):
            certify(Order((child, *nodes)), parents, parents.__getitem__)


def test_certify_refuses_foreign_nodes_and_wrong_cycles():
    parents = {0: [1], 1: [0], 2: [], 3: [3]}
    with pytest.raises(ValueError, match="2 is in the order but not in the graph"):
        certify(Order((2,)), [], parents.__getitem__)
    with pytest.raises(ValueError, match="0 is not a parent of 2"):
        certify(Cycle((0, 2)), [0, 2], parents.__getitem__)
    with pytest.raises(ValueError, match="empty"):
        certify(Cycle(()), [0], parents.__getitem__)
    with pytest.raises(ValueError, match="twice"):
        certify(Cycle((3, 3)), [3], parents.__getitem__)
    with pytest.raises(ValueError, match="3 is in the cycle but not in the graph"):
        certify(Cycle((3,)), [0], parents.__getitem__)
    with pytest.raises(TypeError, match="expected an Order or a Cycle"):
        certify([0], [0], parents.__getitem__)


@given(st.integers(1, 30), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_edge_arrays_agree_with_parent_functions(n, count, seed):
    edges = np.random.default_rng(seed).integers(0, n, (count, 2))
    parents = {v: [int(p) for p, c in edges if c == v] for v in range(n)}
    result = topological_order_of_edges(n, edges)
    assert type(result) is type(topological_order(parents, parents.__getitem__))
    assert certify(result, range(n), parents.__getitem__)


def test_edge_arrays_are_checked():
    with pytest.raises(ValueError, match=r"shape \(E, 2\), not \(1, 3\)"):
        topological_order_of_edges(3, [(0, 1, 2)])
    with pytest.raises(TypeError, match="integers"):
        topological_order_of_edges(3, [(0.0, 1.0)])
    with pytest.raises(ValueError, match=r"outside 0 … 2"):
        topological_order_of_edges(3, [(0, 3)])
    assert topological_order_of_edges(2, []).nodes in [(0, 1), (1, 0)]


@given(graphs())
def test_dependents_are_the_descendants(parents):
    order = topological_order(parents, parents.__getitem__)
    if isinstance(order, Cycle):
        return
    graph = networkx.DiGraph((p, v) for v, ps in parents.items() for p in ps)
    graph.add_nodes_from(parents)
    sources = list(itertools.islice(parents, 2))
    expected = set(sources).union(*(networkx.descendants(graph, s) for s in sources))
    assert dependents(order, sources, parents.__getitem__) == expected

"""The theorems on topological order as functions: against networkx, graphlib, NumPy, and bad input."""

from __future__ import annotations

import graphlib
import math

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.graph import Cycle, Order, certify, topological_order, topological_order_of_edges
from theory import Refuted
from theory.ordering.certificates import check, check_cycle, check_order, cycles, is_acyclic, orders
from theory.ordering.domains import (
    dags,
    digraphs,
    disputed,
    planted_graph,
    planted_graphs,
    programs,
    run_program,
    small_dags,
    small_digraphs,
)
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


def as_networkx(parents):
    graph = networkx.DiGraph()
    graph.add_nodes_from(parents)
    graph.add_edges_from((u, v) for v, several in parents.items() for u in several)
    return graph


def edges_of(parents):
    return [(u, v) for v, several in parents.items() for u in several]


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


@given(dags())
def test_steps_of_the_construction_on_a_dag(example):
    parents, _ = example
    steps = list(removals(parents))
    assert all(isinstance(step, Removal) for step in steps)
    order = [step.vertex for step in steps]
    assert order == [] if not parents else steps[-1].left == {}
    for i, step in enumerate(steps):
        graph = as_networkx(parents).subgraph(order[i + 1 :])
        assert set(step.left) == set(graph.nodes)
        assert set(edges_of(step.left)) == set(graph.edges)
        assert networkx.is_directed_acyclic_graph(graph)
    assert sorted(order) == sorted(parents)
    assert all(order.index(u) < order.index(v) for u, v in edges_of(parents))


@given(disputed())
def test_steps_of_the_construction_on_a_cyclic_graph_end_with_a_cycle(case):
    *steps, last = removals(case.parents)
    assert all(isinstance(step, Removal) for step in steps)
    assert isinstance(last, Cycle)
    assert certify(last, case.parents, case.parents.__getitem__)


@given(digraphs())
def test_all_sorts_agree(parents):
    acyclic = networkx.is_directed_acyclic_graph(as_networkx(parents))
    try:
        tuple(graphlib.TopologicalSorter(parents).static_order())
        assert acyclic
    except graphlib.CycleError:
        assert not acyclic
    assert isinstance(remove_sources(parents), Order) == acyclic
    assert isinstance(topological_order(parents, parents.__getitem__), Order) == acyclic
    assert is_acyclic(parents) == acyclic


@given(digraphs(1, 6))
def test_a_graph_is_acyclic_exactly_if_no_power_of_its_adjacency_matrix_has_a_trace(parents):
    A = np.zeros((len(parents), len(parents)))
    for u, v in edges_of(parents):
        A[u, v] = 1
    walks_back = sum(np.trace(np.linalg.matrix_power(A, k)) for k in range(1, len(parents) + 1))
    assert is_acyclic(parents) == (walks_back == 0)


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


# Certificates -------------------------------------------------------------------------------------


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


# Graphs -------------------------------------------------------------------------------------------


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


def test_sizes_of_the_finite_domains():
    assert [sum(1 for _ in small_digraphs(n)) for n in (1, 99, 100, 999)] == [530, 530, 4626, 4626]
    assert sum(1 for _ in small_digraphs(1000, most=4)) == 2 + 16 + 512 + 65_536
    assert [sum(1 for _ in small_dags(n)) for n in (1, 100)] == [30, 573]
    assert sum(1 for _ in small_dags(100, least=2)) == 571


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


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 2, 3, None])
def test_large_graphs_against_networkx(full, length):
    n = 100_000 if full else 2_000
    graph = planted_graph(n, length or n, seed=n)
    for edges in (graph.dag, graph.planted):
        parents = parents_of_edges(n, edges)
        expected = networkx.is_directed_acyclic_graph(as_networkx(parents))
        assert isinstance(topological_order_of_edges(n, edges), Order) == expected
        result = remove_sources(parents)
        assert isinstance(result, Order) == expected
        assert expected == (edges is graph.dag)
        if isinstance(result, Order):
            assert len(result.nodes) == n
            position = np.empty(n, dtype=int)
            position[list(result.nodes)] = np.arange(n)
            assert (position[edges[:, 0]] < position[edges[:, 1]]).all()


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


# Bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [source_or_cycle, remove_sources, removals, is_acyclic,
                                      lambda graph: check_order(list(graph), graph)])  # fmt: skip
def test_a_graph_that_is_none(function):
    with pytest.raises(ValueError, match=r"'b', a parent of 'a', is not a vertex of the graph; it needs an entry"):
        function({"a": ["b"]})
    with pytest.raises(TypeError, match="must map each vertex to its parents; got list"):
        function([(0, 1)])
    with pytest.raises(TypeError, match="the parents of 0 must be a collection, such as a tuple; got 1"):
        function({0: 1, 1: ()})


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: source_or_cycle({}), ValueError, "the graph is empty; the lemma needs a graph of at least one vertex"),
    (lambda: source_or_cycle({0: ()}, 1), ValueError, "the start 1 is not a vertex"),
    (lambda: without({0: ()}, 1), ValueError, "without: 1 is not a vertex"),
    (lambda: check_graph(None, "what"), TypeError, "what: the graph must map .* got NoneType"),
    (lambda: violated_edge(Order((0, 1)), Cycle(())), ValueError, "the cycle is empty"),
    (lambda: violated_edge(Order((0, 1)), Cycle((1, 2))), ValueError, "2 is in the cycle but not in the order"),
    (lambda: violated_edge(Order((0, 1, 0)), Cycle((1,))), ValueError, "the order names a vertex twice"),
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
    (lambda: run_program([("divide", 0, 0)]), ValueError, "'divide' is not an operation; they are leaf, tanh"),
    (lambda: count_by_recurrence(-1), ValueError, "at least 0; got -1"),
    (lambda: every_digraph(-1), ValueError, "at least 0; got -1"),
    (lambda: planted_graph(3, 0, 0), ValueError, "must be 1 … n, n = 3; got 0"),
    (lambda: planted_graph(3, 4, 0), ValueError, "must be 1 … n, n = 3; got 4"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_orders_of_a_graph_without_edges_are_all_sequences():
    for n in range(5):
        assert len(list(orders(parents_of_edges(n, [])))) == math.factorial(n)

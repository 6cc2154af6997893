"""The sort, its certificates, and liveness, against independent answers."""

from __future__ import annotations

import graphlib
import itertools

import networkx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrad.graph import Cycle, Order, certify, dependents, edge_lists, topological_order, topological_order_of_edges


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
    for result, asked, error, text in (
        (Order((2,)), [], ValueError, "2 is in the order but not in the graph"), (Cycle(()), [0], ValueError, "empty"),
        (Cycle((0, 2)), [0, 2], ValueError, "0 is not a parent of 2"), (Cycle((3, 3)), [3], ValueError, "twice"),
        (Cycle((3,)), [0], ValueError, "3 is in the cycle but not in the graph"), ([0], [0], TypeError, "Order"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            certify(result, asked, parents.__getitem__)


def rows_of(n, edges):
    """The parents of each vertex."""
    parents = {v: [] for v in range(n)}
    for parent, child in np.asarray(edges).reshape(-1, 2).tolist():
        parents[child].append(parent)
    return parents


def checked(n, edges):
    """The result for some edges, certified, and of the kind that two other sorts say."""
    parents = rows_of(n, edges)
    result = topological_order_of_edges(n, edges)
    assert certify(result, range(n), parents.__getitem__)
    assert {type(v) for v in result.nodes} <= {int}
    assert type(result) is type(topological_order(range(n), parents.__getitem__))
    graph = networkx.DiGraph((p, v) for v, ps in parents.items() for p in ps)
    assert isinstance(result, Order) == networkx.is_directed_acyclic_graph(graph)
    return result


@pytest.fixture(params=[(32, 256), (4, 3), (1, 1), (10**9, 1), (10**9, 10**9)])
def widths(request, monkeypatch):
    """What is wide and how long a spell is: as they are; small; always by levels; always one by one."""
    monkeypatch.setattr(edge_lists, "_WIDE", request.param[0])
    monkeypatch.setattr(edge_lists, "_CHUNK", request.param[1])


@st.composite
def layered(draw):
    """Edges of layers of many widths in turn, each vertex below one of the layer before, and shortcuts, and labels.

    Returns ``(n, edges, layers)``, the layers as lists of the vertices' labels.
    """
    sizes = draw(st.lists(st.one_of(st.just(1), st.integers(1, 8), st.integers(30, 70)), min_size=1, max_size=30))
    n = sum(sizes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bounds = np.cumsum([0, *sizes])
    edges = [
        (rng.integers(bounds[k - 1], bounds[k]), v)
        for k in range(1, len(sizes))
        for v in range(bounds[k], bounds[k + 1])
    ]
    pairs = np.sort(rng.integers(0, n, (draw(st.integers(0, 2 * n)), 2)), axis=1)
    layer = np.searchsorted(bounds, pairs, side="right")
    edges = np.concatenate([np.reshape(edges, (-1, 2)), pairs[layer[:, 0] < layer[:, 1]]]).astype(np.int64)
    edges = np.concatenate([edges, edges[: draw(st.integers(0, 5))]])  # some twice
    label = rng.permutation(n) if draw(st.booleans()) else np.arange(n)
    edges = label[rng.permutation(edges)] if draw(st.booleans()) else label[edges]
    return n, edges, [label[a:b].tolist() for a, b in itertools.pairwise(bounds)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layered())
def test_wide_and_narrow_parts_in_turn(widths, example):
    n, edges, layers = example
    result = checked(n, edges)
    assert isinstance(result, Order)
    assert topological_order_of_edges(n, edges.copy()) == result
    if max(map(len, layers)) == 1:  # a chain has one order
        assert result.nodes == tuple(itertools.chain(*layers))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layered(), st.data())
def test_an_edge_back_up_is_found_wherever_it_is(widths, example, data):
    """From a vertex to itself or to one that it was reached from: deep in a chain, in a wide part, or over both."""
    n, edges, _ = example
    v = data.draw(st.integers(0, n - 1))
    above = sorted({v} | networkx.ancestors(networkx.DiGraph([(v, v), *edges.tolist()]), v))
    top = data.draw(st.sampled_from(above))
    bent = np.concatenate([edges, [(v, top)]])
    result = checked(n, bent)
    assert isinstance(result, Cycle)
    assert set(result.nodes) <= set(above)
    assert (v, top) in itertools.pairwise((*result.nodes, result.nodes[0]))  # the only edge that goes up


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.uint64])
def test_edges_of_every_integer_dtype_and_layout(dtype):
    rng = np.random.default_rng(0)
    pairs = np.sort(rng.integers(0, 100, (400, 2)), axis=1)
    edges = rng.permutation(100)[pairs[pairs[:, 0] < pairs[:, 1]]].astype(dtype)
    result = checked(100, edges)
    edges.flags.writeable = False
    for same in (edges, np.asfortranarray(edges), edges[::-1], np.repeat(edges, 2, axis=1)[:, ::2], edges.tolist()):
        assert topological_order_of_edges(100, same) == result


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


def test_certify_follows_parents_from_what_was_asked_for():
    parents = {"a": "", "b": "a", "c": "b", "d": "", "x": "yz", "y": "", "z": "w", "w": "vz", "v": ""}.__getitem__
    assert certify(Order(("a", "b", "c")), "c", parents)
    for order in (("d", "a", "b", "c"), ("a", "b", "c", "d")):
        with pytest.raises(ValueError, match="'d' is in the order but not in the graph"):
            certify(Order(order), "c", parents)
    for cycle in (("z", "w"), ("w", "z")):
        assert certify(Cycle(cycle), "x", parents)
        assert certify(Cycle(cycle), cycle, parents)
        with pytest.raises(ValueError, match="is in the cycle but not in the graph"):
            certify(Cycle(cycle), "c", parents)

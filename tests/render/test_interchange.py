"""Graphs as NetworkX's: a DAG with the vertices and edges of the picture, and everything that is known of them."""

from __future__ import annotations

import json
import sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.backward import graph_of
from minigrad.render import to_networkx
from tests.render.pictures import arranged


def leaf(*shape: int) -> mg.Tensor:
    return mg.tensor(np.ones(shape), requires_grad=True)


def check(graph: nx.MultiDiGraph, tensors, **options) -> None:
    """It is the picture's graph, and its numbering is one of its topological orders."""
    picture = arranged(tensors, options.get("unroll", "primitive"), sys.maxsize)
    assert type(graph) is nx.MultiDiGraph
    assert nx.is_directed_acyclic_graph(graph)
    assert list(nx.lexicographical_topological_sort(graph)) == list(graph) == list(range(len(picture.vertices)))
    edges = sorted((e.source, i, e.argument, e.slot) for i, v in enumerate(picture.vertices) for e in v.inputs)
    assert sorted((a, b, e["argument"], e["slot"]) for a, b, e in graph.edges(data=True)) == edges
    assert graph.graph["outputs"] == [(o.source, o.slot, o.name) for o in picture.outputs]


@given(st.data())
def test_random_graphs(data):
    tensors = [leaf(2), leaf(2)]
    for _ in range(data.draw(st.integers(1, 12))):
        a, b = (data.draw(st.sampled_from(tensors)) for _ in range(2))
        tensors.append(data.draw(st.sampled_from([mg.add, mg.multiply, lambda a, b: mg.split(a * b, 2)[1] * b]))(a, b))
    graph = to_networkx(tensors[-1])
    check(graph, tensors[-1])
    order = graph_of([tensors[-1].node]).nodes
    assert len(graph) == len(order)
    assert graph.number_of_edges() == sum(len(node.parents) for node in order)
    assert set(nx.ancestors(graph, graph.graph["outputs"][0][0])) | {graph.graph["outputs"][0][0]} == set(graph)


def test_attributes():
    net = nn.Sequential(nn.Linear(3, 4, dtype=np.float64), nn.Tanh())
    x = leaf(5, 3)
    with mg.record():
        y = net(x)
        y.backward(np.ones((5, 4)))
    graph = to_networkx(y, names={"x": x, "y": y})
    by_label = {data["label"]: data for _, data in graph.nodes(data=True)}
    assert list(by_label) == ["x", "weight", "bias", "affine", "tanh"]
    assert by_label["x"]["kind"] == "input"
    assert by_label["weight"]["kind"] == "parameter"
    tanh = by_label["tanh"]
    assert (tanh["kind"], tanh["shape"], tanh["dtype"]) == ("operation", (5, 4), "float64")
    assert (tanh["scope"], tanh["step"], tanh["options"]) == (("Sequential", "1"), None, "")
    assert tanh["outputs"] == [((5, 4), "float64")]
    assert tanh["line"].startswith("test_interchange.py:")
    assert tanh["value_norm"] == pytest.approx(float(np.linalg.norm(y.data)))
    assert tanh["gradient_norm"] == pytest.approx(np.sqrt(20))
    assert by_label["x"]["gradient_norm"] == pytest.approx(float(np.linalg.norm(x.grad)))
    assert "line" not in by_label["x"]
    assert graph.graph["outputs"] == [(4, 0, "y")]
    (edge,) = [e for a, b, e in graph.edges(data=True) if graph.nodes[b]["label"] == "tanh"]
    assert edge == {"argument": "x", "slot": 0, "shape": (5, 4), "dtype": "float64"}


def test_options_are_those_that_differ_from_their_defaults():
    x, w = leaf(1, 1, 5, 5), leaf(1, 1, 3, 3)
    y = mg.conv2d(x, w, padding=1, stride=1, groups=True).sum(axis=(1, 2), keepdims=False).reshape(-1)
    options = [data["options"] for _, data in to_networkx(y).nodes(data=True) if data["kind"] == "operation"]
    assert options == ["padding=1, groups=True", "axis=(1, 2)", "shape=-1"]


@pytest.mark.parametrize("unroll", ["primitive", "steps", "fold"])
def test_sequences(unroll):
    h, (_, c) = nn.LSTM(2, 3)(mg.tensor(np.ones((1, 9, 2), np.float32), requires_grad=True))
    graph = to_networkx([h, c], unroll=unroll)
    check(graph, [h, c], unroll=unroll)
    steps = [data["step"] for _, data in graph.nodes(data=True) if data["step"] is not None]
    kinds = {data["kind"] for _, data in graph.nodes(data=True)}
    assert steps == {"primitive": [], "steps": list(range(9)), "fold": [0, 1, 8]}[unroll]
    # the first step differs from the others: its states are constants
    assert ("elision" in kinds) == (unroll == "fold")
    slots = {e["slot"] for _, _, e in graph.edges(data=True)}
    assert slots == {0, 1}


def test_two_edges_between_two_nodes_are_two():
    x = leaf(2)
    graph = to_networkx(x * x)
    assert graph.number_of_edges(0, 1) == 2


def test_it_goes_into_json():
    h, _ = nn.RNN(2, 3)(leaf(1, 4, 2))
    graph = to_networkx(mg.pad(h, ((0, 0), (1, 0), (0, 0))).sum(axis=(1, 2)))
    text = json.dumps(nx.node_link_data(graph, edges="edges"))
    assert len(nx.node_link_graph(json.loads(text), edges="edges")) == len(graph)


def test_long_chains_and_their_longest_path():
    x = leaf()
    y = x
    for _ in range(20_000):
        y = mg.tanh(y)
    graph = to_networkx(y)
    assert nx.dag_longest_path_length(graph) == 20_000


def test_errors(monkeypatch):
    with pytest.raises(ValueError, match="this tensor has no graph"):
        to_networkx(mg.tensor([1.0]))
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install networkx, or pip install "\.\[viz\]"'):
        to_networkx(leaf(1) * 2)


def test_expanded_limited_and_named():
    x = leaf(2, 3)
    y = mg.softmax(x)
    z = mg.tanh(y)
    assert "exp" in {label for _, label in to_networkx(z, expand={"softmax"}).nodes(data="label")}
    graph = to_networkx(z * 2.0, names={"y": y})
    assert [remark for _, remark in graph.nodes(data="remark") if remark] == ["y"]
    for _ in range(9):
        z = mg.exp(mg.tanh(z))
    graph = to_networkx(z, max_nodes=3)
    assert len(graph) == 4
    assert graph.nodes[0]["kind"] == "elision"
    assert {shape for _, _, shape in graph.edges(data="shape")} == {(2, 3)}

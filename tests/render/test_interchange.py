"""Graphs of NetworkX: a DAG of the vertices and edges of the picture with all their attributes."""

from __future__ import annotations

import json
import sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

import minigrad as mg
from minigrad import nn
from minigrad.backward import graph_of
from minigrad.render import to_networkx
from tests.render.graphs import graphs, leaf
from tests.render.pictures import arranged


def check(graph: nx.MultiDiGraph, tensors, **options) -> None:
    """The graph is that of the picture, and its numbers are a topological order."""
    picture = arranged(tensors, options.get("unroll", "primitive"), sys.maxsize)
    assert type(graph) is nx.MultiDiGraph
    assert nx.is_directed_acyclic_graph(graph)
    assert list(nx.lexicographical_topological_sort(graph)) == list(graph) == list(range(len(picture.vertices)))
    edges = sorted((e.source, i, e.argument, e.slot) for i, v in enumerate(picture.vertices) for e in v.inputs)
    assert sorted((a, b, e["argument"], e["slot"]) for a, b, e in graph.edges(data=True)) == edges
    assert graph.graph["outputs"] == [(o.source, o.slot, o.name) for o in picture.outputs]


@given(graphs())
def test_random_graphs(outputs):
    graph = to_networkx(outputs)
    check(graph, outputs)
    order = graph_of([output.node for output in outputs]).nodes
    assert len(graph) == len(order)
    assert graph.number_of_edges() == sum(len(node.parents) for node in order)


def test_attributes():
    net, x = nn.Sequential(nn.Linear(3, 4, dtype=np.float64), nn.Tanh()), mg.tensor(np.ones((5, 3)), requires_grad=True)
    with mg.record():
        y = net(x)
        y.backward(np.ones((5, 4)))
    graph = to_networkx(y, names={"x": x, "y": y})
    by_label = {data["label"]: data for _, data in graph.nodes(data=True)}
    assert list(by_label) == ["x", "weight", "bias", "affine", "tanh"]
    assert [data["kind"] for data in by_label.values()] == ["input", "parameter", "parameter", "operation", "operation"]
    tanh = by_label["tanh"]
    assert (tanh["shape"], tanh["dtype"], tanh["outputs"]) == ((5, 4), "float64", [((5, 4), "float64")])
    assert (tanh["scope"], tanh["step"], tanh["options"]) == (("Sequential", "1 · Tanh"), None, "")
    assert tanh["line"].startswith("test_interchange.py:")
    assert tanh["value_norm"] == pytest.approx(float(np.linalg.norm(y.data)))
    assert tanh["gradient_norm"] == pytest.approx(np.sqrt(20))
    assert by_label["x"]["gradient_norm"] == pytest.approx(float(np.linalg.norm(x.grad)))
    (edge,) = [e for a, b, e in graph.edges(data=True) if graph.nodes[b]["label"] == "tanh"]
    assert edge == {"argument": "x", "slot": 0, "shape": (5, 4), "dtype": "float64"}


def test_options_are_those_that_differ_from_their_defaults():
    y = mg.conv2d(leaf(1, 1, 5, 5), leaf(1, 1, 3, 3), padding=1, stride=1).sum(axis=(1, 2), keepdims=False).reshape(-1)
    options = [data["options"] for _, data in to_networkx(y).nodes(data=True) if data["kind"] == "operation"]
    assert options == ["padding=1", "axis=(1, 2)", "shape=-1"]


@pytest.mark.parametrize(("unroll", "steps"), [("primitive", []), ("steps", list(range(9))), ("fold", [])])
def test_sequences(unroll, steps):
    h, (_, c) = nn.LSTM(2, 3)(leaf(1, 9, 2))
    graph = to_networkx([h, c], unroll=unroll)
    check(graph, [h, c], unroll=unroll)
    assert [data["step"] for _, data in graph.nodes(data=True) if data["step"] is not None] == steps


def test_graphs_convert_to_json():
    h, _ = nn.RNN(2, 3)(leaf(1, 4, 2))
    graph = to_networkx(mg.pad(h, ((0, 0), (1, 0), (0, 0))).sum(axis=(1, 2)))
    text = json.dumps(nx.node_link_data(graph, edges="edges"))
    assert len(nx.node_link_graph(json.loads(text), edges="edges")) == len(graph)


def test_errors(monkeypatch):
    with pytest.raises(ValueError, match="this tensor has no graph"):
        to_networkx(mg.tensor([1.0]))
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ModuleNotFoundError, match=r"\[viz\].*, or pip install networkx"):
        to_networkx(leaf(1) * 2)


def test_expanded_limited_and_named():
    x = leaf(2, 3)
    y = mg.softmax(x)
    assert "exp" in {label for _, label in to_networkx(y, expand={"softmax"}).nodes(data="label")}
    graph = to_networkx(y * 2.0, names={"y": y})
    assert [remark for _, remark in graph.nodes(data="remark") if remark] == ["y"]
    for k in range(9):
        x = mg.sin(x) if k % 2 else mg.tanh(x) * x
    graph = to_networkx(x, max_nodes=1)
    assert (len(graph), graph.nodes[0]["kind"]) == (2, "omitted")


def test_a_folded_loop_has_the_options_of_all_steps_and_no_norm():
    with mg.record():
        xs = leaf(3, 8)
        h = xs[:, 0]
        for t in range(8):
            h = mg.tanh(h * xs[:, t])
    graph = to_networkx(h, unroll="fold")
    options = [text for _, text in graph.nodes(data="options")]
    assert "[:, 0 … 7]" in options
    assert all("value_norm" not in node for _, node in graph.nodes(data=True) if node["label"] == "tanh")

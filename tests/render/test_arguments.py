"""Drawings show the order of arguments, and constants."""

from __future__ import annotations

import re
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.render import to_dot, to_networkx, to_text
from minigrad.render.labels import argument_order, constants_of, stubbed, to_be_named
from minigrad.render.page import content_of
from tests.render.graphs import graphs, leaf
from tests.render.pictures import arranged

ONES = np.ones((2, 2), np.float32)


@mg.primitive
def mix(p, q, r):
    """Three arrays with different effects."""
    return p + 2 * q + 3 * r, ()


mix.vjp(lambda g, needs: (g, 2 * g, 3 * g))


def as_drawn(tensor, names):
    """The edges of the DOT text, each with the labels at its ends."""
    dot = to_dot(tensor, names=names)
    labels = dict(re.findall(r'^ *(\w+) \[label="([^"]*)"', dot, re.MULTILINE))
    edges = re.findall(r'^ *(\w+) -> (\w+)(?: \[(?:label="([^"]*)")?)?', dot, re.MULTILINE)
    return sorted((labels[a], labels[b], label) for a, b, label in edges)


def on_the_page(tensor, names):
    """The wires with their labels, the stubs and the constants that a page shows at the operation `mix`."""
    vertices = content_of(arranged(tensor, names=names))["vertices"]
    [vertex] = [v for v in vertices if v["name"] == "mix"]
    fed = [(vertices[edge["source"]], edge) for edge in vertex["inputs"]]
    wires = sorted((v["name"], str(v["inputs"]), v["remark"], e["said"]) for v, e in fed if not v["stub"])
    stubs = [(v["name"], e["said"]) for v, e in fed if v["stub"]]
    return wires, stubs, vertex["constants"]


def kinds_of_argument():
    """Three arguments of each kind, named by a letter and a number."""
    weights = {f"w{i}": nn.Parameter(ONES) for i in range(3)}
    for name, weight in weights.items():
        weight.name = name
    inputs = {f"x{i}": leaf(2, 2) for i in range(3)}
    busy = {f"b{i}": leaf(2, 2) for i in range(3)}  # stubs, for they are used often
    constants = {"c0": 2.0, "c1": np.ones((2, 2), np.int64), "c2": np.float32(0.25)}
    results = {f"r{i}": mg.exp(leaf(2, 2)) for i in range(3)}
    return weights | inputs | busy | constants | results


THINGS = kinds_of_argument()
NAMED = {name: thing for name, thing in THINGS.items() if isinstance(thing, mg.Tensor)}


@given(st.lists(st.sampled_from(sorted(THINGS)), min_size=3, max_size=3))
def test_the_order_of_arguments_is_visible(chosen):
    if not set(chosen) & NAMED.keys():
        return
    seen = {}
    busy = [THINGS[f"b{i}"] for i in range(3)]
    for order in set(permutations(chosen)):
        with mg.record():
            y = mix(*(THINGS[name] for name in order))
        more = [b + 0.5 for b in busy for _ in range(3)]
        names = {name: t for name, t in NAMED.items() if name in chosen or name[0] == "b"}
        for drawn in (as_drawn([y, *more], names), on_the_page([y, *more], names)):
            assert seen.setdefault(str(drawn), order) == order


def edge_labels(tensor, **options):
    return sorted(re.findall(r'-> n\d+ \[label=" ([^"]*)"', to_dot(tensor, **options)))


def stubs_of(tensor, kind="k", **options):
    return re.findall(rf'^ *{kind}\d+ \[label="([^"]*)"', to_dot(tensor, **options), re.MULTILINE)


X, Y = leaf(2, 2), leaf(2, 2)


@pytest.mark.parametrize(
    ("tensor", "labels"),
    [
        (X - Y, ["a", "b"]),
        (mg.exp(X) - mg.exp(Y), ["a: [2×2]", "b: [2×2]"]),
        (mg.where(ONES > 0, X, Y), ["x", "y"]),
        (mg.stack([X, Y]), ["#0", "#1"]),
        (mg.einsum("ij,jk->ik", X, Y), ["#0", "#1"]),
        *((tensor, []) for tensor in (X + Y, X - 2.0, mg.tanh(X), X @ X)),
    ],
)
def test_edges_name_arguments_whose_order_matters(tensor, labels):
    assert edge_labels(tensor) == labels


def test_parameters_are_named_only_where_they_come_first():
    layer, x = nn.Linear(2, 2, rng=0), leaf(2, 2)
    assert stubs_of(layer(x), "p") == ["weight  [2×2]\\nbias  [2]"]
    assert stubs_of(layer.weight @ x, "p") == ["a: weight  [2×2]"]
    assert stubs_of(x @ layer.weight, "p") == ["weight  [2×2]"]
    assert stubs_of(mix(layer.weight, x, layer.bias), "p") == ["p: weight  [2×2]\\nr: bias  [2]"]


def test_an_input_with_many_uses_is_named_like_its_opposite():
    x, y = leaf(2, 2), leaf(2, 2)
    z = (x - y) * (y - x) * x  # x is a stub at each of its three uses
    assert sorted(stubs_of(z, "p", names={"x": x})) == ["a: x  [2×2]", "b: x  [2×2]", "x  [2×2]"]
    assert [label for label in edge_labels(z) if len(label) == 1] == ["a", "b"]


@pytest.mark.parametrize(
    ("make", "label"),
    [
        (lambda: X - 2.0, "b = 2"),
        (lambda: 2 - X, "a = 2"),
        (lambda: X * 0.125, "= 0.125"),
        (lambda: leaf(1) * np.array([123456.0]), "= 123456"),
        (lambda: leaf(1) * mg.tensor(7), "= 7"),
    ],
)
def test_numbers_are_stubs(make, label):
    assert stubs_of(make()) == [label]


def test_constant_arrays_are_inputs():
    x, mask, target = np.ones((2, 3), np.float32), np.eye(2) > 0, mg.tensor(np.zeros((2, 2)))
    layer = nn.Linear(3, 2, rng=0)
    y = mg.where(mask, layer(x), layer(x)) - target
    text = to_text(y, names={"pixels": x, "target": target})
    leaves = ["input pixels [2×3]", "parameter Linear.weight [3×2]", "parameter Linear.bias [2]",
              "input condition [2×2] bool", "input target [2×2] float64"]  # fmt: skip
    assert [" ".join(line.split()) for line in text.splitlines()[:5]] == leaves
    assert text.count("affine(pixels, weight, bias)") == 2
    assert "subtract(%3, target)" in text
    del x, mask, target
    assert "input x " in to_text(y)


def test_what_a_module_holds_has_its_name():
    class Standardised(nn.Module):
        def __init__(self):
            self.mean, self.scale = nn.Buffer(np.zeros(3)), np.ones(3)

        def forward(self, x):
            return (x - self.mean) * self.scale

    y = Standardised()(leaf(2, 3))
    text = to_text(y)
    assert "subtract(input, mean)" in text
    assert "multiply(%1, scale)" in text
    assert "buffer Standardised.mean" in text
    assert stubs_of(y, "p") == ["mean  [3] float64", "scale  [3] float64"]
    assert "mean" not in to_dot(y, depth=1)


def test_an_omitted_argument_is_not_a_constant():
    x, w = leaf(1, 1, 5, 5), leaf(1, 1, 3, 3)
    y, z = mg.conv2d(x, w), mg.conv2d(x, w, np.ones(1, np.float32))
    assert (stubs_of(y), stubs_of(z)) == ([], ["b = 1"])
    assert "%1 = conv2d(input1, input2, None)" in to_text(y)
    assert "%1 = conv2d(input1, input2, 1)" in to_text(z)


def test_all_writers_show_the_same_constants():
    x = leaf(2, 2)
    z = mg.where(ONES > 0, (2.5 - x) @ ONES, x)
    constants = [node["constants"] for _, node in to_networkx(z).nodes(data=True) if node["kind"] == "operation"]
    assert constants == [{"a": "= 2.5"}, {}, {}]
    vertices = [v for v in content_of(arranged(z))["vertices"] if v["kind"] == "operation"]
    assert [v["constants"] for v in vertices] == [["a = 2.5"], [], []]
    assert [[e["said"] for e in v["inputs"]] for v in vertices] == [[""], ["a", "b"], ["", "x", "y"]]


@given(graphs(), st.sampled_from(["steps", "fold", "primitive"]))
def test_arguments_are_inputs_or_constants(outputs, unroll):
    picture = arranged(outputs, unroll)
    stubs = stubbed(picture)
    for vertex in picture.vertices:
        names = argument_order(vertex)
        fed = {edge.argument for edge in vertex.inputs}
        constants = {constant.argument for constant in constants_of(vertex)}
        assert not fed & constants
        assert fed | constants <= set(names) or vertex.kind == "omitted"
        assert to_be_named(picture, vertex, stubs) <= fed | constants


def test_folded_operations_are_arguments_too():
    x, y = mg.exp(mg.tanh(leaf(2))), mg.exp(leaf(2))
    assert edge_labels(x - y, max_nodes=1) == ["a: [2]", "b: [2]"]
    assert edge_labels(mg.stack([x := mg.tanh(x) for _ in range(9)])) == ["[2]", "[2]", "[2] × 9", "first"]

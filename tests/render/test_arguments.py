"""Arguments in another order are drawn otherwise, and constants do not vanish."""

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
from tests.render.graphs import attention, captioner, graphs, laid_out, leaf, lstm, texts
from tests.render.pictures import arranged, picture_of

ONES = np.ones((2, 2), np.float32)


@mg.primitive
def mix(p, q, r):
    """Three arrays, each in a place of its own."""
    return p + 2 * q + 3 * r, ()


mix.vjp(lambda g, needs: (g, 2 * g, 3 * g))


def as_drawn(tensor, names):
    """What a reader of DOT text sees, whatever the numbers of vertices are: each edge by the labels at its ends."""
    dot = to_dot(tensor, names=names)
    labels = dict(re.findall(r'^ *(\w+) \[label="([^"]*)"', dot, re.MULTILINE))
    edges = re.findall(r'^ *(\w+) -> (\w+)(?: \[(?:label="([^"]*)")?)?', dot, re.MULTILINE)
    return sorted((labels[a], labels[b], label) for a, b, label in edges)


def on_the_page(tensor, names):
    """What a page shows at the operation `mix`: wires with what is said of them, and stubs in their order."""
    vertices = content_of(arranged(tensor, names=names))["vertices"]
    [vertex] = [v for v in vertices if v["name"] == "mix"]
    fed = [(vertices[edge["source"]], edge) for edge in vertex["inputs"]]
    wires = sorted((v["name"], str(v["inputs"]), v["remark"], e["said"]) for v, e in fed if not v["stub"])
    stubs = [(v["name"], e["said"]) for v, e in fed if v["stub"]]
    return wires, stubs, vertex["constants"]


def kinds_of_argument():
    """Three of each kind that an argument can be of, by a letter and a number."""
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
def test_no_two_orders_of_three_arguments_look_alike(chosen):
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


@pytest.mark.parametrize("function", [mg.subtract, mg.divide, mg.matmul, mg.power, mg.arctan2])
@pytest.mark.parametrize("other", [leaf(2, 2), nn.Parameter(ONES), ONES, mg.tensor(ONES), 3.0])
def test_two_arguments_by_turns(function, other):
    if function is mg.matmul and np.ndim(other) == 0:
        return  # which is no matrix
    x = mg.exp(leaf(2, 2))
    names = {"x": x} | ({"other": other} if isinstance(other, mg.Tensor) and other.requires_grad else {})
    one, two = function(x, other), function(other, x)
    assert as_drawn(one, names) != as_drawn(two, names)
    for draw in (to_text, lambda *a, **o: list(to_networkx(*a, **o).edges(data="argument"))):
        assert draw(one, names=names) != draw(two, names=names)


def edge_labels(tensor, **options):
    return sorted(re.findall(r'-> n\d+ \[label=" ([^"]*)"', to_dot(tensor, **options)))


def stubs_of(tensor, kind="k", **options):
    return re.findall(rf'^ *{kind}\d+ \[label="([^"]*)"', to_dot(tensor, **options), re.MULTILINE)


def test_edges_say_which_argument_they_feed_where_that_matters():
    x, y = leaf(2, 2), leaf(2, 2)
    assert edge_labels(x - y) == ["a", "b"]
    assert edge_labels(mg.exp(x) - mg.exp(y)) == ["a: 2×2", "b: 2×2"]
    assert edge_labels(mg.exp(x) - mg.exp(y), values="none") == ["a", "b"]
    assert edge_labels(mg.where(ONES > 0, x, y)) == ["x", "y"]
    assert edge_labels(mg.stack([x, y])) == ["[0]", "[1]"]
    assert edge_labels(mg.einsum("ij,jk->ik", x, y)) == ["[0]", "[1]"]
    assert edge_labels(x + y) == edge_labels(x - 2.0) == edge_labels(mg.tanh(x)) == edge_labels(x @ x) == []


def test_parameters_are_named_only_where_they_come_first():
    layer, x = nn.Linear(2, 2, rng=0), leaf(2, 2)
    assert stubs_of(layer(x), "p") == ["weight  bias"]
    assert stubs_of(layer.weight @ x, "p") == ["a: weight"]
    assert stubs_of(x @ layer.weight, "p") == ["weight"]
    assert stubs_of(layer.weight @ layer.weight, "p") == ["weight  weight"]
    assert stubs_of(layer.weight * x, "p") == ["weight"]
    assert stubs_of(mix(layer.weight, x, layer.bias), "p") == ["p: weight  bias"]


def test_constants_are_stubs():
    x = leaf(2, 2)
    assert stubs_of(x - 2.0) == ["b: constant"]
    assert stubs_of(2.0 - x) == ["a: constant"]
    assert stubs_of(x * 2.0) == ["constant"]
    with mg.record():
        outputs = [x - 2.0, 2 - x, x * 0.125, x + ONES, x @ np.ones((2, 3)), mg.tensor(3.0) / x, x + np.float64(0.1)]
    assert [stubs_of(y) for y in outputs] == [
        ["b: 2"], ["a: 2"], ["0.125"], ["2×2"], ["b: 2×3 float64"], ["a: 3"], ["0.1"],
    ]  # fmt: skip


def test_a_large_constant_is_never_a_value():
    with mg.record():
        y = leaf(500) * np.arange(500.0)
    assert stubs_of(y) == ["500 float64"]
    with mg.record():
        y = leaf(1) * np.array([123456.0])
    assert "123456" not in to_dot(y) + to_text(y)
    assert content_of(arranged(y))["vertices"][1]["constants"] == ["1 float64"]


def test_an_argument_that_was_left_out_is_no_constant():
    x, w = leaf(1, 1, 5, 5), leaf(1, 1, 3, 3)
    for recorded in (False, True):
        if recorded:
            with mg.record():
                y, z = mg.conv2d(x, w), mg.conv2d(x, w, np.ones(1, np.float32))
        else:
            y, z = mg.conv2d(x, w), mg.conv2d(x, w, np.ones(1, np.float32))
        assert stubs_of(y) == []
        assert stubs_of(z) == (["b: 1"] if recorded else [])  # else nobody knows whether there was one
        assert to_text(y).splitlines()[2].split("  ")[0] == f"a = conv2d(input1, input2, {'None' if recorded else '·'})"


def test_the_steps_of_a_sequence_say_which_of_their_arguments_are_constants():
    for recorded in (False, True):
        if recorded:
            with mg.record():
                loss = lstm(3)
        else:
            loss = lstm(3)
        said = re.findall(r'label="step \d\\nlstm_step\\n\\nWx  Wh  b\\n([^"]*)"', to_dot(loss, unroll="steps"))
        x, h = ("x: 2×3", "  h: 2×4") if recorded else ("x: constant", "  h: constant")
        assert said == [x + h, x, x]
        assert "first with a.0' = ·, a.1' = " + ("None:" if recorded else "·:") in to_text(loss)


def test_the_first_step_says_which_state_it_starts_from():
    x, start, weights = leaf(2, 3, 4), mg.exp(leaf(2, 4)), (leaf(4, 16), leaf(4, 16), leaf(16))
    h, _ = mg.lstm(x, start, *weights, mg.tanh(start))
    assert {"h: 2×4", "c: 2×4"} <= set(edge_labels(h, unroll="steps"))


def test_numbers_stand_in_listings():
    x = leaf(2)
    with mg.record():
        for _ in range(5):
            x = 1 - x * 0.5
        y = x
        for k in range(5):
            y = mg.tanh(y + float(k))
    assert [line.removesuffix("  2").strip() for line in to_text(y).splitlines()[1:]] == [
        "× 5, first with b' = input:", "a = multiply(b', 0.5)", "b = subtract(1, a)",
        "× 5, first with d' = b:", "c = add(d', ·)", "d = tanh(c)", "output d",
    ]  # fmt: skip


def test_constants_of_all_writers_agree():
    x = leaf(2, 2)
    with mg.record():
        y = (2.5 - x) @ ONES
    z = mg.where(ONES > 0, y, x)
    constants = [node["constants"] for _, node in to_networkx(z).nodes(data=True) if node["kind"] == "operation"]
    assert constants == [{"a": "2.5"}, {"b": "2×2"}, {"condition": "constant"}]
    vertices = [v for v in content_of(arranged(z))["vertices"] if v["kind"] == "operation"]
    assert [v["constants"] for v in vertices] == [["a: 2.5"], ["b: 2×2"], ["condition: constant"]]
    assert [[e["said"] for e in v["inputs"]] for v in vertices] == [[""], [""], ["x", "y"]]
    assert [a for v in vertices for a in v["arguments"] if a[1] and a[0] != "x"] == [["a", "2.5"], ["b", "2×2"]]


@given(graphs(), st.sampled_from(["steps", "fold", "primitive"]))
def test_every_untracked_argument_is_listed_and_every_name_is_one_of_the_call(outputs, unroll):
    picture = arranged(outputs, unroll)
    stubs = stubbed(picture)
    for vertex in picture.vertices:
        names = argument_order(vertex)
        fed = {edge.argument for edge in vertex.inputs}
        constants = {constant.argument for constant in constants_of(vertex)}
        assert not fed & constants
        assert fed | constants <= set(names) or vertex.kind == "elision"
        assert to_be_named(picture, vertex, stubs) <= fed | constants


def test_drawing_constants_does_not_change_what_repeats():
    x = leaf(2)
    with mg.record():
        for k in range(20):
            x = x * float(k)
    assert len(arranged(x).vertices) == len(arranged(x, "steps", 10).vertices) == 4


def test_names_of_arguments_are_seen_in_the_drawing():
    drawn = laid_out(to_dot(attention(3, 4), unroll="steps"))
    labels = [text["text"] for edge in drawn["edges"] for text in edge.get("_ldraw_", []) if text["op"] == "T"]
    assert {"[0]: 2×1", "[3]: 2×1"} <= {label.strip() for label in labels}
    with mg.record():
        drawn = laid_out(to_dot(captioner()))
    assert ["b: 4"] in [texts(thing) for thing in drawn["objects"]]


def test_what_stands_for_others_is_an_argument_like_any():
    x, y = mg.exp(mg.tanh(leaf(2))), mg.exp(leaf(2))
    assert edge_labels(x - y, max_nodes=1) == ["a: 2", "b: 2"]
    weight = nn.Parameter(np.ones(2))
    assert stubs_of(weight - x, "p", max_nodes=1) == ["a: parameter"]
    states = [x := mg.tanh(x) for _ in range(9)]
    assert edge_labels(mg.stack(states))[:2] == ["2", "2"]  # of the middle ones it cannot be said which
    assert edge_labels(mg.stack(states))[-2:] == ["[0]: 2", "[8]: 2"]


def test_constants_of_a_leaf_and_of_an_elision_are_none():
    picture = arranged(captioner())
    for vertex in picture.vertices:
        if vertex.kind != "operation":
            assert constants_of(vertex) == []
    assert picture_of(leaf(2)).vertices[0].constants == ()

"""A comparison shows every difference of two graphs, and nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings

import minigrad as mg
from minigrad import nn
from minigrad.render import compare
from minigrad.render.compare import _shortened, _union
from minigrad.render.labels import shape_of
from minigrad.render.options import drawn_picture
from tests.render.graphs import captioner, graphs, laid_out, leaf, loop
from tests.render.pictures import check, labels


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, rng=0)


def network(*layers):
    """A loss of new layers; a pair of numbers stands for a linear one."""
    layers = [linear(*layer) if isinstance(layer, tuple) else layer for layer in layers]
    return nn.Sequential(*layers)(np.ones((5, 4), np.float32)).sum()


def shape(*lengths):
    return shape_of((lengths, np.dtype(np.float32)))


def union(before, after):
    """The picture of both graphs."""
    pictures = [drawn_picture(tensors, unroll="fold", max_nodes=1000) for tensors in (before, after)]
    return _union(*pictures)[0]


def marks(text):
    """The marks of a comparison with the names after them."""
    return [tuple(line.split()[:2]) for line in text.splitlines()]


BASE = (4, 8), nn.Tanh(), (8, 3)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (BASE, set()),
        (((4, 8), nn.ReLU(), (8, 3)), {("−", "Sequential.1.tanh"), ("+", "Sequential.1.relu")}),
        ((*BASE[:2], nn.Dropout(0.5), BASE[2]), {("+", "Sequential.2.dropout")}),
        (
            (BASE[0], nn.LayerNorm(8), *BASE[1:]),
            {("+", f"Sequential.1.{name}") for name in ("weight", "bias", "layer_norm")},
        ),
        (((4, 8), (8, 3)), {("−", "Sequential.1.tanh")}),
    ],
)
def test_layers_that_were_added_and_removed(layers, expected):
    found = marks(compare(network(*BASE), network(*layers)))
    assert {(mark, name) for mark, name in found if mark != "~"} == expected
    assert len([mark for mark, _ in found if mark == "~"]) == bool(expected)  # the layer that follows has a new source


def test_other_shapes_options_and_constants():
    text = compare(network(*BASE), network((4, 16), nn.Tanh(), (16, 3)))
    assert {mark for mark, _ in marks(text)} == {"~"}
    for name, old, new in (("0.weight", (4, 8), (4, 16)), ("2.weight", (8, 3), (16, 3))):
        assert f"Sequential.{name}  shape: {shape(*old)} → {shape(*new)}" in text
    assert "Sequential.2.affine" not in text  # takes another weight of the same name, and returns the same shape
    x = leaf(2, 3)
    assert "axis: 0 → 1" in compare(mg.softmax(x, axis=0), mg.softmax(x, axis=1))
    with mg.record(lines=False):
        y, z = x * 2.0, x * 3.0
    assert "2 → 3" in compare(y, z)


def test_the_order_of_arguments_and_of_outputs_matters():
    x, y = leaf(2), leaf(2)
    names = {"x": x, "y": y}
    assert marks(compare(x - y, y - x, names=names)) == [("~", "subtract")]
    assert compare([x + y, x * y], [x * y, x + y], names=names)
    z = mg.exp(x)
    assert marks(compare(z * 2.0, [z * 2.0, z])) != []


@settings(max_examples=30)
@given(graphs(), graphs())
def test_a_union_contains_both_graphs(before, after):
    assert compare(before, before) == ""
    both = check(union(before, after))
    for tensors, foreign in ((before, "+ "), (after, "− ")):
        picture = drawn_picture(tensors, unroll="fold", max_nodes=1000)
        kept = {i: vertex for i, vertex in enumerate(both.vertices) if vertex.mark != foreign}
        edges = [edge for vertex in kept.values() for edge in vertex.inputs if edge.mark != foreign]
        assert len(kept) == len(picture.vertices)
        assert len(edges) == sum(len(vertex.inputs) for vertex in picture.vertices)
        assert all(edge.source in kept for edge in edges)
        assert sum(output.name[:2] != foreign for output in both.outputs) == len(picture.outputs)
    assert [bool(text) for text in (compare(before, after), compare(after, before))] in ([True] * 2, [False] * 2)


@pytest.mark.parametrize("name", ["a.dot", "a.svg"])
def test_marks_are_in_the_picture_and_need_no_colour(tmp_path, name):
    x = leaf(2)
    pair = mg.tanh(mg.exp(x)).sum(), mg.relu(mg.exp(x)).sum(keepdims=True)
    path = tmp_path / name
    text = compare(*pair, path)
    drawn = path.read_text(encoding="utf-8")
    for mark, label in marks(text):
        assert f"{mark} {label}" in drawn
    assert re.search(r"dashed|stroke-dasharray", drawn)


@pytest.mark.parametrize(
    ("before", "after"), [(captioner("rnn"), captioner()), (loop(6), loop(9)), (loop(9), captioner())]
)
def test_a_layout_program_accepts_unions(before, after, tmp_path):
    compare(before, after, tmp_path / "a.dot", direction="LR")
    dot = (tmp_path / "a.dot").read_text(encoding="utf-8")
    nodes = {thing["name"] for thing in laid_out(dot)["objects"] if "pos" in thing}
    assert nodes == set(re.findall(r"^ *(\w+) \[label=", dot, re.MULTILINE)) - {"node", "edge"}


def test_large_pictures_close_what_is_equal():
    def deep(special):
        middle = [special if i == 20 else nn.ReLU() for i in range(40)]
        blocks = [nn.Sequential(linear(i + 3, i + 4), middle[i], nn.LayerNorm(i + 4)) for i in range(40)]
        return nn.Sequential(*blocks)(leaf(2, 3)).sum()

    both = union(deep(nn.ReLU()), deep(nn.Tanh()))
    short = _shortened(both)
    assert len(short.vertices) < 60 < len(both.vertices)
    assert {"tanh", "relu"} <= set(labels(short))
    assert [(v.mark, v.label) for v in short.vertices if v.mark] == [(v.mark, v.label) for v in both.vertices if v.mark]


def gathered(choose):
    """The stack of some states of a loop."""
    h, states = leaf(2, 3), []
    for _ in range(8):
        states.append(h := mg.tanh(h))
    return mg.stack(choose(states))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda states: states, lambda states: states[::-1]),
        (lambda states: [states[7], states[3]], lambda states: [states[7], states[5]]),
        (lambda states: [states[7], states[3]], lambda states: [states[3], states[7]]),
        (lambda states: states[::2], lambda states: [*states[:4:2], states[5], states[6]]),
    ],
)
def test_the_steps_of_a_loop_that_are_used_and_their_order(before, after):
    assert compare(gathered(before), gathered(before)) == ""
    assert marks(compare(gathered(before), gathered(after))) == [("~", "stack")]


def sliced(place):
    """A loop that takes a slice at each step."""
    h, xs = leaf(2, 3), leaf(2, 3, 2)
    for t in range(8):
        h = mg.tanh(h + xs[:, :, place(t)])
    return h


def test_the_options_of_every_step():
    assert compare(sliced(lambda t: t % 2), sliced(lambda t: t % 2)) == ""
    for place in (lambda t: 0, lambda t: int(t == 5)):
        text = compare(sliced(lambda t: int(t == 3)), sliced(place))
        assert re.search(r"~ .*getitem  index: .*\[:, :, 1\]", text)


def test_long_options_are_compared_whole():
    x, letters = leaf(*[1] * 14), "abcdefghijklmn"
    before, after = (mg.einsum(f"{letters},{letters}->ab{last}", x, x) for last in "mn")
    assert marks(compare(before, after)) == [("~", "einsum")]


def test_what_max_nodes_leaves_out_is_said():
    def chain(early):
        y = early(leaf(2))
        for k in np.random.default_rng(0).integers(3, size=40):
            y = (mg.sin, mg.tanh, mg.relu)[k](y)
        return y

    assert compare(chain(mg.exp), chain(mg.sin)) != ""
    assert re.search(r"operations.* not compared\b.*max_nodes", compare(chain(mg.exp), chain(mg.sin), max_nodes=20))

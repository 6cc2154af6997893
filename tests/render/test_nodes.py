"""Pictures of nodes: they hold the whole graph."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.backward import graph_of
from tests.render.graphs import captioner, graphs, leaf
from tests.render.pictures import arranged, check, picture_of, whole


@given(graphs())
def test_every_node_and_every_use_appears_once(outputs):
    picture = check(picture_of(outputs))
    nodes = graph_of([output.node for output in outputs]).nodes
    assert Counter(vertex.node for vertex in picture.vertices) == Counter(nodes)
    drawn = Counter(
        (picture.vertices[edge.source].node, edge.slot, vertex.node, edge.argument)
        for vertex in picture.vertices
        for edge in vertex.inputs
    )
    used = Counter(
        (parent, slot, node, node.primitive.input_name(argnum))
        for node in nodes
        if node.primitive is not None
        for parent, argnum, slot in zip(node.parents, node.edges[0], node.edges[2], strict=True)
    )
    assert drawn == used
    assert [(picture.vertices[o.source].node, o.slot) for o in picture.outputs] == [(o.node, o.index) for o in outputs]


def test_each_output_of_an_operation_has_its_own_name():
    h, c = mg.lstm(leaf(2, 3, 4), leaf(2, 5), leaf(4, 20), leaf(5, 20), leaf(20), leaf(2, 5))
    names = {"hidden": h, "cell": c}
    assert [output.name for output in picture_of([c, h], names).outputs] == ["cell", "hidden"]
    loss = (h * c).sum()
    assert [v.remark for v in arranged(loss, "primitive", names=names).vertices if v.label == "lstm"] == [
        "out 0: hidden, out 1: cell"
    ]
    stacks = {v.remark: v.inputs[0].slot for v in arranged(loss, names=names).vertices if v.label == "stack"}
    assert stacks == {"hidden": 0, "cell": 1}


def test_intermediate_tensors_can_be_named():
    x = leaf(2)
    y = mg.tanh(x)
    z = y * y
    assert [vertex.remark for vertex in arranged(z, names={"y": y, "z": z}).vertices] == ["", "y", ""]
    assert "%1 = tanh(input)  (y)" in mg.render.to_text(z, names={"y": y})
    assert 'label="tanh\\ny"' in mg.render.to_dot(z, names={"y": y})
    states = [y := mg.tanh(y) for _ in range(19)]
    text = mg.render.to_text(states[-1], names={"the tenth": states[9]})
    assert [int(count) for count in re.findall(r"× (\d+)", text)] == [20]
    assert "(the tenth (step 10))" in text


@given(graphs(), st.data())
def test_names_change_only_labels(outputs, data):
    nodes = [node for node in graph_of([output.node for output in outputs]).nodes if node.primitive is not None]
    assume(nodes)
    named = mg.tensor(np.ones(1))
    named.node = data.draw(st.sampled_from(nodes))
    picture = check(whole(outputs, "fold", names={"this": named}))
    plain = whole(outputs, "fold")
    assert [o.name for o in picture.outputs if o.name != "this"] == [
        o.name for o, y in zip(plain.outputs, outputs, strict=True) if (y.node, y.index) != (named.node, 0)
    ]
    assert sum("this" in v.remark for v in picture.vertices) + any(o.name == "this" for o in picture.outputs) == 1


def test_names_must_be_in_the_graph():
    x, other = leaf(2), leaf(2)
    for name, tensor in {"other": other, "later": x * x * x}.items():
        with pytest.raises(ValueError, match=f"names: '{name}' is not in the graph: no drawn tensor depends on it$"):
            mg.render.to_text(x * x, names={name: tensor})
    with pytest.raises(ValueError, match=r"names: 'c' is not in the graph: .*a constant of one entry"):
        mg.render.to_dot(x * 2.0, names={"c": mg.tensor(2.0)})
    with pytest.raises(ValueError, match=r"names: 'v' is not in the graph: no drawn tensor depends on it$"):
        mg.render.to_dot(x * np.ones(2), names={"v": mg.nn.Tanh()})
    whole = np.ones((3, 2))
    for value in (whole, mg.tensor(whole)):
        with pytest.raises(ValueError, match="or only on parts or copies of it"):
            mg.render.to_dot(x * value[0], names={"v": value})


def test_drawing_needs_no_residuals():
    loss = captioner()
    before = mg.render.to_dot(loss), mg.render.to_text(loss)
    loss.backward()
    assert (mg.render.to_dot(loss), mg.render.to_text(loss)) == before

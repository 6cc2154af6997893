"""Sequence primitives unrolled into steps."""

from __future__ import annotations

import pytest
from hypothesis import given

import minigrad as mg
from minigrad.render.expansion import unrolled
from tests.render.graphs import graphs, leaf, lstm
from tests.render.pictures import arranged, check, labels, operations, picture_of, whole


@given(graphs())
def test_unrolling_shows_each_step_once(outputs):
    before = picture_of(outputs)
    after = check(unrolled(before))
    sequences = [vertex for vertex in before.vertices if vertex.label == "lstm" and vertex.specs[0][0][1] > 1]
    steps = sum(vertex.specs[0][0][1] for vertex in sequences)
    assert labels(after).count("lstm_step") == steps
    stacks = sum(vertex.label == "stack" and vertex.node.primitive.name == "lstm" for vertex in after.vertices)
    assert operations(after) == operations(before) - len(sequences) + steps + stacks
    assert [after.vertices[o.source].specs[o.slot] for o in after.outputs] == [
        before.vertices[o.source].specs[o.slot] for o in before.outputs
    ]


def test_each_step_takes_its_slice_and_previous_state():
    x = leaf(2, 3, 4)
    h, c = mg.lstm(x, leaf(2, 5), leaf(4, 20), leaf(5, 20), leaf(20), leaf(2, 5))
    picture = check(whole([h, c], "steps", names={"x": x}))
    steps = [vertex for vertex in picture.vertices if vertex.step is not None]
    for t, step in enumerate(steps):
        by_name = {edge.argument: edge for edge in step.inputs}
        assert list(by_name) == ["x", "h", "c", "Wx", "Wh", "b"]
        assert by_name["x"].part == f"[:, {t}]"
        for slot, state in enumerate(["h", "c"] if t else []):
            assert picture.vertices[by_name[state].source] is steps[t - 1]
            assert by_name[state].slot == slot
    stacks = [picture.vertices[output.source] for output in picture.outputs]
    assert [[edge.slot for edge in stack.inputs] for stack in stacks] == [[0] * 3, [1] * 3]


def test_a_sequence_without_steps_stays_whole():
    h, _ = mg.lstm(leaf(2, 0, 3), leaf(2, 4), leaf(3, 16), leaf(4, 16), leaf(16))
    assert "lstm" in labels(check(arranged(h, "steps")))
    assert "lstm(" in mg.render.to_text(h)


@pytest.mark.parametrize("expand", [(), {"lstm_step"}])
def test_pictures_grow_with_the_model_not_with_the_input(expand):
    few, many = (arranged(lstm(steps), expand=expand) for steps in (16, 200))
    assert len(few.vertices) == len(many.vertices)
    assert sum(v.stands_for for v in many.vertices) == 200 * (17 if expand else 1)


def test_an_unused_named_state_is_gathered():
    h, c = mg.lstm(leaf(2, 6, 4), leaf(2, 5), leaf(4, 20), leaf(5, 20), leaf(20))
    picture = check(whole(h.sum(), names={"cell": c, "the cell": c, "hidden": h}))
    assert [(v.remark, v.inputs[0].slot) for v in picture.vertices if v.gathers is not None] == [
        ("hidden", 0), ("cell, the cell", 1),
    ]  # fmt: skip
    inner = whole(h.sum(), names={"cell": c}, expand={"lstm"}, unroll="primitive").vertices
    assert ("stack", "cell") in [(v.label, v.remark) for v in inner]

"""Primitives expanded to their references."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.primitives import PRIMITIVES
from minigrad.render.expansion import expanded
from tests.render.graphs import captioner, graphs, leaf
from tests.render.pictures import arranged, check, labels, whole


@given(graphs(), st.sets(st.sampled_from(["lstm", "lstm_step"])))
def test_expanding_keeps_the_rest_of_a_picture(outputs, names):
    for unroll in ("steps", "primitive"):
        before = whole(outputs, unroll)
        after = check(expanded(before, names))
        for name in names:
            assert name not in labels(after)
        rest = [vertex.label for vertex in before.vertices if vertex.label not in names]
        assert not Counter(rest) - Counter(labels(after))
        assert [after.vertices[o.source].specs[o.slot] for o in after.outputs] == [
            before.vertices[o.source].specs[o.slot] for o in before.outputs
        ]


def test_a_step_expands_to_its_reference():
    x, h, W, V, b = leaf(2, 3), leaf(2, 4), leaf(3, 4), leaf(4, 4), leaf(4)
    picture = check(arranged(mg.rnn_step(x, h, W, V, b), expand={"rnn_step"}, names={"x": x, "h": h}))
    assert sorted(labels(picture)[5:]) == sorted(["matmul", "matmul", "add", "add", "tanh"])
    assert {vertex.scope for vertex in picture.vertices[5:]} == {("rnn_step",)}


def test_each_expanded_call_has_its_own_scope():
    x = leaf(2, 3)
    y = mg.softmax(x) * mg.softmax(x * x)
    with mg.scope("inner"):
        y = mg.softmax(y)
    picture = check(whole(y, expand={"softmax"}))
    scopes = [vertex.scope for vertex in picture.vertices if vertex.label == "exp"]
    assert sorted(scopes) == [("inner", "softmax"), ("softmax 1",), ("softmax 2",)]


def test_scopes_of_calls_differ_from_existing_scopes():
    x = leaf(2, 3)
    with mg.scope("softmax 1"):
        y = mg.tanh(x)
    with mg.scope("softmax"):
        y = mg.exp(y)
    picture = check(whole(mg.softmax(y) + mg.softmax(x), expand={"softmax"}))
    assert [vertex.scope for vertex in picture.vertices if vertex.label == "divide"] == [("softmax 2",), ("softmax 3",)]


def test_references_take_constants():
    picture = check(whole(captioner(), expand={"cross_entropy"}))
    assert "log_softmax" in labels(picture)
    assert "cross_entropy" not in labels(picture)


def test_a_constant_reference_is_not_shown():
    @mg.primitive
    def nothing(x):
        return 0 * x, ()

    nothing.reference(lambda x: mg.tensor(np.zeros_like(x.data)))
    try:
        picture = check(whole(nothing(leaf(2)), expand={"nothing"}))
    finally:
        del PRIMITIVES[f"{nothing.__module__}.nothing"]
    assert picture.vertices[-1].remark == "reference not shown: its result is constant here"

"""Repeats and omitted operations: repeats hold by their definition, and the counts add up."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.render.closing import limited
from minigrad.render.fold import find_repeats, folded
from tests.render.graphs import chain, graphs, leaf, loop
from tests.render.pictures import arranged, check, labels, operations, picture_of, whole


def naive(vertices, least):
    """All repeats (start, period, count) by the definition.

    Every block looks like the first. All sources move by the same distance from block to block. States, which come from
    the previous block, may be constants in the first block.
    """

    def look(i):
        v = vertices[i]
        return v.kind, v.label, v.specs, tuple(sorted([*(edge.argument for edge in v.inputs), *v.constants]))

    def moves(i, period):
        before = {a.argument: a for a in vertices[i - period].inputs}
        found = [(before.get(b.argument), b) for b in vertices[i].inputs]
        return [a and (b.source - a.source, a.slot, b.slot) for a, b in found]

    def fresh(i, edge, period, start):
        """Whether each block up to this one takes another input for the argument."""
        numbers = range(i, start - 1, -period)
        sources = [e.source for k in numbers for e in vertices[k].inputs if e.argument == edge.argument]
        inputs = all(vertices[source].kind == "input" for source in sources)
        return inputs and len(sources) == len(numbers) and all(a != b for a, b in pairwise(sources))

    def holds(start, period, count):
        blocks = [range(start + k * period, start + (k + 1) * period) for k in range(count)]
        if blocks[-1].stop > len(vertices) or any(vertices[i].is_leaf for block in blocks for i in block):
            return False
        if any(look(i) != look(j) for block in blocks for i, j in zip(blocks[0], block, strict=True)):
            return False
        constants = [[set(vertices[i].constants) for i in block] for block in blocks]
        if any(block != constants[1] for block in constants[2:]):
            return False
        if not all(a >= b for a, b in zip(*constants[:2], strict=True)):
            return False
        later = [[moves(i, period) for i in block] for block in blocks[1:]]
        for block, (x, y) in ((block, pair) for block, pair in zip(blocks[2:], pairwise(later), strict=True)):
            for i, a, b in zip(block, x, y, strict=True):
                for edge, one, other in zip(vertices[i].inputs, a, b, strict=True):
                    if one == other:
                        continue
                    state = (
                        block is blocks[2] and edge.source in blocks[1] and other[0] == period and other[1] == other[2]
                    )
                    if not state and not fresh(i, edge, period, start):
                        return False
        return True

    n = len(vertices)
    return {
        (start, period, count)
        for start in range(n)
        for period in range(1, n // least + 1)
        for count in range(least, n // period + 1)
        if holds(start, period, count)
    }


@st.composite
def programs(draw):
    """Straight-line programs of few kinds of operations: some repeat by accident and some by a loop."""
    w = leaf(2)
    x = draw(st.sampled_from([w, mg.tensor(np.ones(2, np.float32))]))
    values = [x]
    body = draw(st.lists(st.sampled_from("tsmw"), min_size=1, max_size=3))
    for _ in range(draw(st.integers(1, 6))):
        for letter in body:
            back = draw(st.sampled_from([1, 1, 1, 2, 3]))
            other = values[max(0, len(values) - back)]
            y = values[-1]
            values.append(
                {"t": mg.tanh, "s": mg.sin, "w": lambda y: y * w, "m": lambda y, other=other: y * other}[letter](y)
            )
    return values[-1] if values[-1].node is not None else values[-1] * w


@given(programs())
def test_repeats_match_the_definition(output):
    picture = picture_of(output)
    expected, found = naive(picture.vertices, 3), find_repeats(picture, 3)
    assert bool(found) == bool(expected)
    whole_blocks = {(r.start, r.period, r.count - (r.last < r.period)) for r in found}
    assert whole_blocks <= expected
    for before, after in pairwise(found):
        assert before.stop <= after.start


def test_a_decoder_whose_last_state_is_unused_is_one_loop():
    W, V, h, ys = leaf(4, 4), leaf(4, 4), leaf(2, 4), []
    for _ in range(5):
        ys.append(h @ V)
        h = mg.tanh(h @ W + ys[-1])
    picture = check(arranged(mg.stack(ys)))
    assert labels(picture)[3:] == ["matmul", "matmul", "add", "tanh", "stack"]
    assert [vertex.stands_for for vertex in picture.vertices[3:7]] == [5, 4, 4, 4]
    assert {vertex.scope for vertex in picture.vertices[3:7]} == {("× 5, the last in part",)}
    assert [edge.part for edge in picture.vertices[7].inputs] == ["× 5"]


def test_a_first_step_with_an_input_of_its_own_belongs_to_the_loop():
    cell, embed, h, states = nn.Linear(8, 4, rng=0), nn.Embedding(5, 4, rng=0), np.zeros((2, 4), np.float32), []
    for t in range(5):
        x = embed(np.array([t, 1])) if t else leaf(2, 4)
        h = mg.tanh(cell(mg.concatenate([x, h], 1)))
        states.append(h)
    picture = check(arranged(mg.stack(states)))
    steps = {vertex.label: vertex.stands_for for vertex in picture.vertices if vertex.folds and not vertex.is_leaf}
    assert steps == {"concatenate": 5, "affine": 5, "tanh": 5, "embedding": 4}


@given(graphs(), st.integers(1, 6))
def test_folding_and_limiting_keep_outputs_and_counts(outputs, most):
    picture = whole(outputs, "steps")
    less = check(folded(picture))
    assert operations(less) == operations(picture)
    assert not find_repeats(less, 4)
    least = limited(less, most)
    assert operations(least) - operations(less) in (0, sum(v.stands_for for v in least.vertices if "leaves" in v.label))
    shown = [v for v in least.vertices if v.kind == "operation"]
    assert len(shown) <= most
    for before, after in zip(picture.outputs, least.outputs, strict=True):
        assert re.fullmatch(rf"{before.name}( \(.*\))?", after.name)  # a step of a loop other than the last is named
        assert picture.vertices[before.source].specs[before.slot] == least.vertices[after.source].specs[after.slot]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("steps", [4, 5, 17])
def test_a_loop_is_one_step_with_feedback(steps, first):
    picture = check(arranged(loop(steps, first)))
    *leaves, matmul, tanh, total = picture.vertices
    number = picture.vertices.index(tanh)
    assert [(edge.source, edge.argument) for edge in matmul.feedback] == [(number, "a")]
    assert [edge.source for edge in tanh.inputs] == [number - 1]
    assert [edge.source for edge in total.inputs] == [number]
    assert matmul.scope == tanh.scope == (f"step 0 … step {steps - 1} × {steps}",)
    assert [matmul.stands_for, tanh.stands_for] == [steps, steps]
    assert len(leaves) == 2


def test_a_loop_without_scopes_gets_a_frame_of_its_own():
    W, V, h = leaf(3, 3), leaf(3, 3), leaf(2, 3)
    for weight in (W, V):
        for _ in range(5):
            h = mg.tanh(h @ weight)
        h = mg.exp(h)
    frames = [vertex.scope for vertex in check(arranged(h)).vertices if vertex.label == "matmul"]
    assert frames == [("× 5",), ("× 5 (2)",)]


@pytest.mark.parametrize("steps", [6, 12])
def test_inputs_that_take_turns_say_at_which_steps(steps):
    a, b, h = leaf(1, 2), leaf(1, 2), leaf(1, 2)
    for t in range(steps):
        h = mg.tanh(h * (a, b)[t % 2])
    multiply = check(arranged(h, names={"a": a, "b": b, "h": h})).vertices[3]
    parts = {edge.argument: [] for edge in multiply.inputs}
    for edge in multiply.inputs:
        parts[edge.argument].append(edge.part)
    assert parts["a"] == ["first"]
    for start, part in enumerate(parts["b"]):
        assert part.startswith(f"t = {start}, {start + 2}")
        assert part.endswith(str(steps - 2 + start))


def test_all_frames_of_folded_layers_have_the_range_of_their_names():
    """The operations of a step are in two scopes, so that no scope is the step itself."""
    h = leaf(2, 3)
    for k in range(6):
        with mg.scope(f"l.{k}"), mg.scope(f"part {k + 1}"):
            y = mg.exp(h)
        h = mg.tanh(y)
    exp, tanh = check(arranged(h)).vertices[1:]
    assert exp.scope == ("× 6", "l.0 … l.5", "part 1 … part 6")
    assert tanh.scope == ("× 6",)


def test_nested_loops_fold_into_nested_frames():
    """At each of 6 steps, a decoder looks at all 5 states of an encoder."""
    W, h = leaf(4, 4), leaf(2, 4)
    states = [h := mg.tanh(h @ W) for _ in range(5)]
    for t in range(6):
        with mg.scope(f"step {t}"):
            h = mg.tanh(mg.stack([(state * h).sum(axis=1, keepdims=True) for state in states]).sum(axis=0) * h)
    picture = check(arranged(h))
    (inner,) = [vertex for vertex in picture.vertices if len(vertex.scope) == 2 and vertex.label == "multiply"]
    assert inner.scope == ("step 0 … step 5 × 6", "× 5")
    assert (inner.stands_for, len(inner.folds)) == (30, 30)
    assert tuple(edge.part for edge in inner.inputs) == ("step t", "first")


def test_leaves_of_each_step_are_one():
    h, layers = leaf(2, 4), [nn.Linear(4, 4, rng=0) for _ in range(6)]
    for layer in layers:
        h = mg.tanh(layer(h) + leaf(2, 4))
    picture = check(arranged(h))
    kinds = Counter(vertex.kind for vertex in picture.vertices)
    assert kinds == {"input": 2, "parameter": 2, "operation": 3}
    assert [len(vertex.folds) for vertex in picture.vertices if vertex.is_leaf] == [0, 6, 6, 6]


def test_edges_say_which_steps_they_come_from():
    h, states = leaf(2, 3), []
    for t in range(8):
        with mg.scope(f"step {t}"):
            states.append(h := mg.tanh(h @ leaf(3, 3)))
    ends = {
        "all": mg.stack(states),
        "third": mg.exp(states[2]),
        "last": mg.exp(h),
        "two": mg.stack([states[1], states[4]]),
    }
    pictures = {name: arranged([h, end]) for name, end in ends.items()}
    parts = {name: p.vertices[p.outputs[1].source].inputs[0].part for name, p in pictures.items()}
    assert parts == {"all": "× 8", "third": "step 2", "last": "", "two": "steps 1, 4"}
    assert [output.name for output in arranged([states[2], h]).outputs] == ["output 0 (step 2)", "output 1"]


@pytest.mark.parametrize(
    ("place", "part"),
    [
        (lambda t: t, "step t"),
        (lambda t: 7 - t, "step 7, 6 … 1"),
        (lambda t: min(t + 1, 7), "step 1, 2 … 7"),
        (lambda t: 3, "step 3"),
    ],
)
def test_edges_between_loops_say_which_step_takes_which(place, part):
    h, states = leaf(2, 3), []
    for _ in range(8):
        states.append(h := mg.tanh(h))
    for t in range(7):
        h = mg.subtract(mg.sin(h), states[place(t)])
    picture = check(arranged(h))
    (subtract,) = [vertex for vertex in picture.vertices if vertex.label == "subtract"]
    assert [edge.part for edge in subtract.inputs if edge.argument == "b"] == [part]


def test_edges_with_norms_say_which_steps_they_come_from():
    with mg.record():
        h, states = leaf(2, 3), []
        for _ in range(8):
            states.append(h := mg.tanh(h))
        y = mg.stack([states[7], states[3]])
    assert re.search(r"\d … \d.* steps 7, 3\"", mg.render.to_dot(y, values="norm"))


def test_a_stack_of_loops_takes_its_input_in_the_first_layer():
    y = nn.LSTM(4, 4, num_layers=5, rng=0)(leaf(2, 6, 4))[0]
    picture = check(arranged(y))
    taken = [edge.part for vertex in picture.vertices for edge in vertex.inputs if edge.source == 0]
    assert taken == ["[:, t]"]
    assert {edge.argument for v in picture.vertices for edge in v.feedback} == {"h", "c"}  # within each layer


def test_loops_of_primitive_steps():
    weights, h, c = (leaf(3, 16), leaf(4, 16), leaf(16)), leaf(2, 4), leaf(2, 4)
    for t in range(12):
        with mg.scope(f"step {t}"):
            h, c = mg.lstm_step(np.ones((2, 3), np.float32), h, c, *weights)
    picture = check(arranged(h * c))
    assert labels(picture)[-2:] == ["lstm_step", "multiply"]
    number = len(picture.vertices) - 2
    assert [(e.source, e.slot, e.argument) for e in picture.vertices[-2].feedback] == [
        (number, 0, "h"),
        (number, 1, "c"),
    ]


def test_other_options_and_short_loops_are_not_folded():
    x = leaf(2, 3, 4)
    for k in range(9):
        x = mg.transpose(x, (1, 0, 2) if k % 4 == 0 else (0, 2, 1))
    for unfolded in (x, loop(3)):
        assert not any(vertex.folds for vertex in arranged(unfolded).vertices)


def test_long_options_are_compared_whole():
    x, h = leaf(*[1] * 14), leaf(*[1] * 14)
    letters = "abcdefghijklmn"
    for t in range(6):
        h = mg.einsum(f"{letters},{letters}->{letters if t == 3 else letters[::-1]}", x, h)
    assert [len(vertex.folds) for vertex in arranged(h).vertices if not vertex.is_leaf] == [0] * 6


def test_max_nodes_limits_operations():
    picture = check(arranged(loop(100), "steps", max_nodes=10))
    assert [vertex.stands_for for vertex in picture.vertices if vertex.label == "tanh"] == [100]  # folded first
    x = leaf(2)
    for k in range(50):
        x = mg.tanh(x) if k * k % 7 in (1, 4) else mg.exp(x) if k % 3 else x * x
    picture = check(arranged(x, max_nodes=5))
    assert labels(picture)[0] == "and 45 more"
    assert len(picture.vertices) == 6


def test_max_nodes_limits_leaves():
    leaves = [leaf(2) for _ in range(1234)]
    picture = arranged(mg.stack(leaves), max_nodes=20)
    assert [v.label for v in picture.vertices[20:]] == ["and 1,214 more leaves", "stack"]
    assert picture.vertices[20].stands_for == 1214
    assert len(picture.vertices[21].inputs) == 21


@pytest.mark.slow
def test_a_million_nodes(full):
    length = 1_000_000 if full else 30_000
    output = chain(length)
    assert f"× {length:,}" in mg.render.to_dot(output)
    assert f"× {length:,}" in mg.render.to_text(output)


def test_a_name_does_not_end_a_loop():
    w, h = leaf(4, 4), leaf(2, 4)
    states = [h := mg.tanh(h @ w) for _ in range(5)]
    names = {"second": states[1], "last": h}
    text, dot = mg.render.to_text((h * h).sum(), names=names), mg.render.to_dot((h * h).sum(), names=names)
    assert text.count("tanh") == dot.count('"tanh') == 1
    assert "× 5" in text
    assert "second (step 1), last" in text
    assert "second (step 1), last" in dot

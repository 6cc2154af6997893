"""Repeats and what is left out: each claim holds by its definition, and the numbers add up."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.render.fold import find_repeats, folded, limited
from minigrad.render.scopes import grouped
from tests.render.graphs import captioner, chain, graphs, leaf, loop
from tests.render.pictures import arranged, check, labels, operations, picture_of, whole


def naive(vertices, least):
    """All (start, period, count) that repeat by the definition, for vertices without leaves that move.

    Every block looks like the first, and from the second on all sources move by the same distance from block to block;
    from the first to the second they do too, unless they are states, which come from the block before: the first block
    may have them as constants.
    """

    def look(i):
        v = vertices[i]
        return v.kind, v.label, v.specs, tuple(sorted([*(edge.argument for edge in v.inputs), *v.constants]))

    def moves(i, period):
        before = {a.argument: a for a in vertices[i - period].inputs}
        found = [(before.get(b.argument), b) for b in vertices[i].inputs]
        return [a and (b.source - a.source, a.slot, b.slot) for a, b in found]

    def fresh(i, edge, period, start):
        """Whether the argument is another input in each block up to this one."""
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
    """Straight-line programs of few kinds of operations, so that some repeat by accident and some by a loop."""
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
def test_repeats_are_what_they_say(output):
    picture = picture_of(output)
    right = naive(picture.vertices, 3)
    end = 0
    for repeat in find_repeats(picture, 3):
        assert (repeat.start, repeat.period, repeat.count) in right
        assert repeat.start >= end
        end = repeat.start + repeat.period * repeat.count


@given(programs())
def test_a_repeat_is_found_where_there_is_one(output):
    picture = picture_of(output)
    assert bool(find_repeats(picture, 3)) == bool(naive(picture.vertices, 3))


@given(graphs(), st.integers(1, 6))
def test_folding_and_limiting_keep_outputs_and_numbers(outputs, most):
    picture = grouped(whole(outputs, "steps"))
    less = check(folded(picture))
    assert operations(less) == operations(picture)
    assert not find_repeats(less, 4)
    least = limited(less, most)
    assert operations(least) - operations(less) in (0, sum(v.stands_for for v in least.vertices if "leaves" in v.label))
    shown = [v for v in least.vertices if v.kind == "operation"]
    assert len(shown) <= most
    for before, after in zip(picture.outputs, least.outputs, strict=True):
        assert before.name == after.name
        assert picture.vertices[before.source].specs[before.slot] == least.vertices[after.source].specs[after.slot]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("steps", [4, 5, 17])
def test_a_loop_shows_whole_steps(steps, first):
    picture = check(arranged(loop(steps, first)))
    elisions = [vertex for vertex in picture.vertices if vertex.kind == "elision"]
    assert [e.label for e in elisions] == [f"{steps - 2} more like this"]
    assert elisions[0].stands_for == 2 * (steps - 2)
    scopes = {vertex.scope for vertex in picture.vertices if vertex.label in ("matmul", "tanh")}
    assert scopes == {(f"step {t}",) for t in [0, steps - 1]}


def test_three_steps_are_not_folded():
    assert "elision" not in {vertex.kind for vertex in arranged(loop(3)).vertices}


def test_loops_of_primitive_steps():
    W, V, b, h, c = leaf(3, 16), leaf(4, 16), leaf(16), leaf(2, 4), leaf(2, 4)
    for t in range(12):
        with mg.scope(f"step {t}"):
            h, c = mg.lstm_step(mg.tensor([[1.0] * 3] * 2), h, c, W, V, b)
    picture = check(arranged(h * c))
    assert labels(picture)[-4:] == ["lstm_step", "10 more like this", "lstm_step", "multiply"]
    assert "× 12, first with" in mg.render.to_text(h * c)
    elision = picture.vertices[-3]
    assert len(elision.specs) == 2  # both states go on
    assert [(edge.source, edge.slot) for edge in picture.vertices[-2].inputs[:2]] == [
        (picture.vertices.index(elision), slot) for slot in (0, 1)
    ]


def steps_of_lstm(state, weights, x=None, steps=8):
    """The state after a loop of `lstm_step` that its author wrote."""
    for t in range(steps):
        with mg.scope(f"step {t}"):
            state = mg.lstm_step(np.ones((2, 3), np.float32) if x is None else x[:, t], *state, *weights)
    return state


def test_a_loop_that_starts_from_constants_folds_from_its_first_step_on():
    weights, zeros = (leaf(3, 16), leaf(4, 16), leaf(16)), np.zeros((2, 4), np.float32)
    h, _ = steps_of_lstm((zeros, zeros), weights, leaf(2, 8, 3))
    assert labels(check(arranged(h)))[4:] == ["getitem", "lstm_step", "6 more like this", "getitem", "lstm_step"]


def test_the_steps_of_a_sequence_are_none_of_a_loop_before_it():
    weights = leaf(3, 16), leaf(4, 16), leaf(16)
    h, c = steps_of_lstm((leaf(2, 4), leaf(2, 4)), weights)
    y, _ = mg.lstm(np.ones((2, 6, 3), np.float32), h, *weights, c)
    assert labels(check(arranged(y)))[5:] == [
        "lstm_step", "6 more like this", "lstm_step", "lstm_step", "4 more steps", "lstm_step", "stack",
    ]  # fmt: skip


def layers(count, steps):
    """LSTM layers one upon another, each with weights of its own in a scope of its own."""
    x = leaf(2, steps, 4)
    for layer in range(count):
        with mg.scope(f"layer {layer}"):
            x, _ = mg.lstm(x, leaf(2, 4), leaf(4, 16), leaf(4, 16), leaf(16))
    return x


@pytest.mark.parametrize("steps", [5, 100])
def test_layers_of_sequences_fold_to_two_layers_of_two_steps(steps):
    picture = check(arranged(layers(6, steps)))
    layer = ["lstm_step", f"{steps - 2} more steps", "lstm_step", "stack"]
    assert labels(picture)[-9:] == [*layer, "4 more like this", *layer]
    assert picture.vertices[-5].stands_for == 4 * (steps + 1)


def test_a_loop_within_a_loop():
    x = leaf(2)
    for t in range(6):
        with mg.scope(f"outer {t}"):
            for s in range(10):
                with mg.scope(f"inner {s}"):
                    x = mg.tanh(x)
            x = mg.exp(x)
    picture = check(arranged(x))
    assert operations(picture) == 66
    assert [v.label for v in picture.vertices if v.kind == "elision"] == [
        "8 more like this", "4 more like this", "8 more like this",
    ]  # fmt: skip


def test_layers_with_weights_of_their_own_are_folded():
    x = leaf(2, 2)
    for layer in range(8):
        with mg.scope(f"layer {layer}"):
            x = mg.tanh(x @ leaf(2, 2))
    assert "6 more like this" in labels(check(arranged(x)))


def test_other_options_or_shapes_are_not_folded():
    x = leaf(2, 3, 4)
    for k in range(9):
        x = mg.transpose(x, (1, 0, 2) if k % 4 == 0 else (0, 2, 1))
    assert "elision" not in {vertex.kind for vertex in arranged(x).vertices}


def test_steps_are_folded_to_one_row():
    picture = check(arranged(captioner(steps=16)))
    steps = [vertex for vertex in picture.vertices if vertex.step is not None]
    assert [(vertex.kind, vertex.label) for vertex in steps] == [
        ("operation", "lstm_step"), ("elision", "14 more steps"), ("operation", "lstm_step"),
    ]  # fmt: skip
    assert [edge.argument for edge in steps[2].inputs[1:3]] == ["h", "c"]


def test_the_same_tensor_often_in_one_call_keeps_all_its_edges():
    x = leaf(2)
    y = mg.stack([mg.tanh(x)] * 5)
    picture = check(arranged([y, chain(20)]))
    assert [len(vertex.inputs) for vertex in picture.vertices if vertex.label == "stack"] == [5]


def test_more_operations_than_wanted():
    picture = check(arranged(loop(100), "steps", max_nodes=10))
    assert "98 more like this" in labels(picture)  # folded first
    x = leaf(2)
    for k in range(50):
        x = mg.tanh(x) if k * k % 7 in (1, 4) else mg.exp(x) if k % 3 else x * x
    picture = check(arranged(x, max_nodes=5))
    assert labels(picture)[0] == "and 45 more"
    assert len(picture.vertices) == 6


def test_more_leaves_than_wanted():
    leaves = [leaf(2) for _ in range(1234)]
    picture = arranged(mg.stack(leaves), max_nodes=20)
    assert [v.label for v in picture.vertices[20:]] == ["and 1,214 more leaves", "stack"]
    assert picture.vertices[20].stands_for == 1214
    assert len(picture.vertices[21].inputs) == 21


def test_an_output_that_is_left_out_is_still_marked():
    x = leaf(2)
    early = mg.exp(mg.tanh(x))
    late = early
    for k in range(30):
        late = mg.sin(late) if k * k % 7 in (1, 4) else mg.cos(late)
    picture = arranged([early, late], max_nodes=3)
    assert picture.vertices[picture.outputs[0].source].kind == "elision"
    assert len(mg.render.to_dot([early, late], max_nodes=3).splitlines()) < 20


def test_a_chain_of_any_length_folds():
    for length in (2000, 20000):
        picture = arranged(chain(length))
        assert labels(picture) == ["input", "add", f"{length - 2:,} more like this", "add"]


@pytest.mark.slow
def test_a_million_nodes(full):
    length = 1_000_000 if full else 30_000
    output = chain(length)
    assert f"{length - 2:,} more like this" in mg.render.to_dot(output)
    assert f"× {length:,}" in mg.render.to_text(output)

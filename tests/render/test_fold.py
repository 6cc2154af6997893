"""Repeats and omitted operations: repeats hold by their definition, and the counts add up."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.render.fold import find_repeats, folded, limited
from minigrad.render.scopes import grouped
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
    assert {(repeat.start, repeat.period, repeat.count) for repeat in found} <= expected
    for before, after in pairwise(found):
        assert before.start + before.period * before.count <= after.start


@given(graphs(), st.integers(1, 6))
def test_folding_and_limiting_keep_outputs_and_counts(outputs, most):
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


def test_loops_of_primitive_steps():
    weights, h, c = (leaf(3, 16), leaf(4, 16), leaf(16)), leaf(2, 4), leaf(2, 4)
    for t in range(12):
        with mg.scope(f"step {t}"):
            h, c = mg.lstm_step(np.ones((2, 3), np.float32), h, c, *weights)
    picture = check(arranged(h * c))
    assert labels(picture)[-4:] == ["lstm_step", "10 more like this", "lstm_step", "multiply"]
    number = len(picture.vertices) - 3  # of the elision
    assert [(edge.source, edge.slot) for edge in picture.vertices[-2].inputs[:2]] == [(number, 0), (number, 1)]


def test_other_options_and_short_loops_are_not_folded():
    x = leaf(2, 3, 4)
    for k in range(9):
        x = mg.transpose(x, (1, 0, 2) if k % 4 == 0 else (0, 2, 1))
    for unfolded in (x, loop(3)):
        assert "elision" not in {vertex.kind for vertex in arranged(unfolded).vertices}


def test_max_nodes_limits_operations():
    picture = check(arranged(loop(100), "steps", max_nodes=10))
    assert "98 more like this" in labels(picture)  # folded first
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
    assert f"{length - 2:,} more like this" in mg.render.to_dot(output)
    assert f"× {length:,}" in mg.render.to_text(output)

"""Listings: one line for each operation, each repeat once, and distinct names."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.primitives import PRIMITIVES
from minigrad.render.labels import index_text, option_text
from tests.render.graphs import graphs, leaf
from tests.render.pictures import whole


@given(graphs())
def test_each_operation_has_a_line_and_names_are_defined_before_use(outputs):
    picture = whole(outputs, "steps")
    known, named = set(), []
    for line in mg.render.to_text(outputs, unroll="steps").splitlines():
        if line.startswith("input"):
            known |= set(re.findall(r"input\d*", line))
        elif match := re.match(r" *(%\d+) = \w+\((.*)\)  ", line):
            arguments = re.sub(r"\[.*?\]|\w+=\S+| × \d+|·|…", "", match[2])
            assert set(re.findall(r"%\d+|\binput\d*", arguments)) <= known, line
            known.add(match[1])
            named.append(match[1])
    assert len(set(named)) == len(named) == sum(not vertex.is_leaf for vertex in picture.vertices)


def test_names_of_lines_cannot_be_names_of_arguments():
    a, b = leaf(2), leaf(2)
    assert mg.render.to_text(mg.tanh(a * b), names={"a": a, "%1": b}).splitlines()[1:] == [
        "%2 = multiply(a, %1)  [2]", "%3 = tanh(%2)         [2]", "output %3",
    ]  # fmt: skip
    signatures = [primitive.signature.parameters for primitive in PRIMITIVES.values()]
    assert not {name for names in signatures for name in names} & {"%2", "%3"}


def test_shapes_and_values_differ():
    x = leaf(2)
    with mg.record():
        y = x - 2
    listed = mg.render.to_text(y).split()
    assert (listed[-3], listed.count("[2]"), listed.count("2")) == ("[2]", 2, 0)
    drawn = re.findall(r'label="([^"]*)"', mg.render.to_dot(y))
    assert {"input\\n[2]", "b = 2", "output\\n[2]"} <= {*drawn}


def test_max_lines():
    x = leaf(2)
    for k in range(300):
        x = mg.tanh(x) if k * k % 7 in (1, 4) else mg.exp(x) if k % 3 else x * x
    lines = mg.render.to_text(x, max_lines=10).splitlines()
    assert len(lines) == 11
    assert re.fullmatch(r"… [\d,]+ more lines", lines[5])
    with pytest.raises(ValueError, match="max_lines must be an int of at least 1, not 0"):
        mg.render.to_text(x, max_lines=0)


@given(st.text(max_size=8), st.text(max_size=8))
def test_any_name_stays_on_its_line(scope, name):
    x = leaf(2)
    with mg.scope(scope):
        y = x * 2.0
    text = mg.render.to_text(y, names={name: x, name + "!": y})
    assert len(text.splitlines()) == text.count("\n") + 1 == 4


def test_text_of_options():
    assert option_text({"axis": (0, 1), "keepdims": True, "dtype": None}) == "axis=(0, 1), keepdims=True"
    assert option_text({"index": (slice(1, None, 2), None, ..., np.array([True]))}) == "[1::2, None, …, mask [1]]"
    assert option_text({"rng": np.random.default_rng(0), "f": np.sin, "kept": [], "axis": ()}) == "axis=()"
    assert (
        option_text({"dtype": np.float64, "n": list(range(20))}) == "dtype=float64, n=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"
    )
    assert len(option_text({"text": "x" * 99})) == 37
    assert (index_text(()), index_text((slice(None), -1))) == ("()", ":, -1")


def folded(indices, of=(9, 20)):
    """How the folded listing of a loop over these indices shows them."""
    x, total = leaf(*of), leaf()
    for t, index in enumerate(indices):
        with mg.scope(f"step {t}"):
            total = total + x[index].sum()
    (line,) = [line for line in mg.render.to_text(total).splitlines() if "getitem" in line]
    return re.search(r"\[.*\](?=\))", line)[0]


@pytest.mark.parametrize(
    ("indices", "said"),
    [
        ([(slice(None), t) for t in range(1, 8)], "[:, 1 … 7]"),
        ([3] * 5, "[3]"),
        ([5, 4, 3], "[5 … 3]"),
        ([0, 3, 1, 4, 1, 5, 2, 6, 7], "[…]"),
        ([(slice(None), slice(k, k + 4)) for k in range(0, 20, 4)], "[:, 0:4 … 16:20]"),
        ([(t, -1) for t in range(4)], "[0 … 3, -1]"),
    ],
)
def test_folded_indices(indices, said):
    assert folded(indices) == said


@given(st.lists(st.integers(0, 8), min_size=3, max_size=9))
def test_folded_indices_are_true(indices):
    said = folded(indices, (9,))
    if len(set(indices)) == 1:
        assert said == f"[{indices[0]}]"
    elif len(set(np.diff(indices))) == 1:
        assert said == f"[{indices[0]} … {indices[-1]}]"
    else:
        assert said == "[…]"


def recurrence(steps, name="step", states=None):
    """The hidden states of a loop with a scope for each step, which may use other states."""
    h, W, found = leaf(3, 3), leaf(3, 3), []
    for t in steps if isinstance(steps, list) else range(steps):
        with mg.scope(f"{name} {t}"):
            h = mg.tanh(h @ W if states is None else h * states[t])
        found.append(h)
    return found


def test_names_after_a_repeat_include_their_step():
    states, x = recurrence(8), leaf(5)
    last = lambda outputs: mg.render.to_text(outputs).splitlines()[-1]  # noqa: E731
    assert last(states) == f"output {', '.join(f'%2 (step {t})' for t in range(7))}, %2"
    assert "%3 = multiply(%2 (step 3), %2)" in mg.render.to_text(states[3] * states[7])
    assert "stack(%2 × 8, axis=0)" in mg.render.to_text(mg.stack(states))
    assert "stack(%2, %2 (step 6), %2 (step 5)" in mg.render.to_text(mg.stack(states[:4:-1]))
    assert last([x[k] for k in range(5)]) == "output %1 (1 of 5), %1 (2 of 5), %1 (3 of 5), %1 (4 of 5), %1"
    assert last(recurrence(20)) == "output %2 (step 0), %2 (step 1), … 17 more …, %2"


def test_loops_name_the_steps_of_an_earlier_loop():
    text = mg.render.to_text(recurrence([5, 4, 3, 2, 1, 0], "back", recurrence(6))[-1])
    assert "%2 (step 5) … %2 (step 0)" in text
    assert "back 5 … back 0:" in text
    assert "again …:" in mg.render.to_text(recurrence([3, 1, 4, 2], "again")[-1])


@pytest.mark.parametrize("count", [9, 300])
def test_many_arguments_are_shortened(count):
    text = mg.render.to_text(mg.stack([leaf(2) for _ in range(count)]))
    assert f"stack(input1, input2, … {count - 3} more …, input{count}, axis=0)" in text
    assert max(map(len, text.splitlines())) < 100


def test_parameters_are_short_within_their_module():
    net = nn.Sequential(*[nn.Linear(2, 2, rng=0) for _ in range(6)])
    lines = mg.render.to_text(net(np.ones((1, 2), np.float32))).splitlines()
    assert lines[1].split() == ["parameter", "Sequential.0.weight", "[2×2]"]
    assert {"  6 layers, first with %1' = x:", "    0 … 5 · Linear 2→2:"} <= set(lines)
    assert "affine(%1', weight, bias)" in "".join(lines)
    assert not [line for line in lines[13:] if "Sequential." in line]


def test_a_state_that_starts_with_two_values():
    a, c = leaf(2), leaf(2)
    h = a
    for t in range(6):
        h = mg.subtract(mg.tanh(h), h if t else c)
    (loop,) = [line for line in mg.render.to_text(h, names={"a": a, "c": c}).splitlines() if "×" in line]
    assert re.search(r"= a \(x of tanh\), .* = c \(b of subtract\)", loop)

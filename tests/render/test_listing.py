"""Listings: one line for each operation, repeats once, names that tell things apart."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.render.labels import index_text, option_text
from minigrad.render.listing import _letters
from tests.render.graphs import captioner, chain, graphs, halves, leaf, loop
from tests.render.pictures import whole


@given(graphs())
def test_each_operation_has_a_line_if_nothing_is_folded(outputs):
    picture = whole(outputs, "steps")
    lines = mg.render.to_text(outputs, unroll="steps").splitlines()
    bindings = [line for line in lines if " = " in line]
    assert len(bindings) == sum(not vertex.is_leaf for vertex in picture.vertices)
    names = [re.match(r" *(\w+) = ", line)[1] for line in bindings]
    assert len(set(names)) == len(names)


@given(graphs())
def test_names_are_bound_before_they_are_used(outputs):
    known = set()
    for line in mg.render.to_text(outputs, unroll="steps").splitlines():
        if line.startswith("input"):
            known |= set(re.findall(r"input\d*", line))
        elif match := re.match(r" *(\w+) = \w+\((.*)\)  ", line):
            arguments = re.sub(r"\[.*?\]|\w+=\S+| × \d+|·|…", "", match[2])
            assert set(re.findall(r"[a-z]+\d*", arguments)) <= known, line
            known.add(match[1])


def test_letters_do_not_collide_with_names():
    a, b = leaf(2), leaf(2)
    assert mg.render.to_text(mg.tanh(a * b), names={"a": a, "b": b}).splitlines()[1:] == [
        "c = multiply(a, b)  2", "d = tanh(c)         2", "output d",
    ]  # fmt: skip
    assert [_letters(n) for n in (0, 25, 26, 701, 702)] == ["a", "z", "aa", "zz", "aaa"]


def test_repeats_say_their_number_and_what_they_start_from():
    text = mg.render.to_text(loop(16))
    assert "× 16, first with b' = input1:" in text
    assert "step 0 … step 15:" in text
    assert text.count("matmul") == 1
    assert "× 16, first with d.0' = c, d.1' = ·:" in mg.render.to_text(captioner())


def test_sequences_as_one_line():
    assert "lstm(a, c, Wx, Wh, b, ·, lengths=" in mg.render.to_text(captioner(), unroll="primitive")


def test_a_long_listing_says_what_it_leaves_out():
    x = leaf(2)
    for k in range(3000):
        x = mg.tanh(x) if k * k % 7 in (1, 4) else mg.exp(x) if k % 3 else x * x
    lines = mg.render.to_text(x, max_lines=10).splitlines()
    assert len(lines) == 11
    assert re.fullmatch(r"… [\d,]+ more lines", lines[5])
    assert lines[-1].startswith("output")
    assert len(mg.render.to_text(x, max_lines=1).splitlines()) == 2
    with pytest.raises(ValueError, match="max_lines must be an int of at least 1, not 0"):
        mg.render.to_text(x, max_lines=0)


@given(st.text(max_size=8), st.text(max_size=8))
def test_any_name_stays_on_its_line(scope, name):
    x = leaf(2)
    with mg.scope(scope):
        y = x * 2.0
    text = mg.render.to_text(y, names={name: x, name + "!": y})
    assert len(text.splitlines()) == text.count("\n") + 1 == 4


def test_named_outputs_and_later_outputs():
    x = leaf(4)
    first, second = halves(x)
    total = first + second
    lines = mg.render.to_text([second, total], names={"x": x, "total": total}).splitlines()
    assert lines[-1] == "output a.1, b (total)"


def test_many_inputs_of_a_kind_take_one_line():
    assert mg.render.to_text(mg.stack([leaf(2) for _ in range(9)])).splitlines()[0].split() == [
        "input", "input1", "input2", "…", "input9", "2",
    ]  # fmt: skip


def test_a_long_chain():
    assert "× 50,000" in mg.render.to_text(chain(50_000))


def test_options_in_words():
    assert option_text({"axis": (0, 1), "keepdims": True, "dtype": None}) == "axis=(0, 1), keepdims=True"
    assert option_text({"index": (slice(1, None, 2), None, ..., np.array([True]))}) == "[1::2, None, …, bool array 1]"
    assert option_text({"rng": np.random.default_rng(0), "f": np.sin, "kept": [], "axis": ()}) == "axis=()"
    assert option_text({"dtype": np.float64, "n": list(range(20))}) == "dtype=float64, n=(0, 1, 2, 3, 4, 5, 6, 7, …)"
    assert len(option_text({"text": "x" * 99})) == 37
    assert index_text(()) == "()"
    assert index_text((slice(None), -1)) == ":, -1"


# What a folded listing says of the steps that it does not show ------------------------------------


def folded(indices, of=(9, 20)):
    """The line of the loop that takes these indices of one tensor: what it says of them."""
    x, total = leaf(*of), leaf()
    for t, index in enumerate(indices):
        with mg.scope(f"step {t}"):
            total = total + x[index].sum()
    (line,) = [line for line in mg.render.to_text(total).splitlines() if "getitem" in line]
    return re.search(r"\[.*\]", line)[0]


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
def test_an_index_says_how_it_moves(indices, said):
    assert folded(indices) == said


@given(st.lists(st.integers(0, 8), min_size=3, max_size=9))
def test_a_folded_index_is_never_false(indices):
    said = folded(indices, (9,))
    if len(set(indices)) == 1:
        assert said == f"[{indices[0]}]"
    elif len(set(np.diff(indices))) == 1:
        assert said == f"[{indices[0]} … {indices[-1]}]"
    else:
        assert said == "[…]"


def recurrence(steps):
    """The hidden states of a loop with a scope for each step."""
    W, h, states = leaf(3, 3), leaf(2, 3), []
    for t in range(steps):
        with mg.scope(f"step {t}"):
            h = mg.tanh(h @ W)
        states.append(h)
    return states


def test_a_letter_after_a_repeat_means_the_last_step_or_says_which():
    states = recurrence(8)
    last = lambda outputs: mg.render.to_text(outputs).splitlines()[-1]  # noqa: E731
    assert last(states) == f"output {', '.join(f'b (step {t})' for t in range(7))}, b"
    assert "c = multiply(b (step 3), b)" in mg.render.to_text(states[3] * states[7])
    assert "stack(b × 8, axis=0)" in mg.render.to_text(mg.stack(states))
    assert "stack(b, b (step 6), b (step 5)" in mg.render.to_text(mg.stack(states[:4:-1]))
    x = leaf(5)
    assert last([x[k] for k in range(5)]) == "output a (1 of 5), a (2 of 5), a (3 of 5), a (4 of 5), a"
    assert last(recurrence(20)) == "output b (step 0), b (step 1), … 17 more …, b"


def test_a_loop_says_from_which_step_of_an_earlier_one_it_takes():
    states, h = recurrence(6), leaf(2, 3)
    for t in reversed(range(6)):
        with mg.scope(f"back {t}"):
            h = mg.tanh(h * states[t])
    text = mg.render.to_text(h)
    assert "b (step 5) … b (step 0)" in text
    assert "back 5 … back 0:" in text
    for t in (3, 1, 4, 2):
        with mg.scope(f"again {t}"):
            h = mg.tanh(h)
    assert "again …:" in mg.render.to_text(h)


@pytest.mark.parametrize("count", [9, 300])
def test_many_arguments_are_cut(count):
    text = mg.render.to_text(mg.stack([leaf(2) for _ in range(count)]))
    assert f"stack(input1, input2, … {count - 3} more …, input{count}, axis=0)" in text
    assert max(map(len, text.splitlines())) < 100


# Names -------------------------------------------------------------------------------------------


def test_an_output_whose_name_begins_with_output():
    x = leaf(2)
    y = x * x
    assert mg.render.to_text(y, names={"output_hidden": y}).splitlines()[-1] == "output a (output_hidden)"
    assert mg.render.to_text([y, x], names={"output 1": y}).splitlines()[-1].startswith("output a (output 1), ")


def test_parameters_are_short_within_the_frame_of_their_module():
    net = nn.Sequential(*[nn.Linear(2, 2, rng=0) for _ in range(6)])
    lines = mg.render.to_text(net(np.ones((1, 2), np.float32))).splitlines()
    assert lines[0].split() == ["parameter", "Sequential.0.weight", "2×2"]
    assert "  × 6, first with a' = ·:" in lines
    assert "    0 … 5:" in lines
    assert "affine(a', weight, bias)" in "".join(lines)
    assert not [line for line in lines[12:] if "Sequential." in line]


def test_a_loop_whose_numbers_are_of_any_length():
    x = leaf(2)
    for t in range(4):
        with mg.scope("step " + "9" * 5000 + str(t)):
            x = mg.tanh(x)
    assert "× 4" in mg.render.to_text(x)


def test_sequences_in_a_loop_are_listed_one_by_one():
    x, weights = leaf(2, 9, 4), (leaf(4, 16), leaf(4, 16), leaf(16))
    for layer in range(3):
        with mg.scope(f"layer {layer}"):
            x, _ = mg.lstm(x, leaf(2, 4), *weights)
    text = mg.render.to_text(x)
    assert text.count("× 9, first with") == 3
    assert "stack(a.0 × 9, axis=1)" in text


def test_a_sequence_whose_first_step_has_other_operations():
    constants = [np.ones(shape, np.float32) for shape in ((2, 6, 3), (2, 4), (3, 16), (4, 16))]
    with mg.record():
        h, _ = mg.lstm(*constants, leaf(16))
    text = mg.render.to_text(h, expand={"lstm_step"})
    assert text.count("× 5, first with") == 1
    assert re.search(r"stack\(\w+ × 5, \w+, axis=1\)", text)


def test_no_operation_has_the_short_name_of_a_parameter():
    class Two(mg.nn.Module):
        def __init__(self):
            self.first, self.second = mg.nn.LSTM(4, 4), mg.nn.LSTM(4, 4)

        def forward(self, x):
            return self.second(mg.tanh(self.first(x)[0]))[0]

    text = mg.render.to_text(Two()(np.ones((2, 3, 4), np.float32)))
    assert "Wx, Wh, b)" in text
    assert not re.search(r"^ *b = ", text, re.MULTILINE)

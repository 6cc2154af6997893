"""Notes of a forward and backward pass: they tell the truth, change nothing, and cost nothing when off."""

from __future__ import annotations

import inspect
import math
import threading
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad import nn
from minigrad.backward import graph_of
from minigrad.compiler.fused import worth_compiling
from minigrad.observers import current
from minigrad.recording import BINS, Stats, note_of
from tests.render.graphs import captioner, leaf


def notes_of(*outputs):
    """The notes on everything behind some tensors."""
    return [note_of(node) for node in graph_of([output.node for output in outputs]).nodes]


# Statistics ------------------------------------------------------------------------------------


@given(hnp.arrays(st.sampled_from([np.float16, np.float32, np.float64]), hnp.array_shapes(min_dims=0, max_side=5),
                  elements={"allow_nan": True, "allow_infinity": True}))  # fmt: skip
def test_statistics_of_any_array(array):
    stats = Stats.of(array)
    x = array.astype(np.float64).ravel()
    good = x[np.isfinite(x)]
    assert stats.size == array.size
    assert stats.unusual == x.size - good.size
    assert sum(stats.bars) == good.size
    assert len(stats.bars) == BINS
    if good.size:
        assert (stats.low, stats.high) == (good.min(), good.max())
        slack = 1e-9 * max(abs(stats.low), abs(stats.high))
        assert stats.low - slack <= stats.mean <= stats.high + slack
        assert stats.std >= 0
    if stats.unusual:
        assert not math.isfinite(stats.norm)
    else:
        largest = float(np.abs(x).max(initial=0))
        assert largest * (1 - 1e-9) <= stats.norm <= largest * max(1, x.size) ** 0.5 * (1 + 1e-9)


def test_bars_are_a_histogram():
    x = np.linspace(-1, 3, 1001) ** 3
    np.testing.assert_array_equal(Stats.of(x).bars, np.histogram(x, BINS)[0])
    for name, expected in {"norm": np.linalg.norm(x), "mean": x.mean(), "std": x.std()}.items():
        np.testing.assert_allclose(getattr(Stats.of(x), name), expected)
    assert Stats.of(np.full(7, 2.5)).bars[BINS // 2] == 7
    assert sum(Stats.of(np.array([-1.7e308, 1.7e308])).bars) == 2


# What is noted ---------------------------------------------------------------------------------


def test_values_gradients_flows_and_inputs():
    x, b = mg.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True), leaf(2)
    with mg.record():
        y = x + b
        z = y * 2.0
        z.backward(np.array([[3.0, 0.0], [4.0, 0.0]], np.float32))
    add, scale = note_of(y.node), note_of(z.node)
    assert add.values[0].norm == np.linalg.norm(y.data)
    assert scale.gradients[0].norm == 5.0
    assert add.gradients[0].norm == 10.0
    assert add.flows == {"a": 10.0, "b": 14.0}  # what reaches b is summed over rows
    assert scale.flows == {"a": 10.0}
    assert note_of(b.node).gradients[0].norm == 14.0


@pytest.mark.parametrize("options", [{"values": False}, {"gradients": False}, {"lines": False}])
def test_each_kind_can_be_left_out(options):
    x = leaf(2)
    with mg.record(**options):
        y = x * x
        y.sum().backward()
    note = note_of(y.node)
    assert bool(note.values) == ("values" not in options)
    assert bool(note.gradients) == bool(note.flows) == ("gradients" not in options)
    assert bool(note.line) == ("lines" not in options)


# Steps of sequences ----------------------------------------------------------------------------


def by_steps(cell, x, states, weights, direct):
    """The norms of dL/d(state) at each step, of the same recurrence written as a loop of steps, newest notes."""
    gradients, flows, loss = [], [], 0.0
    step = {"rnn": mg.rnn_step, "lstm": mg.lstm_step}[cell]
    with mg.record():
        parts = []
        for t in range(x.shape[1]):
            part = mg.tensor(x[:, t], requires_grad=True)
            states = step(part, *states, *weights)
            states = states if isinstance(states, tuple) else (states,)
            parts.append((part, states[0].node))
            loss = sum(((s * mg.tensor(d[:, t])).sum() for s, d in zip(states, direct, strict=True)), loss)
        loss.backward()
    for part, node in parts:
        gradients.append([g.norm for g in note_of(node).gradients])
        flows.append(np.linalg.norm(part.grad))
    return np.array(gradients), np.array(flows)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_steps_of_a_sequence_are_those_of_a_loop(cell, steps):
    rng = np.random.default_rng(steps)
    N, D, H, G = 3, 4, 5, 5 * (4 if cell == "lstm" else 1)
    count = 2 if cell == "lstm" else 1
    x, first = rng.standard_normal((N, steps, D)), rng.standard_normal((count, N, H))
    arrays = [rng.standard_normal(shape) / 2 for shape in [(D, G), (H, G), (G,)]]
    direct = rng.standard_normal((count, N, steps, H))

    weights = [mg.tensor(a, requires_grad=True) for a in arrays]
    begin = [mg.tensor(a, requires_grad=True) for a in first]
    gradients, flows = by_steps(cell, x, begin, weights, direct)

    weights = [mg.tensor(a, requires_grad=True) for a in arrays]
    begin = [mg.tensor(a, requires_grad=True) for a in first]
    source = mg.tensor(x, requires_grad=True)
    with mg.record():
        if cell == "rnn":
            outputs = (mg.rnn(source, begin[0], *weights),)
        else:
            outputs = mg.lstm(source, begin[0], *weights, begin[1])
        sum((s * mg.tensor(d)).sum() for s, d in zip(outputs, direct, strict=True)).backward()
    note = note_of(outputs[0].node)
    np.testing.assert_allclose(np.transpose([note.gradient_steps[k] for k in range(count)]), gradients, rtol=1e-10)
    np.testing.assert_allclose(note.flow_steps["x"], flows, rtol=1e-10)
    for index in range(count):
        np.testing.assert_allclose(note.direct_steps[index], np.linalg.norm(direct[index], axis=(0, 2)), rtol=1e-10)
        values = np.linalg.norm(outputs[index].data, axis=(0, 2))
        np.testing.assert_allclose(note.value_steps[index], values, rtol=1e-10)


# Lines -----------------------------------------------------------------------------------------


def test_the_line_is_that_of_the_user():
    x = leaf(2)
    with mg.record():
        y, line = mg.tanh(x), inspect.currentframe().f_lineno
        z = x + x
    assert note_of(y.node).line == f"test_recording.py:{line}"
    assert note_of(z.node).line == f"test_recording.py:{line + 1}"  # through an operator


def test_the_line_of_a_function_in_another_file_and_of_a_layer(tmp_path):
    names: dict = {"mg": mg}
    exec(compile("def double(x):\n    return x * 2.0\n", str(tmp_path / "other.py"), "exec"), names)
    with mg.record():
        y = names["double"](leaf(2))
        h, line = nn.Linear(2, 3)(np.ones((1, 2), np.float32)), inspect.currentframe().f_lineno
    assert note_of(y.node).line == "other.py:2"
    assert note_of(h.node).line == f"test_recording.py:{line}"


# Contexts --------------------------------------------------------------------------------------


def test_nothing_is_noted_outside():
    x = leaf(2)
    y = (x * x).sum()
    y.backward()
    assert notes_of(y) == [None] * 3
    assert current() == ()


def test_another_thread_is_not_recorded():
    seen = {}

    def work():
        seen["node"] = mg.tanh(leaf(2)).node

    with mg.record():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert note_of(seen["node"]) is None


def test_of_two_passes_the_last_counts():
    x = leaf(2)
    with mg.record():
        y = mg.tanh(x)
        y.backward(np.array([3.0, 4.0], np.float32), retain_graph=True)
        y.backward(np.array([0.3, 0.4], np.float32))
    assert note_of(y.node).gradients[0].norm == pytest.approx(0.5)
    assert note_of(x.node).gradients[0].norm == pytest.approx(note_of(y.node).flows["x"])


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_gradients_are_the_same(cell):
    """Bit by bit, but for compiled steps: those of a recorded pass run one at a time, in NumPy."""

    def gradients(context):
        mg.manual_seed(0)
        with context:
            loss = captioner(cell)
            loss.backward()
        return [node.grad for node in graph_of([loss.node]).nodes if node.primitive is None]

    for g, recorded in zip(gradients(nullcontext()), gradients(mg.record()), strict=True):
        np.testing.assert_allclose(g, recorded, rtol=0, atol=1e-6 * np.abs(g).max() * worth_compiling(10**9))

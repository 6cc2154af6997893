"""Norms of values and gradients at vertices and edges, as they were noted."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.recording import note_of
from minigrad.render.heat import _at, flow_norm, gradient_norm, value_norm
from tests.render.graphs import captioner, recorded
from tests.render.pictures import arranged


def test_expanded_steps_look_the_same_within_a_recorder():
    loss = recorded(captioner, steps=3)
    options = {"values": "norm", "gradients": True, "unroll": "steps", "expand": {"lstm_step"}}
    outside = mg.render.to_dot(loss, **options)
    with mg.record():
        assert mg.render.to_dot(loss, **options) == outside


def test_norms_of_steps_and_of_what_flows_between_them():
    loss = recorded(captioner)
    picture = arranged(loss, "steps")
    steps = [v for v in picture.vertices if v.step is not None]
    note = note_of(steps[0].node)
    for t, step in enumerate(steps):
        assert [gradient_norm(step, slot) for slot in (0, 1)] == [note.gradient_steps[slot][t] for slot in (0, 1)]
        assert value_norm(step, 0) == note.value_steps[0][t]
        flows = {edge.argument: flow_norm(picture, step, edge) for edge in step.inputs}
        assert flows["x"] == note.flows["x"]  # rows that several steps take
        if t:
            assert flows["h"] == note.gradient_steps[0][t - 1]
            assert flows["c"] == note.gradient_steps[1][t - 1]


def test_what_flows_to_each_step_of_an_input():
    x = mg.tensor(np.linspace(-1, 1, 24).reshape(2, 3, 4), requires_grad=True)
    with mg.record():
        y = mg.rnn(x, np.zeros((2, 5)), np.full((4, 5), 0.1), np.full((5, 5), 0.2), np.zeros(5))
        (y * y).sum().backward()
    picture = arranged(y, "steps")
    steps = [v for v in picture.vertices if v.step is not None]
    norms = [flow_norm(picture, step, edge) for step in steps for edge in step.inputs if edge.argument == "x"]
    assert norms == pytest.approx(np.linalg.norm(x.grad, axis=(0, 2)))


def test_what_gathers_a_later_state_has_the_norm_of_that_state():
    x = mg.tensor(np.ones((2, 3, 4)), requires_grad=True)
    with mg.record():
        weights = [np.full(shape, 0.1) for shape in ((4, 20), (5, 20), (20,))]
        cells = mg.lstm(x, np.zeros((2, 5)), *weights)[1]
        loss = (3 * cells).sum()
        loss.backward()
    stack = next(v for v in arranged(loss, "steps").vertices if v.label == "stack")
    assert gradient_norm(stack, 0) == pytest.approx(3 * np.sqrt(cells.size))
    assert value_norm(stack, 0) == pytest.approx(np.linalg.norm(cells.data))


@pytest.mark.parametrize("steps", [3, 8])
def test_what_gathers_a_state_keeps_its_norm_when_the_steps_are_expanded(steps):
    x = mg.tensor(np.ones((2, steps, 4)), requires_grad=True)
    with mg.record():
        h, c = mg.lstm(x, np.zeros((2, 5)), *[np.full(shape, 0.1) for shape in ((4, 20), (5, 20), (20,))])
        loss = (h * 2).sum() + (3 * c).sum()
        loss.backward()
    for unroll in ("steps", "fold"):
        stacks = [v for v in arranged(loss, unroll, expand={"lstm_step"}).vertices if v.label == "stack"]
        values = [value_norm(v, 0) for v in stacks]
        norms = [gradient_norm(v, 0) for v in stacks]
        assert sorted(norms) == pytest.approx([2 * np.sqrt(h.size), 3 * np.sqrt(c.size)])
        assert sorted(values) == pytest.approx(sorted([np.linalg.norm(h.data), np.linalg.norm(c.data)]))


def test_norms_at_the_elided_steps():
    picture = arranged(recorded(captioner), "fold")
    first, elision, last = (v for v in picture.vertices if v.step is not None)
    note = note_of(first.node)
    into = {edge.argument: flow_norm(picture, elision, edge) for edge in elision.inputs}
    assert (into["h"], into["c"]) == (note.gradient_steps[0][0], note.gradient_steps[1][0])
    out = {edge.argument: flow_norm(picture, last, edge) for edge in last.inputs}
    assert (out["h"], out["c"]) == (note.gradient_steps[0][14], note.gradient_steps[1][14])
    assert gradient_norm(elision, 0) is None


def test_what_the_first_step_takes_from_an_elision_has_no_norm_of_the_last_step():
    rnn, x = mg.nn.RNN(3, 4), mg.tensor(np.ones((1, 2, 3), np.float32), requires_grad=True)
    with mg.record():
        loss = rnn(x * 2)[0].sum()
        loss.backward()
    for most in range(1, 9):
        assert mg.render.to_dot(loss, gradients=True, max_nodes=most)
    assert _at([1.0, 2.0], -1) is None

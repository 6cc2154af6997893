"""Norms of values and gradients at vertices and edges, as they were noted."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.observers import Observer, observing
from minigrad.recording import note_of
from minigrad.render.heat import flow_norm, gradient_norm, value_norm
from tests.render.graphs import captioner, recorded
from tests.render.pictures import arranged


def test_norms_of_steps_and_edges():
    loss = recorded(captioner)
    picture = arranged(loss, "steps")
    steps = [v for v in picture.vertices if v.step is not None]
    note = note_of(steps[0].node)
    for t, step in enumerate(steps):
        assert [gradient_norm(step, slot) for slot in (0, 1)] == [note.gradient_steps[slot][t] for slot in (0, 1)]
        assert value_norm(step, 0) == note.value_steps[0][t]
        flows = {edge.argument: flow_norm(picture, step, edge) for edge in step.inputs}
        assert flows["x"] == note.flow_steps["x"][t]
        if t:
            assert flows["h"] == note.gradient_steps[0][t - 1]
            assert flows["c"] == note.gradient_steps[1][t - 1]


def test_gradients_of_an_input_step_by_step():
    x = mg.tensor(np.linspace(-1, 1, 24).reshape(2, 3, 4), requires_grad=True)
    with mg.record():
        y = mg.rnn(x, np.zeros((2, 5)), np.full((4, 5), 0.1), np.full((5, 5), 0.2), np.zeros(5))
        (y * y).sum().backward()
    picture = arranged(y, "steps")
    steps = [v for v in picture.vertices if v.step is not None]
    norms = [flow_norm(picture, step, edge) for step in steps for edge in step.inputs if edge.argument == "x"]
    assert norms == pytest.approx(np.linalg.norm(x.grad, axis=(0, 2)))


class Rows(Observer):
    def step_inputs(self, cotangent):
        self.rows = cotangent


def test_gradients_of_looked_up_rows_step_by_step():
    """Steps that take rows of a table have the gradient of their own rows, as if each step had a copy."""
    rng = np.random.default_rng(0)
    table, indices = mg.tensor(rng.standard_normal((6, 4)), requires_grad=True), rng.integers(0, 6, (3, 5))
    weights = np.zeros((3, 7)), rng.standard_normal((4, 28)), rng.standard_normal((7, 28)), np.zeros(28)
    lengths = [5, 2, 4]
    with mg.record(), observing(observer := Rows()):
        h, _ = mg.lstm(table, *weights, lengths=lengths, indices=indices)
        (h * h).sum().backward()
    copies = mg.tensor(table.numpy()[indices], requires_grad=True)
    (mg.lstm(copies, *weights, lengths=lengths)[0] ** 2).sum().backward()
    picture = arranged(h, "steps")
    steps = [v for v in picture.vertices if v.step is not None]
    norms = [flow_norm(picture, step, edge) for step in steps for edge in step.inputs if edge.argument == "x"]
    assert norms == pytest.approx(np.linalg.norm(copies.grad, axis=(0, 2)))
    assert len(set(norms)) == 5
    np.testing.assert_allclose(observer.rows(), copies.grad)  # computed only when an observer asks for it

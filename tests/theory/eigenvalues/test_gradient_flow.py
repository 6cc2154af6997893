"""Jacobians of networks, against PyTorch and differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import minigrad as mg
from minigrad.check import numerical_gradient
from tests.checks import Case
from tests.peers import Peer
from theory.eigenvalues.domains import networks
from theory.eigenvalues.gradient_flow import cell_jacobians, forget_gates, rnn_bounds, rnn_jacobians, rnn_states

PYTORCH = Peer(__name__)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, atol=1e-11 * max(1.0, abs(expected).max()))


def rnn_arrays(example):
    arrays = example.arrays(1)
    del arrays["c0"]
    return arrays


@pytest.mark.parametrize("stepwise", [False, True])
def test_rnn_against_torch(stepwise):
    def theirs(torch, **arrays):
        x, h0, Wx, Wh, b = (torch.tensor(a) for a in arrays.values())

        def run(h):
            states = []
            for inputs in x:
                h = torch.tanh(inputs @ Wx + h @ Wh + b)
                states.append(h)
            return torch.stack(states)

        return run(h0), torch.autograd.functional.jacobian(run, h0)

    def check(answer):
        states, jacobians = answer.expected
        np.testing.assert_allclose(rnn_states(**answer.options), states, atol=1e-12)
        close(rnn_jacobians(**answer.options, stepwise=stepwise), jacobians)

    cases = networks().map(lambda example: Case([], rnn_arrays(example)))
    PYTORCH.ask_drawn(f"rnn, stepwise: {stepwise}", theirs, cases, check)


@pytest.mark.parametrize("stepwise", [False, True])
def test_cell_path_against_torch_with_recurrent_weights(stepwise):
    def theirs(torch, **arrays):
        x, h0, c0, Wx, Wh, b = (torch.tensor(a) for a in arrays.values())

        def run(c):
            h, cells = h0, []
            for inputs in x:
                i, f, o, g = (inputs @ Wx + h @ Wh + b).reshape(4, -1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                cells.append(c)
            return torch.stack(cells)

        return torch.autograd.functional.jacobian(run, c0)

    def check(answer):
        close(cell_jacobians(**answer.options, stepwise=stepwise), answer.expected)

    cases = networks().map(lambda example: Case([], example.arrays(4)))
    PYTORCH.ask_drawn(f"lstm, stepwise: {stepwise}", theirs, cases, check)


def test_rnn_against_differences():
    arrays = {"x": [[0.5]], "h0": [0.2, -0.3], "Wx": [[1.0, -1.0]], "Wh": [[0.5, 1.0], [-1.0, 0.3]], "b": [0.1, 0.0]}
    h0 = np.array(arrays.pop("h0"))
    for unit in range(2):
        slopes = numerical_gradient(lambda h, unit=unit: mg.tensor(rnn_states(h0=h.data, **arrays)[0, unit]), h0)
        np.testing.assert_allclose(rnn_jacobians(h0=h0, **arrays)[0, unit], slopes, atol=1e-7)


@given(networks())
def test_bounds_are_above_the_norms(example):
    arrays = rnn_arrays(example)
    norms = np.linalg.norm(rnn_jacobians(**arrays), 2, axis=(1, 2))
    assert (norms <= rnn_bounds(rnn_states(**arrays), arrays["Wh"]) * (1 + 1e-9) + 1e-15).all()


@given(networks())
def test_forget_gates_are_the_second_block(example):
    arrays = example.arrays(4)
    H = example.H
    expected = 1 / (1 + np.exp(-(arrays["x"] @ arrays["Wx"][:, H : 2 * H] + arrays["b"][H : 2 * H])))
    np.testing.assert_allclose(forget_gates(arrays["x"], arrays["Wx"], arrays["b"]), expected, atol=1e-14)


def test_forget_gates_do_not_overflow():
    np.testing.assert_array_equal(forget_gates([[1.0]], np.zeros((1, 4)), [0, -1e4, 0, 0]), [[0.0]])


GOOD = {"x": np.zeros((3, 2)), "h0": np.zeros(2), "Wx": np.zeros((2, 2)), "Wh": np.eye(2), "b": np.zeros(2)}
LSTM = {"x": np.zeros((3, 2)), "h0": np.zeros(2), "c0": np.zeros(2), "Wx": np.zeros((2, 8)), "Wh": np.zeros((2, 8)),
        "b": np.zeros(8)}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", np.zeros(3), r"x must have the shape \(T, D\); got \(3,\)"),
        ("x", np.zeros((0, 2)), r"x must not be empty; got the shape \(0, 2\)"),
        ("h0", np.zeros(0), "h0 must not be empty"),
        ("h0", np.zeros((1, 2)), r"h0 must have the shape \(2,\); got \(1, 2\)"),
        ("Wx", np.zeros((3, 2)), r"Wx must have the shape \(2, {h}\); got \(3, 2\)"),
        ("Wh", np.zeros((2, 3)), r"Wh must have the shape \(2, {h}\); got \(2, 3\)"),
        ("b", np.zeros(3), r"b must have the shape \({h},\); got \(3,\)"),
        ("Wh", None, "the entries of Wh must be finite"),
    ],
)
def test_bad_networks(name, value, message):
    for function, good, h in ((rnn_states, GOOD, 2), (rnn_jacobians, GOOD, 2), (cell_jacobians, LSTM, 8)):
        bad = good[name] * np.nan if value is None else value
        with pytest.raises(ValueError, match=f"^{function.__name__}: " + message.replace("{h}", str(h))):
            function(**{**good, name: bad})


def test_other_bad_input():
    with pytest.raises(ValueError, match=r"c0 must have the shape \(2,\); got \(3,\)"):
        cell_jacobians(**{**LSTM, "c0": np.zeros(3)})
    with pytest.raises(ValueError, match=r"states must have the shape \(T, 2\), H as in Wh; got \(3,\)"):
        rnn_bounds(np.zeros(3), np.eye(2))
    with pytest.raises(ValueError, match="Wh must be a square matrix"):
        rnn_bounds(np.zeros((3, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"forget_gates: b must have the shape \(4H,\)"):
        forget_gates([[1.0]], np.zeros((1, 5)), np.zeros(5))
    with pytest.raises(ValueError, match=r"forget_gates: Wx must have the shape \(1, 4\)"):
        forget_gates([[1.0]], np.zeros((2, 4)), np.zeros(4))

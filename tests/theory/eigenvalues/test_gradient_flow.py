"""Jacobians of networks, against PyTorch and differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

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

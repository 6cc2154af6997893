"""Rows that no cotangent reaches take no part in gradients, which are the same as with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import ops
from minigrad.backward import reverse_pass, seed_of
from minigrad.ops.kernels import sequences
from minigrad.ops.kernels.packing import Packing
from minigrad.ops.kernels.zero_rows import reached_rows, rows_with_any
from tests.checks import leaf, outputs_of, pull
from tests.ops.test_recurrent import CASES as RECURRENT

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@given(st.data())
def test_rows_with_any_entry_are_found_wherever_the_entry_lies(data):
    shape = data.draw(st.integers(0, 5)), data.draw(st.integers(1, 40))
    g = np.zeros(shape)
    expected = np.zeros(len(g), bool)
    for row in range(len(g)):
        if data.draw(st.booleans()):
            g[row, data.draw(st.integers(0, shape[1] - 1))] = data.draw(st.sampled_from([1.0, -1e-300, np.nan, np.inf]))
            expected[row] = True
    np.testing.assert_array_equal(rows_with_any(g), expected)


def test_few_numbers_or_few_rows_of_zeros_are_not_worth_it():
    g = np.ones((2**10, 64))
    g[:100] = 0  # less than a tenth
    assert reached_rows(np.zeros((2**10, 63))) is reached_rows(g) is None
    g[:103] = 0
    np.testing.assert_array_equal(reached_rows(g), np.arange(103, 2**10))


def test_an_affine_maps_gradient_of_rows_that_no_cotangent_reaches_is_0():
    """And that of the others is in their own rows."""
    x, W, g = (np.random.default_rng(0).standard_normal(s) for s in ((2**10, 3), (3, 64), (2**10, 64)))
    g[200:700] = 0
    dx, dW = pull(ops.affine, [leaf(x), leaf(W)], [g])[1]
    np.testing.assert_allclose(dx, g @ W.T, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dW, x.T @ g, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", GATES)
@given(data=st.data())
def test_a_layer_has_the_gradients_that_it_has_with_all_steps(name, data):
    case = data.draw(RECURRENT[name])
    h = outputs_of(getattr(ops, name)(*case.inputs, **case.options))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**20)))
    N, T, _ = h[0].shape
    reached = (np.arange(T) < rng.integers(0, T + 1, N)[:, None])[..., None]
    used = data.draw(st.lists(st.booleans(), min_size=len(h), max_size=len(h)))
    g = [rng.normal(size=y.shape) * reached if u else None for y, u in zip(h, used, strict=True)]
    found = []
    for cutting in (0, 2**62):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sequences, "_WORTH_CUTTING", cutting)
            tensors = [None if x is None else leaf(x) for x in case.inputs]
            states = outputs_of(getattr(ops, name)(*tensors, **case.options))
            grads = reverse_pass([seed_of(y, u) for y, u in zip(states, g, strict=True) if u is not None])
            found.append([grads.get(t.node, np.zeros(1)) for t in tensors if t is not None])
    for mine, expected in zip(*found, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-12, atol=1e-13)


def test_a_model_without_lengths_computes_in_its_reverse_pass_what_the_loss_asks_for(monkeypatch):
    rng = np.random.default_rng(0)
    N, T, H, V = 25, 17, 128, 1000
    ends = rng.integers(3, T, N)
    words = np.where(np.arange(T) < ends[:, None], rng.integers(1, V, (N, T)), 0)
    cut_rows, shortened = [], Packing.shortened

    def noted(packing, lengths):
        shorter, places = shortened(packing, lengths)
        cut_rows.append(len(places))
        return shorter, places

    monkeypatch.setattr(Packing, "shortened", noted)

    def gradients(lengths):
        lstm, vocabulary = mg.nn.LSTM(H, H, rng=0), mg.nn.Linear(H, V, rng=1)
        x = mg.tensor(np.random.default_rng(2).normal(size=(N, T, H)).astype(np.float32), requires_grad=True)
        h, _ = lstm(x, lengths=lengths)
        mg.cross_entropy(vocabulary(h), words, ignore_index=0, reduction="sum").backward()
        return [x.grad, *(p.grad for p in (*lstm.parameters(), *vocabulary.parameters()))]

    without = gradients(None)
    assert cut_rows == [ends.sum()]
    given_lengths = gradients(ends)
    assert len(cut_rows) == 1  # all rows of these are reached
    for found, expected in zip(without, given_lengths, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_a_recorder_of_steps_sees_all_of_them(monkeypatch):
    monkeypatch.setattr(sequences, "_WORTH_CUTTING", 0)
    x = mg.tensor(np.ones((1, 4, 1)), requires_grad=True)
    with mg.record():
        h = ops.rnn(x, np.zeros((1, 1)), np.ones((1, 1)), np.ones((1, 1)), np.zeros(1))
        h[:, 0].sum().backward()
    assert x.grad[0, 0] != 0
    assert not x.grad[0, 1:].any()

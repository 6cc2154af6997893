"""Rows that no cotangent reaches take no part in gradients, which are the same as with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import ops
from minigrad.ops.kernels import sequences
from minigrad.ops.kernels.packing import Packing
from minigrad.ops.kernels.zero_rows import reached_rows, rows_with_any

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
    assert reached_rows(np.zeros((2**10, 63))) is None
    g = np.ones((2**10, 64))
    g[:100] = 0  # less than a tenth
    assert reached_rows(g) is None
    g[:103] = 0
    np.testing.assert_array_equal(reached_rows(g), np.arange(103, 2**10))


def _gradients(name, arrays, cotangents, lengths, indices, monkeypatch, cutting):
    monkeypatch.setattr(sequences, "_WORTH_CUTTING", 0 if cutting else 2**62)
    tensors = [mg.tensor(x, requires_grad=True) for x in arrays]
    states = getattr(ops, name)(*tensors, lengths=lengths, indices=indices)
    states = states if isinstance(states, tuple) else (states,)
    sum((s * g).sum() for s, g in zip(states, cotangents, strict=True) if g is not None).backward()
    return [t.grad for t in tensors]


@pytest.mark.parametrize("name", GATES)
@settings(max_examples=40)
@given(data=st.data())
def test_a_layer_has_the_gradients_that_it_has_with_all_steps(name, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**20)))
    N, T, D, H = (data.draw(st.integers(1, 5)) for _ in range(4))
    G = GATES[name]
    indices = rng.integers(0, 3, (N, T)) if data.draw(st.booleans()) else None
    x = rng.normal(size=(N, T, D) if indices is None else (3, D))
    lengths = rng.integers(0, T + 1, N) if data.draw(st.booleans()) else None
    arrays = [
        x,
        rng.normal(size=(N, H)),
        rng.normal(size=(D, G * H)),
        rng.normal(size=(H, G * H)),
        rng.normal(size=G * H),
    ]
    arrays += {"rnn": [], "lstm": [rng.normal(size=(N, H))], "gru": [rng.normal(size=G * H)]}[name]
    reached = rng.integers(0, T + 1, N)
    cotangents = [
        rng.normal(size=(N, T, H)) * (np.arange(T) < reached[:, None])[..., None] for _ in range(1 + (name == "lstm"))
    ]
    if name == "lstm" and data.draw(st.booleans()):
        cotangents[data.draw(st.integers(0, 1))] = None
    with pytest.MonkeyPatch.context() as patch:
        cutting, whole = (
            _gradients(name, arrays, cotangents, lengths, indices, patch, cutting) for cutting in (True, False)
        )
    for found, expected in zip(cutting, whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


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

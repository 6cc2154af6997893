"""Recurrences and threshold networks against an independent truth."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from theory.parity.units import (
    all_sequences,
    as_bits,
    or_unit,
    parity,
    printed_linear_network,
    printed_network,
    run_unit,
    sequences_up_to,
    step,
    step_rnn,
    threshold_network,
    threshold_weights,
    xor_unit,
)  # fmt: skip

SEQUENCES = st.lists(st.integers(0, 1), max_size=60)
BATCHES = st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 999)).map(
    lambda c: np.random.default_rng(c[2]).integers(0, 2, c[:2])
)


def by_counting(sequence):
    """Parity by counting ones, which shares no code with xor."""
    return [sum(sequence[: t + 1]) % 2 for t in range(len(sequence))]


@given(SEQUENCES)
def test_parity_counts_ones(sequence):
    assert parity(sequence).tolist() == by_counting(sequence)
    assert parity(sequence).shape == (len(sequence),)


@given(BATCHES)
def test_parity_of_a_batch_is_that_of_its_rows(bits):
    assert parity(bits).shape == bits.shape
    for row, y in zip(bits, parity(bits), strict=True):
        assert y.tolist() == functools.reduce(lambda ys, x: [*ys, operator.xor(ys[-1] if ys else 0, int(x))], row, [])


@pytest.mark.parametrize("bits", [[True, False], [1.0, 0.0], np.array([1, 0], np.uint8), (1, 0)])
def test_bits_of_any_kind(bits):
    assert as_bits(bits).tolist() == [1, 0]
    assert as_bits(bits).dtype == np.int64


@pytest.mark.parametrize(
    "function", [as_bits, parity, threshold_network, printed_network, printed_linear_network], ids=lambda f: f.__name__
)
@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ([0, 2], r"bits must be 0 or 1; entry \(1,\) is 2"),
        ([[0, 1], [-1, 0]], r"bits must be 0 or 1; entry \(1, 0\) is -1"),
        ([0.5], r"bits must be 0 or 1; entry \(0,\) is 0.5"),
        ([np.nan], r"bits must be 0 or 1; entry \(0,\) is nan"),
        (1, r"bits must have shape \(T,\) or \(N, T\), not \(\)"),
        ([[0, 1], [1]], r"bits must have shape \(T,\) or \(N, T\), but the rows differ in length"),
        (np.zeros((1, 2, 3)), r"bits must have shape \(T,\) or \(N, T\), not \(1, 2, 3\)"),
    ],
)
def test_what_is_not_bits(function, bits, message):
    with pytest.raises(ValueError, match=rf"^{function.__name__}: {message}$"):
        function(bits)


def test_sequences_are_all_there_and_the_smallest_first():
    for T in range(8):
        assert all_sequences(T).shape == (2**T, T)
        as_numbers = [int("".join(map(str, row)) or "0", 2) for row in all_sequences(T).tolist()]
        assert as_numbers == list(range(2**T))
    listed = list(sequences_up_to(6))
    assert listed == sorted(set(listed), key=lambda s: (len(s), s))
    assert len(listed) == 2**7 - 2
    with pytest.raises(ValueError, match="all_sequences: the length must be a whole number of at least 0; got -1"):
        all_sequences(-1)
    with pytest.raises(ValueError, match=r"all_sequences: the length must be a whole number of at least 0; got 2\.5"):
        all_sequences(2.5)
    with pytest.raises(ValueError, match="sequences_up_to: the length must be a whole number of at least 0; got -1"):
        list(sequences_up_to(-1))


@given(SEQUENCES)
def test_units_are_or_and_xor(sequence):
    assert run_unit(xor_unit, sequence) == by_counting(sequence)
    assert run_unit(or_unit, sequence) == [int(any(sequence[: t + 1])) for t in range(len(sequence))]


@given(SEQUENCES.filter(len))
def test_units_run_on_tensors(sequence):
    states = run_unit(xor_unit, [mg.tensor(float(x)) for x in sequence])
    assert [float(h.numpy()) for h in states] == by_counting(sequence)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=30))
def test_in_signs_the_unit_is_a_product(values):
    h = run_unit(xor_unit, values)[-1]
    assert 1 - 2 * h == pytest.approx(np.prod(1 - 2 * np.array(values)), rel=1e-9, abs=1e-9)


@given(SEQUENCES)
def test_threshold_network_is_parity(sequence):
    y, h = threshold_network(sequence)
    assert y.tolist() == by_counting(sequence)
    assert h.shape == (len(sequence), 2)
    previous = [0, *y.tolist()][: len(sequence)]
    assert h[:, 0].tolist() == [p | x for p, x in zip(previous, sequence, strict=True)]
    assert h[:, 1].tolist() == [p & x for p, x in zip(previous, sequence, strict=True)]


@given(BATCHES)
def test_networks_of_a_batch_are_those_of_its_rows(bits):
    for network in (threshold_network, printed_network, printed_linear_network):
        y, h = network(bits)
        assert y.shape == bits.shape
        assert h.shape == (*bits.shape, 2)
        for n, row in enumerate(bits):
            assert (y[n] == network(row)[0]).all()
            assert (h[n] == network(row)[1]).all()


@given(SEQUENCES)
def test_printed_networks(sequence):
    y, h = printed_network(sequence)
    assert y.tolist() == run_unit(or_unit, sequence)
    assert not h[:, 1].any()  # its AND never wakes
    assert printed_linear_network(sequence)[0].tolist() == [1] * len(sequence)


def test_step():
    assert step([-1, -0.0, 0, 1e-300, 2]).tolist() == [0, 0, 0, 1, 1]
    assert float(step(0.5)) == 1


@given(st.integers(1, 4), st.integers(0, 6), st.integers(1, 3), st.integers(1, 4), st.integers(0, 999))
def test_step_rnn_is_the_recurrence_of_rnn(N, T, D, H, seed):
    """With steep tanh units the framework's recurrence becomes that of step units in the encoding -1/+1."""
    rng = np.random.default_rng(seed)
    x, h0 = rng.integers(0, 2, (N, T, D)), rng.integers(0, 2, (N, H))
    Wx, Wh, b = rng.integers(-3, 4, (D, H)), rng.integers(-3, 4, (H, H)), rng.integers(-3, 4, H) + 0.5
    states = step_rnn(x, h0, Wx, Wh, b)
    assert states.shape == (N, T, H)
    if T:
        steep = mg.ops.rnn(x.astype(float), 2.0 * h0 - 1, 80.0 * Wx, 40.0 * Wh, 80.0 * b + 40.0 * Wh.sum(axis=0))
        np.testing.assert_array_equal((steep.numpy() + 1) / 2, states)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", np.zeros((2, 3)), r"x must have 3 axes \(N, T, D\), not shape \(2, 3\)"),
        ("h0", np.zeros((3, 2)), r"h0 must have shape \(2, 2\), not \(3, 2\)"),
        ("h0", 0.0, r"h0 must have shape \(2, 0\), not \(\)"),
        ("Wx", np.zeros((2, 2)), r"Wx must have shape \(1, 2\), not \(2, 2\)"),
        ("Wh", np.zeros((2, 3)), r"Wh must have shape \(2, 2\), not \(2, 3\)"),
        ("b", np.zeros(3), r"b must have shape \(2,\), not \(3,\)"),
    ],
)
def test_step_rnn_refuses_shapes_that_do_not_fit(name, value, message):
    Wx, Wh, b = threshold_weights()
    arguments = {"x": np.zeros((2, 3, 1)), "h0": np.zeros((2, 2)), "Wx": Wx, "Wh": Wh, "b": b, name: value}
    with pytest.raises(ValueError, match=f"^step_rnn: {message}$"):
        step_rnn(**arguments)

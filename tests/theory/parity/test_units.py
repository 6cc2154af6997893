"""Recurrences and threshold networks against an independent truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from theory import Refuted
from theory.parity.checks import require_parity
from theory.parity.units import (
    all_sequences,
    or_unit,
    parity,
    printed_linear_network,
    printed_network,
    run_unit,
    sequences_up_to,
    step_rnn,
    threshold_network,
    xor_unit,
)  # fmt: skip

SEQUENCES = st.lists(st.integers(0, 1), max_size=60)


def by_counting(sequence):
    """Parity by counting ones, which shares no code with xor."""
    return [sum(sequence[: t + 1]) % 2 for t in range(len(sequence))]


@given(SEQUENCES)
def test_parity_counts_ones(sequence):
    assert parity(sequence).tolist() == by_counting(sequence)
    assert parity(sequence).shape == (len(sequence),)


@pytest.mark.parametrize(("bits", "message"), [
    ([0, 2], "bits must be 0 or 1, not 2"), ([0.5], "not 0.5"), ([np.nan], "not nan"),
    (1, r"must have the shape \(T,\) or \(N, T\), not \(\)"), (np.zeros((1, 2, 3)), r"not \(1, 2, 3\)"),
])  # fmt: skip
def test_what_is_not_bits(bits, message):
    for function in (parity, threshold_network, printed_network):
        with pytest.raises(ValueError, match=message):
            function(bits)


def test_sequences_are_all_there_and_the_smallest_first():
    for T in range(8):
        assert all_sequences(T).shape == (2**T, T)
        as_numbers = [int("".join(map(str, row)) or "0", 2) for row in all_sequences(T).tolist()]
        assert as_numbers == list(range(2**T))
    listed = list(sequences_up_to(6))
    assert listed == sorted(set(listed), key=lambda s: (len(s), s))
    assert len(listed) == 2**7 - 2


@given(SEQUENCES)
def test_units_are_or_and_xor(sequence):
    assert run_unit(xor_unit, sequence) == by_counting(sequence)
    assert run_unit(or_unit, sequence) == [int(any(sequence[: t + 1])) for t in range(len(sequence))]


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


@given(SEQUENCES)
def test_printed_networks(sequence):
    for product in (True, False):
        y, h = printed_network(sequence, product)
        assert y.tolist() == run_unit(or_unit, sequence)
        assert not h[:, 1].any()  # its AND never wakes
    y, h = printed_linear_network(sequence, product=False)
    assert (h[:, 0] - h[:, 1]).tolist() == list(range(1, len(sequence) + 1))
    assert y.tolist() == [1] * len(sequence)
    _, h = printed_linear_network(sequence)
    np.testing.assert_array_equal(h[:, 0], np.cumsum(np.array(sequence) - 0.5))
    np.testing.assert_array_equal(h[:, 1], np.cumsum(h[:, 0] * sequence - 1.5))


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


def test_require_parity_names_the_first_error():
    bits = np.array([[0, 0, 0], [1, 0, 1]])
    require_parity(parity(bits), bits)
    wrong = parity(bits)
    wrong[1, 1] = 0
    with pytest.raises(Refuted, match=r"^y_2 = 0 after the bits 1 0, whose parity is 1$"):
        require_parity(wrong, bits)
    for y in (np.full((2, 3), np.nan), np.zeros((1, 1))):
        with pytest.raises(Refuted):
            require_parity(y, bits)

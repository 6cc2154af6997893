"""The tanh network's gain: worst inputs and the critical value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks import Case
from tests.peers import Peer
from theory.parity.gain import (
    ABOVE,
    BELOW,
    adversary,
    critical_gain,
    drift,
    extreme_states,
    fails_at,
    raw_network,
    state_map,
    tanh_network,
    tanh_states,
    tanh_weights,
)  # fmt: skip
from theory.parity.statements import ALT_PROOF, ONLY_GAIN
from theory.parity.units import all_sequences, parity

PYTORCH = Peer(__name__)

GAINS = st.floats(0.1, 30)
SEQUENCES = st.lists(st.integers(0, 1), min_size=1, max_size=40)


# --- the network ------------------------------------------------------------------------------------


def test_network_agrees_with_pytorch():
    def theirs(torch, sequence, gain):
        Wx, Wh, b = (torch.tensor(w) for w in tanh_weights(gain))
        rnn = torch.nn.RNN(1, 2, batch_first=True, dtype=torch.float64)
        with torch.no_grad():
            for parameter, value in ((rnn.weight_ih_l0, Wx.T), (rnn.weight_hh_l0, Wh.T), (rnn.bias_ih_l0, b)):
                parameter.copy_(value)
            rnn.bias_hh_l0.zero_()
            return rnn(torch.tensor(sequence, dtype=torch.float64)[None, :, None])[0][0]

    def check(answer):
        (sequence, gain), h = answer.inputs, answer.expected
        np.testing.assert_allclose(tanh_states(sequence, gain), h, atol=1e-9)
        np.testing.assert_allclose(tanh_network(sequence, gain)[1], (h[:, 0] - h[:, 1]) / 2, atol=1e-9)

    cases = st.builds(lambda gain, sequence: Case([sequence, gain]), GAINS, SEQUENCES)
    PYTORCH.ask_drawn("network", theirs, cases, check)


@given(GAINS, st.floats(-1, 3))
def test_the_four_facts_of_the_proof(gain, u):
    f = lambda u, g=gain: float(state_map(g, u))  # noqa: E731
    assert f(1 + u) == pytest.approx(f(1 - u), abs=1e-12)
    assert f(min(u, 1)) <= f(min(u + 0.01, 1)) + 1e-12
    if 0.5 <= u <= 1.5:
        assert f(u) <= f(u, gain + 0.1) + 1e-12
    assert f(u) + f(1 - u) == pytest.approx((np.tanh(gain * (1.5 - u)) + np.tanh(gain * (0.5 + u))) / 2, abs=1e-12)
    assert f(u) + f(1 - u) < 1 + 1e-12


def test_large_gains_are_right_on_all_sequences():
    bits = all_sequences(12)
    for gain in (float(ABOVE), 2.5, 10.0, 1e6):
        y, s = tanh_network(bits, gain)
        assert (y == parity(bits)).all()
        assert y.shape == s.shape == bits.shape


# --- worst inputs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.5, 1.05, 1.3, 1.8, 2.1, 2.2, 2.3, 2.32])
def test_nothing_fails_before_one_and_zeros(gain):
    at = fails_at(adversary(500), gain)
    assert at is not None
    worst = extreme_states(gain, at)
    assert (worst.even[:-1] <= 0.5).all()
    assert (worst.odd[:-1] > 0.5).all()
    assert worst.odd[-1] <= 0.5
    assert worst.odd_input.tolist() == adversary(at).tolist()


def test_where_it_fails():
    assert fails_at([1], 0.5) == 1
    assert fails_at([0, 0, 1], 0.5) == 3
    assert fails_at([0, 0, 1], 3.0) is None
    assert fails_at(adversary(10), 1e3) is None


# --- the critical gain ------------------------------------------------------------------------------


def test_critical_gain_is_a_tangency():
    """Newton's method on f(s) = s, f'(s) = 1 for s and g, which bisects nothing."""
    residual = lambda s, g: np.array(  # noqa: E731
        [state_map(g, s) - s, (state_map(g, s + 1e-5) - state_map(g, s - 1e-5)) / 2e-5 - 1]
    )
    x = np.array([0.6, 2.3])
    for _ in range(20):
        slopes = np.stack([(residual(*(x + e)) - residual(*(x - e))) / 2e-5 for e in 1e-5 * np.eye(2)], axis=1)
        x = x - np.linalg.solve(slopes, residual(*x))
    assert critical_gain() == pytest.approx(x[1], abs=1e-6)
    assert drift(critical_gain())[1] == pytest.approx(x[0], abs=1e-4)
    assert BELOW < critical_gain() < ABOVE
    assert f"$g_c={cut(critical_gain(), 9)}…$" in ALT_PROOF
    assert f"$s={cut(drift(critical_gain())[1], 5)}…$" in ALT_PROOF


@given(st.floats(0.5, 15))
def test_one_point_touches(gain):
    """f_g(s) - s is strictly concave on [1/2, 1] and negative at its ends."""
    s = np.linspace(0.5, 1, 51)
    above = state_map(gain, s) - s
    assert (np.diff(above, 2) < 1e-15).all()
    assert max(above[0], above[-1]) < 0


def cut(number, digits):
    """A number written with so many digits, not rounded."""
    return f"{np.floor(number * 10**digits) / 10**digits:.{digits}f}"


@given(st.floats(0.1, 50))
def test_drift_is_the_largest_on_a_grid(gain):
    s = np.linspace(0.5, 1, 2001)
    gap, at = drift(gain)
    assert gap == pytest.approx((state_map(gain, s) - s).max(), abs=1e-4)
    assert 0.5 <= at <= 1


# --- the weights as they are ------------------------------------------------------------------------


def test_the_one_gain_of_the_weights_as_they_are():
    """At ln(3) / 2 the threshold is a fixed point at both bits, so the margin shrinks but does not change its sign."""
    gain = float(np.log(3) / 2)
    assert 2 * state_map(gain, 0.5) == pytest.approx(0.5, abs=1e-15)
    assert 2 * state_map(gain, 1.5) == pytest.approx(0.5, abs=1e-15)
    bits = all_sequences(8)
    y, s = raw_network(bits, gain)
    assert (y == parity(bits)).all()
    assert s.max() <= 2 * np.tanh(gain / 2) + 1e-15
    assert 2 * state_map(gain, 1) == pytest.approx(2 * np.tanh(gain / 2)) == pytest.approx(4 - 2 * 3**0.5)
    assert f"F(1) = 4 - 2 √3 = {4 - 2 * 3**0.5:.3f}." in ONLY_GAIN
    assert f"slope g tanh² g = {gain * np.tanh(gain) ** 2:.3f}" in ONLY_GAIN
    margin = np.abs(s - 0.5).min(axis=0)
    np.testing.assert_allclose(margin[2:] / margin[1:-1], gain * np.tanh(gain) ** 2, rtol=0.05)
    assert round(1 / (gain * np.tanh(gain) ** 2)) == 7
    assert "each 0 shrinks the distance from 1/2 to about a seventh" in " ".join(ONLY_GAIN.split())
    for near in (gain - 1e-6, gain + 1e-6):
        assert fails_within(near, 10)


@given(st.floats(0.01, 0.549))
def test_below_it_each_zero_takes_a_part_of_the_state(gain):
    s, lost = np.linspace(0.5, 2 * np.tanh(gain / 2), 50), 0.5 - np.tanh(gain)
    assert (2 * state_map(gain, s) <= s - lost + 1e-12).all() or s[-1] <= 0.5
    steps = 2 + int((2 * np.tanh(gain / 2) - 0.5) / lost)
    assert (raw_network(adversary(max(steps, 1)), gain)[0] != parity(adversary(max(steps, 1)))).any()


def fails_within(gain, length):
    bits = all_sequences(length)
    return (raw_network(bits, gain)[0] != parity(bits)).any()

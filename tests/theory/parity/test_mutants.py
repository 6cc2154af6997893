"""Wrong formulas of parity on purpose, each noticed by a claim."""

from __future__ import annotations

import functools

import pytest

from tests.theory.mutation import Mutant, noticed

TWO = ("3-1 alt",)

unit = functools.partial(Mutant, "parity.units", numbers=("3-1",))
units = functools.partial(Mutant, "parity.units", numbers=TWO)
gain = functools.partial(Mutant, "parity.gain", numbers=TWO)
bounds = functools.partial(Mutant, "parity.bounds", numbers=TWO)
one_unit = functools.partial(Mutant, "parity.one_unit", numbers=TWO)
checks = functools.partial(Mutant, "parity.checks")

MUTANTS = [
    # the truth, and the units that multiply
    unit("np.bitwise_xor.accumulate", "np.bitwise_or.accumulate"),
    unit("as_bits(bits), axis=-1)", "as_bits(bits), axis=0)"),
    unit("return h + x - h * x", "return h + x - 2 * h * x"),
    unit("return h + x - 2 * h * x", "return h + x - h * x"),
    unit("return h + x - 2 * h * x", "return h + x + 2 * h * x"),
    unit("return h + x - 2 * h * x", "return h + x - 2 * h"),
    unit("return h + x - 2 * h * x", "return h - x - 2 * h * x"),
    unit("return h + x - 2 * h * x", "return x - 2 * h * x"),
    unit("states, h = [], 0", "states, h = [], 1"),
    unit("h = unit(h, x)", "h = unit(x, x)"),
    unit(
        "np.arange(length)[::-1] & 1", "np.arange(length) & 1",
        equivalent="the same sequences with their bits in the other order, so all of them again",
    ),
    # threshold units
    units("(np.asarray(a) > 0)", "(np.asarray(a) < 0)"),
    units("(np.asarray(a) > 0)", "(np.asarray(a) > 1)"),
    units("(np.asarray(a) > 0)", "(np.asarray(a) >= 0)"),
    units("np.array([[1.0, 1.0]]), ", "np.array([[1.0, -1.0]]), "),
    units("[[1.0, 1.0], [-1.0, -1.0]]), np", "[[1.0, -1.0], [1.0, -1.0]]), np"),
    units("[[1.0, 1.0], [-1.0, -1.0]]), np", "[[1.0, 1.0], [1.0, 1.0]]), np"),
    units("[[1.0, 1.0], [-1.0, -1.0]]), np", "[[1.0, 0.0], [0.0, 1.0]]), np"),
    units("np.array([-0.5, -1.5])", "np.array([-1.5, -0.5])"),
    units("np.array([-0.5, -1.5])", "np.array([0.5, -1.5])"),
    units("np.array([-0.5, -1.5])", "np.array([-0.5, -2.5])"),
    units("driven = x @ Wx + b", "driven = x @ Wx - b"),
    units("driven[:, t] + h @ Wh", "driven[:, t] + h @ Wh.T"),
    units("driven[:, t] + h @ Wh", "driven[:, t] - h @ Wh"),
    units("driven[:, t] + h @ Wh", "driven[:, t - 1] + h @ Wh"),
    units("(states[..., 0] - states[..., 1]).astype", "(states[..., 0] + states[..., 1]).astype"),
    # tanh units
    gain("gain * Wx, gain * Wh / 2, gain * b", "Wx, gain * Wh / 2, gain * b"),
    gain("gain * Wx, gain * Wh / 2, gain * b", "gain * Wx, gain * Wh, gain * b"),
    gain("gain * Wx, gain * Wh / 2, gain * b", "gain * Wx, gain * Wh.T / 2, gain * b"),
    gain("gain * Wx, gain * Wh / 2, gain * b", "gain * Wx, gain * Wh / 2, b"),
    gain("s = (h[..., 0] - h[..., 1]) / 2", "s = (h[..., 0] + h[..., 1]) / 2"),
    gain("s = (h[..., 0] - h[..., 1]) / 2", "s = h[..., 0] - h[..., 1]"),
    gain("(s > 0.5)", "(s > 0.65)", count=2),
    gain("(s > 0.5)", "(s < 0.5)", count=2),
    gain("Wx, Wh, b = (gain * w for w in threshold_weights())", "Wx, Wh, b = tanh_weights(gain)"),
    gain("np.tanh(gain * (u - 0.5)) - np.tanh", "np.tanh(gain * (u - 0.5)) + np.tanh"),
    gain("np.tanh(gain * (u - 0.5)) - np.tanh", "np.tanh(gain * (u + 0.5)) - np.tanh"),
    gain("np.tanh(gain * (u - 1.5))) / 2", "np.tanh(gain * (u - 2.5))) / 2"),
    gain("np.tanh(gain * (u - 1.5))) / 2", "np.tanh(gain * (u - 1.5)))"),
    # worst inputs
    gain("max(even_by_0, even_by_1)", "min(even_by_0, even_by_1)"),
    gain("min(odd_by_0, odd_by_1)", "max(odd_by_0, odd_by_1)"),
    gain("[b + 1, b]", "[b, b]"),
    gain("[a, a + 1]", "[a, a]"),
    gain("even_by_1 > even_by_0, ", "even_by_1 < even_by_0, "),
    gain("odd_by_1 <= odd_by_0\n", "odd_by_1 > odd_by_0\n"),
    gain("state ^= int(bits[t])", "state = int(bits[t])"),
    gain("bits[0] = 1", "bits[-1] = 1"),
    gain("bits[0] = 1", "bits[:2] = 1"),
    # the critical gain
    gain("if slope > 1 else", "if slope < 1 else"),
    gain("** 2 - np.tanh(gain * (s - 0.5)) ** 2) / 2", "** 2 - np.tanh(gain * (s - 0.5)) ** 2)"),
    gain("** 2 - np.tanh(gain * (s - 0.5)) ** 2) / 2", "** 2 + np.tanh(gain * (s - 0.5)) ** 2) / 2"),
    gain("state_map(gain, low) - low)", "state_map(gain, low) + low)"),
    gain("if drift(middle)[0] >= 0 else", "if drift(middle)[0] < 0 else"),
    gain("1 - rounded, rounded)", "rounded / 2, rounded)"),
    gain("1 - rounded, rounded)", "1 - rounded - Fraction(1, 50), rounded)"),
    gain("1 - rounded, rounded)", "1 - rounded, 1 - rounded)"),
    gain("Fraction(233021, 100_000),", "Fraction(233022, 100_000),"),
    gain("Fraction(233022, 100_000)\n", "Fraction(233021, 100_000)\n"),
    # proofs
    bounds("1 - 2 / (low + 1),", "1 - 1 / (low + 1),"),
    bounds("else 1 - 2 / (high + 1)", "else 1 + 2 / (high + 1)"),
    bounds("exp_bounds(2 * min(", "exp_bounds(min("),
    bounds("return -high, -low", "return low, high"),
    bounds("term * p // (n << bits)\n", "term * p // (bits + n << bits)\n"),
    bounds("low * low >> bits", "low >> bits"),
    bounds("for k in (1, 3))", "for k in (1, 5))"),
    bounds("for k in (1, 3))", "for k in (3, 1))"),
    bounds("map_bounds(g, a, bits)[1] <= a", "map_bounds(g, a, bits)[1] >= a"),
    bounds("map_bounds(g, 1 + a, bits)[0] >= b", "map_bounds(g, a, bits)[0] >= b"),
    bounds("map_bounds(g, b, bits)[0] >= b", "map_bounds(g, b, bits)[0] >= 1 - a / 2"),
    bounds("map_bounds(g, 1 + b, bits)[1] <= a", "map_bounds(g, b, bits)[1] <= a"),
    bounds("r = map_bounds(gain, before, bits)[1]", "r = map_bounds(gain, 1 + before, bits)[1]"),
    bounds("r = map_bounds(gain, before, bits)[1]", "r = map_bounds(gain, before, bits)[0]"),
    bounds("before = Fraction(1)\n", "before = Fraction(3, 2)\n"),
    bounds("1 and a + b == 1)", "1 and a + b < 1)"),
    # rounding outwards
    bounds("_series(-(-scaled // divisor), bits, up=True)", "_series(scaled // divisor, bits, up=True)"),
    bounds("_series(scaled // divisor, bits, up=False)", "_series(-(-scaled // divisor), bits, up=False)"),
    bounds(
        "-(-high * high >> bits)", "high * high >> bits",
        equivalent="twelve terms rounded up, and one added, pay for it with any number of bits",
    ),
    bounds("low * low >> bits,", "-(-low * low >> bits),"),
    bounds("-(-term * p // (n << bits)) if up", "term * p // (n << bits) if up"),
    bounds("term * p // (n << bits)\n", "-(-term * p // (n << bits))\n"),
    bounds("total + term if up", "total if up"),
    bounds("-_down((and_low - or_high) / 2, bits)", "_down((or_high - and_low) / 2, bits)"),
    bounds("return _down((or_low - and_high) / 2, bits)", "return -_down((and_high - or_low) / 2, bits)"),
    bounds("_TERMS = 12", "_TERMS = 10"),
    # one unit
    one_unit("one = before ^ x", "one = before | x"),
    one_unit("one = before ^ x", "one = x"),
    one_unit("sign = -1 if one else 1", "sign = 1 if one else 1"),
    one_unit("(sign * h, Fraction(sign * x)", "(sign * h, Fraction(x)"),
    one_unit("(sign * h, Fraction(sign * x)", "(h, Fraction(sign * x)"),
    one_unit("return not any(sums)", "return any(sums)"),
    one_unit("m > 0 and q.strict", "m < 0 and q.strict"),
    one_unit("FARKAS = (1, 1, 1, 1)", "FARKAS = (1, 1, 1, 2)"),
    one_unit("FARKAS = (1, 1, 1, 1)", "FARKAS = (1, -1, -1, 1)"),
    one_unit("FARKAS = (1, 1, 1, 1)", "FARKAS = (0, 0, 0, 0)"),
    one_unit("before = parity(sequences[:, :-1])[:, -1]", "before = sequences[:, -1]"),
    one_unit("[:, -1] != parity(sequences)[:, -1]", "[:, -1] > 1 + parity(sequences)[:, -1]"),
    # the checkers themselves
    checks("wrong = ~(y == truth)", "wrong = y == truth"),
    checks("np.delete(1 - 2 * x, t)", "np.delete(1 + 2 * x, t)"),
    checks("np.delete(1 - 2 * x, t)", "np.delete(1 - x, t)"),
    checks("[a | b, a & b, a ^ b]", "[a | b, a & b, a | b]"),
    checks("state_map(gain, s + x)", "state_map(gain, s - x)"),
    checks("gain = 2.33\n", "gain = 2.34\n"),
    checks("LONG_ENOUGH = 7_000", "LONG_ENOUGH = 6_000"),
    checks("fails_at(adversary(T), gain)", "fails_at(1 - adversary(T), gain)"),
]  # fmt: skip


@pytest.mark.slow
def test_a_wrong_formula_is_noticed(mutant):
    """A sample of the mutants; with --full, all of them."""
    assert noticed(mutant, examples=10) != bool(mutant.equivalent)

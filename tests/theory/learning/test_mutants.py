"""Wrong formulas of optimisers and derivatives on purpose, each noticed by a claim."""

from __future__ import annotations

import functools

import pytest

from tests.theory.mutation import Mutant, noticed


def of(number, module):
    return functools.partial(Mutant, f"learning.{module}", numbers=(number,))


adam, ball, rates = (of(number, "descent") for number in ("6-1", "6-2", "6-3"))
backprop, costs = (of(number, "derivatives") for number in ("6-4", "6-5"))
trap, cycle, attraction, certified = (of(number, "certificates") for number in ("6-1", "6-2", "6-3", "6-4"))

MUTANTS = [
    # Adam
    adam("(1 - b) * C**2 + b, ", "(1 - b) * C**2 + 2 * b, "),
    adam("(1 - b) + b * C**2", "(1 - b) + b * C"),
    adam("(1 - b) * (1 + 2 * b)", "(1 - b) * (1 + b)"),
    adam("C if t % 3 == 1 else -1.0", "C if t % 3 == 2 else -1.0"),
    adam("C if t % 3 == 1 else -1.0", "C if t % 3 == 1 else 1.0"),
    adam("rate / math.sqrt(t) if decay", "rate / t if decay"),
    adam("-box, box, out", "-math.inf, box, out"),
    adam("-box, box, out", "-box, math.inf, out"),
    trap("require(C > 2", "require(C > 1"),
    trap("product(ranges[k - 1], (C**2 / (1 + C**2), Fraction(1)))", "product(ranges[k - 1], (Fraction(1),))"),
    trap("product(ranges[k - 1], (C", "product(ranges[k - 1][:1], (C"),
    trap("moment = w * square + (1 - w) * before", "moment = w * square"),
    trap("1 / (2 * ranges[1][1])", "1 / ranges[1][1]"),
    trap("1 / (3 * ranges[2][1])", "1 / (2 * ranges[2][1])"),
    trap("rest**2 <= 4 * up * more", "rest**2 <= 8 * up * more"),
    of("6-1", "checks")("eps / 2.0**exponent)", "eps)"),
    of("6-1", "checks")("(1 - b) * b ** (t - i) * g", "(1 - b) * b ** (t - 1) * g"),
    of("6-1", "domains")("st.fractions(Fraction(201, 100), 50", "st.fractions(Fraction(3), 50"),
    of("6-1", "domains")("st.integers(-40, 40)", "st.just(0)"),
    # heavy ball
    ball("4 / (q + 1) ** 2, ((q", "2 / (q + 1) ** 2, ((q"),
    ball("((q - 1) / (q + 1)) ** 2", "(q - 1) / (q + 1)"),
    ball("r**k * (1 + (1 + r) * k)", "r**k * (1 + (1 - r) * k)"),
    ball("r**k * (1 + (1 + r) * k)", "r**k * (1 + r * k)"),
    ball("12 * mg.relu(x - 1)", "11 * mg.relu(x - 1)"),
    ball("(792, -2208, 2592)", "(793, -2208, 2592)"),
    ball("(792, -2208, 2592)", "(2592, -2208, 792)"),
    cycle("momentum * (x - old)", "momentum * (old - x)"),
    cycle("gradient(point), points[k - 1], after", "gradient(point), point, after"),
    cycle("len(set(points)) > 1", "len(set(points)) > 0"),
    cycle("x + 24 if", "x + 25 if"),
    cycle("abs(factor) < 1", "abs(factor) < 2", equivalent="6-3 alone is about its attraction"),
    # rates above 2 / curvature
    rates("abs(trace) < 1 + determinant", "abs(trace) < 1 - determinant"),
    rates("abs(trace) < 1 + determinant", "abs(trace) <= 1 + determinant"),
    rates(
        "abs(determinant) < 1 and ", "",
        equivalent="with momentum below 1 the other condition implies it, for both kinds of momentum",
    ),
    rates("* x[1] - 1) ** 2 / 2", "* x[1] - 1) ** 2"),
    rates("(k**2 - 1) / (2 * k - 1)\n    x", "(k**2 - 1) / (2 * k + 1)\n    x"),
    rates("s + 1 / s - 1, Fraction(0)", "s + 1 / s - 2, Fraction(0)"),
    attraction("abs(factor) < 1", "abs(factor) < 20"),
    attraction("[3 * x**2 - 1 for", "[x**2 - 1 for"),
    attraction("(a * b - 1) * b, (a * b - 1) * a", "(a * b - 1) * a, (a * b - 1) * b"),
    attraction("len(set(points)) > 1", "len(set(points)) > 0"),
    of("6-3", "checks")("(1 + 2 * beta if nesterov", "(1 + beta if nesterov"),
    of("6-3", "checks")("((1 + beta) * w, beta * w)", "((1 + beta) * w, beta)"),
    of("6-3", "domains")("st.booleans()", "st.just(False)"),
    # derivatives of ReLU networks
    backprop("if p * q < 0", "if p * q < -1"),
    backprop("h, entering = z * (z > 0)", "h, entering = z"),
    backprop("h, entering = z * (z > 0)", "h, entering = abs(z)"),
    backprop("layers[:-1]", "layers[:1]"),
    backprop("modules[:-1]", "modules"),
    certified("h = [max(z, Fraction(0))", "h = [abs(z)"),
    certified("all(p * q >= 0", "any(p * q >= 0"),
    certified("ends[0] == -bound and ", ""),
    certified(" and ends[-1] == bound", ""),
    certified("require(a < b", "require(a != b"),
    of("6-4", "domains")("min_size=1, max_size=3", "min_size=1, max_size=1"),
    of("6-4", "checks")("a + (b - a) * part)", "a + (b - a) * 2 * part)"),
    # the cost of derivatives
    costs("len(before) * len(after)", "len(before) + len(after)"),
    costs("left.get((u, w), 0) + p * q", "p * q"),
    costs("left.get((u, w), 0) + p * q", "left.get((u, w), 0) + p + q"),
    costs("(1, 3), (2, 3), (3, 4))", "(1, 3), (2, 4), (3, 4))"),
    costs("combinations(range(n), 2)", "combinations(range(n - 1), 2)"),
    costs("for _, v in edges} & {u", "for _, v in edges} | {u"),
    costs("with mg.create_graph(), mg.profile", "with mg.profile"),
    costs("weights[2] * a + weights[3] * b", "weights[2] * a - weights[3] * b"),
    of("6-5", "checks")("[widths[-1] * once, widths[0] * once]", "[widths[0] * once, widths[-1] * once]"),
    of("6-5", "checks")("2 * N * once - N * widths[0] * widths[1]", "2 * N * once"),
]  # fmt: skip


@pytest.mark.slow
def test_a_wrong_formula_is_noticed(mutant):
    """A sample of the mutants; with --full, all of them."""
    assert noticed(mutant, examples=20) != bool(mutant.equivalent)

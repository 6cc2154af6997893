"""Wrong formulas of claims 4-1 to 4-5 on purpose, each noticed by the claim."""

from __future__ import annotations

import pytest

from tests.theory.mutation import Mutant, noticed


def change(number, module, old, new, equivalent="", count=1):
    return Mutant(f"memory.{module}", old, new, equivalent, (number,), count)


MUTANTS = [
    # 4-1: the spectral radius of an RNN
    change("4-1", "checks", "if spectral_radius(Wh) < 1:", "if spectral_radius(np.abs(Wh)) < 1:"),
    change("4-1", "contraction", "[1.5, 30.0]", "[1.5, 0.0]"),
    change("4-1", "checks", "v, rate = positive_vector(np.abs(network.Wh))\n    check",
           "v, rate = positive_vector(network.Wh)\n    check"),
    change("4-1", "checks", "v.astype(np.float64), float(rate), 1)", "1 / v.astype(np.float64), float(rate), 1)"),
    change("4-1", "checks", "v.astype(np.float64), float(rate), 1)", "v.astype(np.float64), float(rate), np.inf)"),
    change("4-1", "checks", "v.astype(np.float64), float(rate), 1)", "v.astype(np.float64), float(rate) / 2, 1)"),
    change("4-1", "checks", "math.sqrt(3 * (1 - 1 / radius)) / (radius", "math.sqrt(30 * (1 - 1 / radius)) / (radius"),
    change("4-1", "checks", "perron(network.Wh.T)", "perron(network.Wh)"),
    change("4-1", "checks", "(math.sqrt(2) * 1.5**k)", "(math.sqrt(3) * 1.5**k)"),
    change("4-1", "contraction", "np.eye(len(A)) - A,", "np.eye(len(A)) - A.T,"),
    change("4-1", "contraction", "max(exact(A) @ v / v)", "min(exact(A) @ v / v)"),
    change("4-1", "contraction", "np.eye(len(Wh)), Wh, ", "np.eye(len(Wh)), Wh.T, "),
    change("4-1", "certificates", "own > 0 and", "own != 0 and"),
    change("4-1", "certificates", "own > 0 and", "own >= 0 and"),
    change("4-1", "certificates", "all(a >= 0 for a in row)", "all(a <= 1 for a in row)"),
    change("4-1", "certificates", "require(rate < 1,", "require(rate < 9,"),
    change("4-1", "certificates", "image <= rate * own", "image <= own"),
    change("4-1", "certificates", "image <= rate * own", "image <= rate * max(v)"),
    change("4-1", "domains", "W / spectral_radius(np.abs(W))", "W / spectral_radius(W)"),
    change("4-1", "domains", "(np.abs(W) if self.kind == \"positive\" else W)", "np.abs(W)"),
    change("4-1", "domains", "(np.abs(W) if self.kind == \"positive\" else W)", "W"),
    # 4-2: the spectral radius of each step
    change("4-2", "checks", "all(spectral_radius(", "all(spectral_norm("),
    change("4-2", "checks", "np.sqrt(p), float(rate), 2)", "p, float(rate), 2)"),
    change("4-2", "checks", "np.sqrt(p), float(rate), 2)", "np.sqrt(p), float(rate) * 0.9, 2)"),
    change("4-2", "checks", "np.sqrt(p), float(rate), 2)", "1 / np.sqrt(p), float(rate), 2)"),
    change("4-2", "contraction", "perron(W * W) / perron((W * W).T)", "perron((W * W).T) / perron(W * W)"),
    change("4-2", "contraction", "perron(W * W) / perron((W * W).T)", "perron(W * W) / perron(W * W)"),
    change("4-2", "contraction", "W * np.sqrt(p) / np.sqrt(p)[:, None]", "W"),
    change("4-2", "contraction", "30.0 * (unit", "0.3 * (unit"),
    change("4-2", "certificates", "product((0, 1), repeat=len(b))", "product((1,), repeat=len(b))"),
    change("4-2", "certificates", "rate**2 * p - J.T @ p @ J", "rate * p - J.T @ p @ J"),
    change("4-2", "certificates", "rate**2 * p - J.T @ p @ J", "rate**2 * p - J.T @ J"),
    change("4-2", "certificates", "rate**2 * p - J.T @ p @ J", "rate**2 * p + J.T @ p @ J"),
    change("4-2", "certificates", "product((0, 1), repeat=len(b))", "[(1,) * len(b), (0,) * len(b)]"),
    change("4-2", "certificates", "pivot > 0", "pivot != 0"),
    change("4-2", "certificates", "x - row[0] * y / pivot", "x"),
    change("4-2", "certificates", "left == [list(column) for column in zip(*left, strict=True)]", "len(left) > 0"),
    change("4-2", "domains", "* s[:, None] / s if", "if"),
    # 4-3: forget gates below 1
    change("4-3", "checks", "(f + i * o * w) / scale", "(f + i * w) / scale"),
    change("4-3", "checks", "(f + i * o * w) / scale) ** (k - 1)", "(f + i * o * w) / scale) ** k"),
    change("4-3", "contraction", "w * np.eye(4)[3:]", "w * np.eye(4)[2:3]"),
    change("4-3", "checks", "cell_gradient([40, 0, 40], w, 30)", "cell_gradient([-40, 0, 40], w, 30)"),
    change("4-3", "checks", "[h0, *h], [c0, *c]", "[h0, *h], [0 * c0, *c]",
           "dh_0 = 0, so the weights of f act on c_1 first"),
    change("4-3", "contraction", "o * B + Wo / 4", "o * B"),
    change("4-3", "contraction", "[[f, B], [o * f,", "[[f, B], [f,", "the bound without the output gate is larger"),
    change("4-3", "contraction", "* Wf + Wi) / 4", "* Wf) / 4"),
    change("4-3", "contraction", ".max() * Wf + Wi", ".min() * Wf + Wi"),
    change("4-3", "contraction", "B = i * Wg + ", "B = "),
    change("4-3", "contraction", "(np.abs(np.asarray(c)[:-1]).max() * Wf + Wi)", "Wi"),
    change("4-3", "contraction", "float(gate.max())", "float(gate.min())"),
    change("4-3", "contraction", "i, f, o, _ =", "f, i, o, _ ="),
    change("4-3", "domains", "scales * rng.normal(size=(H, 4 * H))", "0 * scales * rng.normal(size=(H, 4 * H))"),
    # 4-4: a radius above 1
    change("4-4", "checks", "slope = size * float(1 - states[-1, 0] ** 2)", "slope = size * float(1 - h0**2)"),
    change("4-4", "checks", "slope = w * (1 - b * b)", "slope = w * (1 - b)"),
    change("4-4", "checks", "slope = w * (1 - b * b)", "slope = w * (1 - b * b) ** 2"),
    change("4-4", "checks", "-1.05 * e", "-0.99 * e", count=2),
    change("4-4", "contraction", "math.sqrt(1 - 1 / w)", "math.sqrt(1 - 1 / w**2)"),
    change("4-4", "contraction", "w * a - math.atanh(a), a", "w * a - a, a"),
    change("4-4", "contraction", "math.tanh(w * a - e)", "math.tanh(w * a)"),
    change("4-4", "contraction", "(1 - 1e-6)", "(1 + 1e-6)"),
    change("4-4", "certificates", "2 * (w * a - e)", "2 * (w * a + e)"),
    change("4-4", "certificates", "2 * (w * a - e)", "w * a - e"),
    change("4-4", "certificates", "low >= (1 + b) / (1 - b)", "low >= 1 + b"),
    change("4-4", "certificates", "w * (1 - b * b) < 1,", "w * (1 - b * b) < 9,"),
    change("4-4", "certificates", "0 <= a <= b < 1", "0 <= a < 1"),
    change("4-4", "certificates", "w > 0 and e >= 0", "w > 0"),
    change("4-4", "domains", "st.just(0.0) | st.floats(0.01, 1)", "st.floats(0.5, 1)"),
    # 4-5: skip connections
    change("4-5", "checks", "(1 - c) ** n <= values.min() * SLACK", "(1 - c / 2) ** n <= values.min() * SLACK"),
    change("4-5", "checks", "values.max() <= (1 + c) ** n", "values.max() <= (1 + c / 9) ** n"),
    change("4-5", "checks", "plain <= c**n", "plain <= c ** (n + 1)"),
    change("4-5", "checks", "linear_blocks(-c, n) / (1 - c)", "linear_blocks(c, n) / (1 - c)"),
    change("4-5", "contraction", "h = skip * h + f(h)", "h = h + f(h)"),
    change("4-5", "contraction", "h = skip * h + f(h)", "h = f(h)"),
    change("4-5", "contraction", "h = skip * h + f(h)", "h = skip * h - f(h)"),
    change("4-5", "certificates", "product((0, 1), repeat=len(b))", "product((1,), repeat=len(b))"),
    change("4-5", "certificates", "for corner in product((0, 1), repeat=len(b)):", "for corner in [(0,) * len(b)]:"),
    change("4-5", "certificates", "rate**2 * p - J.T @ p @ J", "rate * p - J.T @ p @ J"),
    change("4-5", "domains", "product((0, 1), repeat=m)", "product((1,), repeat=m)"),
    change("4-5", "domains", "*= bound / max(", "*= bound / sum("),
    change("4-5", "domains", "st.integers(1, 12)", "st.integers(1, 2)"),
]  # fmt: skip


@pytest.mark.slow
def test_a_wrong_formula_is_noticed(mutant):
    """A sample of the mutants; with --full, all of them."""
    assert noticed(mutant, examples=20) != bool(mutant.equivalent)

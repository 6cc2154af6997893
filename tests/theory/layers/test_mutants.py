"""Wrong formulas of claims 5-1 to 5-6 on purpose, each noticed by a claim."""

from __future__ import annotations

import functools

import pytest

from tests.theory.mutation import Mutant, noticed


def of(module, number):
    return functools.partial(Mutant, f"layers.{module}", numbers=(number,))


order, lipschitz, norm, softmax, relu, symmetry = (of("checks", f"5-{k}") for k in range(1, 7))
attention, ranges = of("attention", "5-1"), of("attention", "5-2")
words, certificate = of("softmax", "5-4"), of("certificates", "5-4")

MUTANTS = [
    # 5-1: order
    attention("several[:, None, :]] == mask).all", "several[:, None, :]] == mask).any"),
    attention("mask[several[:, :, None], several[:, None, :]]", "mask[several[:, None, :], several[:, :, None]]"),
    attention("[[0.0, 0.0, 1.0]]", "[[0.0, 1.0, 0.0]]"),
    order("(change[good] < 1e-9)", "(change[~good] < 1e-9)"),
    order("before[0][several] - before", "before[0][several[::-1]] - before"),
    order("sum(1 / i for i", "sum(1 for i"),
    order("several[several[:, -1] == n - 1]]", "several[several[:, 0] == 0]]"),
    of("domains", "5-1")("for n in (1, 2, 3) for bits", "for n in (1, 2) for bits"),
    # 5-2: Lipschitz constants
    ranges("1.5 * constant", "constant"),
    ranges("scale=1.0", "scale=2.0"),
    ranges("min(products), max(products)", "products[0], products[-1]"),
    ranges("(a - d, b - c)", "(a - c, b - d)"),
    ranges("(1 / high, 1 / low)", "(1 / low, 1 / high)"),
    ranges("enclose(low)[0], enclose(high)[1]", "enclose(low)[0], enclose(low)[1]"),
    ranges("product(x, apart[k][j])", "product(x, apart[j][k])"),
    ranges("product(from_mean[k], from_mean[k])", "product(from_mean[k], from_mean[i])"),
    lipschitz("R**2 * A * (1", "R * A * (1"),
    lipschitz("V * (math.sqrt(n) + R**2", "V * (R**2"),
    lipschitz("math.sqrt(n) * n / (n + 1)", "math.sqrt(n) * n"),
    lipschitz("max(low**2, high**2)", "min(low**2, high**2)"),
    of("certificates", "5-4")("low - 1e-9 <= J", "low - 1e-3 <= J"),
    # 5-3: batch norm
    norm("eps / a**2", "eps / a"),
    norm("np.sign(a) * _normalised", "_normalised"),
    norm(".var(axis=0) + eps)", ".var(axis=0))"),
    norm("share * c.data * c.grad", "share * c.grad"),
    norm("a**2 * (W.grad**2)", "abs(a) * (W.grad**2)"),
    norm("abs(a) * scaled[0].weight.grad", "a**2 * scaled[0].weight.grad"),
    of("networks", "5-3")("BatchNorm1d(4, eps=eps", "BatchNorm1d(4, eps=0.0"),
    of("domains", "5-3")("st.sampled_from((0.0, 1e-5, 0.1, 1.0))", "st.sampled_from((1e-5, 0.1, 1.0))"),
    # 5-4: softmax
    words("Fraction(row[0] <= 0)", "Fraction(row[0] < 0)"),
    words("Fraction(-rows[j][-1]), j", "Fraction(rows[j][-1]), j"),
    words("/ Fraction(2)", "/ Fraction(3)"),
    words("(bias - b, *", "(b - bias, *"),
    words("E[words] - E.mean(axis=0)", "E[words]"),
    words("y, sums, strict=True)), Fraction(0))", "y[::-1], sums, strict=True)), Fraction(0))"),
    certificate("-1 < u < 1", "-1 <= u <= 1"),
    certificate("score < scores[word]", "score <= scores[word]"),
    certificate("Fraction(b)) for E", "Fraction(0)) for E"),
    certificate("min(multipliers) >= 0", "max(multipliers) >= 0 or min(multipliers) < 0"),
    certificate(" and any(multipliers)", ""),
    certificate(" and multipliers[word] == 0", ""),
    certificate("sum(map(abs, sums), Fraction(0))", "abs(sum(sums, Fraction(0)))"),
    certificate("sum(m * (bias - b)", "sum(m * (b - bias)"),
    certificate("(np.abs(states) < 1)", "(np.abs(states) <= 1)"),
    certificate("2.0**18", "2.0**38"),
    certificate("(scores == states @ E.T + b).all()", "(scores == states @ E.T + b).any()"),
    certificate("(scores >= own).sum(axis=1) == 1", "(scores >= own).sum(axis=1) >= 1"),
    of("domains", "5-4")("range(0, 2917, 100)]", "range(0, 2800, 100)]"),
    softmax("wins == (state is not None)", "wins == (state is None)"),
    # 5-5: ReLU
    relu("np.abs(z).mean() ** 2 / 4", "np.abs(z).mean() ** 2 / 2"),
    relu("agree((y**2).mean(), (z**2).mean() / 2", "agree((y**2).mean(), (z**2).mean() / 3"),
    relu("0.5 - 0.5 / math.pi", "0.5 - 1 / math.pi"),
    relu("2 * square == sum(v * v for v in x)", "square == sum(v * v for v in x)"),
    relu("product((-1.0, 1.0)", "product((0.0, 1.0)"),
    # 5-6: symmetry
    symmetry("rows[twin] = rows[0]", "rows[twin] = rows[0] + 1e-15"),
    symmetry("change[0] * outgoing[1], change[1] * outgoing[0]", "change[0] * outgoing[0], change[1] * outgoing[1]"),
    symmetry("alike == (outgoing[0] == outgoing[1])", "alike == (outgoing[0] <= outgoing[1])"),
    symmetry("others < 1 / 8 < 1 / 6 - 1e-12 <= twins", "others < 1 / 8 < 1 / 5 <= twins"),
    symmetry("[[0.5], [-0.5], [1.0], [-1.0]]", "[[0.5], [0.5], [0.5], [0.5]]"),
    of("networks", "5-6")('"Adagrad": partial(optim.Adagrad, lr=0.05),', '"Adagrad": partial(optim.Adam, lr=0.05),'),
]  # fmt: skip


@pytest.mark.slow
def test_a_wrong_formula_is_noticed(mutant):
    """A sample of the mutants; with --full, all of them."""
    assert noticed(mutant, examples=30) != bool(mutant.equivalent)

"""Claim 3-2: its verdict, its counterexamples, its picture, and wrong formulas that it must notice."""

from __future__ import annotations

import numpy as np
import pytest

from tests.theory.mutation import Mutant, noticed
from theory import CLAIMS
from theory.eigenvalues.domains import KINDS, Drawn, Whole
from theory.eigenvalues.figures import linear_norms, network_norms
from theory.eigenvalues.powers import spectral_norm, spectral_radius

CLAIM = CLAIMS["3-2"]


def test_verdict_with_few_examples():
    for examples in (1, 3, 15):
        verdict = CLAIM.check(max_examples=examples)
        assert verdict.as_expected
    assert verdict.outcome == "false as printed"
    assert verdict.refuted == ("the last factor P^-1", "every matrix has an eigendecomposition")
    assert "(P')^-1 D^k P'" in verdict.corrected.text


@pytest.mark.slow
def test_verdict_at_length(full):
    for seed in range(5 if full else 1):
        assert CLAIM.check(max_examples=2000 if full else 15, seed=1 + seed).as_expected


def test_counterexamples_are_the_smallest():
    printed, every = (proposition.examine(60, 0) for proposition in CLAIM.propositions[:2])
    assert printed.as_expected
    assert every.as_expected
    assert printed.counterexample.matrix.shape == (2, 2)
    assert len(printed.counterexample.shears) == printed.counterexample.k == 1
    assert printed.shown == "W = [[0, 1], [0, 1]] = P D P^-1, P = [[1, 1], [0, 1]], D = diag(0, 1), k = 1"
    assert every.counterexample == [[0, 1], [0, 0]]
    assert every.message == "A = W - 0 I has A v != 0 = A^2 v, v = [0 1], which no P D P^-1 has"
    assert CLAIM.counterexample(60) == printed.counterexample


def test_what_is_shown():
    text = CLAIM.show()
    assert len(text.splitlines()) > 15
    assert "dh_3/dh_0 = [1 0]" in text
    assert "(P')^-1 D^3 P^-1 = [ 1 -1]    (P')^-1 D^3 P' = [1 0]" in text
    assert "J^100 = [  1 100]" in text
    assert "5         0.993          103.2 steps          0.51" in text


def test_words_are_complete():
    for text in (CLAIM.statement.latex, CLAIM.corrected.latex, CLAIM.proof):
        assert "\\\\" not in text  # a Markdown reader would take one of the two
        assert "\\|" not in text  # and the backslash here
        assert all(line.count("$") % 2 == 0 for line in text.splitlines())  # no formula is broken by a line's end
    assert all("\n" not in p.statement for p in CLAIM.propositions)


def test_figure():
    figure = CLAIM.figure()
    left, right = figure.axes
    assert [len(axes.lines) for axes in figure.axes] == [7, 5]
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert {*linear_norms(2), *network_norms(2)} <= set(texts)
    assert "solid lines: LSTMs with $W_h = 0$" in texts
    assert all(axes.get_yscale() == "log" and axes.get_xlabel() and axes.get_ylabel() for axes in (left, right))
    assert all(axes.get_ylim()[0] < line.get_ydata().min() for axes in figure.axes for line in axes.lines)


def test_what_the_figure_draws():
    curves = linear_norms(20)
    for radius in (0.8, 0.9, 1.0, 1.1, 1.2):
        np.testing.assert_allclose(curves[f"radius {radius}"], radius ** np.arange(21.0), rtol=1e-9)
    assert curves["non-normal, radius 0.8"].max() > 20
    networks = network_norms(20)
    for bias, low, high in ((0, 0.4, 0.6), (1, 0.65, 0.8), (5, 0.985, 0.9945)):
        assert low < networks[f"LSTM, forget bias {bias}"][-1] ** (1 / 20) < high


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_matrices_are_of_their_kind(kind):
    for seed in range(5):
        W = Drawn(kind, 3, 0.9, seed).matrix
        assert spectral_radius(W) == pytest.approx(0.9, abs=1e-4)
        normal = spectral_norm(W @ W.T - W.T @ W) < 1e-12
        assert normal == (kind in ("symmetric", "orthogonal"))
        np.testing.assert_array_equal(W, Drawn(kind, 3, 0.9, seed).matrix)


def test_whole_decompositions_are_exact():
    example = Whole(((2, 2), (1, 1), (-1, 2)), ((0, 1, 2), (4, 0, -1), (1, 3, 1)), 1)
    assert (example.vectors @ example.inverse == np.eye(5)).all()
    assert (example.matrix @ example.vectors == example.vectors @ example.jordan_form).all()
    assert example.jordan_form.tolist() == [
        [2, 1, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, -1, 1], [0, 0, 0, 0, -1],
    ]  # fmt: skip


# Wrong formulas ---------------------------------------------------------------------------------

def mutant(module, old, new, equivalent="", count=1):
    return Mutant(f"eigenvalues.{module}", old, new, equivalent, count=count)


MUTANTS = [
    mutant("powers", "powers[0] = np.eye(len(W))", "powers[0] = W"),
    mutant("powers", "powers[i] @ W", "powers[i] + W"),
    mutant("powers", "powers[i] @ W", "powers[i] @ W.T", "the power of the transpose has the same norm"),
    mutant("powers", "np.linalg.norm(np.asarray(A), 2)", "np.linalg.norm(np.asarray(A))"),
    mutant("powers", "np.linalg.norm(np.asarray(A), 2)", "np.linalg.norm(np.asarray(A), 1)"),
    mutant("powers", "np.linalg.norm(np.asarray(A), 2)", "np.linalg.norm(np.asarray(A), -2)"),
    mutant("powers", "np.linalg.norm(powers, 2, axis", "np.linalg.norm(powers, -2, axis"),
    mutant("powers", '"spectral_radius"))).max()', '"spectral_radius"))).min()'),
    mutant("powers", "return error * np.concatenate", "return -error * np.concatenate"),
    mutant("powers", "math.exp(log / 2**m)", "math.exp(log / 2 ** (m + 1))"),
    mutant("powers", "A @ A, 2.0 * log", "A @ A, log"),
    mutant("powers", "A @ A, 2.0 * log", "A @ A.T, 2.0 * log"),
    mutant("powers", "A = A / norm", "A = A * norm"),
    mutant("powers", "log += math.log(norm)", "log -= math.log(norm)"),
    mutant("powers", "z = (1.0 + distance", "z = (0.5 + distance"),
    mutant("powers", "float((distance.reshape(-1, 1)", "float((1 + distance.reshape(-1, 1)"),
    mutant("powers", "compute_uv=False)[..., -1]", "compute_uv=False)[..., 0]"),
    mutant("powers", "np.eye(len(W)) - W,", "np.eye(len(W)) - 2 * W,"),
    mutant("powers", "np.eye(len(W)) - W,", "np.eye(len(W)) + W,", "the grid has -z with every z"),
    mutant("powers", "np.geomspace(1e-3, 1e3, 40)", "np.geomspace(1e2, 1e3, 40)"),
    mutant("powers", "np.geomspace(1e-3, 1e3, 40)", "np.geomspace(1e-3, 1e3, 4)"),
    mutant("powers", "np.geomspace(1e-3, 1e3, 40)", "np.geomspace(1e-3, 1, 40)"),
    mutant("powers", "2j * np.pi", "1j * np.pi", "any grid gives a lower bound"),
    mutant("powers", "np.eye(size, k=1, dtype=int)", "np.eye(size, k=-1, dtype=int)"),
    mutant("powers", "eigenvalue * np.eye(size", "abs(eigenvalue) * np.eye(size"),
    mutant("powers", "math.comb(k, d)", "math.comb(k, d + 1)"),
    mutant("powers", "eigenvalue ** (k - d)", "eigenvalue ** (k)"),
    mutant("powers", "power[i, i + d]", "power[i + d, i]"),
    mutant("powers", "range(min(size, k + 1))", "range(min(size, k))"),
    mutant("powers", "range(min(size, k + 1))", "range(min(size - 1, k + 1))"),
    mutant("schur", "T[:, i:] @ Q", "T[:, i:] @ Q.T"),
    mutant("schur", "Q.conj().T @ T[i:]", "Q.T @ T[i:]"),
    mutant("schur", "U[:, i:] @ Q", "U[:, i:] @ Q.conj()"),
    mutant("schur", "range(n - 1)", "range(n - 2)"),
    mutant("schur", "[1][:, :1]", "[1][:1].T"),
    mutant("schur", "[1][:, :1]", "[1][:, -1:]", "any eigenvector will do"),
    mutant("schur", "math.comb(k, j)", "math.comb(max(k - 1, j), j)"),
    mutant("schur", "_log_power(self.radius, k - j)", "_log_power(self.radius, k)"),
    mutant("schur", "_log_power(self.radius, k - j)", "_log_power(self.radius, k + j)"),
    mutant("schur", "_log_power(self.departure, j)", "_log_power(self.departure, j + 1)"),
    mutant("schur", "_log_power(self.departure, j)", "_log_power(self.departure, 2 * j)"),
    mutant("schur", "min(self.size, k + 1)", "min(self.size - 1, k + 1)"),
    mutant("schur", "min(self.size, k + 1)", "min(self.size + 1, k + 1)"),
    mutant("schur", "np.diag(T)).max()", "np.diag(T)).min()"),
    mutant("schur", "spectral_norm(np.triu(T, 1))", "spectral_norm(np.triu(T))"),
    mutant("schur", "spectral_norm(np.triu(T, 1))", "spectral_norm(np.triu(T, 2))"),
    mutant("schur", "self.log(middle) < target", "self.log(middle) > target"),
    mutant("schur", "while self.log(high) >= target", "while self.log(high) >= target + 9"),
    mutant("diagonalisation", "for _ in range(k)", "for _ in range(k + 1)"),
    mutant("diagonalisation", "mg.tensor(real.T.copy())", "mg.tensor(real)"),
    mutant("diagonalisation", "if rows else weights @ h", "if rows else h @ weights"),
    mutant("diagonalisation", "h = h @ weights if rows", "h = weights @ h if rows"),
    mutant("diagonalisation", "inv(P.T) @ (powers[:, None] * P.T)", "inv(P) @ (powers[:, None] * P.T)"),
    mutant("diagonalisation", "inv(P.T) @ (powers[:, None] * P.T)", "inv(P.T) @ (powers[:, None] * P)"),
    mutant("diagonalisation", "inv(P.T) @ (powers[:, None] * P.T)", "inv(P.T) @ (powers * P.T)"),
    mutant("diagonalisation", "inv(P.T) @ (powers[:, None] * P.T)", "inv(P.conj().T) @ (powers[:, None] * P.conj().T)"),
    mutant("diagonalisation", "inv(P.T) @ (powers[:, None] * P.T)", "inv(P.T) @ (powers[:, None] * np.linalg.inv(P))"),
    mutant("diagonalisation", "np.linalg.inv(P.T) @ (powers[:, None] * P.T)",
           "P @ (powers[:, None] * P.T)"),
    mutant("diagonalisation", "(powers[:, None] * np.linalg.inv(P))", "(powers[:, None] * P.T)"),
    mutant("diagonalisation", "(powers[:, None] * np.linalg.inv(P))", "(powers[:, None] * np.linalg.inv(P.T))"),
    mutant("diagonalisation", "** as_steps(k, what)", "** (as_steps(k, what) + 1)"),
    mutant("diagonalisation", "return P, eigenvalues", "return P, eigenvalues[::-1]"),
    mutant("diagonalisation", "return P, eigenvalues", "return P.T, eigenvalues"),
    mutant("diagonalisation", "return P, eigenvalues", "return 2 * P, eigenvalues", "eigenvectors have any length"),
    mutant("defective", "kernel(A @ A)", "kernel(A)"),
    mutant("defective", "kernel(A @ A)", "kernel(A @ A @ A)"),
    mutant("defective", "if (A @ v).any()", "if not (A @ v).any()"),
    mutant("defective", "once.any() and ", ""),
    mutant("defective", "not (A @ once).any()", "(A @ once).any()"),
    mutant("defective", "once.any() and not (A @ once).any()", "once.any()"),
    mutant("defective", "A - int(eigenvalue) * np.eye", "A + int(eigenvalue) * np.eye"),
    mutant("defective", "in set(range(len(rows))) - {at}", "in range(at + 1, len(rows))"),
    mutant("defective", "x - rows[i][column] * y", "x + rows[i][column] * y"),
    mutant("defective", "int(-scale * row[free])", "int(scale * row[free])"),
    mutant("defective", "int(-scale * row[free])", "int(-row[free])"),
    mutant("defective", "v[free] = scale = math.lcm(*(row[free].denominator for row in rows))", "v[free] = scale = 1"),
    mutant("gradient_flow", "(1.0 - h**2).max(axis=1)", "(1.0 - h**2).min(axis=1)"),
    mutant("gradient_flow", "(1.0 - h**2).max(axis=1)", "(1.0 - h**2).mean(axis=1)"),
    mutant("gradient_flow", "(1.0 - h**2).max(axis=1)", "(1.0 - np.abs(h)).max(axis=1)"),
    mutant("gradient_flow", "(1.0 - h**2).max(axis=1)", "(1.0 + h**2).max(axis=1)"),
    mutant("gradient_flow", "np.cumprod(spectral_norm(Wh)", "np.cumsum(spectral_norm(Wh)"),
    mutant("gradient_flow", "np.cumprod(spectral_norm(Wh)", "np.cumprod(np.abs(np.linalg.eigvals(Wh)).max()"),
    mutant("gradient_flow", "[:, H : 2 * H]", "[:, :H]"),
    mutant("gradient_flow", "[:, H : 2 * H]", "[:, 2 * H : 3 * H]"),
    mutant("gradient_flow", "np.tanh(0.5 * (x @ Wx + b)", "np.tanh((x @ Wx + b)"),
    mutant("gradient_flow", "np.tanh(0.5 * (x @ Wx + b)", "np.tanh(0.5 * (x @ Wx - b)"),
    mutant("gradient_flow", "np.asarray(0.5 * (1.0 + np.tanh", "np.asarray(0.5 * (1.0 - np.tanh"),
    mutant("gradient_flow", "Wh, b, c)[1][0]", "Wh, b, c)[0][0]"),
    mutant("gradient_flow", "mg.ops.rnn_step(x[t : t + 1]", "mg.ops.rnn_step(x[-1 - t :][:1]"),
    mutant("gradient_flow", "mg.ops.lstm_step(x[t : t + 1]", "mg.ops.lstm_step(x[-1 - t :][:1]"),
    mutant("gradient_flow", "states.append(h)", "states.insert(0, h)"),
    mutant("gradient_flow", "cells.append(c)", "cells.append(h)"),
    mutant("domains", "for i, j, c in reversed(self.shears)", "for i, j, c in self.shears"),
    mutant("domains", "(i, j, -c)", "(i, j, c)"),
    mutant("domains", "r / np.abs(np.linalg.eigvals(W)).max()", "r / np.abs(np.linalg.eigvals(W)).min()"),
    mutant("domains", "np.concatenate([[r], rng.uniform(-r, r, n - 1)])", "rng.uniform(-r, r, n)"),
    mutant("domains", "return np.asarray(Q @ T @ Q.T)", "return np.asarray(Q @ T @ Q)"),
    mutant("checks", "power = example.matrix.T @ power", "power = example.matrix @ power"),
    mutant("checks", "any(size > 1 for", "any(size > 2 for"),
    mutant("checks", "np.linalg.eigh(example.matrix)", "np.linalg.eigh(example.matrix + 1)"),
    mutant("checks", "scaled >= 1 - tolerance", "scaled >= condition - tolerance"),
    mutant("checks", "scaled <= condition * (1 + tolerance)", "scaled <= 1 + tolerance"),
    mutant("checks", "math.log(1e3) / math.log(example", "math.log(1e2) / math.log(example"),
    mutant("checks", "promised = c / (4 * (1 - r))", "promised = c / (1 - r)"),
    mutant("checks", "largest, norm = math.comb(k, n - 1)", "largest, norm = math.comb(k, n)"),
    mutant("checks", "norm <= n * largest", "norm <= largest"),
    mutant("checks", "np.diag(1 - h**2) @ Wh.T @ product", "np.diag(1 - h**2) @ Wh @ product"),
    mutant("checks", "np.diag(1 - h**2) @ Wh.T @ product", "product @ np.diag(1 - h**2) @ Wh.T"),
    mutant("checks", "np.diag(gates[: t + 1].prod(axis=0))", "np.diag(gates[:t].prod(axis=0))"),
    mutant("checks", 'arrays["Wh"] *= 0.0', 'arrays["Wh"] *= 1.0'),
    mutant("checks", "np.exp(np.log(gates).mean(axis=0))", "gates.mean(axis=0)"),
    mutant("checks", "np.log(gates).mean(axis=0)).max()", "np.log(gates).mean(axis=0)).min()"),
    mutant("checks", "(1 + math.tanh(bias / 2)) / 2", "(1 + math.tanh(bias)) / 2"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", MUTANTS, ids=str)
def test_wrong_formulas_are_noticed(wrong):
    assert noticed(wrong, examples=8 if wrong.equivalent else 15) == (not wrong.equivalent)

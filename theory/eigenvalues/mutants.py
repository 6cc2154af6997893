"""Errors in the mathematics of vanishing and exploding gradients; see `theory.mutation`."""

from __future__ import annotations

from theory.mutation import Mutant

__all__ = ["MUTANTS"]

MUTANTS = (
    Mutant("3-2", "eigenvalues/powers.py", "np.convolve(norms, norms)[: len(norms) - 1]",
           "np.convolve(norms, norms)[1 : len(norms)]", "the exponents of a term sum to k instead of k - 1",
           "perturbation(np.array([1.0, 2.0, 4.0]), 0.1).tolist()"),
    Mutant("3-2", "eigenvalues/powers.py", "(2 * error + error**2 + product)", "(error + product)",
           "the relative error of a square is that of its factor",
           "gelfand([[1.0, 1.0], [0.0, 1.0]], 5)[1].tolist()"),
    Mutant("3-2", "eigenvalues/powers.py", "float((distance / np.maximum", "float(((1.0 + distance) / np.maximum",
           "Kreiss's bound has the factor |z| instead of |z| - 1", "kreiss_lower_bound([[0.9, 10.0], [0.0, 0.9]])"),
    Mutant("3-2", "eigenvalues/powers.py", "for d in range(min(size, k + 1)):", "for d in range(min(size, k)):",
           "the k-th diagonal of the k-th power is left out", "jordan_power(2, 3, 1).tolist()"),
    Mutant("3-2", "eigenvalues/schur.py", "for j in range(min(self.size, k + 1))",
           "for j in range(min(self.size - 1, k + 1))", "N^(n-1) is taken for 0",
           "PowerBound(1.0, 1.0, 2).at(10)"),
    Mutant("3-2", "eigenvalues/schur.py", "low = math.ceil((self.size - 1) / (1.0 - self.radius))", "low = 0",
           "the bound is said to fall from the beginning", "PowerBound(0.9, 10.0, 2).steps_below(2.0)"),
    Mutant("3-2", "eigenvalues/diagonalisation.py", "(powers[:, None] * P.T))", "(powers[:, None] * P.conj().T))",
           "the transpose is conjugated",
           "eigenform([[1, 1], [1j, -1j]], [1j, -1j], 1).round(9).tolist()"),
    Mutant("3-2", "eigenvalues/diagonalisation.py", "else mg.tensor(real.T.copy())", "else mg.tensor(real)",
           "the recurrence multiplies by W instead of W'", "power_jacobian([[1, 1], [0, 1]], 1).tolist()"),
    Mutant("3-2", "eigenvalues/gradient_flow.py", "np.cumprod(spectral_norm(Wh) *",
           "np.cumprod(np.abs(np.linalg.eigvals(Wh)).max() *", "the spectral radius stands for the norm",
           "rnn_bounds([[0.0, 0.0]], [[0.0, 2.0], [0.0, 0.0]]).tolist()"),
    Mutant("3-2", "eigenvalues/gradient_flow.py", "[:, H : 2 * H]", "[:, :H]",
           "the input gates are taken for the forget gates",
           "forget_gates([[0.0]], np.zeros((1, 4)), [0, 1, 0, 0]).tolist()"),
    Mutant("3-2", "eigenvalues/defective.py", "int(-scale * row[free])", "int(scale * row[free])",
           "a kernel vector has a wrong sign", "[v.tolist() for v in kernel([[1, 2], [2, 4]])]"),
    Mutant("3-2", "eigenvalues/domains.py", "RADII = (0.5, 0.8, 0.9, 1.0, 1.1, 1.2)",
           "RADII = (0.5, 0.8, 0.9, 1.1, 1.2)", "the radius 1 is left out of most samples", "RADII"),
    Mutant("3-2", "eigenvalues/domains.py", "every(1, 10, 100, 300)", "every(1)",
           "no ill-conditioned matrix is tried", "ILL_CONDITIONED.examples(100)"),
)  # fmt: skip
"""Planted errors, which the claims must notice."""

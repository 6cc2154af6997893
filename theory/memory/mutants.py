"""Errors in the mathematics of vanishing and exploding gradients; see `theory.mutation`."""

from __future__ import annotations

from theory.mutation import Mutant

__all__ = ["MUTANTS"]

MUTANTS = (
    Mutant("4-1", "memory/contraction.py", "np.eye(len(A)) - A,", "np.eye(len(A)) - A.T,",
           "the vector is that of the transposed matrix", "float(positive_vector([[0.0, 0.5], [0.25, 0.0]])[1])"),
    Mutant("4-1", "checker.py", "rational(rate) * rational(x), f", "rational(rate) * max(map(rational, vector)), f",
           "A v is compared with the largest entry of v", "bool(vector_bound([[0, 1], [0, 0]], [1, 2], 1))"),
    Mutant("4-1", "memory/domains.py", "W / spectral_radius(np.abs(W))", "W / spectral_radius(W)",
           "the radius is that of Wh instead of |Wh|",
           'round(spectral_radius(np.abs(Network("signed", 2, 0.5, 0.0, 3).Wh)), 3)'),
    Mutant("4-1", "memory/checks.py", "if spectral_radius(Wh) < 1:", "if spectral_radius(np.abs(Wh)) < 1:",
           "the folklore is checked for absolute values alone", "forgets(NILPOTENT)"),
    Mutant("4-2", "checker.py", "itertools.product((0, 1), repeat=len(B))", "[(0,) * len(B), (1,) * len(B)]",
           "the only matrices D are 0 and I", 'bool(contraction([[1]], [[1, 1]], [[1], [-1]], "1/2"))'),
    Mutant("4-2", "checker.py", "require(pivot > 0,", "require(pivot != 0,", "a pivot may be negative",
           "positive_definite([[-1]])"),
    Mutant("4-2", "checker.py", "rational(rate) ** 2 * rational(p)", "rational(rate) * rational(p)",
           "the rate is not squared", 'bool(contraction([[1]], [[1]], [["4/5"]], "3/4"))'),
    Mutant("4-2", "memory/contraction.py", "perron(W * W) / perron((W * W).T)", "perron((W * W).T) / perron(W * W)",
           "left and right eigenvectors are exchanged",
           "shrinking_diagonal([[0.5, 0.25], [-1.0, 0.5]])[0].tolist()"),
    Mutant("4-3", "memory/contraction.py", "o * B + Wo / 4", "o * B", "the output gate reads no state",
           "gate_bounds([[0]], [[0], [0]], [[0], [0]], np.zeros((1, 4)), [[0, 0, 4, 0]], np.zeros(4)).tolist()"),
    Mutant("4-3", "memory/contraction.py", "* Wf + Wi) / 4", "* Wf) / 4", "the input gate reads no state",
           "gate_bounds([[0]], [[0], [0]], [[0], [0]], np.zeros((1, 4)), [[4, 0, 0, 0]], np.zeros(4)).tolist()"),
    Mutant("4-3", "memory/checks.py", "(f + i * o * w) / scale) ** (k - 1)", "(f + i * o * w) / scale) ** k",
           "the first step has the second path, too", "one_cell((0.0, 0.0, 0.0, -1.0, 1))"),
    Mutant("4-4", "memory/contraction.py", "math.sqrt(1 - 1 / w)", "math.sqrt(1 - 1 / w**2)",
           "the slope at a is 1 / w", "critical_input(2.0)[0]"),
    Mutant("4-4", "memory/certificates.py", "low >= (1 + b) / (1 - b)", "low >= 1 + b",
           "the denominator of artanh is forgotten",
           "check_latch(Fraction(2), Fraction(0), Fraction(7, 10), Fraction(99, 100))"),
    Mutant("4-4", "memory/checks.py", "slope = w * (1 - b * b)", "slope = w * (1 - b)",
           "the derivative of tanh is 1 - tanh", "remembers_and_vanishes((2.0, 0.0, 0.0, True, 0))"),
    Mutant("4-5", "memory/contraction.py", "h = skip * h + f(h)", "h = skip * h - f(h)", "a block subtracts f",
           "residual_jacobian([lambda x: 2 * x], [1.0]).tolist()"),
    Mutant("4-5", "memory/domains.py", "*= bound / max(", "*= bound / sum(",
           "the norms of the corners are added up",
           "round(residual_functions((1, 2, 0.5, 1, 0))[0][0][2].weight.data[0, 0], 3)"),
    Mutant("4-5", "checker.py", "[d * rational(x) for x in row]", "[rational(x) for x in row]",
           "every D is I", 'bool(contraction([[1]], [[1, 1]], [[1], [-1]], "1/2"))'),
)  # fmt: skip
"""Planted errors, which the claims must notice."""

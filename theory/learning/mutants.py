"""Errors in the mathematics of optimisers and automatic differentiation; see `theory.mutation`."""

from __future__ import annotations

from theory.mutation import Mutant

__all__ = ["MUTANTS"]

MUTANTS = (
    Mutant("6-1", "learning/descent.py", "(1 - b) + b * C**2", "(1 - b) + b * C", "a gradient is not squared",
           "trap(Fraction(3))[1]"),
    Mutant("6-1", "learning/certificates.py", "1 / (2 * ranges[1][1])", "1 / ranges[1][1]",
           "the rate of the second step has not fallen",
           "check_trap(Fraction(3), [(Fraction(7), Fraction(9)), *[(Fraction(1), Fraction(9, 5))] * 2])"),
    Mutant("6-1", "learning/descent.py", "rate / math.sqrt(t) if decay", "rate / t if decay", "rates fall as 1 / t",
           "periodic_run(mg.optim.SGD, 3.0, 3, lr=0.5).round(3).tolist()"),
    Mutant("6-1", "learning/checks.py", "eps / 2.0**exponent)", "eps)", "eps is not divided by the scale",
           "scale_divides_eps((3, 1e-3, 0))"),
    Mutant("6-2", "learning/descent.py", "r**k * (1 + (1 + r) * k)", "r**k * (1 + r * k)",
           "heavy ball starts with a velocity", "envelope(Fraction(2), 1)"),
    Mutant("6-2", "learning/descent.py", "((q - 1) / (q + 1)) ** 2", "(q - 1) / (q + 1)",
           "the momentum is not squared", "polyak(Fraction(5))[1]"),
    Mutant("6-2", "learning/descent.py", "12 * mg.relu(x - 1)", "11 * mg.relu(x - 1)",
           "the curvature between 1 and 2 is 3", "lessard_loss(mg.tensor([1.5])).item()"),
    Mutant("6-2", "checker.py", "(here - x[k - 1])", "(x[k - 1] - here)", "the momentum points backwards",
           "bool(descent_cycle([[None, [0]]], [1, -1], 0, -1))"),
    Mutant("6-3", "learning/certificates.py", "[3 * x**2 - 1 for", "[x**2 - 1 for",
           "the curvature along (1, 1) is x² - 1",
           "check_attracting([Fraction(5, 7), Fraction(8, 7)], Fraction(49, 40))"),
    Mutant("6-3", "learning/checks.py", "(1 + 2 * beta if nesterov", "(1 + beta if nesterov",
           "Nesterov's threshold has beta for 2 beta", "threshold((Fraction(1, 2), True))"),
    Mutant("6-3", "learning/descent.py", "(k**2 - 1) / (2 * k - 1)\n    x", "(k**2 - 1) / (2 * k + 1)\n    x",
           "s is not the one with a rational root", "two_cycle(Fraction(3))[2]"),
    Mutant("6-3", "checker.py", "len(set(x)) > 1", "len(set(x)) > 0", "a minimum is a cycle",
           "bool(descent_cycle([[None, [0]]], [1], 1, 0))"),
    Mutant("6-4", "learning/derivatives.py", "if p * q < 0", "if p * q < -1", "small changes of sign are overlooked",
           "pieces(((((1,),), (0,)), (((1,),), (0,))), 1)"),
    Mutant("6-4", "learning/derivatives.py", "h, entering = z * (z > 0)", "h, entering = z",
           "the second layer reads the first without ReLU",
           "_units(((((1,),), (0,)), (((1,),), (0,)), (((1,),), (0,))), Fraction(-1))"),
    Mutant("6-4", "learning/certificates.py", "all(p * q >= 0", "any(p * q >= 0",
           "one unit that keeps its sign is enough",
           "check_pieces(((((1, 1),), (0, 2)), (((1,), (1,)), (0,))), (Fraction(-1), Fraction(1)), 1)"),
    Mutant("6-4", "learning/certificates.py", "ends[0] == -bound and ", "", "the first piece may begin anywhere",
           "check_pieces(((((1,),), (0,)), (((1,),), (0,))), (Fraction(0), Fraction(1)), 1)"),
    Mutant("6-5", "learning/derivatives.py", "len(before) * len(after)", "len(before) + len(after)",
           "eliminating a vertex costs a sum", "eliminate({(0, 1): 2, (1, 2): 3}, [1])[1]"),
    Mutant("6-5", "learning/derivatives.py", "(1, 3), (2, 3), (3, 4))", "(1, 3), (2, 4), (3, 4))",
           "another graph is said to be the smallest", "SMALLEST"),
    Mutant("6-5", "learning/derivatives.py", "with mg.create_graph(), mg.profile", "with mg.profile",
           "reverse passes are not counted", "[count for _, count in jacobians((1, 1, 2))]"),
    Mutant("6-5", "learning/checks.py", "2 * N * once - N * widths[0] * widths[1]", "2 * N * once",
           "the gradient of the input is always computed", "passes_cost(((1, 1), 1))"),
)  # fmt: skip
"""Planted errors, which the claims must notice."""

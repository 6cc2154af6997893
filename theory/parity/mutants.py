"""Errors in the mathematics of parity; see `theory.mutation`."""

from __future__ import annotations

from theory.mutation import Mutant

__all__ = ["MUTANTS"]

MUTANTS = (
    Mutant("3-1-alt", "parity/bounds.py", "-(-high * high >> bits)", "high * high >> bits",
           "squares are rounded down for the upper bound", "exp_bounds(Fraction(1), 8)"),
    Mutant("3-1-alt", "parity/bounds.py", "Fraction(1) if q > _LARGE else 1 - 2 / (high + 1)", "1 - 2 / (high + 1)",
           "tanh(32) bounds tanh of larger numbers from above", "tanh_bounds(Fraction(100))"),
    Mutant("3-1-alt", "parity/gain.py", "(s, high) if slope > 1", "(s, high) if slope > 0",
           "f(s), not f(s) - s, is largest", "drift(3.0)"),
    Mutant("3-1-alt", "parity/gain.py", "while high - low > 1e-12:", "while high - low > 1e-4:",
           "the critical gain has four correct digits", "critical_gain()"),
    Mutant("3-1-alt", "parity/gain.py", "max(even_by_0, even_by_1)", "even_by_0",
           "no even state comes from an odd one", "extreme_states(2.0, 4).even.tolist()"),
    Mutant("3-1-alt", "parity/gain.py", "gain * Wh / 2", "gain * Wh",
           "the recurrent weights are for bits, but the states are signs", "tanh_weights(3.0)[1].tolist()"),
    Mutant("3-1-alt", "parity/domains.py", 'every(("fails", BELOW), ("works", ABOVE))', 'every(("works", ABOVE))',
           "no gain below the critical one is tried", "BRACKET.examples(100)"),
    Mutant("3-1-alt", "parity/certificates.py", 'require(gain > 0, f"the gain', 'require(gain != 0, f"the gain',
           "a failure at a negative gain is accepted", "check_failure(Failure(Fraction(-1), (Fraction(1, 2),)))"),
    Mutant("3-1-alt", "parity/units.py", "np.asarray(a) > 0)", "np.asarray(a) >= 0)",
           "step(0) is 1", "step(0)"),
    Mutant("3-1-alt", "parity/one_unit.py", "sequences[:, -1].tolist(), strict", "sequences[:, 0].tolist(), strict",
           "the first bit is taken for the last", "sorted(reached_pairs(2))"),
    Mutant("3-1-alt", "parity/one_unit.py", "Fraction(sign)), bool(one))", "Fraction(sign)), True)",
           "parity 0 demands a strict inequality",
           "[q.strict for q in parity_inequalities(Fraction(0), Fraction(1))]"),
    Mutant("3-1-alt", "parity/one_unit.py", "h < self.theta if self.flipped", "h <= self.theta if self.flipped",
           "the flipped readout is 1 at the threshold",
           "Unit(np.sign, 0.0, 0.0, 0.0, theta=0.0, flipped=True).run(np.zeros((1, 1), int)).tolist()"),
)  # fmt: skip
"""Planted errors, which the claims must notice."""

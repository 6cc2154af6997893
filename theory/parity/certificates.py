"""Checks of what is proven of the tanh network's gain and of one unit, by `theory.checker`.

The proofs in `theory.parity.bounds` bound tanh with rounded integers. The checker takes the map of the state in another
form, with other bounds of exp. Each `check_...` raises :class:`theory.Refuted` if a certificate is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from theory import checker
from theory.parity.bounds import Failure, Intervals
from theory.parity.one_unit import Inequality
from theory.refutation import certified

__all__ = ["check_contradiction", "check_failure", "check_intervals"]


def check_failure(certificate: Failure) -> None:
    """The states bound the run of 1 0 0 … 0 from above, and the last is not above 1/2.

    >>> check_failure(Failure(Fraction(2), (Fraction(1), Fraction(1, 2))))
    Traceback (most recent call last):
    theory.refutation.Refuted: bit 2: 0.5 is below 0.7615941559557649, which the state may be
    """
    certified(checker.failure, certificate.gain, certificate.states)


def check_intervals(certificate: Intervals) -> None:
    """[0, a] and [b, 1] with a + b = 1, b above 1/2: every state and bit leads from one into the one that is right.

    >>> check_intervals(Intervals(Fraction(2), Fraction(3, 10), Fraction(7, 10)))
    Traceback (most recent call last):
    theory.refutation.Refuted: parity 0, bit 0: the state 0.3 may lead to 0.30186294771922767
    """
    certified(checker.intervals, certificate.gain, certificate.a, certificate.b)


def check_contradiction(system: Sequence[Inequality], multipliers: Sequence[int | Fraction]) -> None:
    """Multipliers that are not negative add a system of inequalities up to 0 < 0.

    >>> check_contradiction([Inequality((Fraction(1),), True)], [1])
    Traceback (most recent call last):
    theory.refutation.Refuted: the sum has the coefficient 1, not 0
    """
    certified(checker.contradiction, [(q.coefficients, q.strict) for q in system], multipliers)

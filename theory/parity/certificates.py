"""Checks of what is proven of the tanh network's gain, by arithmetic and a formula that the proofs do not use.

The proofs in `theory.parity.bounds` round integers and sum a series. Here numbers are decimal, of 45 digits; sums,
products and quotients are rounded in the direction that is asked for, and exp, which Python's decimal numbers round
correctly, is moved by one unit in the last place. And the map of the state is taken in another form: with
tanh a - tanh b = sinh(a - b) / (cosh a cosh b), and v = 2 g |u - 1|,

    f(u) = sinh(g) / (cosh(g) + cosh(v)) = (1 - e^(-2g)) / (1 + e^(-2g) + e^(v-g) + e^(-v-g)).

Each `check_...` raises :class:`theory.Refuted` if a certificate is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

from theory.parity.bounds import Failure, Intervals
from theory.parity.one_unit import Inequality
from theory.refutation import require

__all__ = [
    "Range", "check_contradiction", "check_failure", "check_intervals", "enclose", "exp_range", "image",
    "quotient_range",
]  # fmt: skip

Range = tuple[Decimal, Decimal]

_DIGITS = 45
_DOWN = Context(prec=_DIGITS, rounding=ROUND_FLOOR, Emin=MIN_EMIN, Emax=MAX_EMAX)
_UP = Context(prec=_DIGITS, rounding=ROUND_CEILING, Emin=MIN_EMIN, Emax=MAX_EMAX)


def enclose(q: Fraction) -> Range:
    """Decimal numbers (low, high) around a fraction.

    >>> low, high = enclose(Fraction(1, 3))
    >>> low < Fraction(1, 3) < high
    True
    """
    low, high = (context.divide(Decimal(q.numerator), Decimal(q.denominator)) for context in (_DOWN, _UP))
    return low, high


def exp_range(low: Decimal, high: Decimal) -> Range:
    """Decimal numbers around exp(q) for every q from `low` to `high`.

    >>> [round(x, 3) for x in exp_range(Decimal(0), Decimal(1))]
    [Decimal('1.000'), Decimal('2.718')]
    """
    return max(Decimal(0), _DOWN.next_minus(_DOWN.exp(low))), _UP.next_plus(_UP.exp(high))


def quotient_range(square: Range, wide: Range, narrow: Range) -> Range:
    """Decimal numbers around (1 - s) / (1 + s + w + n) for every s, w and n in these ranges, not below 0; s at most 1.

    >>> [round(x, 3) for x in quotient_range((Decimal(0), Decimal("0.5")), (Decimal(1), Decimal(2)), (Decimal(0),) * 2)]
    [Decimal('0.143'), Decimal('0.500')]
    """
    top = _DOWN.subtract(Decimal(1), square[1]), _UP.subtract(Decimal(1), square[0])
    bottom = [Decimal(1), Decimal(1)]
    for low, high in (square, wide, narrow):
        bottom = [_DOWN.add(bottom[0], low), _UP.add(bottom[1], high)]
    return _DOWN.divide(top[0], bottom[1]), _UP.divide(top[1], bottom[0])


def image(gain: Fraction, u: Fraction) -> tuple[Fraction, Fraction]:
    """Fractions (low, high) around f(u), for a gain above 0.

    >>> low, high = image(Fraction(3), Fraction(1))
    >>> float(low), high - low < Fraction(1, 10**40)
    (0.9051482536448664, True)
    """
    g, v = Fraction(gain), 2 * gain * abs(u - 1)
    square, wide, narrow = (exp_range(*enclose(q)) for q in (-2 * g, v - g, -v - g))
    low, high = quotient_range(square, wide, narrow)
    return Fraction(low), Fraction(high)


def check_failure(certificate: Failure) -> None:
    """The states bound the run of 1 0 0 … 0 from above, step by step, and the last is not above 1/2.

    At this gain s_1 = f(1) and s_t = f(s_{t-1}); f rises up to 1. So r_1 >= f(1) and r_t >= f(r_{t-1}), with all r
    in [1/2, 1] but the last, bound each s_t, and those of every smaller gain.

    >>> check_failure(Failure(Fraction(2), (Fraction(1), Fraction(1, 2))))
    Traceback (most recent call last):
    theory.refutation.Refuted: step 2: 0.5 is not an upper bound of the state, which may be 0.7615941559557649
    """
    gain, states = certificate.gain, certificate.states
    require(gain > 0, f"the gain {float(gain)} is not above 0")
    require(len(states) > 0 and states[-1] <= Fraction(1, 2), "the last state is above 1/2: no parity is lost")
    before = Fraction(1)
    for t, state in enumerate(states, 1):
        require(Fraction(1, 2) <= before <= 1, f"step {t}: the map is said to rise at {float(before)}")
        high = image(gain, before)[1]
        too_low = f"step {t}: {float(state)} is not an upper bound of the state, which may be {float(high)}"
        require(high <= state, too_low)
        before = state


def check_intervals(certificate: Intervals) -> None:
    """[0, a] and [b, 1] with a + b = 1, b above 1/2: every state and bit leads from one into the one that is right.

    >>> check_intervals(Intervals(Fraction(2), Fraction(3, 10), Fraction(7, 10)))
    Traceback (most recent call last):
    theory.refutation.Refuted: parity 0, bit 0: the state 0.3 may lead to 0.30186294771922767
    """
    g, a, b = certificate.gain, certificate.a, certificate.b
    require(g > 0 and a + b == 1 and Fraction(1, 2) < b <= 1, f"a = {a} and b = {b} do not add up to 1, or gain {g}")
    for parity, bit, state in ((0, 0, a), (0, 1, a), (1, 0, b), (1, 1, b)):
        low, high = image(g, state + bit)
        fits = low >= b if parity ^ bit else high <= a
        may = float(low if parity ^ bit else high)
        require(fits, f"parity {parity}, bit {bit}: the state {float(state)} may lead to {may}")


def check_contradiction(system: Sequence[Inequality], multipliers: Sequence[int | Fraction]) -> None:
    """Multipliers that are not negative add a system of inequalities up to 0 < 0.

    >>> check_contradiction([Inequality((Fraction(1),), True)], [1])
    Traceback (most recent call last):
    theory.refutation.Refuted: the sum has the coefficient 1, not 0
    """
    require(len(system) == len(multipliers), "the numbers of multipliers and inequalities differ")
    require(min(multipliers) >= 0, "a multiplier is negative, which reverses an inequality")
    total = [Fraction(0)] * len(system[0].coefficients)
    strict = False
    for inequality, m in zip(system, multipliers, strict=True):
        total = [s + m * c for s, c in zip(total, inequality.coefficients, strict=True)]
        strict = strict or (inequality.strict and m != 0)
    for coefficient in total:
        require(coefficient == 0, f"the sum has the coefficient {coefficient}, not 0")
    require(strict, "no strict inequality takes part, and 0 <= 0 is not a contradiction")

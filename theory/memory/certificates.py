"""Check contractions in exact arithmetic, with `theory.checker` where it has the kind.

Numbers are ints or Fractions; only exp, for `check_latch`, is enclosed by fractions. Each `check_...` raises
:class:`theory.Refuted` if a certificate is wrong.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import checker
from theory.refutation import certified, require

__all__ = ["check_contraction", "check_latch", "check_vector", "exact"]


def exact(A: ArrayLike) -> NDArray[np.object_]:
    """Return an array of floats or ints as Fractions of the same values and shape.

    >>> exact([0.5, 3]).tolist()
    [Fraction(1, 2), Fraction(3, 1)]
    """
    values = np.asarray(A)
    fractions = [Fraction(x) for x in values.ravel().tolist()]
    return np.array(fractions, dtype=object).reshape(values.shape)


def check_vector(A: ArrayLike, v: ArrayLike, rate: Fraction) -> None:
    """Raise Refuted unless A (n, n) >= 0, v (n,) > 0, A v <= rate v and rate < 1, so that A^k v <= rate^k v.

    >>> check_vector([[0, 2], [0, 0]], [1, 1], Fraction(1, 2))
    Traceback (most recent call last):
    theory.refutation.Refuted: an entry 2 of A v is above 1/2 times 1
    """
    require(rate < 1, f"the rate {rate} is not below 1")
    certified(checker.vector_bound, *_lists(A, v), rate)


def check_contraction(P: ArrayLike, A: ArrayLike, B: ArrayLike, rate: Fraction) -> None:
    """Raise Refuted unless P > 0, and J'PJ < rate^2 P for every J = A D B, D diagonal with entries from 0 to 1.

    P, A and B have the shapes (n, n), (n, m) and (m, n), and < compares quadratic forms.

    >>> check_contraction([[1]], [[1, 1]], [[1], [-1]], Fraction(1, 2))  # A B = 0, but one entry of D may be 0
    Traceback (most recent call last):
    theory.refutation.Refuted: a pivot is -3/4, not above 0
    """
    certified(checker.contraction, *_lists(P, A, B), rate)


def _lists(*arrays: ArrayLike) -> list[Any]:
    return [np.array(array, dtype=object).tolist() for array in arrays]


def check_latch(w: Fraction, e: Fraction, a: Fraction, b: Fraction) -> None:
    """Raise Refuted unless tanh(w h + x) >= b >= a, with a slope below 1, for all h in [a, 1] and |x| <= e.

    For w > 0 the smallest next state is that of h = a and x = -e. tanh(q) >= b if exp(2q) >= (1 + b) / (1 - b). The
    slope w (1 - tanh^2) is then at most w (1 - b^2).

    >>> check_latch(Fraction(2), Fraction(1), Fraction(7, 10), Fraction(8, 10))
    Traceback (most recent call last):
    theory.refutation.Refuted: from 7/10 the input -1 may lead below 4/5
    """
    require(w > 0 and e >= 0 and 0 <= a <= b < 1, f"w = {w}, e = {e}, a = {a} and b = {b} are out of range")
    require(w * (1 - b * b) < 1, f"the slope may be {w * (1 - b * b)}")
    low, _ = checker.exp_range(2 * (w * a - e))
    require(low >= (1 + b) / (1 - b), f"from {a} the input {-e} may lead below {b}")

"""Check certificates of contraction in exact arithmetic, without the code that finds them.

Numbers are ints or Fractions; only exp, for `check_latch`, is enclosed by decimal numbers. Each `check_...` raises
:class:`theory.Refuted` if a certificate is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.parity.certificates import enclose, exp_range
from theory.refutation import require

__all__ = ["check_contraction", "check_latch", "check_positive_definite", "check_vector", "exact"]

Rows = Sequence[Sequence[Any]]


def exact(A: ArrayLike) -> NDArray[np.object_]:
    """Return an array of floats or ints as Fractions of the same values and shape.

    >>> exact([0.5, 3]).tolist()
    [Fraction(1, 2), Fraction(3, 1)]
    """
    values = np.asarray(A)
    fractions = [Fraction(x) for x in values.ravel().tolist()]
    return np.array(fractions, dtype=object).reshape(values.shape)


def check_vector(A: Rows, v: Sequence[Any], rate: Fraction) -> None:
    """Raise Refuted unless A (n, n) >= 0, v (n,) > 0, A v <= rate v and rate < 1, so that A^k v <= rate^k v.

    >>> check_vector([[0, 2], [0, 0]], [1, 1], Fraction(1, 2))
    Traceback (most recent call last):
    theory.refutation.Refuted: row 0: A v is 2, above 1/2 times v = 1
    """
    require(rate < 1, f"the rate {rate} is not below 1")
    for i, (row, own) in enumerate(zip(A, v, strict=True)):
        require(own > 0 and all(a >= 0 for a in row), f"row {i}: v = {own} is not above 0, or A has a negative entry")
        image = sum(a * x for a, x in zip(row, v, strict=True))
        require(image <= rate * own, f"row {i}: A v is {image}, above {rate} times v = {own}")


def check_positive_definite(A: Iterable[Iterable[Any]]) -> None:
    """Raise Refuted unless A (n, n) is symmetric and all pivots of its elimination are above 0.

    >>> check_positive_definite([[1, 2], [2, 1]])
    Traceback (most recent call last):
    theory.refutation.Refuted: a pivot is -3, not above 0
    """
    left = [[Fraction(x) for x in row] for row in A]
    require(left == [list(column) for column in zip(*left, strict=True)], "the matrix is not symmetric")
    while left:
        (pivot, *first), *rest = left
        require(pivot > 0, f"a pivot is {pivot}, not above 0")
        left = [[x - row[0] * y / pivot for x, y in zip(row[1:], first, strict=True)] for row in rest]


def check_contraction(P: ArrayLike, A: ArrayLike, B: ArrayLike, rate: Fraction) -> None:
    """Raise Refuted unless P > 0, and J'PJ < rate^2 P for every J = A D B, D diagonal with entries from 0 to 1.

    P, A and B have the shapes (n, n), (n, m) and (m, n), and < compares quadratic forms. The form of J'PJ is convex in
    D, so the 2^m matrices D with entries 0 or 1 decide. D = 0 decides P > 0.

    >>> check_contraction([[1]], [[1, 1]], [[1], [-1]], Fraction(1, 2))  # A B = 0, but one entry of D may be 0
    Traceback (most recent call last):
    theory.refutation.Refuted: a pivot is -3/4, not above 0
    """
    p, a, b = (np.array(M, dtype=object) for M in (P, A, B))
    for corner in product((0, 1), repeat=len(b)):
        J = a @ (np.array(corner, dtype=object)[:, None] * b)
        check_positive_definite(rate**2 * p - J.T @ p @ J)


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
    low, _ = exp_range(*enclose(2 * (w * a - e)))
    require(low >= (1 + b) / (1 - b), f"from {a} the input {-e} may lead below {b}")

"""Whether a matrix of whole numbers has an eigendecomposition, decided exactly, with a certificate.

A matrix is diagonalisable over the complex numbers exactly if a polynomial without repeated roots annihilates
it. The squarefree part q of the characteristic polynomial has each eigenvalue as a root, once, so it decides:
q(W) = 0, or else q(W) is nilpotent and not zero. Either is a proof:

- q(W) = 0 and q has no repeated root: the minimal polynomial divides q, so W is diagonalisable;
- q(W) is not 0, but a power of it is: W = P D P^-1 would make q(W) = P q(D) P^-1 diagonalisable too, and
  the only diagonalisable nilpotent matrix is 0. So W is defective.

`annihilator` finds q; `is_diagonalisable` checks the proof, by ranks and powers of whole numbers. Nothing rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "annihilator", "as_whole", "characteristic_polynomial", "is_defective", "is_diagonalisable", "multiplicities",
    "rank",
]  # fmt: skip

Polynomial = tuple[Any, ...]
"""Coefficients, that of the highest power first, which is not zero."""


def as_whole(W: ArrayLike, what: str) -> NDArray[Any]:
    """W, (n, n) with n >= 1, as Python's ints; anything else is a ValueError that begins with `what`.

    >>> as_whole([[0.5]], "is_defective")
    Traceback (most recent call last):
    ValueError: is_defective: the entries of W must be ints, to be decided exactly; entry (0, 0) is 0.5
    """
    matrix = np.array(W, dtype=object)  # a copy
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{what}: W must be a square matrix (n, n) with n >= 1; got the shape {matrix.shape}")
    for at, entry in np.ndenumerate(matrix):
        if not isinstance(entry, (int, np.integer)):
            raise ValueError(f"{what}: the entries of W must be ints, to be decided exactly; entry {at} is {entry}")
        matrix[at] = int(entry)
    return matrix


def characteristic_polynomial(W: ArrayLike) -> Polynomial:
    """det(x I - W) for a W of whole numbers, (n, n), by Faddeev and LeVerrier; n + 1 ints.

    >>> characteristic_polynomial([[1, 2], [3, 4]])
    (1, -5, -2)
    """
    matrix = as_whole(W, "characteristic_polynomial")
    identity = np.eye(len(matrix), dtype=int).astype(object)
    coefficients, product = [1], identity
    for m in range(1, len(matrix) + 1):
        product = matrix @ product
        coefficients.append(-int(np.trace(product)) // m)  # exact
        product = product + coefficients[-1] * identity
    return tuple(coefficients)


def annihilator(W: ArrayLike) -> Polynomial:
    """The polynomial whose roots are the eigenvalues of W, each once: of ints, the first of which is 1.

    >>> annihilator([[5, 1], [0, 5]])
    (1, -5)
    """
    p = characteristic_polynomial(as_whole(W, "annihilator"))
    return tuple(int(c) for c in _divide(p, _common_divisor(p, _derivative(p)))[0])  # ints by Gauss's lemma


def is_defective(W: ArrayLike) -> bool:
    """Whether a W of whole numbers, (n, n), has no eigendecomposition over the complex numbers.

    >>> is_defective([[0, 1], [0, 0]]), is_defective([[0, 1], [-1, 0]])
    (True, False)
    """
    return bool(_evaluate(annihilator(W), as_whole(W, "is_defective")).any())


# The certificate's check ------------------------------------------------------------------------


def is_diagonalisable(W: ArrayLike, q: Sequence[int]) -> bool:
    """What the polynomial q proves of a W of whole numbers: True or False, see the page; else a ValueError.

    >>> is_diagonalisable([[0, 1], [0, 0]], (1, 0)), is_diagonalisable([[0, 1], [-1, 0]], (1, 0, 1))
    (False, True)
    >>> is_diagonalisable([[0, 1], [0, 0]], (1, 0, 0))
    Traceback (most recent call last):
    ValueError: is_diagonalisable: the polynomial (1, 0, 0) proves nothing: it has a repeated root
    """
    matrix = as_whole(W, "is_diagonalisable")
    value = 0 * matrix
    for i, coefficient in enumerate(q):
        value = value + coefficient * _power(matrix, len(q) - 1 - i)
    if _power(value, len(matrix)).any():
        raise ValueError(f"is_diagonalisable: the polynomial {tuple(q)} proves nothing: not every eigenvalue is a root")
    if value.any():
        return False
    if not _has_distinct_roots(q):
        raise ValueError(f"is_diagonalisable: the polynomial {tuple(q)} proves nothing: it has a repeated root")
    return True


def multiplicities(W: ArrayLike, eigenvalue: int) -> tuple[int, int]:
    """The algebraic and the geometric multiplicity of a whole number as an eigenvalue of W; (0, 0) if it is none.

    They are the dimensions of the kernels of (W - eigenvalue I)^n and of W - eigenvalue I.

    >>> multiplicities([[5, 1], [0, 5]], 5)
    (2, 1)
    """
    matrix = as_whole(W, "multiplicities")
    n = len(matrix)
    shifted = matrix - eigenvalue * np.eye(n, dtype=int)
    return n - rank(_power(shifted, n)), n - rank(shifted)


def rank(A: ArrayLike) -> int:
    """The rank of a matrix of ints or Fractions, by elimination without rounding.

    >>> rank([[1, 2], [2, 4]])
    1
    """
    rows = [[Fraction(x) for x in row] for row in np.asarray(A, dtype=object).tolist()]
    found = 0
    for column in range(len(rows[0]) if rows else 0):
        pivot = next((i for i in range(found, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        for i in range(found + 1, len(rows)):
            factor = rows[i][column] / rows[found][column]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


def _has_distinct_roots(q: Sequence[int]) -> bool:
    """Whether q and its derivative have no root in common: Sylvester's matrix of the two is regular."""
    slope = [c * (len(q) - 1 - i) for i, c in enumerate(q[:-1])]
    size = len(q) + len(slope) - 2
    rows = [[0] * i + list(q) + [0] * (size - len(q) - i) for i in range(len(slope) - 1)]
    rows += [[0] * i + slope + [0] * (size - len(slope) - i) for i in range(len(q) - 1)]
    return rank(rows) == size


def _power(A: NDArray[Any], k: int) -> NDArray[Any]:
    """The k-th power of whole numbers, exactly."""
    power = np.eye(len(A), dtype=int).astype(object)
    for _ in range(k):
        power = power @ A
    return power


# Polynomials ------------------------------------------------------------------------------------


def _evaluate(p: Polynomial, W: NDArray[Any]) -> NDArray[Any]:
    """p(W), by Horner's rule."""
    identity = np.eye(len(W), dtype=int).astype(object)
    value = 0 * identity
    for coefficient in p:
        value = value @ W + coefficient * identity
    return value


def _derivative(p: Polynomial) -> Polynomial:
    return tuple(c * (len(p) - 1 - i) for i, c in enumerate(p[:-1]))


def _divide(a: Polynomial, b: Polynomial) -> tuple[Polynomial, Polynomial]:
    """Quotient and remainder; the remainder () is zero."""
    rest, quotient = [Fraction(c) for c in a], []
    while len(rest) >= len(b):
        factor = rest[0] / b[0]
        quotient.append(factor)
        for i, c in enumerate(b):
            rest[i] -= factor * c
        rest.pop(0)
    while rest and not rest[0]:
        rest.pop(0)
    return tuple(quotient), tuple(rest)


def _common_divisor(a: Polynomial, b: Polynomial) -> Polynomial:
    """The greatest one with the first coefficient 1, by Euclid."""
    while b:
        a, b = b, _divide(a, b)[1]
    return tuple(Fraction(c) / a[0] for c in a)

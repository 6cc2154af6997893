"""Check directly from the definition whether a matrix has an eigendecomposition, and of which kind it is.

Over the rationals: an eigenvalue that is a root of the characteristic polynomial m times has an eigenspace of at most m
dimensions, n - rank(W - λ I) of them. W has an eigendecomposition (over the complex numbers) if and only if none has
fewer. `theory.eigenvalues.defective` proves the same with a vector.

For floating-point matrices, the kind is known only up to rounding errors, which are far smaller than the differences
between the kinds used here.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import checker
from theory.refutation import certified, require

__all__ = [
    "certify_kind", "characteristic_polynomial", "check_chain", "check_defective", "missing_dimensions", "multiplicity",
    "rank",
]  # fmt: skip

Rows = list[list[int]]


# Exactly ----------------------------------------------------------------------------------------


def rank(rows: Rows) -> int:
    """The rank of a matrix of ints over the rationals, by elimination without fractions.

    Each step multiplies a row by the pivot and takes a multiple of the pivot's row from it, which leaves the rank.

    Source: E. H. Bareiss, Sylvester's identity and multistep integer-preserving Gaussian elimination (1968).

    >>> rank([[1, 2], [2, 4]]), rank([[0, 1], [1, 0]]), rank([[0, 0]])
    (1, 2, 0)
    """
    left = [list(row) for row in rows]
    found = 0
    for column in range(len(rows[0])):
        pivot = next((row for row in left if row[column]), None)
        if pivot is None:
            continue
        found += 1
        left.remove(pivot)
        left = [[pivot[column] * x - row[column] * y for x, y in zip(row, pivot, strict=True)] for row in left]
    return found


def characteristic_polynomial(rows: Rows) -> list[int]:
    """The coefficients of det(x I - W), from that of x^n, which is 1, down; (n + 1).

    With M_0 = 0, c_n = 1: M_k = W M_{k-1} + c_{n-k+1} I, c_{n-k} = -trace(W M_k) / k, which is whole.

    Source: U. J. J. Le Verrier, Sur les variations séculaires (1840); D. K. Faddeev.

    >>> characteristic_polynomial([[2, 1], [0, 3]])  # (x - 2) (x - 3)
    [1, -5, 6]
    """
    coefficients, product = [1], [[0] * len(rows) for _ in rows]  # W M_0
    for k in range(1, len(rows) + 1):
        M = [[x + coefficients[-1] * (i == j) for j, x in enumerate(row)] for i, row in enumerate(product)]
        product = _product(rows, M)
        coefficients.append(int(Fraction(-sum(row[i] for i, row in enumerate(product)), k)))
    return coefficients


def _product(A: Rows, B: Rows) -> Rows:
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*B, strict=True)] for row in A]


def multiplicity(polynomial: list[int], root: int) -> int:
    """How many times a number is a root, by dividing by x - root as long as nothing is left.

    >>> multiplicity([1, -4, 4], 2), multiplicity([1, -4, 4], 1)
    (2, 0)
    """
    times = 0
    while len(polynomial) > 1:
        quotient = [polynomial[0]]
        for coefficient in polynomial[1:]:
            quotient.append(coefficient + root * quotient[-1])
        if quotient.pop() != 0:
            break
        polynomial, times = quotient, times + 1
    return times


def missing_dimensions(W: NDArray[np.object_] | Rows, eigenvalue: int) -> int:
    """How many times an int is a root of the characteristic polynomial, less the dimensions of its eigenspace.

    >>> missing_dimensions([[5, 1], [0, 5]], 5), missing_dimensions([[5, 0], [0, 5]], 5)
    (1, 0)
    """
    rows = [[int(x) for x in row] for row in np.asarray(W, dtype=object).tolist()]
    shifted = [[x - eigenvalue * (i == j) for j, x in enumerate(row)] for i, row in enumerate(rows)]
    return multiplicity(characteristic_polynomial(rows), eigenvalue) - (len(rows) - rank(shifted))


def check_defective(W: NDArray[np.object_] | Rows, eigenvalue: int) -> None:
    """Raise Refuted unless a matrix of ints lacks eigenvectors for this eigenvalue, so has no eigendecomposition.

    >>> check_defective([[1, 0], [0, 2]], 1)
    Traceback (most recent call last):
    theory.refutation.Refuted: W = [[1, 0], [0, 2]] is not defective: 1 has as many eigenvectors as its multiplicity
    """
    written = np.asarray(W, dtype=object).tolist()
    has_all = f"W = {written} is not defective: {eigenvalue} has as many eigenvectors as its multiplicity"
    require(missing_dimensions(W, eigenvalue) > 0, has_all)


def check_chain(W: ArrayLike, eigenvalue: int, v: ArrayLike) -> None:
    """Raise Refuted unless A v != 0 = A^2 v for A = W - eigenvalue I. W: (n, n); v: (n,); all of ints.

    >>> check_chain([[5, 1], [0, 5]], 5, [0, 1])
    >>> check_chain([[5, 1], [0, 5]], 5, [1, 0])
    Traceback (most recent call last):
    theory.refutation.Refuted: A v is 0, so v is an eigenvector or 0
    """
    certified(checker.defective, np.asarray(W).tolist(), eigenvalue, np.asarray(v).tolist())


# To rounding ------------------------------------------------------------------------------------

TOLERANCE = 1e-9


def certify_kind(W: NDArray[np.float64], kind: str, radius: float) -> None:
    """Refuted unless a drawn matrix is of the kind and has the spectral radius that are said.

    symmetric: W = W'. orthogonal: W W' = radius^2 I. non-normal: W W' is not W' W. defective: W - radius I is nilpotent
    of the highest order, so W is a Jordan block in another basis. random: some entry is not that of the transpose.
    The radius is that of the eigenvalues, or for a defective matrix, of which rounding moves them far, follows from
    the rest; that of a non-normal matrix is a real eigenvalue.

    >>> certify_kind(np.eye(2), "defective", 1.0)
    Traceback (most recent call last):
    theory.refutation.Refuted: W - 1.0 I to the power 1 is 0: no Jordan block of size 2
    """
    n = len(W)
    if kind == "symmetric":
        require(np.abs(W - W.T).max() <= TOLERANCE, "W is not symmetric")
    elif kind == "orthogonal":
        require(np.abs(W @ W.T - radius**2 * np.eye(n)).max() <= TOLERANCE, "W / radius is not orthogonal")
    elif kind == "non-normal":
        require(n > 1 and np.abs(W @ W.T - W.T @ W).max() > TOLERANCE, "W is normal")
    elif kind == "random":
        require(n == 1 or np.abs(W - W.T).max() > TOLERANCE, "W is symmetric, which a random one is not")
    elif kind == "defective":
        power = W - radius * np.eye(n)
        for k in range(1, n):
            vanishes = f"W - {radius} I to the power {k} is 0: no Jordan block of size {n}"
            require(np.abs(power).max() > TOLERANCE, vanishes)
            power = power @ (W - radius * np.eye(n))
        require(n > 1 and np.abs(power).max() <= TOLERANCE, f"W - {radius} I to the power {n} is not 0")
    else:
        require(False, f"{kind} is not a kind of matrix")
    if kind != "defective":
        found = float(np.abs(np.linalg.eigvals(W)).max())
        require(abs(found - radius) <= 1e-6, f"the spectral radius is {found:.8g}, not {radius}")

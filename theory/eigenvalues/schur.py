"""Schur's form of a matrix, and the bound of its powers that follows.

W = U (D + N) U* with U unitary, D diagonal and N strictly upper triangular. Of the products of k factors D or N those
with n or more factors N are zero, for each moves up a diagonal; those with j factors N are binom(k, j). So
||W^k|| <= sum_{j<n} binom(k, j) radius^(k-j) ||N||^j, whose k-th root tends to the spectral radius: Gelfand's formula
with a rate, for every W.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.eigenvalues.powers import as_square, as_steps, spectral_norm

__all__ = ["PowerBound", "check_schur", "schur_bound", "schur_form"]


def schur_form(W: ArrayLike) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """U unitary and T upper triangular with W = U T U*; both (n, n), complex.

    One eigenvector of the block that is left becomes the first column of a unitary matrix; in that basis the
    block's first column is zero below the diagonal, and a block smaller by one is left. Unlike an
    eigendecomposition it exists for every W. `check_schur` is the certificate.

    >>> U, T = schur_form([[0.0, 1.0], [0.0, 0.0]])
    >>> np.abs(T)
    array([[0., 1.],
           [0., 0.]])
    """
    T = as_square(W, "schur_form").astype(np.complex128)
    n = len(T)
    U = np.eye(n, dtype=np.complex128)
    for i in range(n - 1):
        vector = np.linalg.eig(T[i:, i:])[1][:, :1]
        Q = np.linalg.qr(np.hstack([vector, np.eye(n - i)]))[0]
        T[:, i:] = T[:, i:] @ Q
        T[i:] = Q.conj().T @ T[i:]
        U[:, i:] = U[:, i:] @ Q
        T[i + 1 :, i] = 0.0  # to rounding it is
    return U, T


def check_schur(W: ArrayLike, U: ArrayLike, T: ArrayLike, tolerance: float = 1e-13) -> float:
    """Check that W = U T U* with U unitary and T upper triangular; the error ||W - U T U*||.

    W, U, T: (n, n). Errors may be up to tolerance * n * max(1, ||W||); anything larger, or T with an entry below the
    diagonal that is not 0, is a ValueError that says what is wrong.

    >>> check_schur([[0.0, 1.0], [0.0, 0.0]], U=np.eye(2), T=[[0.0, 1.0], [0.0, 0.0]])
    0.0
    >>> check_schur([[0.0, 1.0], [0.0, 0.0]], U=np.eye(2), T=[[0.0, 2.0], [0.0, 0.0]])
    Traceback (most recent call last):
    ValueError: check_schur: U T U* is not W: the norm of the difference is 1
    """
    matrix, U, T = (as_square(A, "check_schur", name) for A, name in ((W, "W"), (U, "U"), (T, "T")))
    n = len(matrix)
    if U.shape != (n, n) or T.shape != (n, n):
        raise ValueError(f"check_schur: U and T must have the shape {(n, n)} of W; got {U.shape} and {T.shape}")
    if any(T[i, j] != 0 for i in range(n) for j in range(i)):
        raise ValueError("check_schur: T is not upper triangular")
    if not spectral_norm(U @ U.conj().T - np.eye(n)) <= tolerance * n:
        raise ValueError("check_schur: U is not unitary")
    error = spectral_norm(U @ T @ U.conj().T - matrix)
    if not error <= tolerance * n * max(1.0, spectral_norm(matrix)):
        raise ValueError(f"check_schur: U T U* is not W: the norm of the difference is {error:.3g}")
    return error


LARGEST = math.log(np.finfo(float).max)


# The bound of powers -----------------------------------------------------------------------------


@dataclass(frozen=True)
class PowerBound:
    """sum_{j<size} binom(k, j) radius^(k-j) departure^j, an upper bound of ||W^k||.

    radius: the spectral radius. departure: ||N||, how far W is from normal. size: n.
    """

    radius: float
    departure: float
    size: int

    def log(self, k: int) -> float:
        """The bound's logarithm for k steps, -inf where the bound is 0."""
        k = as_steps(k, "PowerBound")
        logs = [
            math.log(math.comb(k, j)) + _log_power(self.radius, k - j) + _log_power(self.departure, j)
            for j in range(min(self.size, k + 1))
        ]
        top = max(logs)
        return top if top == -math.inf else top + math.log(sum(math.exp(x - top) for x in logs))

    def at(self, k: int) -> float:
        """The bound for k steps; infinity where it is above the largest floating-point number.

        >>> PowerBound(radius=1.0, departure=1.0, size=2).at(10)
        11.0
        """
        log = self.log(k)
        return math.exp(log) if log < LARGEST else math.inf

    def steps_below(self, level: float) -> int:
        """A number of steps from which on the bound stays below `level`; it needs a radius below 1.

        Each term's ratio of one k to the next is radius (k + 1) / (k + 1 - j), below 1 from
        k = size / (1 - radius) on: from there the bound falls, and bisection finds the place.

        >>> PowerBound(radius=0.5, departure=0.0, size=1).steps_below(0.01)
        7
        """
        if not (self.radius < 1.0 and level > 0.0):
            raise ValueError(
                f"steps_below: needs a radius below 1 and a level above 0; got {self.radius:.6g} and {level:.6g}"
            )
        low = math.ceil((self.size - 1) / (1.0 - self.radius))
        high, target = low, math.log(level)
        while self.log(high) >= target:
            low, high = high, 2 * high + 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.log(middle) < target else (middle + 1, high)
        return high


def _log_power(x: float, k: int) -> float:
    """log(x^k), with 0^0 = 1."""
    if k == 0:
        return 0.0
    return k * math.log(x) if x > 0.0 else -math.inf


def schur_bound(W: ArrayLike) -> PowerBound:
    """The upper bound of ||W^k|| from Schur's form of W, (n, n).

    >>> schur_bound([[0.5, 3.0], [0.0, 0.5]])
    PowerBound(radius=0.5, departure=3.0, size=2)
    """
    T = schur_form(W)[1]
    return PowerBound(float(np.abs(np.diag(T)).max()), spectral_norm(np.triu(T, 1)), len(T))

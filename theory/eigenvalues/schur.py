"""Schur's form of a matrix, and the bound of its powers that follows from it.

W = U (D + N) U* with U unitary, D diagonal and N strictly upper triangular. A product of k factors D or N is zero if n
or more of them are N, and binom(k, j) products have j factors N. So
||W^k|| <= sum_{j<n} binom(k, j) radius^(k-j) ||N||^j, whose k-th root tends to the spectral radius: Gelfand's formula
with a rate, for every W.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.eigenvalues.powers import as_square, spectral_norm

__all__ = ["PowerBound", "check_schur", "schur_bound", "schur_form"]


def schur_form(W: ArrayLike) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Return U unitary and T upper triangular with W = U T U*; both (n, n), complex.

    An eigenvector of the remaining block becomes the first column of a unitary matrix. In that basis the block's first
    column is zero below the diagonal, which leaves a smaller block. `check_schur` checks the result.

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
        T[i + 1 :, i] = 0.0  # up to round-off it is
    return U, T


def check_schur(W: ArrayLike, U: ArrayLike, T: ArrayLike, tolerance: float = 1e-13) -> float:
    """Raise ValueError unless W = U T U* with U unitary and T upper triangular; return the error ||W - U T U*||.

    W, U, T: (n, n). Errors up to tolerance * n * max(1, ||W||) are allowed, but no nonzero entry of T below the
    diagonal.

    >>> check_schur([[0.0, 1.0], [0.0, 0.0]], U=np.eye(2), T=[[0.0, 1.0], [0.0, 0.0]])
    0.0
    >>> check_schur([[0.0, 1.0], [0.0, 0.0]], U=np.eye(2), T=[[0.0, 2.0], [0.0, 0.0]])
    Traceback (most recent call last):
    ValueError: check_schur: U T U* is not W: the norm of the difference is 1
    """
    matrix, U, T = (as_square(A, "check_schur", name) for A, name in ((W, "W"), (U, "U"), (T, "T")))
    n = len(matrix)
    if np.tril(T, -1).any():
        raise ValueError("check_schur: T is not upper triangular")
    if not spectral_norm(U @ U.conj().T - np.eye(n)) <= tolerance * n:
        raise ValueError("check_schur: U is not unitary")
    error = spectral_norm(U @ T @ U.conj().T - matrix)
    if not error <= tolerance * n * max(1.0, spectral_norm(matrix)):
        raise ValueError(f"check_schur: U T U* is not W: the norm of the difference is {error:.3g}")
    return error


@dataclass(frozen=True)
class PowerBound:
    """sum_{j<size} binom(k, j) radius^(k-j) departure^j, an upper bound of ||W^k||.

    radius: the spectral radius. departure: ||N||, how far W is from normal. size: n.
    """

    radius: float
    departure: float
    size: int

    def log(self, k: int) -> float:
        """Return the bound's logarithm for k steps, -inf if the bound is 0."""
        logs = [
            math.log(math.comb(k, j)) + _log_power(self.radius, k - j) + _log_power(self.departure, j)
            for j in range(min(self.size, k + 1))
        ]
        top = max(logs)
        return top if top == -math.inf else top + math.log(sum(math.exp(x - top) for x in logs))

    def at(self, k: int) -> float:
        """Return the bound for k steps; infinity above the largest floating-point number.

        >>> PowerBound(radius=1.0, departure=1.0, size=2).at(10)
        11.0
        """
        with np.errstate(over="ignore"):
            return float(np.exp(self.log(k)))

    def steps_below(self, level: float) -> int:
        """Return a number of steps from which on the bound stays below `level`, for a radius below 1.

        From one k to the next each term grows by the factor radius (k + 1) / (k + 1 - j), which is below 1 from
        k = (size - 1) / (1 - radius) on. From there the bound falls, and bisection finds the step.

        >>> PowerBound(radius=0.5, departure=0.0, size=1).steps_below(0.01)
        7
        """
        if not (self.radius < 1.0 and level > 0.0):
            raise ValueError(f"steps_below: the radius must be below 1, and the level {level} above 0; got {self}")
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
    """Return the upper bound of ||W^k|| from Schur's form of W, (n, n).

    >>> schur_bound([[0.5, 3.0], [0.0, 0.5]])
    PowerBound(radius=0.5, departure=3.0, size=2)
    """
    T = schur_form(W)[1]
    return PowerBound(float(np.abs(np.diag(T)).max()), spectral_norm(np.triu(T, 1)), len(T))

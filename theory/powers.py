"""Powers of a matrix: their norms, the spectral radius as their rate, and bounds from both sides.

Norms are spectral, the largest singular value. Two facts carry everything here:

- from below: an eigenvector v of W for an eigenvalue of modulus r gives |W^k v| = r^k |v|, so ||W^k|| >= r^k;
- from above: W = U (D + N) U* with U unitary, D diagonal, N strictly upper triangular (Schur). A product
  of k factors D or N with n or more factors N is zero, for each moves up a diagonal, so
  ||W^k|| <= sum_{j<n} binom(k, j) radius^(k-j) ||N||^j.

The k-th root of the second tends to the radius as well: this is Gelfand's formula with a rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "PowerBound", "as_square", "as_steps", "check_schur", "gelfand", "jordan_block", "jordan_power",
    "kreiss_lower_bound", "perturbation", "power_norms", "schur", "schur_bound", "spectral_norm", "spectral_radius",
]  # fmt: skip


def as_square(W: ArrayLike, what: str, name: str = "W") -> NDArray[Any]:
    """W as an array of floats or complex numbers, (n, n) with n >= 1.

    Raises ValueError that begins with `what` if it is not square, is empty, or has an entry that is not finite.

    >>> as_square([[1, 2]], "schur")
    Traceback (most recent call last):
    ValueError: schur: W must be a square matrix (n, n) with n >= 1; got the shape (1, 2)
    """
    matrix = np.asarray(W)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{what}: {name} must be a square matrix (n, n) with n >= 1; got the shape {matrix.shape}")
    matrix = matrix.astype(np.complex128 if np.iscomplexobj(matrix) else np.float64)
    if not np.isfinite(matrix).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(matrix))[0])
        raise ValueError(f"{what}: the entries of {name} must be finite; entry {at} is {matrix[at]}")
    return matrix


def as_steps(k: int, what: str) -> int:
    """The number of steps k, an int that is not negative; anything else is a ValueError that begins with `what`."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 0:
        raise ValueError(f"{what}: k, the number of steps, must be an int of at least 0; got {k!r}")
    return int(k)


def spectral_norm(A: ArrayLike) -> float:
    """The largest singular value of a matrix, by which it lengthens a vector at most.

    >>> spectral_norm([[0.0, 2.0], [0.0, 0.0]])
    2.0
    """
    return float(np.linalg.norm(np.asarray(A), 2))


def spectral_radius(W: ArrayLike) -> float:
    """The largest modulus of an eigenvalue of W, (n, n).

    >>> spectral_radius([[0.0, -2.0], [2.0, 0.0]])
    2.0
    """
    return float(np.abs(np.linalg.eigvals(as_square(W, "spectral_radius"))).max())


def power_norms(W: ArrayLike, k: int) -> NDArray[np.float64]:
    """||W^0||, …, ||W^k||, of the shape (k + 1,).

    >>> power_norms([[1.0, 1.0], [0.0, 0.0]], 2) ** 2
    array([1., 2., 2.])
    """
    W, k = as_square(W, "power_norms"), as_steps(k, "power_norms")
    powers = np.empty((k + 1, *W.shape), W.dtype)
    powers[0] = np.eye(len(W))
    for i in range(k):
        powers[i + 1] = powers[i] @ W
    return np.asarray(np.linalg.norm(powers, 2, axis=(1, 2)))


def perturbation(norms: NDArray[np.float64], error: float) -> NDArray[np.float64]:
    """How far W^0, …, W^k move, to first order, if W moves by a matrix of norm `error`; (k + 1,).

    norms: those of the powers, (k + 1,). V^k - W^k is the sum of V^a (V - W) W^(k-1-a) over a < k, so the
    bound is error * sum_{a<k} ||W^a|| ||W^(k-1-a)||. It is the honest tolerance for what rounding does to powers.

    >>> perturbation(np.array([1.0, 2.0, 4.0]), 0.1)
    array([0. , 0.1, 0.4])
    """
    sums = np.convolve(norms, norms)[: len(norms) - 1]
    return error * np.concatenate([[0.0], sums])


def gelfand(W: ArrayLike, doublings: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """||W^k||^(1/k) for k = 1, 2, 4, …, 2^doublings, and how far off rounding may put ||W^k||; (doublings + 1,) each.

    It squares and divides by the norm each time, keeping the norm's logarithm, so nothing overflows. The second array
    bounds the relative error of ||W^k||: where A has norm 1 and an error of e, A^2 has one of at most 2 e + e^2 and
    the product's rounding, relative to ||A^2||. It grows for defective matrices; from 1 on the digits mean nothing.

    >>> roots, errors = gelfand([[1.0, 1.0], [0.0, 1.0]], 10)
    >>> roots[[0, 5, 10]].round(2), bool(errors[10] < 1e-6)
    (array([1.62, 1.11, 1.01]), True)
    """
    A, doublings = as_square(W, "gelfand"), as_steps(doublings, "gelfand")
    product = 4 * len(A) * float(np.finfo(float).eps)
    roots, errors = np.zeros(doublings + 1), np.zeros(doublings + 1)
    log, error = 0.0, 25 * product  # W^k = exp(log) A; W itself is known to rounding
    for m in range(doublings + 1):
        norm = spectral_norm(A)
        if norm == 0.0:  # nilpotent: so are all further ones
            break
        log += math.log(norm)
        error = min(error if m == 0 else (2 * error + error**2 + product) / norm, 1.0)
        roots[m], errors[m] = math.exp(log / 2**m), error
        A = A / norm
        A, log = A @ A, 2.0 * log
    return roots, errors


# Schur's form and the bound that it gives -------------------------------------------------------


def schur(W: ArrayLike) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """U unitary and T upper triangular with W = U T U*; both (n, n), complex.

    One eigenvector of the block that is left becomes the first column of a unitary matrix; in that basis the
    block's first column is zero below the diagonal, and a block smaller by one is left. Unlike an
    eigendecomposition it exists for every W. `check_schur` is the certificate.

    >>> U, T = schur([[0.0, 1.0], [0.0, 0.0]])
    >>> np.abs(T)
    array([[0., 1.],
           [0., 0.]])
    """
    T = as_square(W, "schur").astype(np.complex128)
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


def check_schur(W: ArrayLike, U: NDArray[Any], T: NDArray[Any], tolerance: float = 1e-13) -> float:
    """Check that W = U T U* with U unitary and T upper triangular; the error ||W - U T U*||.

    Errors may be up to tolerance * n * max(1, ||W||); anything larger is a ValueError that says what is wrong.
    """
    matrix = as_square(W, "check_schur")
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
        """The bound for k steps.

        >>> PowerBound(radius=1.0, departure=1.0, size=2).at(10)
        11.0
        """
        return math.exp(self.log(k))

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
    T = schur(W)[1]
    return PowerBound(float(np.abs(np.diag(T)).max()), spectral_norm(np.triu(T, 1)), len(T))


# Growth before decay ----------------------------------------------------------------------------


def kreiss_lower_bound(W: ArrayLike, offsets: ArrayLike | None = None, angles: int = 32) -> float:
    """The largest (|z| - 1) ||(z I - W)^-1|| on a grid of |z| > 1: a lower bound of sup_k ||W^k||.

    offsets: the |z| - 1 of the grid, positive (40 from 0.001 to 1000 by default). angles: how many, evenly spaced.
    For |z| > 1, (z I - W)^-1 = sum_k W^k / z^(k+1), whose norm is at most sup_k ||W^k|| / (|z| - 1); this
    is the easy half of the Kreiss matrix theorem. The radius of W must not exceed 1, for else both are infinite.

    >>> kreiss_lower_bound([[0.9, 10.0], [0.0, 0.9]], offsets=[0.1]) >= 25
    True
    """
    W = as_square(W, "kreiss_lower_bound")
    distance = np.geomspace(1e-3, 1e3, 40) if offsets is None else np.asarray(offsets, dtype=np.float64)
    if distance.size == 0 or not (np.isfinite(distance) & (distance > 0.0)).all():
        raise ValueError("kreiss_lower_bound: offsets must be positive numbers, at least one")
    if isinstance(angles, bool) or not isinstance(angles, int) or angles < 1:
        raise ValueError(f"kreiss_lower_bound: angles must be an int of at least 1; got {angles!r}")
    directions = np.exp(2j * np.pi * np.arange(angles) / angles)
    z = (1.0 + distance.reshape(-1, 1)) * directions
    smallest = np.linalg.svd(z[..., None, None] * np.eye(len(W)) - W, compute_uv=False)[..., -1]
    return float((distance.reshape(-1, 1) / np.maximum(smallest, np.finfo(float).tiny)).max())


# Jordan blocks ----------------------------------------------------------------------------------


def jordan_block(eigenvalue: complex, size: int) -> NDArray[Any]:
    """The eigenvalue on the diagonal and ones above it; (size, size). From size 2 on it is defective.

    >>> jordan_block(3, 2)
    array([[3, 1],
           [0, 3]])
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"jordan_block: size must be an int of at least 1; got {size!r}")
    return eigenvalue * np.eye(size, dtype=int) + np.eye(size, k=1, dtype=int)


def jordan_power(eigenvalue: Any, size: int, k: int) -> NDArray[Any]:
    """The k-th power of a Jordan block in closed form: binom(k, d) eigenvalue^(k-d) on the d-th diagonal above.

    Exact for an int or a Fraction, as an array of objects; (size, size).

    >>> jordan_power(1, 3, 4)
    array([[1, 4, 6],
           [0, 1, 4],
           [0, 0, 1]], dtype=object)
    """
    k = as_steps(k, "jordan_power")
    power = np.zeros(jordan_block(eigenvalue, size).shape, dtype=object)
    for d in range(min(size, k + 1)):
        entry = math.comb(k, d) * eigenvalue ** (k - d)
        for i in range(size - d):
            power[i, i + d] = entry
    return power

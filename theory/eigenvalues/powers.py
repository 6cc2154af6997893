"""Powers of a matrix: their norms, their rate, their growth before they decay, and Jordan blocks.

Norms are spectral, the largest singular value. An eigenvector v of W for an eigenvalue of modulus r gives
|W^k v| = r^k |v|, so ||W^k|| is at least the spectral radius to the power k; an upper bound is in
`theory.eigenvalues.schur`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "as_square", "as_steps", "gelfand", "jordan_block", "jordan_power", "kreiss_lower_bound", "perturbation",
    "power_norms", "spectral_norm", "spectral_radius",
]  # fmt: skip


def as_square(W: ArrayLike, what: str, name: str = "W") -> NDArray[Any]:
    """W as an array of floats or complex numbers, (n, n) with n >= 1.

    Raises ValueError that begins with `what` if it is not square, is empty, or has an entry that is not finite.

    >>> as_square([[1, 2]], "schur_form")
    Traceback (most recent call last):
    ValueError: schur_form: W must be a square matrix (n, n) with n >= 1; got the shape (1, 2)
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
    """||W^0||, …, ||W^k||, of the shape (k + 1,). W: (n, n).

    A power that is too large for floating-point numbers is a ValueError; `gelfand` copes with any.

    >>> power_norms([[1.0, 1.0], [0.0, 0.0]], 2) ** 2
    array([1., 2., 2.])
    """
    W, k = as_square(W, "power_norms"), as_steps(k, "power_norms")
    powers = np.empty((k + 1, *W.shape), W.dtype)
    powers[0] = np.eye(len(W))
    for i in range(k):
        with np.errstate(over="ignore", invalid="ignore"):
            powers[i + 1] = powers[i] @ W
        if not np.isfinite(powers[i + 1]).all():
            raise ValueError(f"power_norms: W^{i + 1} is too large for floating-point numbers")
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
    >>> roots[[0, 5, 10]].round(2), bool(errors[5] < 1e-9)
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


# Growth before decay ----------------------------------------------------------------------------


def kreiss_lower_bound(W: ArrayLike, offsets: ArrayLike | None = None, angles: int = 32) -> float:
    """The largest (|z| - 1) ||(z I - W)^-1|| on a grid of |z| > 1: a lower bound of sup_k ||W^k||.

    offsets: the |z| - 1 of the grid, positive (40 from 0.001 to 1000 by default). angles: how many, evenly spaced.
    For |z| > 1, (z I - W)^-1 = sum_k W^k / z^(k+1), whose norm is at most sup_k ||W^k|| / (|z| - 1); this
    is the easy half of the Kreiss matrix theorem. W: (n, n), of a radius of at most 1, up to 1e-9, for else the
    supremum is infinite: a ValueError.

    >>> kreiss_lower_bound([[0.9, 10.0], [0.0, 0.9]], offsets=[0.1]) >= 25
    True
    """
    W = as_square(W, "kreiss_lower_bound")
    distance = np.geomspace(1e-3, 1e3, 40) if offsets is None else np.asarray(offsets, dtype=np.float64)
    if distance.size == 0 or not (np.isfinite(distance) & (distance > 0.0)).all():
        raise ValueError("kreiss_lower_bound: offsets must be positive numbers, at least one")
    if isinstance(angles, bool) or not isinstance(angles, int) or angles < 1:
        raise ValueError(f"kreiss_lower_bound: angles must be an int of at least 1; got {angles!r}")
    if (radius := spectral_radius(W)) > 1.0 + 1e-9:
        raise ValueError(f"kreiss_lower_bound: the spectral radius of W must be at most 1; got {radius:.6g}")
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

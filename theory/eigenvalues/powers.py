"""Powers of a matrix: their norms, their rate, their growth before they decay, and Jordan blocks.

Norms are spectral: the largest singular value. An eigenvector v for an eigenvalue of modulus r gives |W^k v| = r^k |v|,
so ||W^k|| is at least the spectral radius to the power k. `theory.eigenvalues.schur` has an upper bound.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "as_square", "gelfand", "jordan_block", "jordan_power", "kreiss_lower_bound", "perturbation",
    "power_norms", "spectral_norm", "spectral_radius",
]  # fmt: skip


def as_square(W: ArrayLike, what: str, name: str = "W") -> NDArray[Any]:
    """Return W as an array of floats or complex numbers, (n, n) with n >= 1.

    Raises ValueError that begins with `what` if W is not square, is empty, or has an entry that is not finite.

    >>> as_square([[1, 2]], "schur_form")
    Traceback (most recent call last):
    ValueError: schur_form: W must be a square matrix (n, n) with n >= 1; got the shape (1, 2)
    """
    matrix = np.asarray(W)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{what}: {name} must be a square matrix (n, n) with n >= 1; got the shape {matrix.shape}")
    matrix = matrix.astype(np.complex128 if np.iscomplexobj(matrix) else np.float64)
    if not np.isfinite(matrix).all():
        raise ValueError(f"{what}: the entries of {name} must be finite")
    return matrix


def spectral_norm(A: ArrayLike) -> float:
    """Return the largest singular value of a matrix.

    >>> spectral_norm([[0.0, 2.0], [0.0, 0.0]])
    2.0
    """
    return float(np.linalg.norm(np.asarray(A), 2))


def spectral_radius(W: ArrayLike) -> float:
    """Return the largest modulus of an eigenvalue of W, (n, n).

    >>> spectral_radius([[0.0, -2.0], [2.0, 0.0]])
    2.0
    """
    return float(np.abs(np.linalg.eigvals(as_square(W, "spectral_radius"))).max())


def power_norms(W: ArrayLike, k: int) -> NDArray[np.float64]:
    """Return ||W^0||, …, ||W^k||, (k + 1,). W: (n, n).

    A power that is too large for floating-point numbers raises ValueError.

    >>> power_norms([[1.0, 1.0], [0.0, 0.0]], 2) ** 2
    array([1., 2., 2.])
    """
    W = as_square(W, "power_norms")
    powers = np.empty((k + 1, *W.shape), W.dtype)
    powers[0] = np.eye(len(W))
    for i in range(k):
        with np.errstate(over="ignore", invalid="ignore"):
            powers[i + 1] = powers[i] @ W
    if not np.isfinite(powers).all():
        raise ValueError(f"power_norms: W^{k} is too large for floating-point numbers")
    return np.asarray(np.linalg.norm(powers, 2, axis=(1, 2)))


def perturbation(norms: NDArray[np.float64], error: float) -> NDArray[np.float64]:
    """Bound how far W^0, …, W^k move, to first order, if W moves by a matrix of norm `error`; (k + 1,).

    norms: those of the powers, (k + 1,). V^k - W^k is the sum of V^a (V - W) W^(k-1-a) over a < k, so the
    bound is error * sum_{a<k} ||W^a|| ||W^(k-1-a)||. Use it as the tolerance for round-off in powers.

    >>> perturbation(np.array([1.0, 2.0, 4.0]), 0.1)
    array([0. , 0.1, 0.4])
    """
    sums = np.convolve(norms, norms)[: len(norms) - 1]
    return error * np.concatenate([[0.0], sums])


def gelfand(W: ArrayLike, doublings: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ||W^k||^(1/k) for k = 1, 2, 4, …, 2^doublings, and bounds of the relative round-off in ||W^k||.

    Each step divides by the norm, whose logarithm it keeps, and squares, so nothing overflows. If A has norm 1 and an
    error e, the error of A^2 is at most 2 e + e^2 plus the product's rounding. A bound of 1 means no correct digit,
    which happens for defective matrices.

    >>> roots, errors = gelfand([[1.0, 1.0], [0.0, 1.0]], 10)
    >>> roots[[0, 5, 10]].round(2), bool(errors[5] < 1e-9)
    (array([1.62, 1.11, 1.01]), True)
    """
    A = as_square(W, "gelfand")
    product = 4 * len(A) * float(np.finfo(float).eps)
    roots, errors = np.zeros(doublings + 1), np.zeros(doublings + 1)
    log, error = 0.0, 25 * product  # W^k = exp(log) A, and W has round-off
    for m in range(doublings + 1):
        norm = spectral_norm(A)
        if norm == 0.0:  # W is nilpotent
            break
        log += math.log(norm)
        error = min(error if m == 0 else (2 * error + error**2 + product) / norm, 1.0)
        roots[m], errors[m] = math.exp(log / 2**m), error
        A = A / norm
        A, log = A @ A, 2.0 * log
    return roots, errors


# Growth before decay ----------------------------------------------------------------------------


def kreiss_lower_bound(W: ArrayLike) -> float:
    """Return the largest (|z| - 1) ||(z I - W)^-1|| on a grid of |z| > 1: a lower bound of sup_k ||W^k||.

    For |z| > 1, (z I - W)^-1 = sum_k W^k / z^(k+1), whose norm is at most sup_k ||W^k|| / (|z| - 1). This is the easy
    half of the Kreiss matrix theorem. W: (n, n), with a spectral radius of at most 1.

    >>> kreiss_lower_bound([[0.9, 10.0], [0.0, 0.9]]) >= 24.75
    True
    """
    W = as_square(W, "kreiss_lower_bound")
    distance = np.geomspace(1e-3, 1e3, 40).reshape(-1, 1)
    z = (1.0 + distance) * np.exp(2j * np.pi * np.arange(32) / 32)
    smallest = np.linalg.svd(z[..., None, None] * np.eye(len(W)) - W, compute_uv=False)[..., -1]
    return float((distance / np.maximum(smallest, np.finfo(float).tiny)).max())


# Jordan blocks ----------------------------------------------------------------------------------


def jordan_block(eigenvalue: complex, size: int) -> NDArray[Any]:
    """Return the matrix with the eigenvalue on the diagonal and ones above it; (size, size).

    >>> jordan_block(3, 2)
    array([[3, 1],
           [0, 3]])
    """
    return eigenvalue * np.eye(size, dtype=int) + np.eye(size, k=1, dtype=int)


def jordan_power(eigenvalue: Any, size: int, k: int) -> NDArray[Any]:
    """Return the k-th power of a Jordan block in closed form: binom(k, d) eigenvalue^(k-d) on the d-th diagonal above.

    Exact for an int or a Fraction, as an array of objects; (size, size).

    >>> jordan_power(1, 3, 4)
    array([[1, 4, 6],
           [0, 1, 4],
           [0, 0, 1]], dtype=object)
    """
    power = np.zeros(jordan_block(eigenvalue, size).shape, dtype=object)
    for d in range(min(size, k + 1)):
        entry = math.comb(k, d) * eigenvalue ** (k - d)
        for i in range(size - d):
            power[i, i + d] = entry
    return power

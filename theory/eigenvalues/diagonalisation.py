"""The linear recurrence h_t = W' h_{t-1}: its Jacobian through the engine, and in an eigenbasis.

With W = P D P^-1 (eigenvectors in the columns of P, eigenvalues on the diagonal of D), W' = (P')^-1 D P', and in a
power the inner factors cancel: (W')^k = (P')^-1 D^k P'. A prime is the transpose, without conjugation.

Source: homework 3-2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from theory.eigenvalues.powers import as_square, as_steps

__all__ = ["eigendecomposition", "eigenform", "power_jacobian", "printed_eigenform"]


def power_jacobian(W: ArrayLike, k: int, rows: bool = False) -> NDArray[np.float64]:
    """dh_k/dh_0 of h_t = W' h_{t-1}, computed by `mg.jacobian` through k matrix products; (n, n).

    rows: step by h @ W, as a layer does, instead of W' @ h. Entry (i, j) is the derivative of entry i of h_k
    in entry j of h_0. W must be real.

    >>> power_jacobian([[1, 1], [0, 1]], 3)
    array([[1., 0.],
           [3., 1.]])
    """
    k, real = as_steps(k, "power_jacobian"), as_square(W, "power_jacobian")
    if np.iscomplexobj(real):
        raise ValueError("power_jacobian: W must be real; the engine knows no complex numbers")
    weights = mg.tensor(real) if rows else mg.tensor(real.T.copy())

    def run(h: mg.Tensor) -> mg.Tensor:
        for _ in range(k):
            h = h @ weights if rows else weights @ h
        return h

    derivative = mg.jacobian(run)(mg.tensor(np.ones(len(real)))).numpy()
    return np.array(derivative, dtype=np.float64)


def eigendecomposition(W: ArrayLike, limit: float = 1e8) -> tuple[NDArray[Any], NDArray[Any]]:
    """P and the eigenvalues with W = P diag(eigenvalues) P^-1; (n, n) and (n,).

    A ValueError if the condition number of P is above `limit`: then W is defective or so close to it that
    P^-1 means nothing.

    >>> P, eigenvalues = eigendecomposition([[2.0, 0.0], [0.0, 3.0]])
    >>> eigenvalues
    array([2., 3.])
    >>> eigendecomposition([[0.0, 1.0], [0.0, 0.0]])
    Traceback (most recent call last):
    ValueError: eigendecomposition: W is defective, or nearly: the eigenvectors found have the condition number inf
    """
    eigenvalues, P = np.linalg.eig(as_square(W, "eigendecomposition"))
    condition = float(np.linalg.cond(P))
    if not condition <= limit:
        found = "inf" if condition > 1e15 else f"{condition:.3g}"
        raise ValueError(
            f"eigendecomposition: W is defective, or nearly: the eigenvectors found have the condition number {found}"
        )
    return P, eigenvalues


def eigenform(P: ArrayLike, eigenvalues: ArrayLike, k: int) -> NDArray[Any]:
    """(P')^-1 D^k P', what dh_k/dh_0 is for W = P D P^-1; (n, n).

    P: (n, n), invertible, the eigenvectors in its columns. eigenvalues: (n,), the diagonal of D. k: the steps.

    >>> eigenform([[1, 1], [0, 1]], [0, 1], 1)
    array([[0., 0.],
           [1., 1.]])
    """
    P, powers = _decomposition(P, eigenvalues, k, "eigenform")
    return np.asarray(np.linalg.inv(P.T) @ (powers[:, None] * P.T))


def printed_eigenform(P: ArrayLike, eigenvalues: ArrayLike, k: int) -> NDArray[Any]:
    """(P')^-1 D^k P^-1, as the source prints it; (n, n). False unless D^k (P'P - I) = 0.

    >>> printed_eigenform([[1, 1], [0, 1]], [0, 1], 1)
    array([[0., 0.],
           [0., 1.]])
    """
    P, powers = _decomposition(P, eigenvalues, k, "printed_eigenform")
    return np.asarray(np.linalg.inv(P.T) @ (powers[:, None] * np.linalg.inv(P)))


def _decomposition(P: ArrayLike, eigenvalues: ArrayLike, k: int, what: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """P, and the diagonal of D^k."""
    vectors, values = as_square(P, what, "P"), np.asarray(eigenvalues)
    if values.shape != vectors.shape[1:]:
        raise ValueError(f"{what}: eigenvalues must be {len(vectors)}, one a column of P; got the shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{what}: the eigenvalues must be finite; got {values}")
    if np.linalg.matrix_rank(vectors) < len(vectors):
        raise ValueError(f"{what}: the columns of P must be independent, else it has no inverse")
    return vectors, values.astype(np.result_type(values, np.float64)) ** as_steps(k, what)

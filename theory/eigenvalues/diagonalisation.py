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
from theory.eigenvalues.powers import as_square

__all__ = ["eigendecomposition", "eigenform", "power_jacobian", "printed_eigenform"]


def power_jacobian(W: ArrayLike, k: int, rows: bool = False) -> NDArray[np.float64]:
    """Compute dh_k/dh_0 of h_t = W' h_{t-1} by `mg.jacobian` through k matrix products; (n, n).

    rows: step by h @ W, as a layer does, instead of W' @ h. Entry (i, j) is the derivative of h_k[i] by h_0[j].

    >>> power_jacobian([[1, 1], [0, 1]], 3)
    array([[1., 0.],
           [3., 1.]])
    """
    real = as_square(W, "power_jacobian")
    weights = mg.tensor(real) if rows else mg.tensor(real.T.copy())

    def run(h: mg.Tensor) -> mg.Tensor:
        for _ in range(k):
            h = h @ weights if rows else weights @ h
        return h

    derivative = mg.jacobian(run)(mg.tensor(np.ones(len(real)))).numpy()
    return np.array(derivative, dtype=np.float64)


def eigendecomposition(W: ArrayLike, limit: float = 1e8) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return P and the eigenvalues with W = P diag(eigenvalues) P^-1; (n, n) and (n,).

    Raises ValueError if the condition number of P is above `limit`: W is defective, or so nearly that P^-1 is useless.

    >>> P, eigenvalues = eigendecomposition([[2.0, 0.0], [0.0, 3.0]])
    >>> eigenvalues
    array([2., 3.])
    >>> eigendecomposition([[0.0, 1.0], [0.0, 0.0]])
    Traceback (most recent call last):
    ValueError: eigendecomposition: W is defective, or nearly
    """
    eigenvalues, P = np.linalg.eig(as_square(W, "eigendecomposition"))
    if not eigenvalues.imag.any():
        eigenvalues, P = eigenvalues.real, P.real  # NumPy 2.5 returns complex arrays
    if not np.linalg.cond(P) <= limit:
        raise ValueError("eigendecomposition: W is defective, or nearly")
    return P, eigenvalues


def eigenform(P: ArrayLike, eigenvalues: ArrayLike, k: int) -> NDArray[Any]:
    """Return (P')^-1 D^k P', which is dh_k/dh_0 for W = P D P^-1; (n, n).

    P: (n, n), with the eigenvectors in its columns. eigenvalues: (n,), the diagonal of D. k: the number of steps.

    >>> eigenform([[1, 1], [0, 1]], [0, 1], 1)
    array([[0., 0.],
           [1., 1.]])
    """
    P, powers = as_square(P, "eigenform", "P"), np.asarray(eigenvalues) ** k
    return np.asarray(np.linalg.inv(P.T) @ (powers[:, None] * P.T))


def printed_eigenform(P: ArrayLike, eigenvalues: ArrayLike, k: int) -> NDArray[Any]:
    """Return (P')^-1 D^k P^-1, as the source prints it; (n, n). Wrong unless D^k (P'P - I) = 0.

    >>> printed_eigenform([[1, 1], [0, 1]], [0, 1], 1)
    array([[0., 0.],
           [0., 1.]])
    """
    P, powers = as_square(P, "printed_eigenform", "P"), np.asarray(eigenvalues) ** k
    return np.asarray(np.linalg.inv(P.T) @ (powers[:, None] * np.linalg.inv(P)))

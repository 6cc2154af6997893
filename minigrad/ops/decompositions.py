"""Decompositions of matrices: Cholesky, QR, of symmetric matrices by eigenvalues, and by singular values.

Matrices may be stacked, (…, M, N), as NumPy stacks them. Integers are computed in float64, half precision in single by
LAPACK, which does not know it, and rounded once. NumPy reads one triangle of what it takes for symmetric; gradients are
those in a symmetric matrix, spread evenly on both triangles, so that it stays symmetric by a step along them.

Vectors that belong to equal eigenvalues or singular values are not determined by the matrix, so they have no
derivative. It grows as 1 / gap before; a gap that is no larger than rounding, the largest value's size times the number
of rows (or columns, if those are more) times eps, counts as none. Values always have their gradients, and so have
vectors whose own gap is wide. Where a cotangent would mix the vectors of equal values, the backward pass raises
LinAlgError with both values, also if the loss would not depend on which vectors were chosen, such as the V f(w) V' of a
function of the matrix: what is left of its cotangent is rounding over rounding. An exact 0 in the cotangent asks for
nothing: the vectors of further equal values may be unused, as when only the first columns are taken. (So where f is 0
exactly, V f(w) V' is taken not to use its vectors.) Of a matrix that is not square the singular vectors of a singular
value that is 0 up to rounding are not determined either, and refused in the same way.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from ..core import Tensor, current_scope, plain
from ..primitives import ForwardResult, primitive
from ..rules import Shape, Shapes
from ..spec import Array
from .kernels.numerics import narrowed, single

__all__ = ["EighResult", "QRResult", "SVDResult", "cholesky", "eigh", "qr", "svd", "svdvals"]


class EighResult(NamedTuple):
    """What :func:`eigh` returns, by NumPy's names."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """What :func:`qr` returns, by NumPy's names."""

    Q: Tensor
    R: Tensor


class SVDResult(NamedTuple):
    """What :func:`svd` returns, by NumPy's names."""

    U: Tensor
    S: Tensor
    Vh: Tensor


# --- what rules on matrices share, of arrays and tensors --------------------------------------------


def check_matrices(x: Any, name: str) -> None:
    """Raise unless x has the two axes of a matrix."""
    if np.ndim(x) < 2:
        raise LinAlgError(f"{name} must be a matrix or a stack of them, (…, M, N), not of shape {np.shape(x)}")


def check_square(x: Any, name: str) -> None:
    """Raise unless x is a square matrix, or a stack of them."""
    if np.ndim(x) < 2 or np.shape(x)[-1] != np.shape(x)[-2]:
        raise LinAlgError(f"{name} must be square, (…, N, N), not of shape {np.shape(x)}")


def transposed(x: Any) -> Any:
    """Each matrix of a stack transposed."""
    return np.swapaxes(x, -1, -2)


def skew(x: Any) -> Any:
    """The skew-symmetric part of each matrix, (x - x') / 2."""
    return (x - transposed(x)) / 2


def from_lower(x: Any) -> Any:
    """The symmetric matrix with the lower triangle of x.

    >>> from_lower(np.array([[1.0, 9.0], [2.0, 3.0]]))
    array([[1., 2.],
           [2., 3.]])
    """
    return np.tril(x) + transposed(np.tril(x, -1))


def rounding_of(values: Any, size: int) -> Array:
    """How far eigenvalues or singular values (…, K) of a matrix of that size may be off by rounding: (…, 1).

    The largest one's size times the number of rows or columns, whichever is more, times eps.
    """
    values = plain(values)
    bound: Array = np.max(np.abs(values), axis=-1, keepdims=True, initial=0) * (size * np.finfo(values.dtype).eps)
    return bound


# --- triangles ---------------------------------------------------------------------------------------


@primitive(residuals=("output",))
def cholesky(a: Array, upper: bool = False) -> ForwardResult:
    """The lower triangular L with L @ L' = a, of symmetric positive definite matrices (…, N, N).

    Only the lower triangle of a is read. The gradient is that in a symmetric matrix.

    Args:
        upper: true for L', of the upper triangle of a.

    Raises:
        LinAlgError: if a matrix is not square, or not positive definite.

    >>> cholesky([[4.0, 2.0], [2.0, 10.0]])
    tensor([[2., 0.],
            [1., 3.]])
    """
    check_square(a, "a")
    y = np.linalg.cholesky(single(a), upper=upper)
    return narrowed(y, a), (y, upper)


@cholesky.batched_vjp
@cholesky.vjp
def _(g: Any, needs: Any, y: Any, upper: bool) -> Any:
    # L^-1 dA L'^-1 is L^-1 dL and its transpose, of which the former is lower triangular: dL = L Phi(L^-1 dA L'^-1),
    # where Phi takes the lower triangle and half of the diagonal.
    L, G = (transposed(y), transposed(g)) if upper else (y, g)
    half = np.linalg.solve(transposed(L), from_lower(transposed(L) @ G) / 2)
    return (np.linalg.solve(transposed(L), transposed(half)),)


@cholesky.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return math.prod(output[:-2]) * (output[-1] ** 3 // 6)


@primitive(residuals=("output", "output 1"))
def _qr(a: Array) -> Any:
    """An orthonormal Q and an upper triangular R with Q @ R = a; see :func:`qr`."""
    check_matrices(a, "a")
    Q, R = np.linalg.qr(single(a))
    return (narrowed(Q, a), narrowed(R, a)), (Q, R)


def qr(a: Any, mode: str = "reduced") -> Any:
    """An orthonormal Q (…, M, K) and an upper triangular R (…, K, N) with Q @ R = a (…, M, N), K = min(M, N).

    The first K columns of a must be independent for a gradient.

    Args:
        mode: "reduced"; or "r" for R alone. "complete" for a square Q is the same where M <= N.

    Raises:
        ValueError: for another mode; for "complete" where M > N, since the further columns of Q have no derivative.
        LinAlgError: if a has fewer than two axes; in the backward pass, if the first K columns are dependent.

    >>> Q, R = qr([[3.0], [4.0]])
    >>> Q, R
    (tensor([[-0.6],
            [-0.8]]), tensor([[-5.]]))
    """
    rows, columns = (0, 0, *np.shape(plain(a)))[-2:]
    if mode == "complete" and rows > columns:
        raise ValueError(
            f"qr: mode 'complete' of {rows} x {columns} gives columns of Q that are not determined, and have no "
            "derivative: use mode 'reduced'"
        )
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: mode must be 'reduced', 'complete' or 'r', not {mode!r}")
    Q, R = _qr(a)
    return R if mode == "r" else QRResult(Q, R)


qr.primitive = _qr.primitive  # type: ignore[attr-defined]


@_qr.batched_vjp
@_qr.vjp
def _(g: Any, needs: Any, Q: Any, R: Any) -> Any:
    # Of a wide A = (X, Y), X square, R is (U, Q' Y): Y gets Q times its part of R's cotangent, and Q that of Q' Y.
    (gQ, gR), k = g, Q.shape[-1]
    if R.shape[-1] == k:
        return (_pull_qr(gQ, gR, Q, R),)
    if gR is None:
        square = _pull_qr(gQ, None, Q, R[..., :k])
        return (np.concatenate([square, np.zeros((*square.shape[:-1], R.shape[-1] - k), square.dtype)], -1),)
    further = Q @ (R[..., k:] @ transposed(gR[..., k:]))
    square = _pull_qr(further if gQ is None else gQ + further, gR[..., :k], Q, R[..., :k])
    return (np.concatenate([square, Q @ gR[..., k:]], -1),)


def _pull_qr(gQ: Any, gR: Any, Q: Any, R: Any) -> Any:
    """The cotangent of A = Q R with a square R, by S. Walter and L. Lehmann, Algorithmic differentiation of linear
    algebra functions with application in optimum experimental design (2010)."""
    # (G_Q + Q M) R'^-1, with M symmetric, of the lower triangle of R G_R' - G_Q' Q
    inner = 0 if gR is None else R @ transposed(gR)
    inner = inner if gQ is None else inner - transposed(gQ) @ Q
    total = Q @ from_lower(inner)
    total = total if gQ is None else gQ + total
    try:
        return transposed(np.linalg.solve(R, transposed(total)))
    except LinAlgError:
        raise LinAlgError(
            "qr: the first columns of a matrix are dependent, and then Q and R have no gradient"
        ) from None


@_qr.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    """Reflections (Golub and Van Loan, Matrix Computations), once for R and as often again for Q."""
    *stack, m, n = inputs[0]
    m, n = max(m, n), min(m, n)
    return 2 * math.prod(stack) * (m * n * n - n**3 // 3)  # type: ignore[no-any-return]


# --- eigenvalues -------------------------------------------------------------------------------------


@primitive(residuals=("output", "output 1"))
def _eigh(a: Array, UPLO: Any = "L") -> Any:
    """Eigenvalues and eigenvectors of symmetric matrices; see :func:`eigh`."""
    check_square(a, "a")
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f"UPLO must be 'L' or 'U', not {UPLO!r}")
    w, V = np.linalg.eigh(single(a), UPLO)
    return (narrowed(w, a), narrowed(V, a)), (w, V)


def eigh(a: Any, UPLO: str = "L") -> EighResult:
    """Eigenvalues, in ascending order, and orthonormal eigenvectors of symmetric matrices a (…, N, N).

    Only one triangle of a is read. The gradient is that in a symmetric matrix. An eigenvector's sign is as LAPACK
    leaves it; the gradient is right for either. Of equal eigenvalues see :mod:`minigrad.ops.decompositions`.

    Args:
        UPLO: "L" to read the lower triangle, "U" for the upper one.

    Returns:
        eigenvalues (…, N), and eigenvectors (…, N, N) as columns.

    Raises:
        LinAlgError: if a matrix is not square, or the iteration does not converge; in the backward pass, if a cotangent
            mixes the eigenvectors of two equal eigenvalues.
        ValueError: for another UPLO.

    >>> eigh([[2.0, 0.0], [0.0, 1.0]]).eigenvalues
    tensor([1., 2.])
    """
    return EighResult(*_eigh(a, UPLO=UPLO))


eigh.primitive = _eigh.primitive  # type: ignore[attr-defined]


@_eigh.batched_vjp
@_eigh.vjp
def _(g: Any, needs: Any, w: Any, V: Any) -> Any:
    # dw_i = (V' dA V)_ii, and dV = V K with K_ij = (V' dA V)_ij / (w_j - w_i).
    gw, gV = g
    if gV is None:
        return ((V * gw[..., None, :]) @ transposed(V),)
    P, gaps = transposed(V) @ gV, w[..., None, :] - w[..., :, None]
    equal = np.abs(plain(gaps)) <= rounding_of(w, w.shape[-1])[..., None]
    _refuse_mixed("eigh", "eigenvalue", w, equal, P)
    inner = np.where(equal, 0, skew(P) / np.where(equal, 1, gaps))
    if gw is not None:
        inner = np.where(np.eye(w.shape[-1], dtype=bool), gw[..., None], inner)
    return (V @ inner @ transposed(V),)


def _refuse_mixed(name: str, what: str, values: Any, equal: Array, *parts: Any) -> None:
    """Raise if cotangents mix vectors i and j of equal values: if an entry (i, j) of their parts is not 0."""
    off = equal & ~np.eye(equal.shape[-1], dtype=bool)
    if not off.any():
        return
    for part in parts:
        mixed = np.argwhere(off & (plain(part) != 0))
        if len(mixed):
            *stack, i, j = mixed[0]
            rows = np.broadcast_to(plain(values), (*np.shape(plain(part))[:-2], off.shape[-1]))[tuple(stack)]
            i, j = sorted((int(i), int(j)))
            raise LinAlgError(
                f"{name}: {what}s {i} and {j}, {rows[i]:.6g} and {rows[j]:.6g}, are equal up to rounding, so their "
                f"vectors, which the loss uses, are not determined and have no gradient; that of the {what}s has no "
                "such limit"
            )


@_eigh.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    """About 9 N^3 operations for values and vectors (Golub and Van Loan, Matrix Computations), in pairs."""
    return math.prod(output[:-1]) * (9 * output[-1] ** 3 // 2)


# --- singular values ---------------------------------------------------------------------------------


@primitive(residuals=("output", "output 1", "output 2"))
def _svd(a: Array, full_matrices: bool = True) -> Any:
    """Singular values and vectors; see :func:`svd`."""
    check_matrices(a, "a")
    U, s, Vh = np.linalg.svd(single(a), full_matrices=full_matrices)
    return (narrowed(U, a), narrowed(s, a), narrowed(Vh, a)), (U, s, Vh)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Orthonormal U and Vh, and singular values S in descending order, with (U * S) @ Vh = a (…, M, N), K = min(M, N).

    The sign of a column of U, with that of a row of Vh, is as LAPACK leaves it; the gradient is right for either. Of
    equal singular values, and of those that are 0, see :mod:`minigrad.ops.decompositions`.

    Args:
        full_matrices: true for square U and Vh. Those of their columns and rows behind the first K are not determined
            by a, and the loss may not depend on them.
        compute_uv: false for S alone: :func:`svdvals`.

    Returns:
        U (…, M, K), S (…, K), Vh (…, K, N); or S alone.

    Raises:
        LinAlgError: if a has fewer than two axes, or the iteration does not converge; in the backward pass, if a
            cotangent mixes the vectors of two equal singular values, or is of vectors that are not determined.

    >>> svd([[0.0, 2.0], [1.0, 0.0]]).S
    tensor([2., 1.])
    """
    return SVDResult(*_svd(a, full_matrices=full_matrices)) if compute_uv else svdvals(a)


svd.primitive = _svd.primitive  # type: ignore[attr-defined]


@_svd.batched_vjp
@_svd.vjp
def _(g: Any, needs: Any, U: Any, s: Any, Vh: Any) -> Any:
    gU, gs, gVh = g
    gU, gVh, k = _determined(gU, s, -1), _determined(gVh, s, -2), s.shape[-1]
    U, Vh = U[..., :k], Vh[..., :k, :]
    if gU is None and gVh is None:
        return ((U * gs[..., None, :]) @ Vh,)  # ds_i = u_i' dA v_i
    inner = _pull_vectors(gU, gVh, U, s, Vh)
    if gs is not None:
        inner = np.where(np.eye(k, dtype=bool), gs[..., None], inner)
    total = U @ inner @ Vh
    # What moves a vector out of the space that all of them span: only where they do not span everything.
    size = max(U.shape[-2], Vh.shape[-1])
    if gU is not None and U.shape[-2] > k:
        total = total + ((gU - U @ (transposed(U) @ gU)) / _divisors(s, size, gU, -2)[..., None, :]) @ Vh
    if gVh is not None and Vh.shape[-1] > k:
        total = total + U @ ((gVh - (gVh @ transposed(Vh)) @ Vh) / _divisors(s, size, gVh, -1)[..., :, None])
    return (total,)


def _determined(g: Any, s: Any, axis: int) -> Any:
    """The cotangent of the vectors that singular values determine, along that axis; raise if it is of others, too."""
    k = s.shape[-1]
    if g is None or g.shape[axis] == k:
        return g
    first, others = (g[..., :k], g[..., k:]) if axis == -1 else (g[..., :k, :], g[..., k:, :])
    if np.any(plain(others)):
        raise LinAlgError(
            f"svd: the loss uses singular vectors behind the first {k}, which the matrix does not determine, and which "
            "have no gradient: use full_matrices=False"
        )
    return first


def _pull_vectors(gU: Any, gVh: Any, U: Any, s: Any, Vh: Any) -> Any:
    """U' dA V of the cotangents of singular vectors, within the spaces that they span; the diagonal is 0."""
    # With the skew-symmetric parts X of U' G_U and Y of V' G_V it is (X_ij s_j + s_i Y_ij) / (s_j^2 - s_i^2): as a sum,
    # (X + Y) / (s_j - s_i) + (X - Y) / (s_j + s_i), halves with halves, it cancels nothing that is near 0.
    P = 0 if gU is None else transposed(U) @ gU
    Q = 0 if gVh is None else Vh @ transposed(gVh)
    gaps, sums = s[..., None, :] - s[..., :, None], s[..., None, :] + s[..., :, None]
    equal = np.abs(plain(gaps)) <= rounding_of(s, max(U.shape[-2], Vh.shape[-1]))[..., None]
    _refuse_mixed("svd", "singular value", s, equal, *(part for part in (P, Q) if not isinstance(part, int)))
    X, Y = (part if isinstance(part, int) else skew(part) for part in (P, Q))
    apart = np.where(equal, 0, (X + Y) / np.where(equal, 1, gaps))
    return apart + np.where(equal, 0, (X - Y) / np.where(equal, 1, sums))


def _divisors(s: Any, size: int, g: Any, axis: int) -> Any:
    """Singular values, with 1 for 0. Raise if the cotangent is of vectors, along an axis, of one that is 0."""
    zero = plain(s) <= rounding_of(s, size)
    used = np.any(plain(g) != 0, axis=axis)
    if np.any(zero & used):
        place = int(np.argwhere(zero & used)[0][-1])
        raise LinAlgError(
            f"svd: singular value {place} is 0 up to rounding, so its vectors, which the loss uses, are not determined "
            "and have no gradient; that of the singular values has no such limit"
        )
    return np.where(zero, 1, s)


def svdvals(x: Any) -> Tensor:
    """The singular values of each matrix of x (…, M, N), in descending order: (…, K) with K = min(M, N).

    They have a gradient also where some are equal, or 0.

    Raises:
        LinAlgError: if x has fewer than two axes, or the iteration does not converge.

    >>> svdvals([[0.0, 2.0], [1.0, 0.0]])
    tensor([2., 1.])
    """
    # Values alone take a fifth of the time, but their gradient needs the vectors.
    tracked = isinstance(x, Tensor) and x.node is not None and current_scope() is not None
    return _svd(x, full_matrices=False)[1] if tracked else _singular_values(x)  # type: ignore[no-any-return]


@primitive(differentiable=False)
def _singular_values(x: Array) -> ForwardResult:
    """Singular values of what is not tracked; see :func:`svdvals`."""
    check_matrices(x, "x")
    return narrowed(np.linalg.svd(single(x), compute_uv=False), x), ()


@_svd.cost
@_singular_values.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    """About 6 M N^2 + 20 N^3 operations, N <= M (Golub and Van Loan, Matrix Computations), in pairs."""
    *stack, m, n = inputs[0]
    m, n = max(m, n), min(m, n)
    return math.prod(stack) * (3 * m * n * n + 10 * n**3)  # type: ignore[no-any-return]

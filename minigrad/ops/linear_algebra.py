"""Linear algebra: equations, inverses, determinants, decompositions, norms, traces and Kronecker products.

Matrices may be stacked, (…, M, N), as in NumPy. Integers are computed in float64. Half precision is computed in single,
because LAPACK does not support it, and rounded once. The rules are those of M. Giles, Collected matrix derivative
results for forward and reverse mode algorithmic differentiation (2008).

For symmetric matrices NumPy reads only one triangle. Gradients are spread evenly over both triangles, so that a
gradient step keeps the matrix symmetric.

The matrix does not determine the vectors of equal eigenvalues or singular values, so they have no derivative. The
derivative grows as 1 / gap. A gap that is no larger than rounding (the size of the largest value, times the number of
rows or columns, whichever is more, times eps) counts as no gap. The values always have gradients, and so have vectors
with a wide gap. If a cotangent would mix the vectors of equal values, the backward pass raises a LinAlgError with both
values. It does so even if the loss would not depend on the choice of vectors, such as the V f(w) V' of a function of
the matrix, because the result would be rounding divided by rounding. An exact 0 in the cotangent means that a vector is
not used: other equal values are allowed, as when only the first columns are taken. (So if f is exactly 0, V f(w) V'
counts as not using its vectors.) For a matrix that is not square, the singular vectors of a singular value that is 0 up
to rounding are not determined either, and raise in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.linalg import LinAlgError

from ..core import Tensor, plain
from ..primitives import ForwardResult, Shape, Shapes, primitive
from ..spec import Array, as_array, explain
from . import reductions
from .elementwise import absolute, astype, divide, log, multiply, not_equal, power, sign, subtract, where
from .indexing import diagonal
from .kernels.numerics import as_float, narrowed, narrowed_all, single
from .reductions import prod, product_of_others, sum
from .shaping import expand_dims, moveaxis, reshape, roll, squeeze


# The named results of functions with several results, as in NumPy.
class SlogdetResult(NamedTuple):
    """The sign of each determinant and the logarithm of its absolute value, each (…)."""

    sign: Tensor
    logabsdet: Tensor


class EighResult(NamedTuple):
    """Eigenvalues (…, N) in ascending order, and eigenvectors (…, N, N) as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """Orthonormal columns Q and upper triangles R, with Q R the matrices."""

    Q: Tensor
    R: Tensor


class SVDResult(NamedTuple):
    """Singular vectors U and Vh, and singular values S (…, K) in descending order."""

    U: Tensor
    S: Tensor
    Vh: Tensor


# --- shared by the rules, for arrays and tensors ----------------------------------------------------


def transposed(x: Any) -> Any:
    """Transpose each matrix of a stack."""
    return np.swapaxes(x, -1, -2)


def skew(x: Any) -> Any:
    """Return the skew-symmetric part of each matrix, (x - x') / 2."""
    return (x - transposed(x)) / 2


def from_lower(x: Any) -> Any:
    """Return the symmetric matrix with the lower triangle of x.

    >>> from_lower(np.array([[1.0, 9.0], [2.0, 3.0]]))
    array([[1., 2.],
           [2., 3.]])
    """
    return np.tril(x) + transposed(np.tril(x, -1))


def _of_sides(shape: Shape, count: Callable[[int, int], int]) -> int:
    """Multiply an operation count, a function of the longer and the shorter side, by the number of stacked matrices."""
    *stack, m, n = shape
    return math.prod(stack) * count(max(m, n), min(m, n))


def rounding_of(values: Any, size: int) -> Array:
    """Return the rounding error of eigenvalues or singular values (…, K) of a matrix of this size: (…, 1).

    This is the size of the largest one, times the number of rows or columns, whichever is more, times eps.
    """
    values = plain(values)
    return np.max(np.abs(values), axis=-1, keepdims=True, initial=0) * (size * np.finfo(values.dtype).eps)  # type: ignore[no-any-return]


# --- equations ---------------------------------------------------------------------------------------


@primitive(broadcasts=True, residuals=("a", "output"))
def solve(a: Array, b: Array) -> ForwardResult:
    """The x with a @ x = b, by an LU decomposition with pivots.

    Args:
        a: (…, N, N). b: (N,) for a vector, otherwise (…, N, K), as in NumPy 2. Stacks broadcast.

    Returns:
        (…, N) for a vector, otherwise (…, N, K).

    Raises:
        LinAlgError: if a matrix is not square, or is singular.
        ValueError: if b does not have N rows, or the stacks do not broadcast.

    >>> solve([[2.0, 1.0], [0.0, 4.0]], [4.0, 8.0])
    tensor([1., 2.])
    """
    a, b = np.asarray(a), np.asarray(b)
    rows = b.shape[:1] if b.ndim == 1 else b.shape[-2:-1]
    if a.ndim > 1 and rows != a.shape[-2:-1]:
        raise ValueError(f"b must be ({a.shape[-1]},) or (…, {a.shape[-1]}, K), not of shape {b.shape}")
    x = np.linalg.solve(single(a), single(b))
    return narrowed_all(x, (a, b)), (a, x, b.ndim == 1)


@solve.vjp
def _(g: Any, needs: Any, a: Any, x: Any, vector: bool) -> Any:
    # A dX = dB - dA X, so that the cotangent of B is H = A'^-1 G, and that of A is -H X'. The engine sums over stacks.
    G, X = (np.expand_dims(g, -1), np.expand_dims(x, -1)) if vector else (g, x)
    H = np.linalg.solve(transposed(single(a)), single(G))
    dA = -H @ transposed(X) if needs[0] else None
    return dA, (H[..., 0] if vector else H) if needs[1] else None


@solve.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    n, vector = inputs[0][-1], len(inputs[1]) == 1
    stack, columns = (output[:-1], 1) if vector else (output[:-2], output[-1])
    return math.prod(stack) * (n**3 // 3 + n * n * columns)  # type: ignore[no-any-return]


@primitive(residuals=("output",))
def inv(a: Array) -> ForwardResult:
    """The inverse of each matrix of a (…, N, N), of the same shape. For equations :func:`solve` is more accurate.

    Raises:
        LinAlgError: if a matrix is not square, or is singular.

    >>> inv([[2.0, 0.0], [0.0, 4.0]])
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    y = np.linalg.inv(single(a))
    return narrowed(y, a), (y,)


inv.vjp(lambda g, needs, y: (-transposed(y) @ g @ transposed(y),))  # dY = -Y dA Y


inv.cost(lambda inputs, output, options: math.prod(output[:-2]) * output[-1] ** 3)


# --- determinants ------------------------------------------------------------------------------------


@primitive(residuals=("a", "output"))
def det(a: Array) -> ForwardResult:
    """The determinant of each matrix of a (…, N, N): (…). For large ones it over- or underflows: see :func:`slogdet`.

    The gradient is the matrix of cofactors, even for a singular matrix of any rank. Higher derivatives are right there
    too, but they take N^2 determinants.

    Raises:
        LinAlgError: if a matrix is not square.

    >>> det([[2.0, 1.0], [1.0, 4.0]])
    tensor(7.)
    """
    y = np.linalg.det(single(a))
    return narrowed(y, a), (a, y)


@det.vjp
def _(g: Any, needs: Any, a: Any, y: Any) -> Any:
    if not isinstance(a, Tensor):
        return (g[..., None, None] * _cofactors(single(a), y),)
    a = single(a)
    s = np.linalg.svd(plain(a), compute_uv=False)
    if (s[..., -1:] > rounding_of(s, a.shape[-1])).all():
        return ((g * y)[..., None, None] * transposed(np.linalg.inv(a)),)
    n = np.arange(a.shape[-1])
    others = n[:-1] + (n[:-1] >= n[:, None])  # row i: all numbers but i
    minors = det(a[..., others[:, None, :, None], others[:, None, :]])
    signs = 1 - 2 * (np.add.outer(n, n) % 2)
    return (g[..., None, None] * (minors * signs.astype(a.dtype)),)


@det.reference
def _(a: Any) -> Any:
    Q, R = qr(a)
    orientation = np.linalg.det(plain(Q))  # 1 or -1
    return multiply(prod(diagonal(R, 0, -2, -1), -1), np.sign(orientation))


det.cost(lambda inputs, output, options: math.prod(output) * (inputs[0][-1] ** 3 // 3))


def _cofactors(a: Array, y: Array) -> Array:
    """Return the cofactors of matrices with determinants y: y A'^-1, or if y is 0, U diag(product of other s) V'."""
    # The inverse uses the same pivots as the determinant, and their errors cancel: even if the matrix is singular up to
    # rounding, the cofactors are exact up to rounding.
    zero = np.equal(y, 0)
    regular = np.where(zero[..., None, None], np.eye(a.shape[-1], dtype=a.dtype), a)
    c: Array = y[..., None, None] * transposed(np.linalg.inv(regular))
    if zero.any():
        U, s, Vh = np.linalg.svd(a[zero])
        orientation = np.sign(np.linalg.det(U) * np.linalg.det(Vh))[..., None, None]
        c[zero] = orientation * ((U * product_of_others(s, -1)[..., None, :]) @ Vh)
    return c


@primitive(residuals=("a",))
def _slogdet(a: Array) -> Any:
    """The sign of the determinant and the logarithm of its size; see :func:`slogdet`."""
    orientation, logabsdet = np.linalg.slogdet(single(a))
    return (narrowed(orientation, a), narrowed(logabsdet, a)), (a,)


def slogdet(a: Any) -> SlogdetResult:
    """The sign of the determinant of each matrix of a (…, N, N), and the logarithm of its size: both (…).

    The sign has gradient 0. For a singular matrix the results are 0 and -inf.

    Raises:
        LinAlgError: if a matrix is not square; in the backward pass, if one is singular.

    >>> slogdet([[2.0, 0.0], [0.0, -0.5]])
    SlogdetResult(sign=tensor(-1.), logabsdet=tensor(0.))
    """
    return SlogdetResult(*_slogdet(a))


slogdet.primitive = _slogdet.primitive  # type: ignore[attr-defined]


@_slogdet.vjp
def _(g: Any, needs: Any, a: Any) -> Any:
    # d log|det A| = tr(A^-1 dA)
    if g[1] is None:
        return (np.zeros((*g[0].shape, *a.shape[-2:]), a.dtype),)
    try:
        inverse = np.linalg.inv(single(a))
    except LinAlgError:
        raise LinAlgError("slogdet: a matrix is singular: its logabsdet is -inf, and has no gradient") from None
    return (g[1][..., None, None] * transposed(inverse),)


@_slogdet.reference
def _(a: Any) -> Any:
    y = det(a)
    return sign(y), log(absolute(y))


_slogdet.cost(lambda inputs, output, options: math.prod(output) * (inputs[0][-1] ** 3 // 3))


# --- triangles ---------------------------------------------------------------------------------------


@primitive(residuals=("output",))
def cholesky(a: Array, upper: bool = False) -> ForwardResult:
    """The lower triangular L with L @ L' = a, of symmetric positive definite matrices (…, N, N).

    Only the lower triangle of a is read. The gradient is symmetric.

    Args:
        upper: true for L', from the upper triangle of a.

    Raises:
        LinAlgError: if a matrix is not square, or not positive definite.

    >>> cholesky([[4.0, 2.0], [2.0, 10.0]])
    tensor([[2., 0.],
            [1., 3.]])
    """
    y = np.linalg.cholesky(single(a), upper=upper)
    return narrowed(y, a), (y, upper)


@cholesky.vjp
def _(g: Any, needs: Any, y: Any, upper: bool) -> Any:
    # L^-1 dA L'^-1 is L^-1 dL and its transpose, of which the former is lower triangular: dL = L Phi(L^-1 dA L'^-1),
    # where Phi takes the lower triangle and half of the diagonal.
    L, G = (transposed(y), transposed(g)) if upper else (y, g)
    half = np.linalg.solve(transposed(L), from_lower(transposed(L) @ G) / 2)
    return (np.linalg.solve(transposed(L), transposed(half)),)


cholesky.cost(lambda inputs, output, options: math.prod(output[:-2]) * (output[-1] ** 3 // 6))


@primitive(residuals=("output", "output 1"))
def _qr(a: Array) -> Any:
    """An orthonormal Q and an upper triangular R with Q @ R = a; see :func:`qr`."""
    Q, R = np.linalg.qr(single(a))
    return (narrowed(Q, a), narrowed(R, a)), (Q, R)


def qr(a: Any, mode: str = "reduced") -> Any:
    """An orthonormal Q (…, M, K) and an upper triangular R (…, K, N) with Q @ R = a (…, M, N), K = min(M, N).

    The first K columns of a must be independent for a gradient.

    Args:
        mode: "reduced", or "r" for only R. "complete", for a square Q, is the same if M <= N.

    Raises:
        ValueError: for another mode; for "complete" if M > N, because the other columns of Q have no derivative.
        LinAlgError: if a has fewer than two axes; in the backward pass, if the first K columns are dependent.

    >>> Q, R = qr([[3.0], [4.0]])
    >>> Q, R
    (tensor([[-0.6],
            [-0.8]]), tensor([[-5.]]))
    """
    rows, columns = (0, 0, *np.shape(plain(a)))[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: mode must be 'reduced', 'complete' or 'r', not {mode!r}")
    if mode == "complete" and rows > columns:
        raise ValueError(
            f"qr: mode 'complete' of {rows} x {columns} gives columns of Q that are not determined, so they have no "
            "derivative: use mode 'reduced'"
        )
    Q, R = _qr(a)
    return R if mode == "r" else QRResult(Q, R)


qr.primitive = _qr.primitive  # type: ignore[attr-defined]


@_qr.vjp
def _(g: Any, needs: Any, Q: Any, R: Any) -> Any:
    # For a wide A = (X, Y), X square, R is (U, Q' Y): Y gets Q times its part of R's cotangent, and Q that of Q' Y.
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
    """Return the cotangent of A = Q R with a square R.

    Source: S. Walter and L. Lehmann, Algorithmic differentiation of linear algebra functions with application in
    optimum experimental design (2010).
    """
    # (G_Q + Q M) R'^-1, with M symmetric, of the lower triangle of R G_R' - G_Q' Q
    inner = 0 if gR is None else R @ transposed(gR)
    inner = inner if gQ is None else inner - transposed(gQ) @ Q
    total = Q @ from_lower(inner)
    total = total if gQ is None else gQ + total
    try:
        return transposed(np.linalg.solve(R, transposed(total)))
    except LinAlgError:
        raise LinAlgError("qr: the first columns of a matrix are dependent, so Q and R have no gradient") from None


# Reflections (Golub and Van Loan, Matrix Computations), once for R and once more for Q.
_qr.cost(lambda inputs, output, options: _of_sides(inputs[0], lambda m, n: 2 * (m * n * n - n**3 // 3)))


# --- eigenvalues -------------------------------------------------------------------------------------


@primitive(residuals=("output", "output 1"))
def _eigh(a: Array, UPLO: Any = "L") -> Any:
    """Eigenvalues and eigenvectors of symmetric matrices; see :func:`eigh`."""
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f"UPLO must be 'L' or 'U', not {UPLO!r}")
    w, V = np.linalg.eigh(single(a), UPLO)
    return (narrowed(w, a), narrowed(V, a)), (w, V)


def eigh(a: Any, UPLO: str = "L") -> EighResult:
    """Eigenvalues, in ascending order, and orthonormal eigenvectors of symmetric matrices a (…, N, N).

    Only one triangle of a is read. The gradient is symmetric. LAPACK chooses the sign of an eigenvector; the gradient
    is right for either. For equal eigenvalues, see :mod:`minigrad.ops.linear_algebra`.

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
    for part in parts:
        mixed = np.argwhere(off & (plain(part) != 0))
        if len(mixed):
            *stack, i, j = mixed[0]
            rows = np.broadcast_to(plain(values), (*np.shape(plain(part))[:-2], off.shape[-1]))[tuple(stack)]
            i, j = sorted((int(i), int(j)))
            raise LinAlgError(
                f"{name}: {what}s {i} and {j}, {rows[i]:.6g} and {rows[j]:.6g}, are equal up to rounding, so their "
                "vectors, which the loss uses, are not determined and have no gradient; gradients of the "
                f"{what}s themselves are available"
            )


# About 9 N^3 operations for values and vectors (Golub and Van Loan, Matrix Computations), in pairs.
_eigh.cost(lambda inputs, output, options: math.prod(output[:-1]) * (9 * output[-1] ** 3 // 2))


# --- singular values ---------------------------------------------------------------------------------


@primitive(residuals=("output", "output 1", "output 2"))
def _svd(a: Array, full_matrices: bool = True) -> Any:
    """Singular values and vectors; see :func:`svd`."""
    U, s, Vh = np.linalg.svd(single(a), full_matrices=full_matrices)
    return (narrowed(U, a), narrowed(s, a), narrowed(Vh, a)), (U, s, Vh)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Orthonormal U and Vh, and singular values S in descending order, with (U * S) @ Vh = a (…, M, N), K = min(M, N).

    LAPACK chooses the sign of a column of U, with that of a row of Vh; the gradient is right for either. For equal
    singular values, and those that are 0, see :mod:`minigrad.ops.linear_algebra`.

    Args:
        full_matrices: true for square U and Vh. The matrix a does not determine their columns and rows after the first
            K, so the loss must not depend on them.
        compute_uv: false for only S, like :func:`svdvals`.

    Returns:
        U (…, M, K), S (…, K), Vh (…, K, N); or only S.

    Raises:
        LinAlgError: if a has fewer than two axes, or the iteration does not converge; in the backward pass, if a
            cotangent mixes the vectors of two equal singular values, or is of vectors that are not determined.

    >>> svd([[0.0, 2.0], [1.0, 0.0]]).S
    tensor([2., 1.])
    """
    return SVDResult(*_svd(a, full_matrices=full_matrices)) if compute_uv else svdvals(a)


svd.primitive = _svd.primitive  # type: ignore[attr-defined]


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
    # The part that moves a vector out of the span of all vectors: only if they do not span the whole space.
    size = max(U.shape[-2], Vh.shape[-1])
    if gU is not None and U.shape[-2] > k:
        total = total + ((gU - U @ (transposed(U) @ gU)) / _divisors(s, size, gU, -2)[..., None, :]) @ Vh
    if gVh is not None and Vh.shape[-1] > k:
        total = total + U @ ((gVh - (gVh @ transposed(Vh)) @ Vh) / _divisors(s, size, gVh, -1)[..., :, None])
    return (total,)


def _determined(g: Any, s: Any, axis: int) -> Any:
    """Return the cotangent of the vectors that singular values determine, along that axis; raise if others have one."""
    k = s.shape[-1]
    if g is None or g.shape[axis] == k:
        return g
    first, others = (g[..., :k], g[..., k:]) if axis == -1 else (g[..., :k, :], g[..., k:, :])
    if np.any(plain(others)):
        raise LinAlgError(
            f"svd: the loss uses singular vectors after the first {k}. The matrix does not determine these, so they "
            "have no gradient. Use full_matrices=False."
        )
    return first


def _pull_vectors(gU: Any, gVh: Any, U: Any, s: Any, Vh: Any) -> Any:
    """Return U' dA V for the cotangents of singular vectors, within the spaces that they span; the diagonal is 0."""
    # With the skew-symmetric parts X of U' G_U and Y of V' G_V it is (X_ij s_j + s_i Y_ij) / (s_j^2 - s_i^2): as a sum,
    # (X + Y) / (s_j - s_i) + (X - Y) / (s_j + s_i), halves with halves, nothing near 0 cancels.
    P = 0 if gU is None else transposed(U) @ gU
    Q = 0 if gVh is None else Vh @ transposed(gVh)
    gaps, sums = s[..., None, :] - s[..., :, None], s[..., None, :] + s[..., :, None]
    equal = np.abs(plain(gaps)) <= rounding_of(s, max(U.shape[-2], Vh.shape[-1]))[..., None]
    _refuse_mixed("svd", "singular value", s, equal, *(part for part in (P, Q) if not isinstance(part, int)))
    X, Y = (part if isinstance(part, int) else skew(part) for part in (P, Q))
    apart = np.where(equal, 0, (X + Y) / np.where(equal, 1, gaps))
    return apart + np.where(equal, 0, (X - Y) / np.where(equal, 1, sums))


def _divisors(s: Any, size: int, g: Any, axis: int) -> Any:
    """Return singular values, with 1 for 0. Raise if the cotangent uses vectors, along an axis, of one that is 0."""
    zero = plain(s) <= rounding_of(s, size)
    used = np.any(plain(g) != 0, axis=axis)
    if np.any(zero & used):
        place = int(np.argwhere(zero & used)[0][-1])
        raise LinAlgError(
            f"svd: singular value {place} is 0 up to rounding, so its vectors, which the loss uses, are not determined "
            "and have no gradient; gradients of the singular values themselves are available"
        )
    return np.where(zero, 1, s)


def svdvals(x: Any) -> Tensor:
    """The singular values of each matrix of x (…, M, N), in descending order: (…, K) with K = min(M, N).

    They have a gradient even if some are equal, or 0.

    Raises:
        LinAlgError: if x has fewer than two axes, or the iteration does not converge.

    >>> svdvals([[0.0, 2.0], [1.0, 0.0]])
    tensor([2., 1.])
    """
    return _svd(x, full_matrices=False)[1]  # type: ignore[no-any-return]


# About 6 M N^2 + 20 N^3 operations, N <= M (Golub and Van Loan, Matrix Computations), in pairs.
_svd.cost(lambda inputs, output, options: _of_sides(inputs[0], lambda m, n: 3 * m * n * n + 10 * n**3))

for _function in (solve, inv, det, _slogdet, cholesky, _qr, _eigh, _svd):  # whose rules support stacks
    _function.batched_vjp(_function.primitive.vjp)


# --- traces and Kronecker products -------------------------------------------------------------------


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum over the diagonals of x over two axes, like ``numpy.trace``.

    Args:
        x: of at least 2 axes. offset: 0 for the main diagonal, above it if positive, below it if negative.

    Returns:
        x's shape without the two axes.

    Raises:
        ValueError: if x has fewer than two axes, or the axes are the same or do not exist.

    >>> trace([[1.0, 2.0], [3.0, 4.0]])
    tensor(5.)
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)  # type: ignore[no-any-return]


def cross(a: Any, b: Any) -> Tensor:
    """The cross products of 3-vectors along the last axis, like ``numpy.cross``: (…, 3).

    Args:
        a, b: (…, 3); the other axes broadcast.

    Raises:
        ValueError: if a last axis has not three entries, or the other axes do not broadcast.

    >>> cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    tensor([0., 0., 1.])
    """
    shapes = [np.shape(as_array(plain(x))) for x in (a, b)]
    if any(shape[-1:] != (3,) for shape in shapes):
        raise ValueError(f"cross: a and b must be (…, 3), not {shapes[0]} and {shapes[1]}. Give 2-vectors a third 0.")
    a1, a2, b1, b2 = (roll(x, -shift, -1) for x in (a, b) for shift in (1, 2))  # entry i of a1 is a[i + 1]
    return subtract(multiply(a1, b2), multiply(a2, b1))  # type: ignore[no-any-return]


def kron(a: Any, b: Any) -> Tensor:
    """The Kronecker product: each entry of a times the whole of b, as blocks, like ``numpy.kron``.

    Args:
        a, b: of any shape; the one with fewer axes gets axes of length 1 in front.

    Returns:
        an array with the product of both lengths on each axis.

    >>> kron([[1.0, 2.0]], [[1.0], [10.0]])
    tensor([[ 1.,  2.],
            [10., 20.]])
    """
    shapes = [np.shape(as_array(plain(x))) for x in (a, b)]
    ndim = max(map(len, shapes))
    left, right = ((1,) * (ndim - len(shape)) + shape for shape in shapes)
    # each axis of a before that of b
    rows, columns = reshape(a, [n for m in left for n in (m, 1)]), reshape(b, [n for m in right for n in (1, m)])
    blocks = multiply(rows, columns)
    return reshape(blocks, [m * n for m, n in zip(left, right, strict=True)])  # type: ignore[no-any-return]


# --- norms -------------------------------------------------------------------------------------------


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors or matrices, like ``numpy.linalg.norm``.

    The gradient at x = 0 is 0, a subgradient at the kink of the norm. Equal largest (or smallest) entries, sums or
    singular values share the gradient.

    Args:
        x: of any shape.
        ord: for vectors a number p: the p-th root of the sum of ``|x|^p``; inf and -inf for the largest and the
            smallest magnitude; 0 for the number of nonzero entries, which has no gradient; None is 2. For matrices None
            and "fro" for the root of the sum of squares; 1 and -1 for the largest and the smallest sum of magnitudes of
            a column, inf and -inf of a row; 2 and -2 for the largest and the smallest singular value, "nuc" for their
            sum.
        axis: an integer for vectors along it, a pair for matrices with these rows and columns. None means all axes;
            then x must have one or two axes, unless ord is None too.
        keepdims: true to keep the reduced axes with length 1.

    Returns:
        x's shape without the axes.

    Raises:
        TypeError: if an axis is not an integer.
        ValueError: for an order that vectors or matrices do not have, a number of axes other than one or two, or the
            smallest of no entries.

    >>> norm([[3.0, 0.0], [4.0, 0.0]], 1), norm([[3.0, 0.0], [4.0, 0.0]], "nuc")
    (tensor(7.), tensor(5.))
    """
    ndim = np.ndim(plain(x))
    if axis is None and ord is None:
        return reductions.norm(x, None, keepdims)  # type: ignore[no-any-return]
    try:
        axes = normalize_axis_tuple(range(ndim) if axis is None else axis, ndim)
    except TypeError:
        raise TypeError(f"norm: axis must be an integer, a pair of them, or None, not {axis!r}") from None
    except ValueError as error:
        raise explain("norm", [("x", x)], error) from None
    if len(axes) == 1:
        return _of_vectors(x, ord, axes[0], keepdims)  # type: ignore[no-any-return]
    if len(axes) == 2:
        return _of_matrices(x, ord, axes, keepdims)  # type: ignore[no-any-return]
    raise ValueError(f"norm: ord {ord!r} needs one axis (vectors) or two (matrices), not {len(axes)}: pass axis")


def _of_vectors(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if ord is not None and not isinstance(ord, (int, float, np.integer, np.floating)):
        raise ValueError(f"norm: vectors have no order {ord!r}: it must be a number, inf, -inf or None")
    if ord is None or ord in (1, 2, np.inf):
        return reductions.norm(x, axis, keepdims, 2 if ord is None else ord)
    if ord == -np.inf:
        return reductions.min(absolute(x), axis, keepdims)
    if ord == 0:
        return reductions.sum(astype(not_equal(x, 0), as_float(as_array(plain(x))).dtype), axis, keepdims)
    return _in_single(lambda x: _power_norm(x, axis, keepdims, float(ord)), x)


def _of_matrices(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    if ord not in (None, "fro", "f", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        raise ValueError(f"norm: matrices have no order {ord!r}: it must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    if ord in (None, "fro", "f"):
        return reductions.norm(x, axes, keepdims)
    if ord in (1, -1, np.inf, -np.inf):
        sums = reductions.sum(absolute(x), axes[0] if abs(ord) == 1 else axes[1], keepdims=True)
        return reductions.norm(sums, axes, keepdims, np.inf) if ord > 0 else reductions.min(sums, axes, keepdims)
    matrices = moveaxis(x, axes, (-2, -1))
    if ord == "nuc":
        y = _in_single(lambda x: reductions.norm(svdvals(x), -1, ord=1), matrices)
    elif ord == 2:  # magnitudes of nonnegative values: their gradient at 0 is 0
        y = reductions.norm(svdvals(matrices), -1, ord=np.inf)
    else:
        y = reductions.min(absolute(svdvals(matrices)), -1)
    return expand_dims(y, axes) if keepdims else y


def _in_single(function: Callable[[Any], Any], x: Any) -> Any:
    """Apply a function of floats; half precision is computed in single and rounded once."""
    dtype = as_array(plain(x)).dtype
    if dtype == np.float16:
        return astype(function(astype(x, np.float32)), dtype)
    return function(x if dtype.kind == "f" else astype(x, np.float64))


def _power_norm(x: Any, axis: int, keepdims: bool, p: float) -> Any:
    """Return the p-th root of the sum of |x|^p along an axis, for p other than 0."""
    sizes = np.abs(plain(x))
    # In units of the largest entry, or of the smallest one if p < 0, no power that matters over- or underflows.
    end = np.max(sizes, axis, keepdims=True, initial=0) if p > 0 else np.min(sizes, axis, keepdims=True, initial=np.inf)
    unit, none = np.where((end == 0) | (end == np.inf), 1, end), end == 0  # then the norm and its gradient are 0
    zero = none | (sizes == 0)
    with np.errstate(over="ignore", divide="ignore"):  # if p < 0, relatively huge entries do not count
        powers = where(zero, 0.0, power(where(zero, 1.0, divide(absolute(x), unit)), p))
        total = where(none, 1.0, sum(powers, axis, keepdims=True))
        y = where(none, 0.0, multiply(unit, power(total, 1 / p)))
    return y if keepdims else squeeze(y, axis)

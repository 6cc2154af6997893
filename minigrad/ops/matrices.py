"""Square matrices: systems of linear equations, inverses, determinants; traces and Kronecker products.

Matrices may be stacked, (…, N, N), as NumPy stacks them. Integers are computed in float64, half precision in single by
LAPACK, which does not know it, and rounded once. The rules are those of M. Giles, Collected matrix derivative results
for forward and reverse mode algorithmic differentiation (2008).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from ..core import Tensor, plain
from ..primitives import ForwardResult, Shape, Shapes, primitive
from ..spec import Array, as_array
from .elementwise import absolute, log, multiply
from .indexing import diagonal
from .kernels.matrices import check_square, transposed
from .kernels.numerics import narrowed, narrowed_all, single
from .products import einsum
from .reductions import prod, product_of_others, sum
from .selection import sign
from .shaping import reshape

__all__ = ["SlogdetResult", "det", "inv", "kron", "slogdet", "solve", "trace"]


class SlogdetResult(NamedTuple):
    """What :func:`slogdet` returns, by NumPy's names."""

    sign: Tensor
    logabsdet: Tensor


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
    check_square(a, "a")
    rows = np.shape(b)[:1] if np.ndim(b) == 1 else np.shape(b)[-2:-1]
    if rows != a.shape[-1:]:
        raise ValueError(f"b must be ({a.shape[-1]},) or (…, {a.shape[-1]}, K), not of shape {np.shape(b)}")
    x = _solved(single(a), single(b))
    return narrowed_all(x, (a, b)), (a, x, b.ndim == 1)


@solve.batched_vjp
@solve.vjp
def _(g: Any, needs: Any, a: Any, x: Any, vector: bool) -> Any:
    # A dX = dB - dA X, so that the cotangent of B is H = A'^-1 G, and that of A is -H X'.
    G, X = (np.expand_dims(g, -1), np.expand_dims(x, -1)) if vector else (g, x)
    H = _solved(transposed(single(a)), single(G))
    dA = None
    if needs[0] and a.ndim == 2 < X.ndim == H.ndim:  # one GEMM sums over the stack
        dA = -_side_by_side(H) @ transposed(_side_by_side(X))
    elif needs[0]:
        dA = -H @ transposed(X)
    if not needs[1]:
        return dA, None
    return dA, H[..., 0] if vector else H


def _solved(a: Any, b: Any) -> Any:
    """a^-1 b; a single matrix is decomposed once for a whole stack (…, N, K)."""
    if a.ndim > 2 or b.ndim <= 2:
        return np.linalg.solve(a, b)
    x = np.linalg.solve(a, _side_by_side(b))
    return np.moveaxis(x.reshape(b.shape[-2], *b.shape[:-2], b.shape[-1]), 0, -2)


def _side_by_side(b: Any) -> Any:
    """A stack of matrices (…, N, K) as one, (N, … K)."""
    return np.moveaxis(b, -2, 0).reshape(b.shape[-2], math.prod(b.shape[:-2]) * b.shape[-1])


@solve.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    n, vector = inputs[0][-1], len(inputs[1]) == 1
    stack, columns = (output[:-1], 1) if vector else (output[:-2], output[-1])
    return math.prod(stack) * (n**3 // 3 + n * n * columns)  # type: ignore[no-any-return]


@primitive(residuals=("output",))
def inv(a: Array) -> ForwardResult:
    """The inverse of each matrix of a (…, N, N), of the same shape. To solve equations :func:`solve` is more accurate.

    Raises:
        LinAlgError: if a matrix is not square, or is singular.

    >>> inv([[2.0, 0.0], [0.0, 4.0]])
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    check_square(a, "a")
    y = np.linalg.inv(single(a))
    return narrowed(y, a), (y,)


@inv.batched_vjp
@inv.vjp
def _(g: Any, needs: Any, y: Any) -> Any:
    # dY = -Y dA Y
    return (-transposed(y) @ g @ transposed(y),)


@inv.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return math.prod(output[:-2]) * output[-1] ** 3


# --- determinants ------------------------------------------------------------------------------------


@primitive(residuals=("a", "output"))
def det(a: Array) -> ForwardResult:
    """The determinant of each matrix of a (…, N, N): (…). Of many rows it over- or underflows: see :func:`slogdet`.

    The gradient is the matrix of cofactors, also of a singular matrix, whatever its rank; so is the second one right
    there. A third one raises.

    Raises:
        LinAlgError: if a matrix is not square.

    >>> det([[2.0, 1.0], [1.0, 4.0]])
    tensor(7.)
    """
    check_square(a, "a")
    y = np.linalg.det(single(a))
    return narrowed(y, a), (a, y)


@det.batched_vjp
@det.vjp
def _(g: Any, needs: Any, a: Array, y: Array) -> Any:
    return (g[..., None, None] * _cofactors(single(a), y),)


@det.vjp_on_tensors
def _(g: Any, needs: Any, a: Any, y: Any) -> Any:
    return (g[..., None, None] * _cofactor(single(a)),)


@det.reference
def _(a: Any) -> Any:
    from .decompositions import qr

    Q, R = qr(a)
    orientation = np.linalg.det(plain(Q))  # 1 or -1
    return multiply(prod(diagonal(R, 0, -2, -1), -1), np.sign(orientation))


@det.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return math.prod(output) * (inputs[0][-1] ** 3 // 3)  # type: ignore[no-any-return]


@primitive(residuals=("a", "output"))
def _cofactor(a: Array) -> ForwardResult:
    """The gradient of the determinant of each matrix of a (…, N, N): its cofactors, of the same shape."""
    c = _cofactors(a, np.linalg.det(a))
    return c, (a, c)


@_cofactor.batched_vjp
@_cofactor.vjp
def _(g: Any, needs: Any, a: Array, c: Array) -> Any:
    # Of a diagonal matrix S the cofactor (i, i) is the product of all s but s_i, and moves with each other s_k by the
    # product of all but s_i and s_k, W_ik; the cofactor (i, j) moves with entry (j, i) alone, by -W_ij. By the singular
    # values A = U S V' is such a matrix in other coordinates. Nothing is divided by, so A may be singular.
    U, s, Vh, orientation = _signed_svd(a)
    others = product_of_others(np.where(np.eye(s.shape[-1], dtype=bool), 1, s[..., None, :]), -1)
    W = np.where(np.eye(s.shape[-1], dtype=bool), 0, others)
    G = transposed(U) @ g @ transposed(Vh)
    own = (W @ np.diagonal(G, 0, -2, -1)[..., None])[..., 0]
    inner = np.where(np.eye(s.shape[-1], dtype=bool), own[..., None], -W * transposed(G))
    return (orientation * (U @ inner @ Vh),)


@_cofactor.vjp_on_tensors
def _(g: Any, needs: Any, a: Any, c: Any) -> Any:
    # dC = tr(A^-1 dA) C - A'^-1 dA' C, with C = det(A) A'^-1
    try:
        inverse = transposed(np.linalg.inv(a))
    except LinAlgError as error:
        raise LinAlgError(f"det has no third derivative at a singular matrix: {error}") from None
    return (np.sum(g * c, (-2, -1), keepdims=True) * inverse - c @ transposed(g) @ inverse,)


def _signed_svd(a: Array) -> tuple[Array, Array, Array, Array]:
    """U, s, V' of matrices, and det(U) det(V), 1 or -1, as (…, 1, 1)."""
    U, s, Vh = np.linalg.svd(a)
    return U, s, Vh, np.sign(np.linalg.det(U) * np.linalg.det(Vh))[..., None, None]


def _cofactors(a: Array, y: Array) -> Array:
    """The cofactors of matrices with determinants y: y A'^-1, and where y is 0, U diag(product of other s) V'."""
    # The inverse is from the same pivots as the determinant, and their errors cancel: also of a matrix that is singular
    # but for rounding the cofactors are exact up to rounding.
    zero = np.equal(y, 0)
    regular = np.where(zero[..., None, None], np.eye(a.shape[-1], dtype=a.dtype), a)
    c: Array = y[..., None, None] * transposed(np.linalg.inv(regular))
    if zero.any():
        U, s, Vh, orientation = _signed_svd(a[zero])
        c[zero] = orientation * ((U * product_of_others(s, -1)[..., None, :]) @ Vh)
    return c


@primitive(residuals=("a",))
def _slogdet(a: Array) -> Any:
    """The sign of the determinant and the logarithm of its size; see :func:`slogdet`."""
    check_square(a, "a")
    orientation, logabsdet = np.linalg.slogdet(single(a))
    return (narrowed(orientation, a), narrowed(logabsdet, a)), (a,)


def slogdet(a: Any) -> SlogdetResult:
    """The sign of the determinant of each matrix of a (…, N, N), and the logarithm of its size: both (…).

    The sign has the gradient 0. Of a singular matrix they are 0 and -inf.

    Raises:
        LinAlgError: if a matrix is not square; in the backward pass, if one is singular.

    >>> slogdet([[2.0, 0.0], [0.0, -0.5]])
    SlogdetResult(sign=tensor(-1.), logabsdet=tensor(0.))
    """
    return SlogdetResult(*_slogdet(a))


slogdet.primitive = _slogdet.primitive  # type: ignore[attr-defined]


@_slogdet.batched_vjp
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


@_slogdet.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return math.prod(output) * (inputs[0][-1] ** 3 // 3)  # type: ignore[no-any-return]


# --- traces and Kronecker products -------------------------------------------------------------------


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum over the diagonals of x over two axes, as ``numpy.trace``.

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


def kron(a: Any, b: Any) -> Tensor:
    """The Kronecker product: each entry of a times the whole of b, as blocks, as ``numpy.kron``.

    Args:
        a, b: of any shape; the one with fewer axes gets axes of length 1 in front.

    Returns:
        on each axis the product of both lengths.

    >>> kron([[1.0, 2.0]], [[1.0], [10.0]])
    tensor([[ 1.,  2.],
            [10., 20.]])
    """
    shapes = [np.shape(as_array(plain(x))) for x in (a, b)]
    ndim = max(map(len, shapes))
    left, right = ((1,) * (ndim - len(shape)) + shape for shape in shapes)
    blocks = einsum("i,j->ij", reshape(a, -1), reshape(b, -1))
    # entries are by a's axes, then b's: each axis of a beside that of b
    turned = reshape(blocks, left + right).transpose([axis for i in range(ndim) for axis in (i, ndim + i)])
    return turned.reshape([m * n for m, n in zip(left, right, strict=True)])  # type: ignore[no-any-return]

"""Matrices: systems of linear equations, inverses, determinants, norms, traces and Kronecker products.

Matrices may be stacked, (…, N, N), as NumPy stacks them. Integers are computed in float64, half precision in single by
LAPACK, which does not know it, and rounded once. The rules are those of M. Giles, Collected matrix derivative results
for forward and reverse mode algorithmic differentiation (2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.linalg import LinAlgError

from ..core import Tensor, plain
from ..primitives import ForwardResult, primitive
from ..rules import Shape, Shapes
from ..spec import Array, as_array, explain
from . import reductions
from .decompositions import check_square, qr, svdvals, transposed
from .elementwise import absolute, divide, log, multiply, power
from .indexing import diagonal
from .kernels.numerics import as_float, narrowed, narrowed_all, single
from .products import einsum
from .reductions import prod, product_of_others, sum
from .selection import astype, not_equal, sign, where
from .shaping import expand_dims, moveaxis, reshape, squeeze

__all__ = ["SlogdetResult", "det", "inv", "kron", "norm", "slogdet", "solve", "trace"]


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

    The gradient is the matrix of cofactors, also of a singular matrix, whatever its rank.

    Raises:
        LinAlgError: if a matrix is not square; in a second derivative, if one is singular.

    >>> det([[2.0, 1.0], [1.0, 4.0]])
    tensor(7.)
    """
    check_square(a, "a")
    y = np.linalg.det(single(a))
    return narrowed(y, a), (a, y)


@det.batched_vjp
@det.vjp
def _(g: Any, needs: Any, a: Any, y: Any) -> Any:
    if not isinstance(a, Tensor):
        return (g[..., None, None] * _cofactors(single(a), y),)
    try:
        return ((g * y)[..., None, None] * transposed(np.linalg.inv(single(a))),)
    except LinAlgError as error:
        raise LinAlgError(f"det has no second derivative at a singular matrix: {error}") from None


@det.reference
def _(a: Any) -> Any:
    Q, R = qr(a)
    orientation = np.linalg.det(plain(Q))  # 1 or -1
    return multiply(prod(diagonal(R, 0, -2, -1), -1), np.sign(orientation))


@det.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return math.prod(output) * (inputs[0][-1] ** 3 // 3)  # type: ignore[no-any-return]


def _cofactors(a: Array, y: Array) -> Array:
    """The cofactors of matrices with determinants y: y A'^-1, and where y is 0, U diag(product of other s) V'."""
    # The inverse is from the same pivots as the determinant, and their errors cancel: also of a matrix that is singular
    # but for rounding the cofactors are exact up to rounding.
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


# --- norms -------------------------------------------------------------------------------------------


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors or matrices, as ``numpy.linalg.norm``.

    The gradient where x is 0 is 0: a subgradient where the norm has a kink. Equal largest (or smallest) entries, sums
    or singular values share it.

    Args:
        x: of any shape.
        ord: of vectors a number p: the p-th root of the sum of |x|^p; inf and -inf for the largest and the smallest
            size; 0 for how many are not 0, which has no gradient; None is 2. Of matrices None and "fro" for the root of
            the sum of squares; 1 and -1 for the largest and the smallest sum of sizes of a column, inf and -inf of
            a row; 2 and -2 for the largest and the smallest singular value, "nuc" for their sum.
        axis: an integer for vectors along it, a pair for matrices with these rows and columns. None is all axes, of
            which there must be one or two unless ord is None, too.
        keepdims: true to keep the reduced axes with length 1.

    Returns:
        x's shape without the axes.

    Raises:
        TypeError: if an axis is no integer.
        ValueError: for an order that vectors or matrices do not have, axes that are neither one nor two, or a smallest
            one of none.

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
    raise ValueError(f"norm: ord {ord!r} is of vectors, one axis, or of matrices, two, not {len(axes)}: choose by axis")


def _of_vectors(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if ord is not None and not isinstance(ord, (int, float, np.integer, np.floating)):
        raise ValueError(f"norm: vectors have no order {ord!r}: it must be a number, inf, -inf or None")
    if ord is None or ord in (1, 2, np.inf):
        return reductions.norm(x, axis, keepdims, 2 if ord is None else ord)
    if ord == -np.inf:
        return reductions.min(absolute(x), axis, keepdims)
    if ord == 0:
        return reductions.sum(astype(not_equal(x, 0), as_float(as_array(plain(x))).dtype), axis, keepdims)
    return _in_single(lambda x: _power_norm(x, axis, keepdims, ord), x)


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
    elif ord == 2:  # sizes of what is never negative: their gradient at 0 is 0
        y = reductions.norm(svdvals(matrices), -1, ord=np.inf)
    else:
        y = reductions.min(absolute(svdvals(matrices)), -1)
    return expand_dims(y, axes) if keepdims else y


def _in_single(function: Callable[[Any], Any], x: Any) -> Any:
    """A function of floats, whose half precision is computed in single and rounded once."""
    dtype = as_array(plain(x)).dtype
    if dtype == np.float16:
        return astype(function(astype(x, np.float32)), dtype)
    return function(x if dtype.kind == "f" else astype(x, np.float64))


def _power_norm(x: Any, axis: int, keepdims: bool, p: float) -> Any:
    """The p-th root of the sum of |x|^p along an axis, for p other than 0."""
    sizes = np.abs(plain(x))
    # In units of the largest entry, or of the smallest one if p < 0, no power over- or underflows that matters.
    end = np.max(sizes, axis, keepdims=True, initial=0) if p > 0 else np.min(sizes, axis, keepdims=True, initial=np.inf)
    unit, none = np.where((end == 0) | (end == np.inf), 1, end), end == 0  # then the norm and its gradient are 0
    zero = none | (sizes == 0)
    with np.errstate(over="ignore", divide="ignore"):  # if p < 0, what is huge beside the smallest entry counts nothing
        powers = where(zero, 0.0, power(where(zero, 1.0, divide(absolute(x), unit)), p))
        total = where(none, 1.0, sum(powers, axis, keepdims=True))
        y = where(none, 0.0, multiply(unit, power(total, 1 / p)))
    return y if keepdims else squeeze(y, axis)

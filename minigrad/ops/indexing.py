"""Indexing: read and (functionally) write entries by NumPy's indices; tables, triangles and diagonals.

An index is what NumPy takes: integers, slices, None, Ellipsis, arrays of integers or booleans, or a tuple of
these; tensors may stand for arrays, and so may lists, ranges and other sequences, buffers, and objects with
``__array__``. Negative integers count from the end.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..core import Tensor, plain
from ..primitives import ForwardResult, primitive
from ..spec import Array, as_array, describe, get_default_dtype
from .kernels.numerics import check_indices, sum_rows, widened
from .linear import apply_linear, batched
from .products import matmul


def _unwrap(index: Any) -> Any:
    """Convert an index, or each part of one, to a plain integer, slice, None, Ellipsis, boolean or array."""
    return tuple(map(_unwrap_part, index)) if isinstance(index, tuple) else _unwrap_part(index)


def _unwrap_part(part: Any) -> Any:
    part = plain(part)
    if isinstance(part, slice):
        bounds = (part.start, part.stop, part.step)  # perhaps 0-d arrays, which the caller may overwrite
        return slice(*[x if x is None or type(x) is int else operator.index(x) for x in bounds])
    if part is None or part is Ellipsis or isinstance(part, (int, np.bool_)):
        return part
    # Objects that NumPy treats as arrays become our arrays: sequences, buffers, objects with __array__.
    array = part if isinstance(part, np.ndarray) else np.array(np.asarray(part))
    if array is not part and not array.size:
        array = array.astype(np.intp)  # as in NumPy: an empty list holds no floats
    if array.dtype == object and hasattr(part, "__index__"):
        array = np.asarray(operator.index(part))
    if array.dtype.kind in "biu":
        return int(array) if array.ndim == 0 and array.dtype.kind != "b" else array
    raise IndexError(
        "only integers, slices, None, Ellipsis, and arrays or sequences of integers or booleans are indices, not "
        f"{describe(part)}"
    )


def _may_repeat(index: Any) -> bool:
    """Return whether an unwrapped index may name an entry twice: only integer arrays can."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, np.ndarray) and part.dtype.kind != "b" for part in parts)


def _places(shape: tuple[int, ...]) -> Array:
    """Number the entries of an array in order."""
    return np.arange(math.prod(shape)).reshape(shape)


def scattered(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Return zeros of a shape, with g added at an index; repeated entries get the sum. g may be a tensor."""
    return apply_linear(g, lambda g: _scatter(g, index, shape), lambda u: u[index])


def _scatter(g: Array, index: Any, shape: tuple[int, ...]) -> Array:
    if isinstance(index, np.ndarray) and index.size and _may_repeat(index) and math.prod(shape[1:]) >= 16:
        # long rows by index, as in an embedding: 400 of 256 take a quarter of np.add.at's time
        rows = index.ravel().astype(np.intp, copy=False) % shape[0]
        return sum_rows(g.reshape(index.size, -1), rows, shape[0]).reshape(shape)
    if _may_repeat(index):
        g = widened(g)  # half precision is summed in single
        d = np.zeros(shape, g.dtype)
        np.add.at(d, index, g)
    else:
        d = np.zeros(shape, g.dtype)
        d[index] = g
    return d


def _scatter_batch(g: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Put each of a batch of cotangents (B, …) in zeros of a shape, by the numbers of the entries."""
    places = _places(shape)[index]
    entries = g.reshape(len(g), places.size)
    if _may_repeat(index):
        d = sum_rows(entries.T, places.ravel(), math.prod(shape)).T
    else:
        d = np.zeros((len(g), math.prod(shape)), g.dtype)
        d[:, places.ravel()] = entries
    return d.reshape(len(g), *shape)


@primitive(residuals=())
def getitem(x: Array, index: Any) -> ForwardResult:
    """x[index], with any index that NumPy takes; the gradient of an entry is the sum over its uses.

    Args:
        x: of any shape.
        index: integers, slices, None, Ellipsis, arrays, tensors or sequences of integers or booleans, or a tuple of
            these.

    Returns:
        as in NumPy, a view of x for integers, slices, None and Ellipsis, a copy otherwise.

    Raises:
        IndexError: if an index is out of range or invalid in NumPy (such as floats), or there are too many.

    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> getitem(x, (slice(None), 1)).numpy(), getitem(x, [1, 1, 0]).shape
    (array([2., 4.]), (3, 2))
    """
    index = index if type(index) is int else _unwrap(index)
    return x[index], (index, x.shape)


getitem.vjp(lambda g, needs, index, shape: (scattered(g, index, shape),))


getitem.batched_vjp(lambda g, needs, index, shape: (_scatter_batch(g, index, shape),))


@primitive(broadcasts=True, residuals=())
def _put(x: Array, value: Array, index: Any) -> ForwardResult:
    """Return a copy of x with other values at an index; see :func:`put`."""
    x, value, index = as_array(x), np.asarray(value), _unwrap(index)
    if value.dtype.kind == "f" and x.dtype.kind != "f":
        raise TypeError(f"{value.dtype} values would be truncated in an array of {x.dtype}: convert one of them first")
    y = np.array(x, order="C")
    # Repeated entries are written through their positions in a vector, where the last one always wins.
    places = _places(x.shape)[index] if _may_repeat(index) else None
    shape = np.shape(x[index] if places is None else places)
    try:
        value = value if value.shape == shape else np.broadcast_to(value, shape)
    except ValueError:
        raise ValueError(f"value {value.shape} does not broadcast to the shape {shape} of x[index]") from None
    if places is None:
        y[index] = value
    else:
        y.reshape(-1)[places.ravel()] = value.ravel()
    return y, (index, places)


def put(x: Any, index: Any, value: Any) -> Tensor:
    """A copy of x with ``copy[index] = value``: the functional form of writing into a tensor.

    If the index names an entry repeatedly, the last value (in C order) wins, as in NumPy. The gradient of the others,
    and of overwritten entries of x, is 0.

    Args:
        x: of any shape.
        index: as for :func:`getitem`.
        value: a number or a tensor that broadcasts to the shape of x[index].

    Returns:
        a tensor of x's shape and dtype.

    Raises:
        IndexError: if an index is out of range or invalid in NumPy (such as floats), or there are too many.
        ValueError: if the value does not broadcast to the shape of x[index].
        TypeError: if floating values are put among integers.

    >>> put([1.0, 2.0, 3.0], slice(0, 2), 9.0)
    tensor([9., 9., 3.])
    """
    return _put(x, value, index=index)  # type: ignore[no-any-return]


put.primitive = _put.primitive  # type: ignore[attr-defined]


@_put.vjp
def _(g: Any, needs: Any, index: Any, places: Array | None) -> Any:
    def cleared(g: Array) -> Array:
        d = np.array(g, order="C")
        d[index] = 0
        return d

    values = g[index] if needs[1] else None
    if values is not None and places is not None:  # if several values go to a place, the last one wins
        writers, last = np.arange(places.size), np.zeros(g.size, np.intp)
        last[places.ravel()] = writers
        values = np.where(last[places] == writers.reshape(places.shape), values, 0)
    return apply_linear(g, cleared, cleared) if needs[0] else None, values


@primitive(residuals=())
def take_along_axis(x: Array, indices: Array, axis: int | None = -1) -> ForwardResult:
    """Entries of x picked along one axis, such as ``y[i, j] = x[i, indices[i, j]]`` for the last of two.

    Args:
        x: of any shape.
        indices: integers, with x's number of axes; the other axes broadcast. Negative ones count from the end.
        axis: the axis to pick along; None takes x as a vector.

    Returns:
        the shape of the indices (broadcast).

    Raises:
        IndexError: if an index is out of range, or the indices are not integers.
        ValueError: if the numbers of axes differ.

    >>> take_along_axis([[1, 2], [3, 4]], [[0], [1]], axis=1)
    tensor([[1],
            [4]])
    """
    y = np.take_along_axis(x, indices, axis)
    shape = x.shape if axis is not None else (x.size,)
    # the same entries by an ordinary index, with ranges along the other axes
    index: list[Any] = list(np.ogrid[tuple(map(slice, shape))])
    index[axis or 0] = indices
    return y, (tuple(index), shape, x.shape)


take_along_axis.vjp(lambda g, needs, index, shape, original: (scattered(g, index, shape).reshape(original), None))


take_along_axis.batched_vjp(
    lambda g, needs, index, shape, original: (_scatter_batch(g, index, shape).reshape(len(g), *original), None)
)


# --- rows of a table ---------------------------------------------------------------------------------


@primitive(residuals=("indices",))
def embedding(indices: Array, W: Array) -> ForwardResult:
    """Rows of a table, W[indices]; the gradient of a row is the sum over its uses.

    Args:
        indices: integers in 0 … V-1, of any shape (…).
        W: the table (V, D).

    Returns:
        (…, D), of W's dtype.

    Raises:
        IndexError: if an index is outside the table or negative; names it and its position.
        TypeError: if the indices are not integers.
        ValueError: if W is not (V, D).

    Source: the captioning exercises (word embedding).

    >>> embedding([2, 0], [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    tensor([[4., 5.],
            [0., 1.]])
    """
    if W.ndim != 2:
        raise ValueError(f"W must have 2 axes (V, D), not shape {W.shape}")
    check_indices(indices, len(W), "indices")
    return W[indices], (indices, W.shape)


@embedding.vjp
def _(g: Any, needs: Any, indices: Array, shape: tuple[int, int]) -> Any:
    rows = indices.ravel()
    g = g.reshape(indices.size, shape[1])
    return None, apply_linear(g, lambda g: sum_rows(g, rows, shape[0]), lambda u: u[rows])


@primitive(differentiable=False)
def one_hot(indices: Array, size: int, dtype: Any = None) -> ForwardResult:
    """Unit vectors: 1 at the index, 0 elsewhere; a constant.

    Args:
        indices: integers in 0 … size-1, of any shape (…).
        size: the length of each vector.
        dtype: of the result; the default dtype (float32) if None.

    Returns:
        (…, size).

    Raises:
        IndexError: if an index is out of range; names it and its position.
        TypeError: if the indices are not integers.

    >>> one_hot([2, 0], 3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    check_indices(indices, size, "indices")
    result = np.zeros((*indices.shape, size), get_default_dtype() if dtype is None else dtype)
    result.put(indices.ravel().astype(np.intp) + np.arange(0, result.size, max(size, 1)), 1)
    return result, ()


embedding.reference(lambda indices, W: matmul(one_hot(indices, len(W), dtype=W.dtype), W))


# --- triangles and diagonals -----------------------------------------------------------------------


@primitive(residuals=())
def tril(x: Array, k: int = 0) -> ForwardResult:
    """The lower triangle of each matrix in x (…, n, m): 0 above the k-th diagonal.

    Raises:
        ValueError: if x has fewer than two axes.

    >>> tril([[1, 2], [3, 4]])
    tensor([[1, 0],
            [3, 4]])
    """
    if x.ndim < 2:
        raise ValueError("x must have at least 2 axes")
    return np.tril(x, k), (k,)


tril.vjp(lambda g, needs, k: (np.tril(g, k),))


@primitive(residuals=())
def triu(x: Array, k: int = 0) -> ForwardResult:
    """The upper triangle of each matrix in x (…, n, m): 0 below the k-th diagonal.

    Raises:
        ValueError: if x has fewer than two axes.

    >>> triu([[1, 2], [3, 4]])
    tensor([[1, 2],
            [0, 4]])
    """
    if x.ndim < 2:
        raise ValueError("x must have at least 2 axes")
    return np.triu(x, k), (k,)


triu.vjp(lambda g, needs, k: (np.triu(g, k),))


@primitive(residuals=())
def diagonal(x: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ForwardResult:
    """The diagonals of x over two axes, which become one, the last; a read-only view.

    Args:
        offset: 0 for the main diagonal, above it if positive, below it if negative.

    Raises:
        ValueError: if x has fewer than two axes, or the axes are the same or do not exist.

    >>> diagonal([[1, 2], [3, 4]])
    tensor([1, 4])
    """
    return x.diagonal(offset, axis1, axis2), (x.shape, offset, axis1, axis2)


@diagonal.vjp
def _(g: Any, needs: Any, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Any:
    def place(g: Array) -> Array:
        d = np.zeros(shape, g.dtype)
        view = np.diagonal(d, offset, axis1, axis2)
        view.flags.writeable = True  # into d, which is ours
        view[...] = g
        return d

    return (apply_linear(g, place, lambda u: np.diagonal(u, offset, axis1, axis2)),)


batched(tril, triu, diagonal)


def diag(x: Any, k: int = 0) -> Tensor:
    """Return a matrix with the vector x (n,) on its k-th diagonal and zeros elsewhere; for a matrix, its k-th diagonal.

    Returns:
        for a vector ``(n + |k|, n + |k|)``, like ``numpy.diag``; for a matrix a read-only view, see :func:`diagonal`.

    Raises:
        ValueError: if x is neither vector nor matrix.

    >>> diag([1.0, 2.0]), diag([[1.0, 2.0], [3.0, 4.0]], 1)
    (tensor([[1., 0.],
            [0., 2.]]), tensor([2.]))
    """
    array = as_array(plain(x))
    if array.ndim == 2:
        return diagonal(x, k)  # type: ignore[no-any-return]
    if array.ndim != 1:
        raise ValueError(f"diag: x must be a vector or a matrix, not of shape {array.shape}")
    size, n = len(array) + abs(k), np.arange(len(array))
    return put(np.zeros((size, size), array.dtype), (n + max(-k, 0), n + max(k, 0)), x)

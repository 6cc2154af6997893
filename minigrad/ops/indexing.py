"""Indexing primitives: reading and (functionally) writing some entries."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backward import unbroadcast
from ..core import Tensor, plain
from ..primitives import primitive
from ..spec import Array

__all__ = ["getitem", "put", "take_along_axis"]

Pair = tuple[Array, tuple[Any, ...]]


def _may_repeat(index: Any) -> bool:
    """Whether an index may name an entry twice: only integer arrays can."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(p, (list, np.ndarray)) and np.asarray(p).dtype.kind in "iu" for p in parts)


@primitive
def getitem(x: Array, index: Any) -> Pair:
    """Some entries of a tensor, ``x[index]``.

    Args:
        index: slices, integers, None, Ellipsis, integer arrays or lists, boolean masks, tensors of
            those, or a tuple of them, with NumPy's meaning. An entry named several times gets the sum of
            its cotangents.

    Returns:
        a view for slices and integers (as in NumPy), else a copy.

    Raises:
        IndexError: if an index is out of range or of a wrong type.

    >>> getitem(np.arange(4.0), np.array([0, 0, 3])).numpy()
    array([0., 0., 3.])
    """
    index = plain(index)
    return x[index], (x.shape, index)


@getitem.vjp
def _(g: Array, needs: Any, shape: tuple[int, ...], index: Any) -> Any:
    return (_scatter(g, shape, index),)


def _scatter(g: Array, shape: tuple[int, ...], index: Any) -> Array:
    """Zeros with g added at the index, repeated entries summed."""
    d = np.zeros(shape, g.dtype)
    if not _may_repeat(index):
        d[index] = g
        return d
    # Sort the flat positions and sum runs of equal ones: np.add.at takes several times as long.
    flat = np.arange(d.size).reshape(shape)[index].ravel()
    order = np.argsort(flat, kind="stable")
    flat = flat[order]
    if len(flat):
        starts = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]])
        d.reshape(-1)[flat[starts]] = np.add.reduceat(g.ravel()[order], starts)
    return d


@primitive
def _put(x: Array, value: Array, index: Any) -> Pair:
    index = plain(index)
    result = x.astype(np.result_type(x, value)) if value.ndim else x.copy()
    result[index] = value
    return result, (x.shape, value.shape, index)


def put(x: Any, index: Any, value: Any) -> Tensor:
    """A copy of x in which the entries at ``index`` are ``value``: the functional form of ``x[index] = value``.

    Args:
        x: of any shape.
        index: as in :func:`getitem`.
        value: a number or a tensor that broadcasts to the shape of ``x[index]``. If an entry is named
            several times the last value wins, and the others get no gradient.

    Returns:
        a tensor of x's shape and dtype (promoted with that of a value that is no single number).

    Raises:
        IndexError: if an index is out of range or of a wrong type.
        ValueError: if the value does not broadcast to the entries.

    >>> put(np.zeros(3), slice(1, None), np.array([5.0, 6.0])).numpy()
    array([0., 5., 6.])
    """
    return _put(x, value, index)  # type: ignore[no-any-return]


put.primitive = _put.primitive  # type: ignore[attr-defined]


@_put.vjp
def _(g: Array, needs: Any, shape: tuple[int, ...], value_shape: tuple[int, ...], index: Any) -> Any:
    dx = dvalue = None
    if needs[0]:
        dx = g.copy()
        dx[index] = 0
    if needs[1]:
        dvalue = g[index]
        if _may_repeat(index):  # write the numbers of the writes themselves, and keep those that survived
            numbers = np.arange(dvalue.size).reshape(dvalue.shape)
            last = np.full(shape, -1)
            last[index] = numbers
            dvalue = np.where(last[index] == numbers, dvalue, 0)
        # the value may have been broadcast, with more axes of length 1 than x[index] has
        lead = max(len(value_shape) - dvalue.ndim, 0)
        dvalue = unbroadcast(dvalue.reshape((1,) * lead + dvalue.shape), value_shape)
    return dx, dvalue


@primitive
def take_along_axis(x: Array, indices: Array, axis: int) -> Pair:
    """One entry along an axis for each index, as ``numpy.take_along_axis``.

    Args:
        x: of any shape.
        indices: integers, of x's shape but for ``axis`` (other axes may be 1 and broadcast).

    Returns:
        a tensor of the shape of ``indices``, broadcast.

    Raises:
        IndexError: if an index is out of range or not an integer.
        ValueError: if the number of axes differs.

    >>> take_along_axis(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]), axis=1).numpy()
    array([[2.],
           [3.]])
    """
    result = np.take_along_axis(x, indices, axis)
    axis %= x.ndim
    grid = np.ogrid[tuple(slice(n) for n in result.shape)]
    place = tuple(indices if i == axis else part for i, part in enumerate(grid))
    return result, (x.shape, place)


@take_along_axis.vjp
def _(g: Array, needs: Any, shape: tuple[int, ...], place: Any) -> Any:
    return _scatter(g, shape, place), None

"""Shaping primitives: the same entries in another arrangement.

The forward of most of them returns a view where NumPy does; nothing in the library writes into it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import primitive
from ..spec import Array

__all__ = ["broadcast_to", "concatenate", "expand_dims", "flip", "moveaxis", "pad", "ravel", "repeat", "reshape",
           "roll", "split", "squeeze", "stack", "swapaxes", "tile", "transpose", "tril", "triu"]  # fmt: skip

Pair = tuple[Array, tuple[Any, ...]]


@primitive
def reshape(x: Array, shape: Any) -> Pair:
    """The entries in row-major order in another shape; one length may be -1.

    Raises:
        ValueError: if the sizes differ.

    >>> reshape(np.arange(4.0), (2, -1)).shape
    (2, 2)
    """
    return np.reshape(x, shape), (x.shape,)


@reshape.vjp
def _(g: Array, needs: Any, shape: tuple[int, ...]) -> Any:
    return (g.reshape(shape),)


def ravel(x: Any) -> Tensor:
    """All entries in one axis, row-major.

    >>> ravel(np.ones((2, 3))).shape
    (6,)
    """
    return reshape(x, (-1,))  # type: ignore[no-any-return]


@primitive
def transpose(x: Array, axes: Any = None) -> Pair:
    """The axes in another order; reversed if ``axes`` is None.

    Raises:
        ValueError: if ``axes`` is no permutation of x's axes.

    >>> transpose(np.ones((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """
    order = tuple(reversed(range(x.ndim))) if axes is None else tuple(a % max(x.ndim, 1) for a in axes)
    return np.transpose(x, axes), (tuple(np.argsort(order)),)


@transpose.vjp
def _(g: Array, needs: Any, inverse: tuple[int, ...]) -> Any:
    return (g.transpose(inverse),)


@primitive
def moveaxis(x: Array, source: Any, destination: Any) -> Pair:
    """Axes moved to other positions; the others keep their order.

    Raises:
        ValueError: if an axis is out of range.

    >>> moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    return np.moveaxis(x, source, destination), (source, destination)


@moveaxis.vjp
def _(g: Array, needs: Any, source: Any, destination: Any) -> Any:
    return (np.moveaxis(g, destination, source),)


@primitive
def swapaxes(x: Array, axis1: int, axis2: int) -> Pair:
    """Two axes exchanged.

    Raises:
        ValueError: if an axis is out of range.

    >>> swapaxes(np.ones((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    return np.swapaxes(x, axis1, axis2), (axis1, axis2)


@swapaxes.vjp
def _(g: Array, needs: Any, axis1: int, axis2: int) -> Any:
    return (np.swapaxes(g, axis1, axis2),)


@primitive
def squeeze(x: Array, axis: Any = None) -> Pair:
    """Without axes of length 1: all of them, or those given.

    Raises:
        ValueError: if a given axis has another length.

    >>> squeeze(np.ones((1, 2, 1)), axis=0).shape
    (2, 1)
    """
    return np.squeeze(x, axis), (x.shape,)


squeeze.vjp(reshape.primitive.backward)


@primitive
def expand_dims(x: Array, axis: Any) -> Pair:
    """With new axes of length 1 at the given positions of the result.

    Raises:
        ValueError: if a position is out of range or repeated.

    >>> expand_dims(np.ones((2, 3)), (0, -1)).shape
    (1, 2, 3, 1)
    """
    return np.expand_dims(x, axis), (x.shape,)


expand_dims.vjp(reshape.primitive.backward)


@primitive(broadcasts=True)
def broadcast_to(x: Array, shape: Any) -> Pair:
    """Stretched to ``shape`` by NumPy's broadcasting; a read-only view.

    Raises:
        ValueError: if x does not broadcast to ``shape``.

    >>> broadcast_to(np.ones((2, 1)), (3, 2, 4)).shape
    (3, 2, 4)
    """
    return np.broadcast_to(x, shape), ()


@broadcast_to.vjp
def _(g: Array, needs: Any) -> Any:
    return (g,)  # the engine sums over the stretched axes


@primitive
def _concatenate(*arrays: Array, axis: int = 0) -> Pair:
    result = np.concatenate(arrays, axis)
    return result, (axis, tuple(a.shape[axis] for a in arrays))


def concatenate(arrays: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors joined along an axis that they have.

    Args:
        arrays: at least one; shapes equal but for ``axis``.

    Raises:
        ValueError: if the shapes do not fit or there is none.

    >>> concatenate([np.ones((1, 2)), np.ones((3, 2))]).shape
    (4, 2)
    """
    return _concatenate(*arrays, axis=axis)  # type: ignore[no-any-return]


concatenate.primitive = _concatenate.primitive  # type: ignore[attr-defined]


@_concatenate.vjp
def _(g: Array, needs: Any, axis: int, lengths: tuple[int, ...]) -> Any:
    parts = np.split(g, np.cumsum(lengths)[:-1], axis)
    return tuple(part if need else None for part, need in zip(parts, needs, strict=True))


@primitive
def _stack(*arrays: Array, axis: int = 0) -> Pair:
    return np.stack(arrays, axis), (axis,)


def stack(arrays: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis.

    Raises:
        ValueError: if the shapes differ or there is none.

    >>> stack([np.ones(2), np.ones(2)], axis=1).shape
    (2, 2)
    """
    return _stack(*arrays, axis=axis)  # type: ignore[no-any-return]


stack.primitive = _stack.primitive  # type: ignore[attr-defined]


@_stack.vjp
def _(g: Array, needs: Any, axis: int) -> Any:
    parts = np.moveaxis(g, axis, 0)
    return tuple(parts[i] if need else None for i, need in enumerate(needs))


@primitive
def split(x: Array, sections: Any, axis: int = 0) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
    """Parts along an axis: ``sections`` equal ones, or cut at the positions in a sequence.

    Returns:
        a tuple of tensors (views).

    Raises:
        ValueError: if the axis does not divide evenly.

    >>> [part.shape for part in split(np.ones((5, 2)), [1, 3])]
    [(1, 2), (2, 2), (2, 2)]
    """
    parts = tuple(np.split(x, sections, axis))
    return parts, (axis, x.shape, x.dtype, tuple(part.shape[axis] for part in parts))


@split.vjp
def _(g: Any, needs: Any, axis: int, shape: tuple[int, ...], dtype: Any, lengths: tuple[int, ...]) -> Any:
    d = np.zeros(shape, dtype)
    for part, target in zip(g, np.split(d, np.cumsum(lengths)[:-1], axis), strict=True):
        if part is not None:
            target[...] = part
    return (d,)


@primitive
def flip(x: Array, axis: Any = None) -> Pair:
    """The entries in reverse order along all axes, or those given.

    Raises:
        ValueError: if an axis is out of range.

    >>> flip(np.arange(3.0)).numpy()
    array([2., 1., 0.])
    """
    return np.flip(x, axis), (axis,)


@flip.vjp
def _(g: Array, needs: Any, axis: Any) -> Any:
    return (np.flip(g, axis),)


@primitive
def roll(x: Array, shift: Any, axis: Any = None) -> Pair:
    """The entries moved by ``shift`` positions, those that leave the end entering at the beginning.

    Raises:
        ValueError: if an axis is out of range.

    >>> roll(np.arange(3.0), 1).numpy()
    array([2., 0., 1.])
    """
    return np.roll(x, shift, axis), (shift, axis)


@roll.vjp
def _(g: Array, needs: Any, shift: Any, axis: Any) -> Any:
    back = tuple(-s for s in shift) if isinstance(shift, (tuple, list)) else -shift
    return (np.roll(g, back, axis),)


@primitive
def repeat(x: Array, repeats: int, axis: int | None = None) -> Pair:
    """Each entry ``repeats`` times, along an axis, or of the flattened tensor if it is None.

    Raises:
        ValueError: if ``repeats`` is negative or the axis out of range.
        TypeError: if ``repeats`` is not an integer.

    >>> repeat(np.array([1.0, 2.0]), 2).numpy()
    array([1., 1., 2., 2.])
    """
    if not isinstance(repeats, (int, np.integer)):
        raise TypeError(f"repeats must be an integer, not {type(repeats).__name__}")
    return np.repeat(x, repeats, axis), (x.shape, int(repeats), axis)


@repeat.vjp
def _(g: Array, needs: Any, shape: tuple[int, ...], repeats: int, axis: int | None) -> Any:
    if axis is None:
        return (g.reshape(math.prod(shape), repeats).sum(axis=1).reshape(shape),)
    axis %= len(shape)
    return (g.reshape(*shape[: axis + 1], repeats, *shape[axis + 1 :]).sum(axis=axis + 1),)


@primitive
def tile(x: Array, reps: Any) -> Pair:
    """The whole tensor repeated along each axis.

    Raises:
        ValueError: if a number of repetitions is negative.

    >>> tile(np.array([1.0, 2.0]), (2, 2)).shape
    (2, 4)
    """
    counts = (reps,) if isinstance(reps, (int, np.integer)) else tuple(reps)
    return np.tile(x, counts), (x.shape, counts)


@tile.vjp
def _(g: Array, needs: Any, shape: tuple[int, ...], counts: tuple[int, ...]) -> Any:
    ndim = max(len(shape), len(counts))
    lengths = (1,) * (ndim - len(shape)) + shape
    reps = (1,) * (ndim - len(counts)) + counts
    blocks = [n for pair in zip(reps, lengths, strict=True) for n in pair]
    return (g.reshape(blocks).sum(axis=tuple(range(0, 2 * ndim, 2))).reshape(shape),)


@primitive
def pad(x: Array, pad_width: Any, constant_values: float = 0.0) -> Pair:
    """Surrounded by a constant.

    Args:
        pad_width: as in ``numpy.pad``: a number, ``(before, after)`` for all axes, or such a pair for each axis.

    Raises:
        ValueError: if the widths do not fit x's axes or are negative.

    >>> pad(np.ones(2), (1, 0)).numpy()
    array([0., 1., 1.])
    """
    result = np.pad(x, pad_width, constant_values=constant_values)
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    return result, (tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True)),)


@pad.vjp
def _(g: Array, needs: Any, inside: tuple[slice, ...]) -> Any:
    return (g[inside],)


@primitive
def tril(x: Array, k: int = 0) -> Pair:
    """The lower triangle of the last two axes, up to the k-th diagonal; zeros above it.

    Raises:
        ValueError: if x has fewer than 2 axes.

    >>> tril(np.ones((2, 2))).numpy()
    array([[1., 0.],
           [1., 1.]])
    """
    return _triangle(np.tril, x, k), (k,)


@tril.vjp
def _(g: Array, needs: Any, k: int) -> Any:
    return (np.tril(g, k),)


@primitive
def triu(x: Array, k: int = 0) -> Pair:
    """The upper triangle of the last two axes, from the k-th diagonal; zeros below it.

    Raises:
        ValueError: if x has fewer than 2 axes.

    >>> triu(np.ones((2, 2))).numpy()
    array([[1., 1.],
           [0., 1.]])
    """
    return _triangle(np.triu, x, k), (k,)


@triu.vjp
def _(g: Array, needs: Any, k: int) -> Any:
    return (np.triu(g, k),)


def _triangle(function: Any, x: Array, k: int) -> Any:
    if x.ndim < 2:
        raise ValueError(f"x must have at least 2 axes, not shape {x.shape}")
    return function(x, k)

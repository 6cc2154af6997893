"""Shapes: the same entries in another arrangement, repeated, joined, or padded.

Their VJPs put each cotangent back where its entry came from.

As in NumPy, reshape, transpose and related functions return views if they can: the output then shares its memory with
the input. No function here writes into it; a write through ``.data`` changes both. Integers and booleans keep their
dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..core import Tensor
from ..primitives import ForwardResult, primitive
from ..spec import Array, as_array
from .kernels.numerics import along, refuse_axis_of_scalar, sum_rows, sum_single, widened
from .linear import apply_linear, batched

Several = tuple[tuple[Array, ...], tuple[Any, ...]]
Axes = int | Sequence[int]


# --- the entries in their order, in another shape --------------------------------------------------


@primitive(residuals=())
def reshape(x: Array, shape: Axes) -> ForwardResult:
    """The entries of x, of any shape, in their order (the last axis varies fastest), in another shape.

    One length may be -1: it is computed from the others.

    Raises:
        ValueError: if the numbers of entries differ.

    >>> reshape([[1, 2], [3, 4]], (1, -1))
    tensor([[1, 2, 3, 4]])
    """
    return x.reshape(shape), (x.shape,)


@primitive(residuals=())
def ravel(x: Array) -> ForwardResult:
    """The entries of x, of any shape, as a vector.

    >>> ravel([[1, 2], [3, 4]])
    tensor([1, 2, 3, 4])
    """
    return x.reshape(-1), (x.shape,)


@primitive(residuals=())
def squeeze(x: Array, axis: int | tuple[int, ...] | None = None) -> ForwardResult:
    """x without its axes of length 1, or without the given ones.

    Raises:
        ValueError: if a given axis has another length, or does not exist.

    >>> squeeze([[1], [2]], axis=1)
    tensor([1, 2])
    """
    refuse_axis_of_scalar(x, axis)
    return x.squeeze(axis), (x.shape,)


@primitive(residuals=())
def expand_dims(x: Array, axis: int | tuple[int, ...]) -> ForwardResult:
    """x with an axis of length 1 at each given position of the output's shape.

    Raises:
        ValueError: if a position is outside the output's shape or is given twice.

    >>> expand_dims([1, 2], axis=1)
    tensor([[1],
            [2]])
    """
    valid = type(axis) is int and -x.ndim <= axis + 1 <= x.ndim + 1
    return x[along(axis, x.ndim + 1, None)] if valid else np.expand_dims(x, axis), (x.shape,)  # type: ignore[arg-type]


for _function in (reshape, ravel, squeeze, expand_dims):
    _function.vjp(lambda g, needs, shape: (g.reshape(shape),))
batched(reshape, ravel, squeeze, expand_dims)


# --- axes in another order -------------------------------------------------------------------------


@primitive(residuals=())
def transpose(x: Array, axes: Sequence[int] | None = None) -> ForwardResult:
    """The axes of x in another order: axis i of the output is axis ``axes[i]`` of x; reversed if None.

    Raises:
        ValueError: if ``axes`` is not a permutation of x's axes.

    >>> transpose([[1, 2], [3, 4]])
    tensor([[1, 3],
            [2, 4]])
    """
    if axes is not None and np.size(axes) != x.ndim:
        raise ValueError(f"axes don't match: x has {x.ndim}, not {np.size(axes)}. To swap two axes, call swapaxes.")
    return x.transpose(axes), (
        None if axes is None else sorted(range(x.ndim), key=[i % x.ndim for i in axes].__getitem__),
    )


transpose.vjp(lambda g, needs, inverse: (g.transpose(inverse),))


transpose.batched_vjp(
    lambda g, needs, inverse: (
        g.transpose(0, *(range(g.ndim - 1, 0, -1) if inverse is None else (i + 1 for i in inverse))),
    )
)


@primitive(residuals=())
def swapaxes(x: Array, axis1: int, axis2: int) -> ForwardResult:
    """x, of any shape, with two axes exchanged.

    Raises:
        ValueError: if an axis does not exist.

    >>> swapaxes([[1, 2], [3, 4]], 0, 1)
    tensor([[1, 3],
            [2, 4]])
    """
    return x.swapaxes(axis1, axis2), (axis1, axis2)


swapaxes.vjp(lambda g, needs, axis1, axis2: (g.swapaxes(axis1, axis2),))


@primitive(residuals=())
def moveaxis(x: Array, source: Axes, destination: Axes) -> ForwardResult:
    """x, of any shape, with some axes moved to other positions; the others keep their order.

    Raises:
        ValueError: if an axis does not exist or is given twice, or the numbers of axes differ.

    >>> moveaxis(np.zeros((2, 3, 4)), 1, -1).shape
    (2, 4, 3)
    """
    return np.moveaxis(x, source, destination), (source, destination)


moveaxis.vjp(lambda g, needs, source, destination: (np.moveaxis(g, destination, source),))


@primitive(residuals=())
def flip(x: Array, axis: int | tuple[int, ...] | None = None) -> ForwardResult:
    """x, of any shape, with the entries in reverse order along one axis, several, or all if None.

    Raises:
        ValueError: if an axis does not exist.

    >>> flip([[1, 2], [3, 4]], axis=1)
    tensor([[2, 1],
            [4, 3]])
    """
    return np.flip(x, axis), (axis,)


flip.vjp(lambda g, needs, axis: (np.flip(g, axis),))


@primitive(residuals=())
def roll(x: Array, shift: Axes, axis: int | tuple[int, ...] | None = None) -> ForwardResult:
    """x, of any shape, shifted along an axis; entries that leave at the end return at the front.

    Args:
        shift: the number of places, or one for each axis.
        axis: the axis or axes; None shifts the entries as one vector.

    Raises:
        ValueError: if an axis does not exist, or shifts and axes do not pair.

    >>> roll([1, 2, 3], 1)
    tensor([3, 1, 2])
    """
    return np.roll(x, shift, axis), (shift, axis)


roll.vjp(lambda g, needs, shift, axis: (np.roll(g, np.negative(shift), axis),))


batched(swapaxes, moveaxis, flip)


# --- entries repeated ------------------------------------------------------------------------------


@primitive(broadcasts=True, residuals=())
def broadcast_to(x: Array, shape: Axes) -> ForwardResult:
    """x repeated along new axes in front and along axes of length 1, to a given shape; a read-only view.

    Raises:
        ValueError: if x's shape does not broadcast to the given one.

    >>> broadcast_to([1.0, 2.0], (2, 2))
    tensor([[1., 2.],
            [1., 2.]])
    """
    return np.broadcast_to(as_array(x), shape), ()


broadcast_to.vjp(lambda g, needs: (g,))  # the engine sums it back
broadcast_to.batched_vjp(broadcast_to.primitive.vjp)


@primitive(residuals=())
def repeat(x: Array, repeats: Axes, axis: int | None = None) -> ForwardResult:
    """Each slice of x along an axis repeated in place: a b becomes a a b b.

    Args:
        x: of any shape.
        repeats: the number of repetitions, or one for each slice.
        axis: the axis; None repeats the entries of x as a vector.

    Raises:
        ValueError: if the axis does not exist, or ``repeats`` are negative or do not match the number of slices.

    >>> repeat([1, 2], 2), repeat([1, 2], [2, 1])
    (tensor([1, 1, 2, 2]), tensor([1, 1, 2]))
    """
    refuse_axis_of_scalar(x, axis)
    if isinstance(repeats, np.ndarray):
        repeats = repeats.astype(np.intp, casting="same_kind", copy=False)  # NumPy would refuse int64 on 32 bits
    y = x.repeat(repeats, axis)
    slices = x.size if axis is None else x.shape[axis]
    counts = np.asarray(repeats, np.intp).ravel()
    return y, (counts.repeat(slices if counts.size == 1 else 1), counts.size == 1, axis, x.shape)


@repeat.vjp
def _(g: Any, needs: Any, counts: Array, equal: bool, axis: int | None, shape: tuple[int, ...]) -> Any:
    # the sum of the slices that came from one slice of x, which are adjacent
    axis = 0 if axis is None else axis % g.ndim
    if equal and len(counts):
        pairs = g.reshape(*g.shape[:axis], len(counts), counts[0], *g.shape[axis + 1 :])
        return (sum_single(pairs, axis + 1).reshape(shape),)

    def add_up(g: Array) -> Array:
        slices, sources = np.moveaxis(g, axis, 0), np.repeat(np.arange(len(counts)), counts)
        sums = sum_rows(slices.reshape(len(slices), np.prod(slices.shape[1:], dtype=int)), sources, len(counts))
        return np.moveaxis(sums.reshape(len(counts), *slices.shape[1:]), 0, axis)

    return (apply_linear(g, add_up, lambda u: np.repeat(u, counts, axis)).reshape(shape),)


@primitive(residuals=())
def tile(x: Array, reps: Axes) -> ForwardResult:
    """Copies of x side by side: a b becomes a b a b.

    Args:
        x: of any shape.
        reps: the number of copies along each axis, aligned from the right; more numbers than axes add axes in front.

    Raises:
        ValueError: if a number is negative.

    >>> tile([1, 2], 2), tile([1, 2], (2, 1))
    (tensor([1, 2, 1, 2]), tensor([[1, 2],
            [1, 2]]))
    """
    counts = (reps,) if isinstance(reps, (int, np.integer)) else tuple(reps)
    if any(n < 0 for n in counts):
        raise ValueError(f"reps must not be negative: {reps}")
    return np.tile(x, counts), (counts, x.shape)


@tile.vjp
def _(g: Any, needs: Any, counts: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    ndim = max(len(counts), len(shape))
    counts, lengths = (1,) * (ndim - len(counts)) + counts, (1,) * (ndim - len(shape)) + shape
    # axis i of g as a pair of axes, (copy, place within it)
    pairs = [n for pair in zip(counts, lengths, strict=True) for n in pair]
    return (sum_single(g.reshape(pairs), tuple(range(0, 2 * ndim, 2))).reshape(shape),)


# --- joining and splitting -------------------------------------------------------------------------


@primitive(residuals=())
def _concatenate(*arrays: Array, axis: int) -> ForwardResult:
    """Join tensors along an axis; see :func:`concatenate`."""
    if not isinstance(axis, (int, np.integer)):
        raise TypeError(f"axis must be an integer, not {axis!r}: ravel the tensors to join them as vectors")
    return np.concatenate(arrays, axis), ([*accumulate([x.shape[axis] for x in arrays], initial=0)], axis)


def concatenate(arrays: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors along an existing axis.

    Args:
        arrays: a sequence of tensors whose shapes are equal except along the axis; dtypes promote.

    Raises:
        ValueError: if the shapes do not fit, the axis does not exist, or there is nothing to join.

    >>> concatenate([[1, 2], [3]])
    tensor([1, 2, 3])
    """
    return _concatenate(*arrays, axis=axis)  # type: ignore[no-any-return]


_concatenate.vjp(
    lambda g, needs, ends, axis: tuple(
        [
            g[along(axis, g.ndim, slice(*piece))] if need else None
            for piece, need in zip(pairwise(ends), needs, strict=True)
        ]
    )
)


@primitive(residuals=())
def _stack(*arrays: Array, axis: int) -> ForwardResult:
    """Join tensors of one shape along a new axis; see :func:`stack`."""
    return np.stack(arrays, axis), (axis,)


def stack(arrays: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis of the output.

    Args:
        arrays: a sequence of tensors of the same shape; dtypes promote.

    Raises:
        ValueError: if the shapes differ, the axis is outside the output, or there is nothing to join.

    >>> stack([[1, 2], [3, 4]], axis=1)
    tensor([[1, 3],
            [2, 4]])
    """
    return _stack(*arrays, axis=axis)  # type: ignore[no-any-return]


@_stack.vjp
def _(g: Any, needs: Any, axis: int) -> Any:
    return tuple([g[(*along(axis, g.ndim, i), ...)] if need else None for i, need in enumerate(needs)])


batched(_concatenate, _stack)
concatenate.primitive = _concatenate.primitive  # type: ignore[attr-defined]
stack.primitive = _stack.primitive  # type: ignore[attr-defined]


@primitive(residuals=())
def split(x: Array, sections: Axes, axis: int = 0) -> Several:
    """Split x, of any shape, along an axis into a tuple of views.

    Args:
        sections: the number of pieces of equal length, or the positions before which to split.

    Raises:
        ValueError: if the axis does not exist or cannot be split into that number of equal pieces.

    >>> split([1, 2, 3], [1])
    (tensor([1]), tensor([2, 3]))
    """
    if isinstance(sections, (int, np.integer)) and sections < 1:
        raise ValueError(f"cannot split into {sections} pieces")
    axis = normalize_axis_index(axis, x.ndim)
    pieces = tuple(np.split(x, sections, axis))
    if sum([piece.shape[axis] for piece in pieces]) != x.shape[axis]:
        raise ValueError(f"the positions {sections} must ascend")  # NumPy's pieces would overlap
    return pieces, ([piece.shape for piece in pieces], axis - x.ndim)


@split.batched_vjp
@split.vjp
def _(g: Any, needs: Any, shapes: list[tuple[int, ...]], axis: int) -> Any:
    parts = g if isinstance(g, tuple) else (g,)  # a single piece comes without a tuple
    known = next(part for part in parts if part is not None)
    many = known.shape[: known.ndim - len(shapes[0])]
    zeros = (np.zeros(many + shape, known.dtype) for shape in shapes)
    return (np.concatenate([zero if part is None else part for part, zero in zip(parts, zeros, strict=True)], axis),)


# --- borders -----------------------------------------------------------------------------------------

Widths = tuple[tuple[int, int], ...]  # before and after each axis

_MODES = ("constant", "edge", "wrap", "reflect", "symmetric")


@primitive(residuals=())
def pad(x: Array, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> ForwardResult:
    """x, of any shape, with a border of a constant or of its own entries, like ``numpy.pad``.

    Args:
        pad_width: the number of entries before and after, ``(before, after)`` for each axis; a single pair applies to
            all axes, a single number to all sides. They may exceed the size of x.
        mode: "constant"; "edge" repeats the entry at the edge; "reflect" goes back from the edge, which is not
            repeated, "symmetric" is the same with the edge repeated; "wrap" continues at the other end.
        constant_values: the number to pad with in the mode "constant", a constant.

    Raises:
        ValueError: if the widths are negative or do not fit x's axes, for another mode, for constants in a mode that
            has none, or if an axis to pad with its own entries has length 0.
        TypeError: if the widths are not integers.

    >>> pad([1, 2], (1, 2)), pad([1, 2, 3], 2, mode="reflect")
    (tensor([0, 1, 2, 0, 0]), tensor([3, 2, 1, 2, 3, 2, 1]))
    """
    widths = ((pad_width,) * 2,) * x.ndim if type(pad_width) is int and pad_width >= 0 else _widths(pad_width, x.ndim)
    if mode not in _MODES:
        raise ValueError(f"mode {mode!r} is none of {', '.join(map(repr, _MODES))}")
    if mode != "constant" and constant_values != 0:
        raise ValueError(f"constant_values are for the mode 'constant', not {mode!r}")
    if mode == "constant" and (constant_values is None or np.ndim(constant_values)):
        raise ValueError(f"constant_values must be one number, not {constant_values!r}")
    inner = tuple([slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True)])
    if mode != "constant":
        return _padded(x, widths, mode), (mode, widths, x.shape, inner)
    y = np.full(
        [before + n + after for (before, after), n in zip(widths, x.shape, strict=True)],
        np.array(constant_values, x.dtype),
    )
    y[inner] = x
    return y, (mode, widths, x.shape, inner)


def _padded(x: Array, widths: Widths, mode: Any) -> Array:
    return np.pad(x, widths, mode) if widths else np.array(x)  # NumPy refuses arrays without axes


def _widths(pad_width: Any, ndim: int) -> Widths:
    """Check the widths for a number of axes and return them."""
    widths = np.asarray(pad_width)
    if widths.dtype.kind not in "iu":
        raise TypeError(f"pad_width must be of integers, not {pad_width!r}")
    try:
        widths = np.broadcast_to(widths, (ndim, 2))
    except ValueError:
        raise ValueError(
            f"pad_width {pad_width!r} must be a number, a pair (before, after), or a pair for each of {ndim} axes"
        ) from None
    if (widths < 0).any():
        raise ValueError(f"pad_width must not be negative: {pad_width!r}")
    return tuple((before, after) for before, after in widths.tolist())


@pad.vjp
def _(g: Any, needs: Any, mode: str, widths: Widths, shape: tuple[int, ...], inner: tuple[slice, ...]) -> Any:
    if mode == "constant":
        return (g[inner],)
    return (apply_linear(g, lambda g: _gathered(g, mode, widths, shape), lambda u: _padded(u, widths, mode)),)


def _gathered(g: Array, mode: Any, widths: Widths, shape: tuple[int, ...]) -> Array:
    """The transpose of :func:`_padded`: what came to a border is added to where it was taken from."""
    g = widened(g)
    for axis, ((start, after), n) in enumerate(zip(widths, shape, strict=True)):
        if start + after:
            sources, places = np.pad(np.arange(n), (start, after), mode), np.moveaxis(g, axis, 0)
            d = np.array(places[start : start + n])
            for place in (*range(start), *range(start + n, len(places))):
                d[sources[place]] += places[place]
            g = np.moveaxis(d, 0, axis)
    return g

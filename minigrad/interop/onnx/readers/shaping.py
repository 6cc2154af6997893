"""Shapes, indices and look-ups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .... import ops
from ....spec import Array
from .table import constant, integers, reads


@reads("Constant")
def _(
    *, value: Array | None = None, value_float: float | None = None, value_floats: Any = None,
    value_int: int | None = None, value_ints: Any = None,
) -> Any:  # fmt: skip
    if value is not None:
        return constant(value)
    if value_float is not None or value_floats is not None:
        return constant(np.array(value_floats if value_float is None else value_float, np.float32))
    return constant(np.array(value_ints if value_int is None else value_int, np.int64))


@reads("ConstantOfShape")
def _(shape: Any, *, value: Array | None = None) -> Any:
    one = np.zeros(1, np.float32) if value is None else value
    return constant(np.full(integers(shape), one.ravel()[0], one.dtype))


@reads("Shape")
def _(x: Any, *, start: int = 0, end: int | None = None) -> Any:
    return constant(np.array(x.shape[start:end], np.int64))


@reads("Size")
def _(x: Any) -> Any:
    return constant(np.array(x.size, np.int64))


@reads("Range")
def _(start: Any, limit: Any, delta: Any) -> Any:
    count = max(math.ceil((limit.item() - start.item()) / delta.item()), 0)
    return constant((start.data + delta.data * np.arange(count)).astype(start.dtype))


# --- shapes -------------------------------------------------------------------------------------------


@reads("Reshape")
def _(x: Any, shape: Any, *, allowzero: int = 0) -> Any:
    sizes = integers(shape)
    return ops.reshape(x, tuple(x.shape[i] if n == 0 and not allowzero else n for i, n in enumerate(sizes)))


@reads("Flatten")
def _(x: Any, *, axis: int = 1) -> Any:
    front = math.prod(x.shape[:axis])
    return ops.reshape(x, (front, math.prod(x.shape[axis:])))


@reads("Squeeze")
def _(x: Any, axes: Any = None) -> Any:
    return ops.squeeze(x, None if axes is None else tuple(integers(axes)))


@reads("Unsqueeze")
def _(x: Any, axes: Any) -> Any:
    return ops.expand_dims(x, tuple(integers(axes)))


@reads("Transpose")
def _(x: Any, *, perm: list[int] | None = None) -> Any:
    return ops.transpose(x, perm)


@reads("Expand")
def _(x: Any, shape: Any) -> Any:
    return ops.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(integers(shape))))


@reads("Tile")
def _(x: Any, repeats: Any) -> Any:
    return ops.tile(x, tuple(integers(repeats)))


@reads("Concat")
def _(*x: Any, axis: int) -> Any:
    return ops.concatenate(x, axis)


@reads("Split")
def _(x: Any, sizes: Any = None, *, axis: int = 0, num_outputs: int | None = None, count: int) -> Any:
    """Parts of given sizes, or so many of one size, of which the last may be smaller."""
    n, parts = x.shape[axis], num_outputs or count
    size = -(n // -parts)
    lengths = [min(size, n - i * size) for i in range(parts)] if sizes is None else integers(sizes)
    if sum(lengths) != n or min(lengths) < 0:
        raise ValueError(f"axis {axis} has {n} entries, and the parts {lengths}")
    return tuple(ops.split(x, np.cumsum(lengths)[:-1].tolist(), axis)) if len(lengths) > 1 else x


@reads("Pad")
def _(x: Any, pads: Any, value: Any = None, axes: Any = None, *, mode: str = "constant") -> Any:
    """Negative pads take entries away."""
    numbers = integers(pads)
    places = range(x.ndim) if axes is None else integers(axes)
    widths = np.zeros((x.ndim, 2), int)
    for i, axis in enumerate(places):
        widths[axis] = numbers[i], numbers[i + len(numbers) // 2]
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(widths.tolist(), x.shape, strict=True))
    x = x[cut] if (widths < 0).any() else x
    number = 0 if value is None or mode != "constant" else value.item()
    return ops.pad(x, np.maximum(widths, 0), mode, number)


@reads("Trilu")
def _(x: Any, k: Any = None, *, upper: int = 1) -> Any:
    return (ops.triu if upper else ops.tril)(x, 0 if k is None else int(k.item()))


# --- indices ------------------------------------------------------------------------------------------


@reads("Slice")
def _(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    """Bounds are cut to the axis as Python cuts them, but for an end before the first entry, on the way down."""
    first, last = integers(starts), integers(ends)
    along = range(len(first)) if axes is None else integers(axes)
    strides = [1] * len(first) if steps is None else integers(steps)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(along, first, last, strides, strict=True):
        n = x.shape[axis]
        index[axis] = slice(start, None if step < 0 and end < -n else end, step)
    return x[tuple(index)]


@reads("Gather")
def _(x: Any, indices: Any, *, axis: int = 0) -> Any:
    places = _counted(indices.data, x.shape[axis])
    if x.ndim == 2 and axis in (0, -2):
        return ops.embedding(places, x)
    return x[(slice(None),) * (axis % x.ndim) + (places,)]


def _counted(indices: Array, n: int) -> Array:
    """Make negative indices non-negative; return the same array if there are none."""
    if indices.size and not -n <= indices.min() <= indices.max() < n:
        raise IndexError(f"indices must be from {-n} to {n - 1}, there are {indices.min()} and {indices.max()}")
    return np.where(indices < 0, indices + n, indices) if indices.size and indices.min() < 0 else indices


@reads("GatherElements")
def _(x: Any, indices: Any, *, axis: int = 0) -> Any:
    axis %= x.ndim
    cut = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(indices.shape))
    return ops.take_along_axis(x[cut], _counted(indices.data, x.shape[axis]), axis)


@reads("GatherND")
def _(x: Any, indices: Any, *, batch_dims: int = 0) -> Any:
    """The last axis of the indices has an index of x, behind the axes that both have in front."""
    batch = np.indices(indices.shape[:batch_dims])
    behind = (1,) * (indices.ndim - 1 - batch_dims)
    front = [grid.reshape(grid.shape + behind) for grid in batch]
    return x[(*front, *np.moveaxis(indices.data, -1, 0))]


@reads("ScatterElements")
def _(x: Any, indices: Any, updates: Any, *, axis: int = 0, reduction: str = "none") -> Any:
    if reduction != "none":
        raise NotImplementedError(f"reduction={reduction}")
    grid: list[Any] = list(np.indices(indices.shape))
    grid[axis] = _counted(indices.data, x.shape[axis])
    return ops.put(x, tuple(grid), updates)


@reads("OneHot")
def _(indices: Any, depth: Any, values: Any, *, axis: int = -1) -> Any:
    """The second value at each index, which may count from the end, and the first elsewhere."""
    size = int(depth.item())
    places = np.expand_dims(indices.data, axis)
    along = np.arange(size).reshape((-1,) + (1,) * (-axis - 1 if axis < 0 else places.ndim - 1 - axis))
    found = (np.where(places < 0, places + size, places) == along) & (-size <= places) & (places < size)
    return ops.where(found, values[1], values[0])

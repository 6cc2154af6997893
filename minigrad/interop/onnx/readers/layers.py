"""Convolutions, pools and normalisation.

Images have one or two axes of pixels; pools have as many as wanted. What minigrad's layers do not have, as borders that
differ from side to side, is done before and behind them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from .... import ops
from ....core import Tensor
from ....spec import Array
from .table import constant, integers, like, reads

_Pads = list[tuple[int, int]]  # before and after each axis of pixels


class _Windows(NamedTuple):
    """Windows of pixels: numbers for each axis."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: _Pads

    @classmethod
    def of(cls, size: Any, kernel: Any, strides: Any, dilations: Any, pads: Any, auto_pad: str) -> _Windows:
        n = len(size)
        strides, dilations = list(strides or [1] * n), list(dilations or [1] * n)
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            borders = []
            for pixels, k, s, d in zip(size, kernel, strides, dilations, strict=True):
                missing = max((-(pixels // -s) - 1) * s + d * (k - 1) + 1 - pixels, 0)
                borders.append(_halves(missing, auto_pad))
        else:
            numbers = pads or [0] * (2 * n)
            borders = list(zip(numbers[:n], numbers[n:], strict=True))
        return cls(list(kernel), strides, dilations, borders)

    def counts(self, size: Any, ceil_mode: int = 0) -> list[int]:
        """How many windows there are along each axis; rounded up, but none begins in the border behind."""
        found = []
        for n, k, s, d, (before, after) in zip(size, *self, strict=True):
            room = n + before + after - d * (k - 1) - 1
            count = (-(room // -s) if ceil_mode else room // s) + 1
            found.append(count - 1 if ceil_mode and (count - 1) * s >= n + before else count)
        return found

    def symmetric(self) -> bool:
        return all(before == after for before, after in self.pads)


def _halves(total: int, auto_pad: str) -> tuple[int, int]:
    """A border cut in two; of an odd one the larger half is behind (UPPER) or in front."""
    small, large = total // 2, total - total // 2
    return (small, large) if auto_pad == "SAME_UPPER" else (large, small)


def _padded(x: Any, pads: _Pads, number: float = 0) -> Any:
    return ops.pad(x, [(0, 0), (0, 0), *pads], constant_values=number) if any(map(any, pads)) else x


def _pixels(x: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] = x.shape[2:]
    if len(shape) not in (1, 2):
        raise NotImplementedError(f"{len(shape)} axes of pixels: there are convolutions with one or two")
    return shape


def _flat(x: Any, w: Any, *options: list[Any]) -> Any:
    """Images and filters of one axis as those of one row."""
    if x.ndim == 4:
        return (x, w, *options)
    return (ops.expand_dims(x, 2), ops.expand_dims(w, 2), *([first, *option] for first, option in
            zip((1, 1, (0, 0), 0), options, strict=False)))  # fmt: skip


@reads("Conv")
def _(
    x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, strides: Any = None, dilations: Any = None,
    pads: Any = None, group: int = 1, auto_pad: str = "NOTSET",
) -> Any:  # fmt: skip
    size = _pixels(x)
    windows = _Windows.of(size, w.shape[2:], strides, dilations, pads, auto_pad)
    images, filters, strides, dilations, borders = _flat(x, w, windows.strides, windows.dilations, windows.pads)
    padding = (0, 0)
    if windows.symmetric():
        padding = tuple(before for before, _ in borders)
    else:
        images = _padded(images, borders)
    y = ops.conv2d(images, filters, b, tuple(strides), padding, tuple(dilations), group)
    return y if x.ndim == 4 else ops.squeeze(y, 2)


@reads("ConvTranspose")
def _(
    x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, strides: Any = None, dilations: Any = None,
    pads: Any = None, output_padding: Any = None, output_shape: Any = None, group: int = 1, auto_pad: str = "NOTSET",
) -> Any:  # fmt: skip
    """All that the filters reach; of it the borders are cut off, and zeros are added where more is wanted."""
    size = _pixels(x)
    windows = _Windows.of(size, w.shape[2:], strides, dilations, pads, "NOTSET")
    extra = list(output_padding or [0] * len(size))
    reached = [(n - 1) * s + d * (k - 1) + 1 for n, k, s, d in zip(size, *windows[:3], strict=True)]
    borders = windows.pads
    if output_shape or auto_pad.startswith("SAME"):
        wanted = list(output_shape or [n * s for n, s in zip(size, windows.strides, strict=True)])[-len(size) :]
        # The reference of ONNX puts the larger half in front unless told SAME_UPPER.
        borders = [_halves(r + e - n, auto_pad) for r, e, n in zip(reached, extra, wanted, strict=True)]
    images, filters, strides, dilations, borders, extra = _flat(
        x, w, windows.strides, windows.dilations, borders, extra
    )
    reached = reached if x.ndim == 4 else [1, *reached]
    y = ops.conv_transpose2d(images, filters, None, tuple(strides), 0, 0, tuple(dilations), group)
    ends = [n + e - after for n, e, (_, after) in zip(reached, extra, borders, strict=True)]
    y = _padded(
        y, [(max(-before, 0), max(end - n, 0)) for (before, _), end, n in zip(borders, ends, reached, strict=True)]
    )
    y = y[
        (..., *(slice(max(before, 0), end + max(-before, 0)) for (before, _), end in zip(borders, ends, strict=True)))
    ]
    y = y if b is None else y + ops.reshape(b, (-1, 1, 1))
    return y if x.ndim == 4 else ops.squeeze(y, 2)


# --- pools --------------------------------------------------------------------------------------------


def _taps(x: Any, windows: _Windows, counts: list[int]) -> Iterator[Any]:
    """For each place in the windows the entries of all windows there, of x with its border."""
    for offsets in np.ndindex(*windows.kernel):
        starts = [o * d for o, d in zip(offsets, windows.dilations, strict=True)]
        yield x[(..., *(slice(a, a + (n - 1) * s + 1, s) for a, n, s in
                        zip(starts, counts, windows.strides, strict=True)))]  # fmt: skip


def _reaching(x: Any, windows: _Windows, counts: list[int], number: float) -> Any:
    """x with its border, wide enough for all windows."""
    borders = []
    for n, count, k, s, d, (before, _) in zip(x.shape[2:], counts, *windows, strict=True):
        borders.append((before, max((count - 1) * s + d * (k - 1) + 1 - n - before, 0)))
    return _padded(x, borders, number)


@reads("MaxPool")
def _(
    x: Any, *, kernel_shape: list[int], strides: Any = None, dilations: Any = None, pads: Any = None,
    auto_pad: str = "NOTSET", ceil_mode: int = 0, storage_order: int = 0, count: int,
) -> Any:  # fmt: skip
    size = x.shape[2:]
    windows = _Windows.of(size, kernel_shape, strides, dilations, pads, auto_pad)
    if count > 1:
        return _with_places(x, windows, ceil_mode, storage_order)
    plain = windows.symmetric() and windows.dilations == [1, 1] and not ceil_mode
    if plain and all(before < k for (before, _), k in zip(windows.pads, kernel_shape, strict=True)):
        return ops.max_pool2d(
            x, tuple(kernel_shape), tuple(windows.strides), tuple(before for before, _ in windows.pads)
        )
    counts = windows.counts(size, ceil_mode)
    least: Any = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return reduce(ops.maximum, _taps(_reaching(x, windows, counts, least), windows, counts))


def _with_places(x: Any, windows: _Windows, ceil_mode: int, storage_order: int) -> tuple[Any, Any]:
    """The largest entries, and where in the flattened images each lies."""
    counts = windows.counts(x.shape[2:], ceil_mode)
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    values = ops.stack(list(_taps(_reaching(x, windows, counts, least), windows, counts)), axis=-1)
    numbers = np.arange(x.size).reshape(x.shape)
    if storage_order:
        numbers = np.arange(x.size).reshape(*x.shape[:2], *x.shape[:1:-1]).transpose(0, 1, *range(x.ndim - 1, 1, -1))
    padded = _reaching(Tensor(numbers), windows, counts, -1)
    places = np.stack([tap.data for tap in _taps(padded, windows, counts)], axis=-1)
    found = np.where(places < 0, least, values.data).argmax(axis=-1)[..., None]
    y = ops.take_along_axis(values, found, -1)[..., 0]
    return y, constant(np.take_along_axis(places, found, -1)[..., 0])


@reads("AveragePool")
def _(
    x: Any, *, kernel_shape: list[int], strides: Any = None, dilations: Any = None, pads: Any = None,
    auto_pad: str = "NOTSET", ceil_mode: int = 0, count_include_pad: int = 0,
) -> Any:  # fmt: skip
    size = x.shape[2:]
    windows = _Windows.of(size, kernel_shape, strides, dilations, pads, auto_pad)
    bare = not any(map(any, windows.pads))
    plain = (bare or (count_include_pad and windows.symmetric())) and windows.dilations == [1, 1] and not ceil_mode
    if plain and all(before < k for (before, _), k in zip(windows.pads, kernel_shape, strict=True)):
        return ops.avg_pool2d(
            x, tuple(kernel_shape), tuple(windows.strides), tuple(before for before, _ in windows.pads)
        )
    counts = windows.counts(size, ceil_mode)
    total = reduce(ops.add, _taps(_reaching(x, windows, counts, 0), windows, counts))
    ones = Tensor(np.ones((1, 1, *size), x.dtype))
    if count_include_pad:
        ones = _padded(ones, windows.pads, 1)
        windows = windows._replace(pads=[(0, 0)] * len(size))
    return total / reduce(ops.add, _taps(_reaching(ones, windows, counts, 0), windows, counts)).data


@reads("GlobalAveragePool", "GlobalMaxPool")
def _(x: Any, *, kind: str) -> Any:
    if kind == "GlobalAveragePool" and x.ndim == 4:
        return ops.adaptive_avg_pool2d(x, 1)
    return (ops.mean if kind == "GlobalAveragePool" else ops.max)(x, tuple(range(2, x.ndim)), True)


@reads("DepthToSpace", "SpaceToDepth")
def _(x: Any, *, kind: str, blocksize: int, mode: str = "DCR") -> Any:
    """Blocks of pixels and channels change places; a channel's number counts its block first (DCR) or last (CRD)."""
    N, C, H, W = x.shape
    r = blocksize
    if mode == "CRD":
        return (ops.pixel_shuffle if kind == "DepthToSpace" else ops.pixel_unshuffle)(x, r)
    if kind == "DepthToSpace":
        apart = ops.transpose(ops.reshape(x, (N, r, r, C // r**2, H, W)), (0, 3, 4, 1, 5, 2))
        return ops.reshape(apart, (N, C // r**2, H * r, W * r))
    apart = ops.transpose(ops.reshape(x, (N, C, H // r, r, W // r, r)), (0, 3, 5, 1, 2, 4))
    return ops.reshape(apart, (N, C * r**2, H // r, W // r))


# --- normalisation ------------------------------------------------------------------------------------


@reads("BatchNormalization")
def _(
    x: Any, weight: Any, bias: Any, mean: Any, var: Any, *, epsilon: float = 1e-5, momentum: float = 0.9,
    training_mode: int = 0,
) -> Any:  # fmt: skip
    if training_mode:
        raise NotImplementedError("training_mode=1: it normalises by running averages")
    return ops.batch_norm(x, weight, bias, mean, var, epsilon)


@reads("InstanceNormalization")
def _(x: Any, weight: Any, bias: Any, *, epsilon: float = 1e-5) -> Any:
    return ops.group_norm(x, x.shape[1], weight, bias, epsilon)


@reads("GroupNormalization")
def _(x: Any, weight: Any, bias: Any, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    """Up to version 20 weights were those of groups."""
    each = x.shape[1] // num_groups
    if each > 1 and weight.shape == (num_groups,):
        weight, bias = (ops.repeat(part, each) for part in (weight, bias))
    return ops.group_norm(x, num_groups, weight, bias, epsilon)


@reads("LayerNormalization")
def _(
    x: Any, weight: Any, bias: Any = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1, count: int
) -> Any:  # fmt: skip
    """Behind the result come the mean and one over the deviation."""
    axes = tuple(range(axis % x.ndim - x.ndim, 0))
    if weight.shape == x.shape[axes[0] :] and (bias is None or bias.shape == weight.shape):
        y = ops.layer_norm(x, weight, bias, axes, epsilon)
    else:
        y = ops.layer_norm(x, None, None, axes, epsilon) * weight
        y = y if bias is None else y + bias
    if count == 1:
        return y
    mean, var = ops.mean(x, axes, True), ops.var(x, axes, True)
    return y, mean, ops.reciprocal(ops.sqrt(var + epsilon))


@reads("RMSNormalization")
def _(x: Any, weight: Any, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    axes = tuple(range(axis % x.ndim - x.ndim, 0))
    if weight.size == math.prod(x.shape[axes[0] :]):
        return like(ops.rms_norm(x, ops.reshape(weight, x.shape[axes[0] :]), axes, epsilon), x)
    return like(ops.rms_norm(x, None, axes, epsilon) * weight, x)


# --- resizing -----------------------------------------------------------------------------------------


@reads("Resize")
def _(
    x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, *, mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel", nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75, exclude_outside: int = 0, antialias: int = 0, axes: list[int] | None = None,
    keep_aspect_ratio_policy: str = "stretch", extrapolation_value: float = 0.0,
) -> Any:  # fmt: skip
    """Resize one axis at a time: index for nearest, multiply by a matrix otherwise."""
    if antialias or mode not in ("nearest", "linear", "cubic") or (mode != "nearest" and x.dtype.kind != "f"):
        raise NotImplementedError(f"Resize with antialias={antialias} of {x.dtype}, mode={mode!r}")
    along = range(x.ndim) if axes is None else axes
    lengths = [x.shape[axis] for axis in along]
    if sizes is not None and sizes.size:
        wanted = integers(sizes)
        factors = [m / n for m, n in zip(wanted, lengths, strict=True)]
        if keep_aspect_ratio_policy != "stretch":
            factors = [min(factors) if keep_aspect_ratio_policy == "not_larger" else max(factors)] * len(factors)
            wanted = [math.floor(n * factor + 0.5) for n, factor in zip(lengths, factors, strict=True)]
    else:
        factors = scales.data.tolist()
        wanted = [math.floor(n * factor) for n, factor in zip(lengths, factors, strict=True)]
    for axis, n, m, factor in zip(along, lengths, wanted, factors, strict=True):
        if (m, factor) == (n, 1):
            continue
        positions = _positions(coordinate_transformation_mode, n, m, factor)
        if mode == "nearest":
            places = np.clip(_ROUNDING[nearest_mode](positions).astype(np.int64), 0, n - 1)
            x = x[(slice(None),) * (axis % x.ndim) + (places,)]
            continue
        taps = np.floor(positions)[:, None] + np.arange(-1, 3)
        weights = _interpolation_weights(np.abs(positions[:, None] - taps), cubic_coeff_a if mode == "cubic" else None)
        if exclude_outside:
            weights *= (taps >= 0) & (taps < n)
            weights /= weights.sum(axis=1, keepdims=True)
        matrix = np.zeros((m, n))
        np.add.at(matrix, (np.arange(m)[:, None], np.clip(taps, 0, n - 1).astype(int)), weights)
        x = ops.moveaxis(ops.matmul(ops.moveaxis(x, axis, -1), matrix.T.astype(x.dtype)), -1, axis)
    return x


_ROUNDING: dict[str, Any] = {
    "round_prefer_floor": lambda positions: np.ceil(positions - 0.5),
    "round_prefer_ceil": lambda positions: np.floor(positions + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _positions(mode: str, n: int, m: int, factor: float) -> Array:
    """The position of each of m entries among n, in single precision: onnxruntime rounds in that."""
    places: Array = np.arange(m, dtype=np.float32)
    factor = float(np.float32(factor))
    if mode == "asymmetric":
        return places / factor
    if mode == "align_corners":
        return places * (n - 1) / (n * factor - 1) if n * factor > 1 else 0.0 * places
    if mode == "pytorch_half_pixel" and m == 1:
        return 0.0 * places
    if mode not in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"):
        raise NotImplementedError(f"Resize with coordinate_transformation_mode={mode!r}")
    start = n / 2 * (1 - m / (n * factor)) if mode == "half_pixel_symmetric" else 0.0
    return start + (places + 0.5) / factor - 0.5


def _interpolation_weights(distance: Array, a: float | None) -> Array:
    """Weights of entries at these distances: linear, or cubic convolution with the coefficient a (Keys, 1981)."""
    if a is None:
        return np.maximum(0.0, 1 - distance)  # type: ignore[no-any-return]
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))

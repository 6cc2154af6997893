"""Convolutions, pools, normalisation, attention and resizing.

Images have one or two axes of pixels; imported pools may have any number. Where minigrad's layers lack a feature of
ONNX, such as borders that differ from side to side, the readers pad the input and crop the output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from .... import ops
from ....core import Tensor
from ....ops.kernels.windows import pair
from ....spec import Array
from ..graph_writer import Call, GraphWriter
from .registry import READERS, axes_of, bounds, compose, composed, integers, like, refuse, write
from .shaping import padded


def _border(n: int, kernel: int, stride: int, dilation: int) -> int:
    """Return the total padding of n pixels that gives one window at each multiple of the stride."""
    return max((-(n // -stride) - 1) * stride + dilation * (kernel - 1) + 1 - n, 0)


# --- writing ------------------------------------------------------------------------------------------


def _windows(call: Call, kernel: Sequence[int]) -> dict[str, Any]:
    """Return the options of windows as ONNX's attributes, with a number for each axis of pixels."""
    options = {name: call.option(name) for name in call.primitive.signature.parameters if name in _ATTRIBUTES}
    padding = options.pop("padding")
    options["stride"] = kernel if options["stride"] is None else options["stride"]
    sizes = call.shape[2:]
    numbers = {_ATTRIBUTES[name]: list(pair(name, option, 0)[: len(sizes)]) for name, option in options.items()}
    if padding == "same":
        borders = list(map(_border, sizes, kernel, numbers["strides"], numbers["dilations"]))
        return numbers | {"pads": [*(n // 2 for n in borders), *(n - n // 2 for n in borders)]}
    return numbers | {"pads": [*pair("padding", 0 if padding == "valid" else padding, 0)[: len(sizes)]] * 2}


_ATTRIBUTES = {"kernel": "kernel_shape", "stride": "strides", "dilation": "dilations", "padding": "pads",
               "output_padding": "output_padding"}  # fmt: skip


def _conv(graph: GraphWriter, call: Call, x: str, w: str, b: str) -> Any:
    """Runtimes refuse an output padding as large as the stride."""
    options = _windows(call, np.shape(call.inputs[1])[2:])
    extra = options.get("output_padding", ())
    if any(e >= s for e, s in zip(extra, options["strides"], strict=False)):
        return composed(graph, call, call.primitive.reference)
    return graph.op("ConvTranspose" if extra else "Conv", x, w, b, group=int(call.option("groups")), **options)


def _pool(graph: GraphWriter, call: Call, x: str) -> str:
    options = _windows(call, pair("kernel", call.option("kernel"), 1))
    if call.name == "max_pool2d":
        return graph.op("MaxPool", x, **options)
    return graph.op("AveragePool", x, count_include_pad=1, **options)


def _adaptive_pool(graph: GraphWriter, call: Call, x: str) -> Any:
    """Bins of one size are a pool."""
    size, bins = call.shape[2:], call.outputs[0].shape[2:]
    if bins == (1, 1):
        return graph.op("GlobalAveragePool", x)
    if any(n % m for n, m in zip(size, bins, strict=True)):
        return composed(graph, call, call.primitive.reference)
    kernel = [n // m for n, m in zip(size, bins, strict=True)]
    return graph.op("AveragePool", x, kernel_shape=kernel, strides=kernel)


def _batch_norm(graph: GraphWriter, call: Call, x: str, weight: str, bias: str, mean: str, var: str) -> str:
    if not mean:
        raise refuse("batch_norm by the batch's statistics (in training, or without running ones)")
    weight = weight or graph.constant(np.ones(call.shape[1], call.dtype))
    bias = bias or graph.constant(np.zeros(call.shape[1], call.dtype))
    return graph.op("BatchNormalization", x, weight, bias, mean, var, epsilon=float(call.option("eps")))


def _layer_norm(graph: GraphWriter, call: Call, x: str, weight: str, bias: str) -> Any:
    """The operator supports only axes at the end."""
    axes = sorted(axes_of(call))
    if axes != list(range(len(call.shape) - len(axes), len(call.shape))):
        return composed(graph, call, call.primitive.reference)
    weight = weight or graph.constant(np.ones(call.shape[-len(axes) :], call.dtype))
    return graph.op("LayerNormalization", x, weight, bias, axis=-len(axes), epsilon=float(call.option("eps")))


def _upsample(x: Any, factor: Any, mode: str = "nearest") -> Any:
    """Products with matrices, which hold the larger images of unit vectors."""
    down, across = (
        ops.upsample(np.eye(n, dtype=x.dtype)[None, None], (r, 1), mode).data[0, 0]
        for n, r in zip(x.shape[2:], pair("factor", factor, 1), strict=True)
    )
    return ops.matmul(down, ops.matmul(x, across.T))


write({
    **dict.fromkeys(("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"), _conv),
    **dict.fromkeys(("max_pool2d", "avg_pool2d"), _pool),
    "adaptive_avg_pool2d": _adaptive_pool,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "pixel_shuffle": lambda graph, call, x: graph.op(
        "DepthToSpace", x, blocksize=int(call.option("factor")), mode="CRD"
    ),
})  # fmt: skip
compose({"upsample": _upsample})

# --- reading: convolutions ----------------------------------------------------------------------------


class _Windows(NamedTuple):
    """Windows of pixels: numbers for each axis, and the borders before and after it."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, size: Any, kernel: Any, strides: Any, dilations: Any, pads: Any, auto_pad: str) -> _Windows:
        n = len(size)
        strides, dilations, pads = strides or [1] * n, dilations or [1] * n, pads or [0] * (2 * n)
        if auto_pad.startswith("SAME"):
            halves = [_halves(total, auto_pad) for total in map(_border, size, kernel, strides, dilations)]
            pads = [before for before, _ in halves] + [after for _, after in halves]
        return cls(*map(tuple, (kernel, strides, dilations, pads[:n], pads[n:])))

    def counts(self, size: Any, ceil_mode: int) -> list[int]:
        """Return the number of windows along each axis; rounded up, but none begins in the border at the end."""
        found = []
        for n, k, s, d, before, after in zip(size, *self, strict=True):
            room = n + before + after - d * (k - 1) - 1
            count = (-(room // -s) if ceil_mode else room // s) + 1
            found.append(count - 1 if ceil_mode and (count - 1) * s >= n + before else count)
        return found

    def plain(self, ceil_mode: int) -> bool:
        """Return whether minigrad's pools support these windows."""
        same = self.before == self.after and self.dilations == (1, 1)
        return same and not ceil_mode and all(p < k for p, k in zip(self.before, self.kernel, strict=True))

    def padded(self, x: Any, number: float = 0) -> Any:
        """Return x with its borders."""
        return padded(x, [(0, 0), (0, 0), *zip(self.before, self.after, strict=True)], number)

    def taps(self, x: Any, counts: list[int], number: float) -> Iterator[Any]:
        """Yield for each place in the windows the entries of all windows there, after padding x for all windows."""
        needed = [(n - 1) * s + d * (k - 1) + 1 for n, k, s, d in zip(counts, *self[:3], strict=True)]
        after = (max(m - n - before, 0) for m, n, before in zip(needed, x.shape[2:], self.before, strict=True))
        x = self._replace(after=tuple(after)).padded(x, number)
        for offsets in np.ndindex(*self.kernel):
            axes = zip(offsets, self.dilations, counts, self.strides, strict=True)
            yield x[(..., *(slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, n, s in axes))]


def _halves(total: int, auto_pad: str) -> tuple[int, int]:
    """Split a border; if it is odd, the larger half is at the end (SAME_UPPER) or in front."""
    small, large = total // 2, total - total // 2
    return (small, large) if auto_pad == "SAME_UPPER" else (large, small)


def _by_axes(x: Any, flat: Any, square: Any) -> Any:
    """Return the function for one or two axes of pixels."""
    if x.ndim not in (3, 4):
        raise NotImplementedError(f"{x.ndim - 2} axes of pixels: convolutions support one or two")
    return flat if x.ndim == 3 else square


def _convolved(
    x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, strides: Any = None, dilations: Any = None,
    pads: Any = None, group: int = 1, auto_pad: str = "NOTSET",
) -> Any:  # fmt: skip
    convolve = _by_axes(x, ops.conv1d, ops.conv2d)
    windows = _Windows.of(x.shape[2:], w.shape[2:], strides, dilations, pads, auto_pad)
    padding = windows.before
    if padding != windows.after:
        x, padding = windows.padded(x), (0,) * len(padding)
    return convolve(x, w, b, *map(_number_or_pair, (windows.strides, padding, windows.dilations)), group)


def _number_or_pair(numbers: tuple[int, ...]) -> Any:
    return numbers if len(numbers) == 2 else numbers[0]


def _convolved_back(
    x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, strides: Any = None, dilations: Any = None,
    pads: Any = None, output_padding: Any = None, output_shape: Any = None, group: int = 1, auto_pad: str = "NOTSET",
) -> Any:  # fmt: skip
    """Compute everything that the filters reach, crop the borders, and add zeros if the output must be larger."""
    convolve, size = _by_axes(x, ops.conv_transpose1d, ops.conv_transpose2d), x.shape[2:]
    windows = _Windows.of(size, w.shape[2:], strides, dilations, pads, "NOTSET")
    extra = list(output_padding or [0] * len(size))
    borders = list(zip(windows.before, windows.after, strict=True))
    if output_shape or auto_pad.startswith("SAME"):
        wanted = list(output_shape or [n * s for n, s in zip(size, windows.strides, strict=True)])[-len(size) :]
        reached = [(n - 1) * s + d * (k - 1) + 1 for n, k, s, d in zip(size, *windows[:3], strict=True)]
        # The reference of ONNX puts the larger half in front unless auto_pad is SAME_UPPER.
        borders = [_halves(r + e - n, auto_pad) for r, e, n in zip(reached, extra, wanted, strict=True)]
    stride, dilation = _number_or_pair(windows.strides), _number_or_pair(windows.dilations)
    y = convolve(x, w, None, stride, 0, 0, dilation, group)
    widths = [(-before, e - after) for (before, after), e in zip(borders, extra, strict=True)]
    y = padded(y, [(0, 0), (0, 0), *widths])
    return y if b is None else y + ops.reshape(b, (-1, *(1,) * len(size)))


# --- reading: pools -----------------------------------------------------------------------------------


def _max_pooled(
    x: Any, *, kernel_shape: list[int], strides: Any = None, dilations: Any = None, pads: Any = None,
    auto_pad: str = "NOTSET", ceil_mode: int = 0, storage_order: int = 0, count: int,
) -> Any:  # fmt: skip
    """Return the largest entries, and if wanted the place of each in the flattened images."""
    windows = _Windows.of(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad)
    if count == 1 and windows.plain(ceil_mode):
        return ops.max_pool2d(x, windows.kernel, windows.strides, windows.before)
    counts, least = windows.counts(x.shape[2:], ceil_mode), bounds(x.dtype)[0]
    taps = list(windows.taps(x, counts, least))
    if count == 1:
        return reduce(ops.maximum, taps)
    numbers = np.arange(x.size).reshape(x.shape)
    if storage_order:
        numbers = np.arange(x.size).reshape(*x.shape[:2], *x.shape[:1:-1]).transpose(0, 1, *range(x.ndim - 1, 1, -1))
    values = ops.stack(taps, axis=-1)
    places = np.stack([tap.data for tap in windows.taps(Tensor(numbers), counts, -1)], axis=-1)
    found = np.where(places < 0, least, values.data).argmax(axis=-1)[..., None]
    return ops.take_along_axis(values, found, -1)[..., 0], np.take_along_axis(places, found, -1)[..., 0]


def _avg_pooled(
    x: Any, *, kernel_shape: list[int], strides: Any = None, dilations: Any = None, pads: Any = None,
    auto_pad: str = "NOTSET", ceil_mode: int = 0, count_include_pad: int = 0,
) -> Any:  # fmt: skip
    windows = _Windows.of(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad)
    if windows.plain(ceil_mode) and (count_include_pad or not any(windows.before)):
        return ops.avg_pool2d(x, windows.kernel, windows.strides, windows.before)
    counts = windows.counts(x.shape[2:], ceil_mode)
    total = reduce(ops.add, windows.taps(x, counts, 0))
    ones = Tensor(np.ones((1, 1, *x.shape[2:]), x.dtype))
    if count_include_pad:
        ones, none = windows.padded(ones, 1), (0,) * len(counts)
        windows = windows._replace(before=none, after=none)
    return total / reduce(ops.add, windows.taps(ones, counts, 0)).data


def _unshuffled(x: Any, *, blocksize: int, mode: str = "DCR") -> Any:
    y = ops.pixel_unshuffle(x, blocksize)
    return _regrouped(y, x.shape[1]) if mode == "DCR" else y


def _regrouped(x: Any, n: int) -> Any:
    """Channels (n, C / n) in the order (C / n, n), as a channel's number counts its block first (DCR) or last (CRD)."""
    N, C, *image = x.shape
    return ops.reshape(ops.swapaxes(ops.reshape(x, (N, n, C // n, *image)), 1, 2), x.shape)


# --- reading: normalisation ---------------------------------------------------------------------------


def _batch_normalized(
    x: Any, weight: Any, bias: Any, mean: Any, var: Any, *, epsilon: float = 1e-5, momentum: float = 0.9,
    training_mode: int = 0,
) -> Any:  # fmt: skip
    if training_mode:
        raise NotImplementedError("training_mode=1: only running averages are supported")
    return ops.batch_norm(x, weight, bias, mean, var, epsilon)


def _group_normalized(
    x: Any, weight: Any, bias: Any, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Any:
    """Up to version 20 each group has one weight."""
    each = x.shape[1] // num_groups
    if each > 1 and weight.shape == (num_groups,):
        weight, bias = (ops.repeat(part, each) for part in (weight, bias))
    return ops.group_norm(x, num_groups, weight, bias, epsilon)


def _layer_normalized(
    x: Any, weight: Any, bias: Any = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1, count: int
) -> Any:  # fmt: skip
    """The mean and one over the deviation follow the result."""
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


def _rms_normalized(x: Any, weight: Any, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    axes = tuple(range(axis % x.ndim - x.ndim, 0))
    if weight.size == math.prod(x.shape[axes[0] :]):
        return like(ops.rms_norm(x, ops.reshape(weight, x.shape[axes[0] :]), axes, epsilon), x)
    return like(ops.rms_norm(x, None, axes, epsilon) * weight, x)


# --- reading: resizing --------------------------------------------------------------------------------


def _resized(
    x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, *, mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel", nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75, exclude_outside: int = 0, antialias: int = 0, axes: list[int] | None = None,
    keep_aspect_ratio_policy: str = "stretch", extrapolation_value: float = 0.0,
) -> Any:  # fmt: skip
    """Resize one axis at a time: index for nearest, multiply by a matrix otherwise."""
    if antialias or mode not in ("nearest", "linear", "cubic") or (mode != "nearest" and x.dtype.kind != "f"):
        raise NotImplementedError(f"Resize with antialias={antialias} of {x.dtype}, mode={mode!r}")
    if coordinate_transformation_mode not in _POSITIONS:
        raise NotImplementedError(f"Resize with coordinate_transformation_mode={coordinate_transformation_mode!r}")
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
        # In single precision, as onnxruntime rounds.
        count, single = np.arange(m, dtype=np.float32), float(np.float32(factor))
        positions = _POSITIONS[coordinate_transformation_mode](count, n, m, single)
        if mode == "nearest":
            places = np.clip(_ROUNDING[nearest_mode](positions).astype(np.int64), 0, n - 1)
            x = x[(slice(None),) * (axis % x.ndim) + (places,)]
            continue
        taps = np.floor(positions)[:, None] + np.arange(-1, 3)
        distance = np.abs(positions[:, None] - taps)
        weights = np.maximum(0.0, 1 - distance) if mode == "linear" else _cubic_weights(distance, cubic_coeff_a)
        if exclude_outside:
            weights *= (taps >= 0) & (taps < n)
            weights /= weights.sum(axis=1, keepdims=True)
        matrix = np.zeros((m, n))
        np.add.at(matrix, (np.arange(m)[:, None], np.clip(taps, 0, n - 1).astype(int)), weights)
        x = ops.moveaxis(ops.matmul(ops.moveaxis(x, axis, -1), matrix.T.astype(x.dtype)), -1, axis)
    return x


# The positions of entries i of m among n.
_POSITIONS: dict[str, Callable[..., Array]] = {
    "asymmetric": lambda i, n, m, factor: i / factor,
    "align_corners": lambda i, n, m, factor: i * (n - 1) / (n * factor - 1) if n * factor > 1 else 0.0 * i,
    "half_pixel": lambda i, n, m, factor: (i + 0.5) / factor - 0.5,
    "pytorch_half_pixel": lambda i, n, m, factor: (i + 0.5) / factor - 0.5 if m > 1 else 0.0 * i,
    "half_pixel_symmetric": lambda i, n, m, factor: n / 2 * (1 - m / (n * factor)) + (i + 0.5) / factor - 0.5,
}
_ROUNDING: dict[str, Callable[..., Array]] = {
    "round_prefer_floor": lambda positions: np.ceil(positions - 0.5),
    "round_prefer_ceil": lambda positions: np.floor(positions + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _cubic_weights(distance: Array, a: float) -> Array:
    """Return the weights of entries at these distances in cubic convolution with the coefficient a (Keys, 1981)."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


READERS.update({
    "AveragePool": _avg_pooled,
    "BatchNormalization": _batch_normalized,
    "Conv": _convolved,
    "ConvTranspose": _convolved_back,
    "DepthToSpace": lambda x, *, blocksize, mode="DCR": ops.pixel_shuffle(
        _regrouped(x, blocksize**2) if mode == "DCR" else x, blocksize
    ),
    "GlobalAveragePool": lambda x: (
        ops.adaptive_avg_pool2d(x, 1) if x.ndim == 4 else ops.mean(x, tuple(range(2, x.ndim)), True)
    ),
    "GlobalMaxPool": lambda x: ops.max(x, tuple(range(2, x.ndim)), True),
    "GroupNormalization": _group_normalized,
    "InstanceNormalization": lambda x, weight, bias, *, epsilon=1e-5: ops.group_norm(
        x, x.shape[1], weight, bias, epsilon
    ),
    "LayerNormalization": _layer_normalized,
    "MaxPool": _max_pooled,
    "RMSNormalization": _rms_normalized,
    "Resize": _resized,
    "SpaceToDepth": _unshuffled,
})  # fmt: skip

"""Convolutions, pools and normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....ops.kernels.windows import Windows, pair
from ..graphs import GraphWriter
from ..tracing import Call
from .table import axes_of, refuse, writes


def _windows(call: Call, *names: str) -> dict[str, Any]:
    """Options of windows as ONNX's attributes, with a number for each axis of pixels."""
    axes = np.ndim(call.inputs[0]) - 2
    attributes: dict[str, Any] = {}
    for name in names:
        option = call.option(name)
        if isinstance(option, str):
            attributes["pads"] = _borders(call, option)
            continue
        numbers = pair(name, call.option("kernel") if option is None else option, 0)[:axes]  # a pool's stride
        if name == "padding":
            attributes["pads"] = [*numbers, *numbers]
        else:
            attributes[_ATTRIBUTES[name]] = list(numbers)
    return attributes


def _borders(call: Call, padding: str) -> list[int]:
    """What a padding by name puts in front of the pixels of each axis, and then what behind them."""
    axes = np.ndim(call.inputs[0]) - 2
    size, kernel = ((*np.shape(x)[2:], 1)[:2] for x in call.inputs[:2])  # of a sequence, an image of width 1
    stride, dilation = call.option("stride"), call.option("dilation")
    windows, number = Windows.over(size, kernel, stride, padding, dilation)
    front, needed = windows.padding, windows._replace(padding=(0, 0)).image_size(number)
    behind = [max(0, m - n - p) for m, n, p in zip(needed, size, front, strict=True)]
    return [*front[:axes], *behind[:axes]]


_ATTRIBUTES = {"kernel": "kernel_shape", "stride": "strides", "dilation": "dilations",
               "output_padding": "output_padding"}  # fmt: skip


@writes("conv1d", "conv2d")
def _(graph: GraphWriter, call: Call, x: str, w: str, b: str) -> str:
    options = _windows(call, "stride", "padding", "dilation")
    return graph.op("Conv", x, w, b, group=int(call.option("groups")), **options)


@writes("conv_transpose1d", "conv_transpose2d")
def _(graph: GraphWriter, call: Call, x: str, w: str, b: str) -> str:
    """Where more rows are wanted than a stride has, which runtimes refuse, less is cut off at the end instead."""
    options = _windows(call, "stride", "padding", "dilation", "output_padding")
    extra, pads = options["output_padding"], options["pads"]
    if any(e >= s for e, s in zip(extra, options["strides"], strict=True)):
        if any(e > p for e, p in zip(extra, pads, strict=False)):
            raise refuse(f"{call.name} with an output_padding larger than stride and padding")
        options["pads"] = [*pads[: len(extra)], *(p - e for p, e in zip(pads, extra, strict=False))]
        del options["output_padding"]
    return graph.op("ConvTranspose", x, w, b, group=int(call.option("groups")), **options)


@writes("max_pool2d")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("MaxPool", x, **_windows(call, "kernel", "stride", "padding"))


@writes("avg_pool2d")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("AveragePool", x, count_include_pad=1, **_windows(call, "kernel", "stride", "padding"))


@writes("adaptive_avg_pool2d")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    """Bins of one size are a pool; others are two products, with the share that each pixel has in each bin."""
    dtype, size, bins = call.outputs[0].dtype, np.shape(call.inputs[0])[2:], call.outputs[0].shape[2:]
    if bins == (1, 1):
        return graph.op("GlobalAveragePool", x)
    if all(n % m == 0 for n, m in zip(size, bins, strict=True)):
        kernel = [n // m for n, m in zip(size, bins, strict=True)]
        return graph.op("AveragePool", x, kernel_shape=kernel, strides=kernel)
    rows, columns = (_shares(n, m) for n, m in zip(size, bins, strict=True))
    return graph.op("MatMul", graph.constant(rows, dtype), graph.op("MatMul", x, graph.constant(columns.T, dtype)))


def _shares(n: int, m: int) -> Any:
    """The share of each of n pixels in each of m bins, (m, n)."""
    shares = np.zeros((m, n))
    for i in range(m):
        start, end = i * n // m, -((i + 1) * n // -m)
        shares[i, start:end] = 1 / (end - start)
    return shares


@writes("pixel_shuffle")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("DepthToSpace", x, blocksize=int(call.option("factor")), mode="CRD")


@writes("batch_norm")
def _(graph: GraphWriter, call: Call, x: str, weight: str, bias: str, mean: str, var: str) -> str:
    if not mean:
        raise refuse("batch_norm by the batch's statistics (in training, or without running ones)")
    channels, dtype = np.shape(call.inputs[0])[1], call.outputs[0].dtype
    weight = weight or graph.constant(np.ones(channels, dtype))
    bias = bias or graph.constant(np.zeros(channels, dtype))
    return graph.op("BatchNormalization", x, weight, bias, mean, var, epsilon=float(call.option("eps")))


def _last_axes(call: Call) -> int:
    """How many axes at the end are normalised; 0 if they are others."""
    axes, ndim = sorted(axes_of(call)), np.ndim(call.inputs[0])
    return len(axes) if axes == list(range(ndim - len(axes), ndim)) else 0


@writes("layer_norm")
def _(graph: GraphWriter, call: Call, x: str, weight: str, bias: str) -> str:
    dtype, shape, count = call.outputs[0].dtype, np.shape(call.inputs[0]), _last_axes(call)
    if count:
        weight = weight or graph.constant(np.ones(shape[-count:], dtype))
        return graph.op("LayerNormalization", x, weight, bias, axis=-count, epsilon=float(call.option("eps")))
    axes = axes_of(call)
    return _affine(graph, _standardised(graph, x, axes, call.option("eps"), dtype), _spread(shape, axes), weight, bias)


@writes("rms_norm")
def _(graph: GraphWriter, call: Call, x: str, weight: str) -> str:
    axes = axes_of(call)
    y = _standardised(graph, x, axes, call.option("eps"), call.outputs[0].dtype, centred=False)
    return _affine(graph, y, _spread(np.shape(call.inputs[0]), axes), weight)


def _spread(shape: tuple[int, ...], axes: Sequence[int]) -> tuple[int, ...]:
    """The shape in which a weight of some axes meets an array of all of them."""
    return tuple(n if i in axes else 1 for i, n in enumerate(shape))


def _affine(graph: GraphWriter, y: str, spread: tuple[int, ...], weight: str, bias: str = "") -> str:
    """y times a weight plus a bias, either of which may be left out, in a shape that meets y's."""
    for kind, array in (("Mul", weight), ("Add", bias)):
        if array:
            y = graph.op(kind, y, graph.reshape(array, spread))
    return y


@writes("group_norm")
def _(graph: GraphWriter, call: Call, x: str, weight: str, bias: str) -> str:
    """Groups of channels are rows that are standardised."""
    shape, groups, dtype = np.shape(call.inputs[0]), int(call.option("groups")), call.outputs[0].dtype
    rows = graph.reshape(x, (shape[0], groups, math.prod(shape[1:]) // groups))
    y = graph.reshape(_standardised(graph, rows, [2], call.option("eps"), dtype), shape)
    return _affine(graph, y, (shape[1],) + (1,) * (len(shape) - 2), weight, bias)


def _standardised(
    graph: GraphWriter, x: str, axes: Sequence[int], eps: float, dtype: Any, centred: bool = True
) -> str:  # fmt: skip
    """x over the root of its mean square along some axes, about the mean if it is `centred`."""
    over = graph.ints(*axes)
    if centred:
        x = graph.op("Sub", x, graph.op("ReduceMean", x, over, keepdims=1))
    square = graph.op("ReduceMean", graph.op("Mul", x, x), over, keepdims=1)
    return graph.op("Div", x, graph.op("Sqrt", graph.op("Add", square, graph.constant(eps, dtype))))

"""Convolutions of sequences: those of images that have one column.

A sequence of L entries is an image of L rows and one column, a filter of K taps one of K rows. An axis of length 1
costs nothing, so each rule here gives its arrays that axis, hands them to the rule of images, and takes it off what
comes back. A long sequence is computed some rows at a time, and these are dealt to threads, as those of a large image.
"""

from __future__ import annotations

from math import prod
from typing import Any

from ..primitives import ForwardResult, Shape, Shapes, primitive
from ..spec import Array
from .convolution import conv2d, conv_transpose2d
from .kernels.windows import Windows, integer

__all__ = ["conv1d", "conv_transpose1d"]


def _check(x: Array, w: Array, roles: str) -> None:
    """Raise unless x and w have three axes."""
    if x.ndim != 3:
        raise ValueError(f"x must have 3 axes (N, C, L), not {x.ndim}")
    if w.ndim != 3:
        raise ValueError(f"w must have 3 axes ({roles}, K), not {w.ndim}")


@primitive(residuals=("x", "w"))
def conv1d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> ForwardResult:
    """Convolution of sequences (cross-correlation: the kernel is not flipped), as PyTorch's.

    y[n,f,p] = b[f] + sum over c, i of w[f,c,i] x[n, c, p stride + i dilation], where x is padded with zeros and c runs
    over the channels of f's group.

    Args:
        x: sequences (N, C, L).
        w: filters (F, C/groups, K).
        b: one bias for each filter, (F,), or None.
        stride, padding, dilation: integers. A padding of "valid" is none, and of "same" as many zeros as
            ceil(L / stride) outputs need: half of them in front, half behind, and an odd one behind.
        groups: channels and filters are split into so many parts, which do not meet.

    Returns:
        (N, F, l) with l = (L + 2 padding - dilation (K - 1) - 1) // stride + 1. Dtypes promote as in NumPy.

    Raises:
        TypeError: if an option is no integer.
        ValueError: if ranks, channels or groups do not fit, a kernel is larger than the padded sequence, or for another
            word as padding.

    >>> conv1d([[[1.0, 2.0, 4.0, 8.0]]], [[[1.0, 10.0]]], padding="same")
    tensor([[[21., 42., 84.,  8.]]])
    """
    _check(x, w, "F, C/groups")
    if not isinstance(padding, str):
        padding = integer("padding", padding, 0)
    dilation, kernel = integer("dilation", dilation, 1), w.shape[2]
    extent, length = dilation * (kernel - 1) + 1, x.shape[2] + 2 * (0 if isinstance(padding, str) else padding)
    if padding != "same" and extent > length:
        dilated = f", {extent} with its dilation," if extent != kernel else ""
        raise ValueError(f"a kernel of {kernel}{dilated} is larger than the padded input of {length}")
    options = (integer("stride", stride, 1), 1), padding if isinstance(padding, str) else (padding, 0), (dilation, 1)
    y, (*_, windows, groups) = conv2d.primitive.forward(x[..., None], w[..., None], b, *options, groups)
    return y[..., 0], (x, w, windows, groups)


@primitive(residuals=("x", "w"))
def conv_transpose1d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> ForwardResult:
    """Transposed convolution of sequences: the adjoint of :func:`conv1d` as a map of sequences, as PyTorch's.

    y[n, f, p stride + i dilation] sums w[c,f,i] x[n,c,p], then ``padding`` entries are cut off at both ends, and b[f]
    is added. Without b, <conv1d(y, w), x> = <y, conv_transpose1d(x, w)>.

    Args:
        x: sequences (N, C, L).
        w: filters (C, F/groups, K), as of a convolution from F to C channels.
        b: one bias for each output channel, (F,), or None.
        stride, padding, dilation: those of the convolution, integers.
        output_padding: entries more at the end, since a convolution of stride s gives the same length for s lengths of
            sequence; less than the larger of stride and dilation.
        groups: channels are split into so many parts, which do not meet.

    Returns:
        (N, F, l) with l = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.

    Raises:
        TypeError: if an option is no integer.
        ValueError: if ranks, channels, groups or output_padding do not fit, or nothing would be left.

    >>> conv_transpose1d([[[1.0, 2.0]]], [[[1.0, 10.0]]], stride=2)
    tensor([[[ 1., 10.,  2., 20.]]])
    """
    _check(x, w, "C, F/groups")
    if not x.shape[2]:
        raise ValueError("x must have sequences of at least one entry")
    stride, dilation = integer("stride", stride, 1), integer("dilation", dilation, 1)
    padding, extra = integer("padding", padding, 0), integer("output_padding", output_padding, 0)
    if extra >= max(stride, dilation):
        limit = max(stride, dilation)
        raise ValueError(f"output_padding {extra} must be smaller than the larger of stride and dilation, {limit}")
    length = (x.shape[2] - 1) * stride - 2 * padding + dilation * (w.shape[2] - 1) + extra + 1
    if length < 1:
        raise ValueError(f"the output would have {length} entries: padding {padding} is too large")
    options = (stride, 1), (padding, 0), (extra, 0), (dilation, 1)
    y, (*_, windows, groups) = conv_transpose2d.primitive.forward(x[..., None], w[..., None], b, *options, groups)
    return y[..., 0], (x, w, windows, groups)


# --- rules: those of images, for one cotangent, for many, and on tensors -----------------------------


def _pulled(rule: Any, g: Any, needs: Any, x: Any, w: Any, windows: Windows, groups: int) -> Any:
    """The cotangents of sequences, of filters, and of a bias by a rule of images."""
    dx, dw, db = rule(g[..., None], needs, x[..., None], w[..., None], windows, groups)
    return None if dx is None else dx[..., 0], None if dw is None else dw[..., 0], db


@conv1d.vjp
def _(g: Any, needs: Any, *residuals: Any) -> Any:
    return _pulled(conv2d.primitive.vjp, g, needs, *residuals)


@conv1d.batched_vjp
def _(g: Any, needs: Any, *residuals: Any) -> Any:
    return _pulled(conv2d.primitive.batched_vjp, g, needs, *residuals)


@conv1d.vjp_on_tensors
def _(g: Any, needs: Any, *residuals: Any) -> Any:
    return _pulled(conv2d.primitive.vjp_on_tensors, g, needs, *residuals)


@conv_transpose1d.vjp
def _(g: Any, needs: Any, *residuals: Any) -> Any:
    return _pulled(conv_transpose2d.primitive.vjp, g, needs, *residuals)


@conv_transpose1d.batched_vjp
def _(g: Any, needs: Any, *residuals: Any) -> Any:
    return _pulled(conv_transpose2d.primitive.batched_vjp, g, needs, *residuals)


@conv_transpose1d.vjp_on_tensors
def _(g: Any, needs: Any, *residuals: Any) -> Any:
    return _pulled(conv_transpose2d.primitive.vjp_on_tensors, g, needs, *residuals)


@conv1d.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    """Each entry of the output meets one filter; padding counts as entries."""
    return prod(output) * prod(inputs[1][1:])  # type: ignore[no-any-return]


@conv_transpose1d.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    """Each entry of the input is spread by one filter."""
    return prod(inputs[0]) * prod(inputs[1][1:])  # type: ignore[no-any-return]


# --- references: images of one row -------------------------------------------------------------------


@conv1d.reference
def _(x: Any, w: Any, b: Any = None, stride: int = 1, padding: Any = 0, dilation: int = 1, groups: int = 1) -> Any:
    from .. import ops

    padding = padding if isinstance(padding, str) else (0, padding)
    x, w = ops.expand_dims(x, 2), ops.expand_dims(w, 2)
    return ops.squeeze(conv2d(x, w, b, (1, stride), padding, (1, dilation), groups), 2)


@conv_transpose1d.reference
def _(
    x: Any,
    w: Any,
    b: Any = None,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Any:
    from .. import ops

    options = (1, stride), (0, padding), (0, output_padding), (1, dilation)
    return ops.squeeze(conv_transpose2d(ops.expand_dims(x, 2), ops.expand_dims(w, 2), b, *options, groups), 2)

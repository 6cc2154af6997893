"""What the matrices of convolutions are made from: filters, pictures' sizes and options, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad.ops.kernels.windows import Size, integer, pair

__all__ = ["Array", "array", "count", "counts", "end", "filters", "group_count", "picture"]

Array = NDArray[Any]


def array(name: str, value: Any) -> Array:
    """An array; nested sequences must be of one length.

    >>> array("w", [[1, 2], [3]])
    Traceback (most recent call last):
    ValueError: w's rows must be of one length
    """
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}'s rows must be of one length") from None


def count(name: str, value: Any, least: int) -> int:
    """An integer of at least `least`; True is none, though Python counts with it.

    >>> count("groups", True, 1)
    Traceback (most recent call last):
    TypeError: groups must be an integer, not True
    """
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    return integer(name, value, least)


def counts(name: str, value: Any, least: int) -> Size:
    """An integer for both axes, or a (height, width) pair.

    >>> counts("stride", 2, 1), counts("stride", (2, 1), 1)
    ((2, 2), (2, 1))
    """
    if any(isinstance(part, bool) for part in (value if isinstance(value, (tuple, list)) else (value,))):
        raise TypeError(f"{name} must be an integer or a pair of integers, not {value!r}")
    return pair(name, value, least)


def end(name: str, output_padding: Any, stride: Size, dilation: Size) -> Size:
    """An output padding below the larger of stride and dilation, as `mg.ops.conv_transpose2d` takes it.

    >>> end("a", 1, (2, 2), (1, 1))
    (1, 1)
    """
    extra, limits = counts(f"{name}: output_padding", output_padding, 0), tuple(map(max, stride, dilation))
    if extra[0] >= limits[0] or extra[1] >= limits[1]:
        raise ValueError(
            f"{name}: output_padding {extra} must be smaller than the larger of stride and dilation, {limits}"
        )
    return extra


def filters(name: str, w: ArrayLike, axes: str) -> Array:
    """Finite real numbers on four axes. axes: what these are.

    A matrix has zeros where a weight meets no pixel, and 0 times an infinite weight is not 0 but NaN: the
    convolution would give another picture than the matrix.

    >>> filters("a", [[[[1, 2]]]], "(F, C, kh, kw)").shape
    (1, 1, 1, 2)
    """
    w = array(f"{name}: w", w)
    if w.dtype.kind not in "iuf":
        raise TypeError(f"{name}: w must hold real numbers, not {w.dtype}")
    if w.ndim != 4 or 0 in w.shape:
        raise ValueError(f"{name}: w must have the shape {axes}, each at least 1, not {w.shape}")
    if not np.isfinite(w).all():
        raise ValueError(f"{name}: w must be finite, for 0 times NaN or infinity is not 0")
    return w


def picture(name: str, input_shape: Any) -> tuple[int, int, int]:
    """The sizes (C, H, W) of a picture.

    >>> picture("a", [1, 2, 3])
    (1, 2, 3)
    """
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ValueError(f"{name}: input_shape must be (C, H, W), not {input_shape!r}")
    c, height, width = (count(f"{name}: input_shape's {a}", n, 1) for a, n in zip("CHW", input_shape, strict=True))
    return c, height, width


def group_count(name: str, groups: Any, w: Array, channels: int | None = None) -> int:
    """A number of groups that divides the first axis of w and the picture's channels, if these are said.

    >>> group_count("a", 2, np.ones((4, 1, 1, 1)), 2)
    2
    """
    number = count(f"{name}: groups", groups, 1)
    if channels is not None and channels % number:
        raise ValueError(f"{name}: groups={number} must divide the picture's {channels} channels")
    if len(w) % number:
        raise ValueError(f"{name}: groups={number} must divide the first axis of w, {len(w)}")
    return number

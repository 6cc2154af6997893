"""Axes: refuse those of 0-d arrays, and find those of a batch of cotangents, such as the rows of a jacobian.

A batch has one more axis, in front. An axis that is counted from the end
is the same one whatever comes before it.
"""

from __future__ import annotations

from typing import Any

from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ...spec import Array

__all__ = ["folded", "from_the_end", "refuse_axis_of_scalar"]


def from_the_end(axis: Any, ndim: int) -> Any:
    """An axis of so many, or several (None for all), as negative numbers.

    >>> from_the_end(1, 3), from_the_end((0, -1), 3), from_the_end(None, 3)
    (-2, (-3, -1), (-3, -2, -1))
    """
    if axis is None:
        return tuple(range(-ndim, 0))
    if isinstance(axis, (tuple, list)):
        return tuple(from_the_end(i, ndim) for i in axis)
    return normalize_axis_index(axis, ndim) - ndim


def refuse_axis_of_scalar(x: Any, axis: Any) -> None:
    """Raise AxisError if x is 0-d and an axis is given; NumPy's reductions let 0 and -1 pass."""
    if not x.ndim and axis is not None:
        normalize_axis_tuple(axis, 0)


def folded(g: Array) -> Array:
    """A batch of images (B, N, C, H, W) as images (B N, C, H, W)."""
    return g.reshape(g.shape[0] * g.shape[1], *g.shape[2:])

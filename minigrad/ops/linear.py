"""Linear maps given by two functions on arrays, and rules for many cotangents at once.

The VJP of an index or a pool is linear in the cotangent and uses no other tracked value. As a :func:`linear_map` it
works on tensors: the VJP of the map is its transpose, and that of the transpose is the map.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from numpy.lib.array_utils import normalize_axis_index

from ..core import Tensor
from ..primitives import ForwardResult, PrimitiveFunction, primitive
from ..spec import Array

Map = Callable[[Array], Array]


@primitive(residuals=("constant", "constant"))
def linear_map(x: Array, apply: Map, transpose: Map) -> ForwardResult:
    """Apply a linear map to x, of any shape, given by a function on arrays and the function of its transpose.

    Args:
        apply: a linear function from an array to an array. It must return the same result each time.
        transpose: from an array of the output's shape to one of x's shape, with <u, apply(x)> = <transpose(u), x>.

    >>> import numpy as np
    >>> linear_map([1.0, 2.0, 4.0], np.cumsum, lambda u: np.cumsum(u[::-1])[::-1])
    tensor([1., 3., 7.])
    """
    return apply(x), (apply, transpose)


linear_map.vjp(lambda g, needs, apply, transpose: (apply_linear(g, transpose, apply),))


def apply_linear(x: Any, apply: Map, transpose: Map) -> Any:
    """Return apply(x) for an array, and :func:`linear_map` for a tensor: for rules that run on both."""
    return linear_map(x, apply, transpose) if isinstance(x, Tensor) else apply(x)


# --- many cotangents at once, along a leading axis: the rows of a jacobian -------------------------------

_AXES = {"axis", "axis1", "axis2", "source", "destination"}


def batched(*functions: PrimitiveFunction) -> None:
    """Extend the VJPs of primitives to many cotangents at once.

    They run unchanged, but residuals named as axes count from the end, and ``shape`` has the batch in front. An axis
    that counts from the end stays the same for any leading axes.
    """
    for function in functions:
        function.batched_vjp(_with_batch(function.primitive.vjp))


def _with_batch(rule: Callable[..., Any]) -> Callable[..., Any]:
    names = list(inspect.signature(rule).parameters)[2:]

    def of_batch(g: Array, needs: Any, *residuals: Any) -> Any:
        named = dict(zip(names, residuals, strict=True))
        like = named.get("x", named.get("y"))  # has the axes of the input, as do the shape or else g
        ndim = len(named["shape"]) if "shape" in named else g.ndim - 1 if like is None else like.ndim
        for name in named.keys() & _AXES:
            named[name] = from_the_end(named[name], ndim)
        if "shape" in named:
            named["shape"] = (len(g), *named["shape"])
        return rule(g, needs, *named.values())

    return of_batch


def from_the_end(axis: Any, ndim: int) -> Any:
    """Return one of ``ndim`` axes, or several (None for all), as negative numbers.

    >>> from_the_end(1, 3), from_the_end((0, -1), 3), from_the_end(None, 3)
    (-2, (-3, -1), (-3, -2, -1))
    """
    if axis is None:
        return tuple(range(-ndim, 0))
    if isinstance(axis, (tuple, list)):
        return tuple(from_the_end(i, ndim) for i in axis)
    return normalize_axis_index(axis, ndim) - ndim

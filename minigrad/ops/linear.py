"""Linear maps that are known by two functions on arrays: the map and its transpose.

Where a VJP is linear in the cotangent, and depends on nothing else that is differentiated, as that of an index or a
pool, it needs no rule on tensors but this: its own VJP is the transpose, whose VJP is the map again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import Tensor
from ..primitives import ForwardResult, primitive
from ..spec import Array

__all__ = ["linear_map", "mapped"]

Map = Callable[[Array], Array]


@primitive(residuals=("constant", "constant"))
def linear_map(x: Array, apply: Map, transpose: Map) -> ForwardResult:
    """A linear map of x, of any shape, that is given by a function on arrays, with the function of its transpose.

    Args:
        apply: a linear function from an array to an array. It must give the same each time.
        transpose: from an array of the output's shape to one of x's shape, with <u, apply(x)> = <transpose(u), x>.

    >>> import numpy as np
    >>> linear_map([1.0, 2.0, 4.0], np.cumsum, lambda u: np.cumsum(u[::-1])[::-1])
    tensor([1., 3., 7.])
    """
    return apply(x), (apply, transpose)


@linear_map.vjp
def _(g: Any, needs: Any, apply: Map, transpose: Map) -> Any:
    return (transpose(g),)


@linear_map.vjp_on_tensors
def _(g: Any, needs: Any, apply: Map, transpose: Map) -> Any:
    return (linear_map(g, transpose, apply),)


def mapped(x: Any, apply: Map, transpose: Map) -> Any:
    """apply(x) of an array, and :func:`linear_map` of a tensor: for rules that run on both."""
    return linear_map(x, apply, transpose) if isinstance(x, Tensor) else apply(x)

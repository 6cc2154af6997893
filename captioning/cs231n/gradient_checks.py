"""Gradients by central differences, and how far two arrays are apart.

For a function f of an array x, entry by entry, f'(x) is about (f(x + h) - f(x - h)) / 2h: the error falls with h^2,
until rounding, which grows with 1/h, is larger. In float64 the best h is near 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["eval_numerical_gradient", "eval_numerical_gradient_array", "rel_error"]

Array = NDArray[Any]


def eval_numerical_gradient(f: Callable[[Array], float], x: Array, verbose: bool = True, h: float = 1e-5) -> Array:
    """The gradient of f, a number, at x by central differences; x is written in place and restored.

    So f may look at x itself, at `model.params[…]` for example, instead of at its argument. With
    `verbose` each entry is printed.
    """
    gradient = np.zeros_like(x)
    for index, difference in _differences(f, x, h):
        gradient[index] = difference
        if verbose:
            print(index, gradient[index])
    return gradient


def eval_numerical_gradient_array(f: Callable[[Array], Array], x: Array, df: Array, h: float = 1e-5) -> Array:
    """The gradient of <df, f(x)>, f an array of df's shape, by central differences as above."""
    gradient = np.zeros_like(x)
    for index, difference in _differences(f, x, h):
        gradient[index] = np.sum(difference * df)
    return gradient


def _differences(f: Callable[[Array], Any], x: Array, h: float) -> Any:
    """For each entry of x its index and (f(x + h) - f(x - h)) / 2h."""
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        above = np.array(f(x))
        x[index] = kept - h
        below = np.array(f(x))
        x[index] = kept
        yield index, (above - below) / (2 * h)


def rel_error(x: ArrayLike, y: ArrayLike) -> float:
    """The largest |x - y| / max(1e-8, |x| + |y|) of all entries."""
    a, b = np.asarray(x), np.asarray(y)
    return float(np.max(np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b))))

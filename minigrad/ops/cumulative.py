"""Cumulative products. (:func:`.reductions.cumsum`, which is linear, is among the reductions.)

Of y_j = x_1 … x_j the derivative in x_i is, for j >= i, the product of all entries up to j but x_i. So a cotangent g of
y gives x_i

    d_i = sum over j >= i of g_j y_j / x_i  =  y_(i-1) s_i   with   s_i = g_i + x_(i+1) s_(i+1).

The quotient takes one cumulative sum from the end, and is what arrays are computed by; behind the first product that
is 0 it has to be said otherwise (:func:`_pull_through_zeros`). The recurrence divides by nothing: it is a polynomial,
which is why it is what derivatives of derivatives are made of.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitives import ForwardResult, primitive
from ..spec import Array
from .kernels.axes import from_the_end, refuse_axis_of_scalar
from .kernels.numerics import narrowed, single, taken, widened

__all__ = ["cumprod"]


@primitive(residuals=("x", "derived"))
def cumprod(x: Array, axis: int | None = None) -> ForwardResult:
    """Products of the entries up to each one along an axis, of x's shape; of the flattened x if axis is None.

    The gradient is right also where entries are 0, to any order; a product that underflows counts as 0. Half precision
    is multiplied in single and rounded once. An infinite entry has the gradient NaN, with NumPy's warning.

    Raises:
        ValueError: if the axis does not exist.

    >>> cumprod([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([[ 1.,  2.],
            [ 3., 12.]])
    """
    refuse_axis_of_scalar(x, axis)
    y = np.cumprod(widened(x), axis=axis)
    return narrowed(y, x), (x, y, axis)


@cumprod.vjp
def _(g: Any, needs: Any, x: Array, y: Array, axis: int | None) -> Any:
    shape = x.shape
    if axis is None:
        x, axis = x.reshape(-1), 0
    x, g = (np.moveaxis(array, axis, -1) for array in (single(x), single(g)))
    return (np.moveaxis(_pull(g, x, np.moveaxis(y, axis, -1)), -1, axis).reshape(shape),)


@cumprod.batched_vjp
def _(g: Array, needs: Any, x: Array, y: Array, axis: int | None) -> Any:
    shape = g.shape[:1] + x.shape
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = from_the_end(axis, x.ndim)
    x, g = (np.moveaxis(array, axis, -1) for array in (single(x), single(g)))
    return (np.moveaxis(_pull(g, x, np.moveaxis(y, axis, -1)), -1, axis).reshape(shape),)


def _pull(g: Array, x: Array, y: Array) -> Array:
    """The cotangent of x along the last axis, by the quotient; g may have axes in front that x and y lack."""
    if y.all():
        return _sums_from_the_end(g * y) / x
    return _pull_through_zeros(g, x, y)


def _sums_from_the_end(terms: Array) -> Array:
    """For each entry of the last axis the sum of it and all later ones."""
    return np.cumsum(terms[..., ::-1], axis=-1)[..., ::-1]


def _pull_through_zeros(g: Array, x: Array, y: Array) -> Array:
    """Where y_k is the first product that is 0, by its factor x_k or by underflow.

    In d_i of the entries before it, terms from k on are 0. In d_k, the quotients g_j y_j / x_k are g_j times the
    product with a 1 in place of x_k. Of the entries behind it, each product of others contains x_k, and d_i = 0.
    """
    zero = y == 0
    first = zero.copy()
    first[..., 1:] &= ~zero[..., :-1]
    with np.errstate(invalid="ignore", over="ignore"):  # of products behind zeros, which may be of anything
        others = np.cumprod(np.where(first, 1, x), axis=-1)
        at_first = _sums_from_the_end(g * others)
    before = _sums_from_the_end(taken(g, ~zero) * y) / np.where(zero, 1, x)
    return np.where(first, at_first, before)


@cumprod.vjp_on_tensors
def _(g: Any, needs: Any, x: Any, y: Array, axis: int | None) -> Any:
    shape = x.shape
    if axis is None:
        x, axis = x.reshape(-1), 0
    x, g = (np.moveaxis(array, axis, -1) for array in (single(x), single(g)))
    one = np.ones((*x.shape[:-1], min(1, x.shape[-1])), x.dtype)
    before = np.concatenate([one, np.cumprod(x[..., :-1], axis=-1)], -1)
    later = np.concatenate([x[..., 1:], 0 * one], -1)
    return (np.moveaxis(before * _recurrence(later, g), -1, axis).reshape(shape),)


def _recurrence(a: Any, b: Any) -> Any:
    """s_i = b_i + a_i s_(i+1) along the last axis, with 0 behind its end: by halves, in as many steps as n has bits.

    Two steps are one, s_i = (b_i + a_i b_(i+1)) + (a_i a_(i+1)) s_(i+2): a recurrence for the entries of even number,
    which is half as long. From these the others follow.
    """
    n = b.shape[-1]
    if n < 2:
        return b
    nothing = np.zeros((*b.shape[:-1], 1), b.dtype)
    if n % 2:
        a, b = np.concatenate([a, nothing], -1), np.concatenate([b, nothing], -1)
    a_even, a_odd, b_even, b_odd = a[..., ::2], a[..., 1::2], b[..., ::2], b[..., 1::2]
    even = _recurrence(a_even * a_odd, b_even + a_even * b_odd)
    odd = b_odd + a_odd * np.concatenate([even[..., 1:], nothing], -1)
    both = np.stack([even, odd], -1)
    return both.reshape(*both.shape[:-2], 2 * both.shape[-2])[..., :n]

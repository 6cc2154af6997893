"""Losses entry by entry, of a prediction and a target of the same shape: squared, absolute, Huber's, and a divergence.

As for the losses of classes, nothing is broadcast, a mean of no entries is 0, and half precision is computed in single.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor, plain
from ..primitives import ForwardResult, primitive
from ..spec import Array
from .kernels.numerics import as_float, single
from .kernels.reducing import against, reduced, reduction_scale, same_shape

__all__ = ["huber_loss", "kl_div", "l1_loss", "mse_loss"]


def _difference(a: Array, b: Array) -> tuple[Array, Any]:
    """a - b as floats, half precision in single; and the dtype that it would have had."""
    return np.subtract(single(a), b), np.result_type(as_float(a), b)


def _reduced_reference(losses: Any, reduction: str, count: int | None = None) -> Any:
    """What references make of the losses of all entries; a mean is over ``count``, by default their number."""
    from .elementwise import multiply
    from .reductions import sum

    count = losses.size if count is None else count
    return losses if reduction == "none" else multiply(sum(losses), reduction_scale(reduction, count))


# --- squared -----------------------------------------------------------------------------------------


@primitive(residuals=("prediction", "target", "constant"))
def mse_loss(prediction: Array, target: Array, reduction: str = "mean") -> ForwardResult:
    """The squared error, (prediction - target)^2.

    Args:
        prediction, target: of the same shape (any); both are differentiated.
        reduction: "mean" over all entries, "sum", or "none" for one loss an entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". The mean of no entries is 0.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or the reduction is unknown.

    >>> mse_loss([1.0, 2.0], [0.0, 4.0])
    tensor(2.5)
    """
    same_shape("prediction", prediction, "target", target)
    scale = reduction_scale(reduction, prediction.size)
    difference, dtype = _difference(prediction, target)
    losses = reduced(np.square(difference), reduction, scale)
    return losses.astype(dtype, copy=False), (prediction, target, scale)


@mse_loss.vjp
def _(g: Any, needs: Any, prediction: Array, target: Array, scale: float) -> Any:
    d, _ = _difference(prediction, target)
    d *= g * d.dtype.type(2 * scale)
    return d if needs[0] else None, -d if needs[1] else None


@mse_loss.batched_vjp
def _(g: Array, needs: Any, prediction: Array, target: Array, scale: float) -> Any:
    d, _ = _difference(prediction, target)
    each = d * (against(g, d) * d.dtype.type(2 * scale))
    return each if needs[0] else None, -each if needs[1] else None


@mse_loss.reference
def _(prediction: Tensor, target: Tensor, reduction: str = "mean") -> Any:
    from .elementwise import power, subtract

    return _reduced_reference(power(subtract(prediction, target), 2), reduction)


# --- absolute ----------------------------------------------------------------------------------------


@primitive(residuals=("prediction", "target", "constant"))
def l1_loss(prediction: Array, target: Array, *, reduction: str = "mean") -> ForwardResult:
    """The absolute error, |prediction - target|. Its gradient is 0 where both are equal.

    Args:
        prediction, target: of the same shape (any); both are differentiated.
        reduction: "mean" over all entries, "sum", or "none" for one loss an entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". The mean of no entries is 0.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or the reduction is unknown.

    >>> l1_loss([1.0, 2.0], [0.0, 4.0])
    tensor(1.5)
    """
    same_shape("prediction", prediction, "target", target)
    scale = reduction_scale(reduction, prediction.size)
    difference, dtype = _difference(prediction, target)
    losses = reduced(np.abs(difference), reduction, scale)
    return losses.astype(dtype, copy=False), (prediction, target, scale)


@l1_loss.vjp
def _(g: Any, needs: Any, prediction: Any, target: Any, scale: float) -> Any:
    d, _ = _difference(prediction, target)
    d = np.sign(d) * (g * d.dtype.type(scale))
    return d if needs[0] else None, -d if needs[1] else None


@l1_loss.batched_vjp
def _(g: Array, needs: Any, prediction: Array, target: Array, scale: float) -> Any:
    return l1_loss.primitive.vjp(against(g, prediction), needs, prediction, target, scale)


@l1_loss.reference
def _(prediction: Tensor, target: Tensor, *, reduction: str = "mean") -> Any:
    from .elementwise import absolute, subtract

    return _reduced_reference(absolute(subtract(prediction, target)), reduction)


# --- squared where small, absolute where large -------------------------------------------------------


@primitive(residuals=("prediction", "target", "constant", "constant"))
def huber_loss(prediction: Array, target: Array, *, delta: float = 1.0, reduction: str = "mean") -> ForwardResult:
    """Half the squared error where it is at most delta, and a line beyond: delta (|d| - delta / 2).

    Of d = prediction - target and c = d clipped to ±delta it is c (d - c / 2) on both sides, and its gradient is c.
    Nothing large is squared, so nothing overflows.

    Args:
        prediction, target: of the same shape (any); both are differentiated.
        delta: a finite number above 0.
        reduction: "mean" over all entries, "sum", or "none" for one loss an entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". The mean of no entries is 0.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), delta is not above 0, or the reduction is unknown.

    Source: P. J. Huber, Robust estimation of a location parameter (1964).

    >>> huber_loss([0.5, 3.0], [0.0, 0.0], reduction="none")
    tensor([0.125, 2.5  ])
    """
    same_shape("prediction", prediction, "target", target)
    if not (0 < delta < math.inf):
        raise ValueError(f"delta must be a finite number above 0, not {delta}")
    scale = reduction_scale(reduction, prediction.size)
    difference, dtype = _difference(prediction, target)
    clipped = _clipped(difference, delta)
    losses = reduced(clipped * (difference - clipped / 2), reduction, scale)
    return losses.astype(dtype, copy=False), (prediction, target, delta, scale)


def _clipped(d: Any, delta: float) -> Any:
    """An array or a tensor within ±delta, in its own dtype."""
    bound = d.dtype.type(delta)
    return np.clip(d, -bound, bound)


@huber_loss.vjp
def _(g: Any, needs: Any, prediction: Any, target: Any, delta: float, scale: float) -> Any:
    d, _ = _difference(prediction, target)
    d = _clipped(d, delta) * (g * d.dtype.type(scale))
    return d if needs[0] else None, -d if needs[1] else None


@huber_loss.batched_vjp
def _(g: Array, needs: Any, prediction: Array, target: Array, delta: float, scale: float) -> Any:
    return huber_loss.primitive.vjp(against(g, prediction), needs, prediction, target, delta, scale)


@huber_loss.reference
def _(prediction: Tensor, target: Tensor, *, delta: float = 1.0, reduction: str = "mean") -> Any:
    from .elementwise import absolute, square, subtract
    from .selection import where

    d = subtract(prediction, target)
    losses = where(abs(d.data) <= delta, 0.5 * square(d), delta * (absolute(d) - 0.5 * delta))
    return _reduced_reference(losses, reduction)


# --- of distributions --------------------------------------------------------------------------------


@primitive(residuals=("log_prediction", "target", "constant", "constant"))
def kl_div(log_prediction: Array, target: Array, *, log_target: bool = False, reduction: str = "mean") -> ForwardResult:
    """The Kullback-Leibler divergence of probabilities q from predicted ones p, entry by entry: q (log q - log p).

    Where q is 0 the loss is 0, also where p is 0 too; where p alone is 0 it is infinite. In q its slope is
    log q - log p + 1, at a q of 0 -inf: there a target that is differentiated is better given by its logarithm.

    Args:
        log_prediction: log p, of any shape.
        target: q, at least 0, of the same shape; both are differentiated.
        log_target: true if the target is log q.
        reduction: "batchmean", the sum divided by the first axis, is the divergence of rows of distributions; "mean"
            over all entries, "sum", or "none" for one loss an entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". Of no entries it is 0.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), a target lies below 0, the reduction is unknown, or it
            is "batchmean" and there is no first axis.
        TypeError: if log_target is not true or false.

    Source: S. Kullback and R. A. Leibler, On information and sufficiency (1951).

    >>> import numpy as np
    >>> p, q = np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    >>> round(kl_div(np.log(p), q, reduction="batchmean").item(), 4)  # log 2
    0.6931
    """
    same_shape("log_prediction", log_prediction, "target", target)
    if not isinstance(log_target, (bool, np.bool_)):
        raise TypeError(f"log_target must be True or False, not {log_target!r}")
    if not log_target and (target < 0).any():
        place = tuple(map(int, np.argwhere(target < 0)[0]))
        raise ValueError(f"target{list(place) if place else ''} is {target[place]}: a probability is at least 0")
    count = _divergences(reduction, log_prediction.shape)
    scale = reduction_scale("mean" if reduction == "batchmean" else reduction, count)
    q, difference, _ = _compared(single(log_prediction), single(target), bool(log_target))
    dtype = np.result_type(as_float(log_prediction), as_float(target))
    losses = reduced(q * difference, reduction, scale)
    return losses.astype(dtype, copy=False), (log_prediction, target, bool(log_target), scale)


def _divergences(reduction: str, shape: tuple[int, ...]) -> int:
    """What the sum of the losses is divided by for a mean, or for "batchmean"."""
    if not isinstance(reduction, str):
        reduction_scale(reduction, 1)  # says what it must be
    if reduction != "batchmean":
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'batchmean', 'mean', 'sum' or 'none', not {reduction!r}")
        return math.prod(shape)
    if not shape:
        raise ValueError("reduction 'batchmean' divides by the first axis, and a single number has none")
    return shape[0]


def _compared(log_p: Any, target: Any, log_target: bool) -> tuple[Any, Any, Array]:
    """q, log q - log p, and where q is 0 (there both are 0, whatever p is), of arrays or tensors."""
    none: Array = plain(target) == (-np.inf if log_target else 0)
    safe = np.where(none, 0 if log_target else 1, target)  # whose logarithm and derivatives are finite
    q, log_q = (np.where(none, 0, np.exp(safe)), safe) if log_target else (target, np.log(safe))
    return q, log_q - np.where(none, 0, log_p), none


@kl_div.vjp
def _(g: Any, needs: Any, log_prediction: Any, target: Any, log_target: bool, scale: float) -> Any:
    q, difference, none = _compared(single(log_prediction), single(target), log_target)
    g = single(g) * difference.dtype.type(scale)
    d_target = None
    if needs[1]:
        slope = q * (difference + 1) if log_target else np.where(none, -np.inf, difference + 1)
        d_target = slope * g
    return -q * g if needs[0] else None, d_target


@kl_div.batched_vjp
def _(g: Array, needs: Any, log_prediction: Array, target: Array, log_target: bool, scale: float) -> Any:
    return kl_div.primitive.vjp(against(g, target), needs, log_prediction, target, log_target, scale)


@kl_div.reference
def _(log_prediction: Tensor, target: Tensor, *, log_target: bool = False, reduction: str = "mean") -> Any:
    from .elementwise import exp, log, multiply, subtract

    q, log_q = (exp(target), target) if log_target else (target, log(target))
    losses = multiply(q, subtract(log_q, log_prediction))
    count = _divergences(reduction, losses.shape)
    return _reduced_reference(losses, "mean" if reduction == "batchmean" else reduction, count)

"""Losses: one number (or one an entry) from predictions and targets of exactly fitting shapes.

Nothing is broadcast here: a loss of (N,) against (N, 1) would silently be one of (N, N). The mean of no
entries is 0, with gradient 0, so that an empty batch leaves a model as it is. Half precision is computed in single, and
only the result rounded. A well classified entry keeps its small loss and gradient: neither is a difference to 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor, plain
from ..primitives import ForwardResult, primitive
from ..spec import Array
from .activations import sigmoid_of
from .kernels.cross_entropy import (
    cross_entropy_rows,
    probabilities,
    pull_batch,
    pull_rows,
    rows_vjp,
    scaled_sum,
    score_rows,
    spread,
)  # fmt: skip
from .kernels.numerics import as_float, narrowed, single
from .kernels.rows import check_indices
from .linear import mapped

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "mse_loss", "nll_loss"]

_REDUCTIONS = ("mean", "sum", "none")


def _scale(reduction: str, count: int) -> float:
    """What each entry's loss counts in the result: 1 over their number for a mean."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
    return 1.0 / max(count, 1) if reduction == "mean" else 1.0


def _reduce(losses: Any, reduction: str, scale: float) -> Any:
    return losses if reduction == "none" else scaled_sum(losses, scale)


def _same_shape(name: str, first: Array, second_name: str, second: Array) -> None:
    if first.shape != second.shape:
        raise ValueError(
            f"{name} {first.shape} and {second_name} {second.shape} must have the same shape: losses do not broadcast"
        )


# --- classes ---------------------------------------------------------------------------------------


def _check_classes(name: str, scores: Array, targets: Array, ignore_index: int | None) -> Array | None:
    """Raise unless targets (…) fit scores (…, C); which targets count, or None if all do."""
    if scores.ndim == 0:
        raise ValueError(f"{name} must be (…, C), with the classes along the last axis, not a single number")
    if targets.shape != scores.shape[:-1]:
        hint = ""
        if scores.ndim > 2 and targets.shape == scores.shape[:1] + scores.shape[2:]:
            hint = f"; the classes are along the LAST axis here: give moveaxis({name}, 1, -1)"
        raise ValueError(
            f"targets must be {scores.shape[:-1]} as {name} without its last axis, not {targets.shape}{hint}"
        )
    keep = None if ignore_index is None else targets != ignore_index
    check_indices(targets, scores.shape[-1], "targets", keep)
    return None if keep is None or keep.all() else keep


@primitive(residuals=("hidden 1", "constant", "constant", "derived"))
def cross_entropy(
    logits: Array,
    targets: Array,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> ForwardResult:
    """The cross-entropy of softmax(logits) at integer targets: -log softmax(logits)[target].

    The classes are along the LAST axis, also for images and sequences. (PyTorch has them second:
    give ``moveaxis(logits, 1, -1)``.) Logits of any size are safe.

    Args:
        logits: (…, C).
        targets: (…), integers in 0 … C-1.
        reduction: "mean" over the entries that count, "sum", or "none" for one loss an entry.
        ignore_index: entries with this target (it may lie outside 0 … C-1) do not count: their loss and gradient are 0.
        label_smoothing: s in [0, 1]: the target distribution is (1 - s) on the target plus s/C on each class.

    Returns:
        a single number, or (…) for "none"; of the logits' dtype. 0 if no entry counts.

    Raises:
        ValueError: if the shapes do not fit, or an option is out of its range.
        IndexError: names a target that is no class, and its place.
        TypeError: if the targets are not integers.

    Source: label smoothing from C. Szegedy et al., Rethinking the Inception architecture (2016).

    >>> cross_entropy([[0.0, 0.0], [100.0, 0.0]], [1, 0], reduction="none").numpy().round(4)
    array([0.6931, 0.    ], dtype=float32)
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie in 0 … 1, not {label_smoothing}")
    keep = _check_classes("logits", logits, targets, ignore_index)
    rows, targets = score_rows(logits, targets, keep)
    scale = _scale(reduction, len(rows))
    losses = cross_entropy_rows(rows, targets, scale, label_smoothing)
    residuals = rows, keep, logits.shape, (targets, losses, scale, label_smoothing)
    if reduction == "none":
        losses = spread(losses, keep, logits.shape[:-1])
    return narrowed(_reduce(losses, reduction, scale), logits), residuals


@cross_entropy.vjp
def _(g: Any, needs: Any, rows: Array, *rest: Any) -> Any:
    return pull_classes(g, rows, *rest), None


@cross_entropy.vjp_on_tensors
def _(g: Any, needs: Any, rows: Any, *rest: Any) -> Any:
    return pull_classes_on_tensors(g, rows, *rest), None


def pull_classes(g: Any, rows: Array, keep: Array | None, shape: tuple[int, ...], made_of: Any) -> Any:
    """The cotangent of scores of a shape, from that of the losses.

    With derivatives of derivatives g is a pair: that of the losses, and that of ``rows``; None for one without.
    """
    if not isinstance(g, tuple):
        return pull_rows(g, rows, keep, shape)
    g, g_rows = g
    d = None if g is None else pull_rows(g, rows, keep, shape)
    if g_rows is None:
        return d
    bent = spread(rows_vjp(g_rows, probabilities(rows, *made_of), made_of[2]), keep, shape)
    return bent if d is None else d + bent


def pull_classes_on_tensors(g: Any, rows: Any, keep: Array | None, shape: tuple[int, ...], made_of: Any) -> Any:
    """As :func:`pull_classes`, of tensors."""
    g, g_rows = g if isinstance(g, tuple) else (g, None)
    d: Any = 0.0
    if g is not None:
        g = single(g)
        d = rows * (g.reshape(-1, 1) if keep is None else g[keep].reshape(-1, 1)) if g.ndim else rows * g
    if g_rows is not None:
        scale, now = made_of[2], plain(rows)
        p = (rows - now) / scale + probabilities(now, *made_of)  # their values, and the rows' derivatives
        d = d + rows_vjp(g_rows, p, scale)
    return d.reshape(shape) if keep is None else mapped(d, lambda r: spread(r, keep, shape), lambda u: u[keep])


def pull_classes_of_batch(g: Any, rows: Array, keep: Array | None, shape: tuple[int, ...], made_of: Any) -> Any:
    """As :func:`pull_classes`, of many cotangents at once."""
    g, g_rows = g if isinstance(g, tuple) else (g, None)
    d = None if g is None else pull_batch(g, rows, keep, shape)
    if g_rows is None:
        return d
    bent = rows_vjp(g_rows, probabilities(rows, *made_of), made_of[2])
    bent = np.stack([spread(one, keep, shape) for one in bent])
    return bent if d is None else d + bent


@cross_entropy.batched_vjp
def _(g: Any, needs: Any, rows: Array, *rest: Any) -> Any:
    return pull_classes_of_batch(g, rows, *rest), None


@cross_entropy.reference
def _(
    logits: Tensor,
    targets: Tensor,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    from .elementwise import multiply
    from .lookup import one_hot
    from .reductions import log_softmax, sum

    C = logits.shape[-1]
    keep = targets.data != (C if ignore_index is None else ignore_index)
    q = one_hot(np.where(keep, targets.data, 0), C, dtype=logits.dtype).data
    q = (q * (1 - label_smoothing) + label_smoothing / max(C, 1)) * keep[..., None]
    losses = sum(multiply(log_softmax(logits), -q), axis=-1)
    if reduction == "none":
        return losses
    return multiply(sum(losses), 1 / max(int(np.count_nonzero(keep)), 1) if reduction == "mean" else 1.0)


@primitive(residuals=("constant", "constant", "constant"))
def nll_loss(
    log_probabilities: Array, targets: Array, reduction: str = "mean", ignore_index: int | None = None
) -> ForwardResult:
    """The negative log-likelihood of integer targets, -log_probabilities[target]; classes along the LAST axis.

    ``nll_loss(log_softmax(x), t)`` is ``cross_entropy(x, t)``, which is faster.

    Args:
        log_probabilities: (…, C).
        targets: (…), integers in 0 … C-1.
        reduction: "mean" over the entries that count, "sum", or "none" for one loss an entry.
        ignore_index: entries with this target do not count: their loss and gradient are 0.

    Returns:
        a single number, or (…) for "none". 0 if no entry counts.

    Raises:
        ValueError, IndexError, TypeError: as :func:`cross_entropy`.

    >>> nll_loss([[-1.0, -2.0], [-3.0, -4.0]], [1, 0])
    tensor(2.5)
    """
    keep = _check_classes("log_probabilities", log_probabilities, targets, ignore_index)
    values = single(log_probabilities)
    rows = np.arange(targets.size) if keep is None else np.flatnonzero(keep)
    picked = rows, targets.ravel()[rows]
    scale = _scale(reduction, len(rows))
    losses = -values.reshape(targets.size, values.shape[-1])[picked]
    if reduction == "none":
        losses = spread(losses, keep, targets.shape)
    return narrowed(_reduce(losses, reduction, scale), log_probabilities), (picked, values.shape, scale)


@nll_loss.vjp
def _(g: Any, needs: Any, picked: tuple[Array, Array], shape: tuple[int, ...], scale: float) -> Any:
    g = single(g)
    rows = math.prod(shape[:-1]), shape[-1]

    def place(g: Array) -> Array:
        d = np.zeros(rows, g.dtype)
        d[picked] = g
        return d

    # one loss an entry with "none" (then the scale is 1), else a single number
    each = -(g.reshape(-1)[picked[0]] if g.shape == shape[:-1] else g * g.dtype.type(scale))
    return mapped(each, place, lambda u: u[picked] if each.ndim else u[picked].sum()).reshape(shape), None


@nll_loss.batched_vjp
def _(g: Array, needs: Any, picked: tuple[Array, Array], shape: tuple[int, ...], scale: float) -> Any:
    g = single(g)
    count = math.prod(shape[:-1])
    each = g.reshape(len(g), count)[:, picked[0]] if g.shape[1:] == shape[:-1] else g[:, None] * g.dtype.type(scale)
    d = np.zeros((len(g), count, shape[-1]), g.dtype)
    d[:, picked[0], picked[1]] = -each
    return d.reshape(len(g), *shape), None


# --- numbers ---------------------------------------------------------------------------------------


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
    _same_shape("prediction", prediction, "target", target)
    scale = _scale(reduction, prediction.size)
    difference, dtype = _difference(prediction, target)
    losses = _reduce(np.square(difference), reduction, scale)
    return losses.astype(dtype, copy=False), (prediction, target, scale)


def _difference(a: Array, b: Array) -> tuple[Array, Any]:
    """a - b as floats, half precision in single; and the dtype that it would have had."""
    return np.subtract(single(a), b), np.result_type(as_float(a), b)


@mse_loss.vjp
def _(g: Any, needs: Any, prediction: Array, target: Array, scale: float) -> Any:
    d, _ = _difference(prediction, target)
    d *= g * d.dtype.type(2 * scale)
    return d if needs[0] else None, -d if needs[1] else None


def _against(g: Array, entries: Array) -> Array:
    """A batch of cotangents so that it broadcasts against the entries, of which a loss is one number or one each."""
    return g if g.ndim > entries.ndim else g.reshape(len(g), *(1,) * entries.ndim)


@mse_loss.batched_vjp
def _(g: Array, needs: Any, prediction: Array, target: Array, scale: float) -> Any:
    d, _ = _difference(prediction, target)
    each = d * (_against(g, d) * d.dtype.type(2 * scale))
    return each if needs[0] else None, -each if needs[1] else None


@mse_loss.reference
def _(prediction: Tensor, target: Tensor, reduction: str = "mean") -> Any:
    from .elementwise import multiply, power, subtract
    from .reductions import sum

    losses = power(subtract(prediction, target), 2)
    if reduction == "none":
        return losses
    return multiply(sum(losses), 1 / max(losses.size, 1) if reduction == "mean" else 1.0)


@primitive(residuals=("logits", "targets", "constant"))
def binary_cross_entropy_with_logits(logits: Array, targets: Array, reduction: str = "mean") -> ForwardResult:
    """The cross-entropy of sigmoid(x) at targets t: -t log sigmoid(x) - (1 - t) log sigmoid(-x).

    Computed as max(x, 0) - x t + log(1 + exp(-|x|)), which is safe for logits of any size.

    Args:
        logits: of any shape.
        targets: of the same shape, booleans or numbers in [0, 1]; floating ones are differentiated too.
        reduction: "mean" over all entries, "sum", or "none" for one loss an entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". The mean of no entries is 0.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), a target lies outside [0, 1], or the
            reduction is unknown.

    >>> binary_cross_entropy_with_logits([0.0, 1000.0], [1.0, 1.0], reduction="none").numpy().round(4)
    array([0.6931, 0.    ], dtype=float32)
    """
    _same_shape("logits", logits, "targets", targets)
    wrong = ~((targets >= 0) & (targets <= 1))
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        raise ValueError(f"targets{list(place) if place else ''} is {targets[place]}: it must lie in 0 … 1")
    x = single(logits)
    losses = np.maximum(x, 0) - x * targets + np.log1p(np.exp(-np.abs(x)))
    scale = _scale(reduction, x.size)
    dtype = np.result_type(as_float(logits), targets)
    return _reduce(losses, reduction, scale).astype(dtype, copy=False), (logits, targets, scale)


@binary_cross_entropy_with_logits.vjp
def _(g: Any, needs: Any, logits: Array, targets: Array, scale: float) -> Any:
    x, g = single(logits), single(g)
    t = single(targets) if targets.dtype.kind == "f" else targets.astype(x.dtype)
    g = g * g.dtype.type(scale)
    # sigmoid(x) - t, where both may be near 1, as a sum without cancellation at targets of 0 and 1
    dx = ((1 - t) * sigmoid_of(x) - t * sigmoid_of(-x)) * g if needs[0] else None
    return dx, -x * g if needs[1] else None


@binary_cross_entropy_with_logits.batched_vjp
def _(g: Array, needs: Any, logits: Array, targets: Array, scale: float) -> Any:
    return binary_cross_entropy_with_logits.primitive.vjp(_against(g, logits), needs, logits, targets, scale)


@binary_cross_entropy_with_logits.reference
def _(logits: Tensor, targets: Tensor, reduction: str = "mean") -> Any:
    from .activations import softplus
    from .elementwise import add, multiply, negative, subtract
    from .reductions import sum

    losses = add(multiply(targets, softplus(negative(logits))), multiply(subtract(1.0, targets), softplus(logits)))
    if reduction == "none":
        return losses
    return multiply(sum(losses), 1 / max(losses.size, 1) if reduction == "mean" else 1.0)

"""Losses of classes: one number (or one an entry) from scores and targets of exactly fitting shapes.

Nothing is broadcast here: a loss of (N,) against (N, 1) would silently be one of (N, N). The mean of no
entries is 0, with gradient 0, so that an empty batch leaves a model as it is. Half precision is computed in single, and
only the result rounded. A well classified entry keeps its small loss and gradient: neither is a difference to 1.
Losses of numbers are in :mod:`.losses_of_numbers`, that of sequences without alignment in :mod:`.alignment`.
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
    MadeOf,
    cross_entropy_rows,
    distribution_rows,
    probabilities,
    pull_batch,
    pull_rows,
    row_weights,
    rows_vjp,
    score_rows,
    spread,
    unscaled,
)  # fmt: skip
from .kernels.numerics import as_float, narrowed, single
from .kernels.reducing import against, non_negative, reduced, reduction_scale, same_shape
from .kernels.rows import check_indices
from .linear import mapped

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "nll_loss"]


def _check_classes(name: str, scores: Array, targets: Array, ignore_index: int | None) -> Array | None:
    """Raise unless targets (…) fit scores (…, C); which targets count, or None if all do."""
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, (int, np.integer, type(None))):
        raise TypeError(f"ignore_index must be an integer or None, not {ignore_index!r}")
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


def _as_smoothing(value: Any) -> float:
    """Label smoothing as Python's float: one of NumPy's would give the loss its own dtype."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"label_smoothing must be a number, not {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"label_smoothing must lie in 0 … 1, not {value}")
    return float(value)


@primitive(residuals=("hidden 1", "constant", "constant", "derived"))
def cross_entropy(
    logits: Array,
    targets: Array,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    *,
    weight: Any = None,
) -> ForwardResult:
    """The cross-entropy of softmax(logits) at classes, -log softmax(logits)[target], or at class probabilities.

    The classes are along the LAST axis, also for images and sequences. (PyTorch has them second:
    give ``moveaxis(logits, 1, -1)``.) Logits of any size are safe.

    Args:
        logits: (…, C).
        targets: (…), integers in 0 … C-1; or (…, C), floats of at least 0, the probability q of each class, and the
            loss is -sum(q log softmax(logits)). They are constants, and need not sum to 1.
        reduction: "mean" over the entries that count, "sum", or "none" for one loss an entry.
        ignore_index: entries with this target (it may lie outside 0 … C-1) do not count: their loss and gradient are 0.
            Not with probabilities.
        label_smoothing: s in [0, 1]: the target distribution is (1 - s) on the target plus s/C on each class.
        weight: (C,), what the log-probability of each class counts, at least 0; not differentiated. A mean is divided
            by the sum of the targets' weights, with label smoothing too; of probabilities by the number of entries.

    Returns:
        a single number, or (…) for "none"; of the logits' dtype. 0 if no entry counts.

    Raises:
        ValueError: if the shapes do not fit, or an option is out of its range.
        IndexError: names a target that is no class, and its place.
        TypeError: if the targets or ignore_index are not integers, or label_smoothing is no number; in a reverse pass,
            if the targets are tracked.

    Source: label smoothing from C. Szegedy et al., Rethinking the Inception architecture (2016).

    >>> cross_entropy([[0.0, 0.0], [100.0, 0.0]], [1, 0], reduction="none").numpy().round(4)
    array([0.6931, 0.    ], dtype=float32)
    >>> cross_entropy([[0.0, 0.0], [100.0, 0.0]], [[0.5, 0.5], [0.9, 0.1]], reduction="none").numpy().round(4)
    array([ 0.6931, 10.    ], dtype=float32)
    """
    label_smoothing = _as_smoothing(label_smoothing)
    if targets.dtype.kind == "f" and targets.ndim == logits.ndim > 0:
        keep, rows = None, single(np.array(logits, order="C")).reshape(math.prod(logits.shape[:-1]), logits.shape[-1])
        q, counts = _distributions(logits, targets, ignore_index, label_smoothing, weight, rows.dtype)
        scale = reduction_scale(reduction, len(rows))
        losses = distribution_rows(rows, q, scale * counts)
        made_of = MadeOf(q, losses, scale * counts)
    else:
        if targets.dtype.kind == "f":
            raise TypeError(
                f"targets must be integers, not {targets.dtype} {targets.shape}, or else class probabilities of the "
                f"logits' shape {logits.shape}"
            )
        keep = _check_classes("logits", logits, targets, ignore_index)
        rows, targets = score_rows(logits, targets, keep)
        weight = non_negative(weight, "weight", rows.dtype, logits.shape[-1:])
        scale = reduction_scale(reduction, len(rows) if weight is None else weight[targets].sum())
        counts = None if weight is None else row_weights(targets, weight, label_smoothing)  # type: ignore[assignment]
        each = scale if counts is None else scale * counts
        losses = cross_entropy_rows(rows, targets, each, label_smoothing, weight)
        made_of = MadeOf(targets, losses, each, label_smoothing, weight)
    if counts is not None:
        losses = losses * counts
    if reduction == "none":
        losses = spread(losses, keep, logits.shape[:-1])
    return narrowed(reduced(losses, reduction, scale), logits), (rows, keep, logits.shape, made_of)


def _distributions(
    logits: Array, targets: Array, ignore_index: Any, smoothing: float, weight: Any, dtype: Any
) -> tuple[Array, Array]:
    """Class probabilities, smoothed and weighted, as rows (M, C) that sum to 1, and their sums (M,) before that."""
    if ignore_index is not None:
        raise ValueError(f"ignore_index is {ignore_index}, and targets {targets.shape} are probabilities: leave it out")
    C = logits.shape[-1]
    q = non_negative(targets, "targets", dtype, logits.shape).reshape(math.prod(logits.shape[:-1]), C)  # type: ignore[union-attr]
    q = (1 - smoothing) * q + smoothing / max(C, 1)
    weight = non_negative(weight, "weight", dtype, (C,))
    q = q if weight is None else q * weight
    counts = q.sum(axis=1)
    return q / np.where(counts == 0, 1, counts)[:, None], counts


def _refuse_tracked_targets(needs: tuple[bool, ...], made_of: MadeOf) -> None:
    if needs[1] and made_of.targets.dtype.kind == "f":
        raise TypeError(
            "cross_entropy: no gradient flows to the targets. Pass targets.detach(), or use "
            "-(targets * log_softmax(logits)).sum()."
        )


@cross_entropy.vjp
def _(g: Any, needs: Any, rows: Array, *rest: Any) -> Any:
    _refuse_tracked_targets(needs, rest[-1])
    return pull_classes(g, rows, *rest), None


@cross_entropy.vjp_on_tensors
def _(g: Any, needs: Any, rows: Any, *rest: Any) -> Any:
    _refuse_tracked_targets(needs, rest[-1])
    return pull_classes_on_tensors(g, rows, *rest), None


def pull_classes(g: Any, rows: Array, keep: Array | None, shape: tuple[int, ...], made_of: MadeOf) -> Any:
    """The cotangent of scores of a shape, from that of the losses.

    With derivatives of derivatives g is a pair: that of the losses, and that of ``rows``; None for one without.
    """
    if not isinstance(g, tuple):
        return pull_rows(g, rows, keep, shape)
    g, g_rows = g
    d = None if g is None else pull_rows(g, rows, keep, shape)
    if g_rows is None:
        return d
    bent = spread(rows_vjp(g_rows, probabilities(rows, *made_of), made_of.scale), keep, shape)
    return bent if d is None else d + bent


def pull_classes_on_tensors(g: Any, rows: Any, keep: Array | None, shape: tuple[int, ...], made_of: MadeOf) -> Any:
    """As :func:`pull_classes`, of tensors."""
    g, g_rows = g if isinstance(g, tuple) else (g, None)
    d: Any = 0.0
    if g is not None:
        g = single(g)
        d = rows * (g.reshape(-1, 1) if keep is None else g[keep].reshape(-1, 1)) if g.ndim else rows * g
    if g_rows is not None:
        scale, now = made_of.scale, plain(rows)
        p = unscaled(rows - now, scale) + probabilities(now, *made_of)  # their values, and the rows' derivatives
        d = d + rows_vjp(g_rows, p, scale)
    return d.reshape(shape) if keep is None else mapped(d, lambda r: spread(r, keep, shape), lambda u: u[keep])


def pull_classes_of_batch(g: Any, rows: Array, keep: Array | None, shape: tuple[int, ...], made_of: MadeOf) -> Any:
    """As :func:`pull_classes`, of many cotangents at once."""
    g, g_rows = g if isinstance(g, tuple) else (g, None)
    d = None if g is None else pull_batch(g, rows, keep, shape)
    if g_rows is None:
        return d
    bent = rows_vjp(g_rows, probabilities(rows, *made_of), made_of.scale)
    bent = np.stack([spread(one, keep, shape) for one in bent])
    return bent if d is None else d + bent


@cross_entropy.batched_vjp
def _(g: Any, needs: Any, rows: Array, *rest: Any) -> Any:
    _refuse_tracked_targets(needs, rest[-1])
    return pull_classes_of_batch(g, rows, *rest), None


@cross_entropy.reference
def _(
    logits: Tensor,
    targets: Tensor,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    *,
    weight: Any = None,
) -> Any:
    from .elementwise import multiply
    from .lookup import one_hot
    from .reductions import log_softmax, sum

    C = logits.shape[-1]
    if targets.dtype.kind == "f":
        q, counts = _distributions(logits.data, targets.data, None, label_smoothing, weight, logits.dtype)
        q = (q * counts[:, None]).reshape(logits.shape)
        losses = sum(multiply(log_softmax(logits), -q), axis=-1)
        return losses if reduction == "none" else multiply(sum(losses), reduction_scale(reduction, len(counts)))
    keep = targets.data != (C if ignore_index is None else ignore_index)
    q = one_hot(np.where(keep, targets.data, 0), C, dtype=logits.dtype).data
    q = (q * (1 - label_smoothing) + label_smoothing / max(C, 1)) * keep[..., None]
    count: Any = np.count_nonzero(keep)
    if weight is not None:
        weight = np.asarray(plain(weight), logits.dtype)
        q, count = q * weight, weight[targets.data[keep]].sum()
    losses = sum(multiply(log_softmax(logits), -q), axis=-1)
    return losses if reduction == "none" else multiply(sum(losses), reduction_scale(reduction, count))


@primitive(residuals=("constant", "constant", "constant", "constant"))
def nll_loss(
    log_probabilities: Array,
    targets: Array,
    reduction: str = "mean",
    ignore_index: int | None = None,
    *,
    weight: Any = None,
) -> ForwardResult:
    """The negative log-likelihood of integer targets, -log_probabilities[target]; classes along the LAST axis.

    ``nll_loss(log_softmax(x), t)`` is ``cross_entropy(x, t)``, which is faster.

    Args:
        log_probabilities: (…, C).
        targets: (…), integers in 0 … C-1.
        reduction: "mean" over the entries that count, "sum", or "none" for one loss an entry.
        ignore_index: entries with this target do not count: their loss and gradient are 0.
        weight: (C,), what an entry of each class counts, at least 0; not differentiated. A mean is divided by the sum
            of the targets' weights.

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
    weight = non_negative(weight, "weight", values.dtype, values.shape[-1:])
    counts = None if weight is None else weight[picked[1]]
    scale = reduction_scale(reduction, len(rows) if counts is None else counts.sum())
    losses = -values.reshape(targets.size, values.shape[-1])[picked]
    if counts is not None:
        losses *= counts
    if reduction == "none":
        losses = spread(losses, keep, targets.shape)
    return narrowed(reduced(losses, reduction, scale), log_probabilities), (picked, values.shape, scale, counts)


@nll_loss.vjp
def _(
    g: Any, needs: Any, picked: tuple[Array, Array], shape: tuple[int, ...], scale: float, counts: Array | None
) -> Any:
    g = single(g)
    rows = math.prod(shape[:-1]), shape[-1]

    def place(g: Array) -> Array:
        d = np.zeros(rows, g.dtype)
        d[picked] = g
        return d

    # one loss an entry with "none" (then the scale is 1), else a single number
    each = -g * g.dtype.type(scale)
    if g.shape == shape[:-1]:  # also of one entry alone, of which a mean has that shape
        each = each.reshape(-1)[picked[0]]
    if counts is not None:
        each = each * counts
    return mapped(each, place, lambda u: u[picked] if each.ndim else u[picked].sum()).reshape(shape), None


@nll_loss.batched_vjp
def _(
    g: Array, needs: Any, picked: tuple[Array, Array], shape: tuple[int, ...], scale: float, counts: Array | None
) -> Any:
    g = single(g)
    count = math.prod(shape[:-1])
    each = g * g.dtype.type(scale)
    each = each.reshape(len(g), count)[:, picked[0]] if g.shape[1:] == shape[:-1] else each[:, None]
    d = np.zeros((len(g), count, shape[-1]), g.dtype)
    d[:, picked[0], picked[1]] = -each if counts is None else -each * counts
    return d.reshape(len(g), *shape), None


# --- two classes -----------------------------------------------------------------------------------


@primitive(residuals=("logits", "targets", "constant", "constant", "constant"))
def binary_cross_entropy_with_logits(
    logits: Array, targets: Array, reduction: str = "mean", *, weight: Any = None, pos_weight: Any = None
) -> ForwardResult:
    """The cross-entropy of sigmoid(x) at targets t: -t log sigmoid(x) - (1 - t) log sigmoid(-x).

    Computed as max(x, 0) - x t + log(1 + exp(-|x|)), which is safe for logits of any size.

    Args:
        logits: of any shape.
        targets: of the same shape, booleans or numbers in [0, 1]; floating ones are differentiated too.
        reduction: "mean" over all entries, "sum", or "none" for one loss an entry.
        weight: of the same shape, what each entry counts, at least 0. A mean is divided by the number of entries
            nevertheless. Neither weight is differentiated.
        pos_weight: what the first term, of t, counts, at least 0: a number, or one for each entry of the last axis,
            (C,) of (…, C), or for each entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". The mean of no entries is 0.

    Raises:
        ValueError: if the shapes differ (nothing else is broadcast), a target lies outside [0, 1], a weight is
            negative or not finite, or the reduction is unknown.

    >>> binary_cross_entropy_with_logits([0.0, 1000.0], [1.0, 1.0], reduction="none").numpy().round(4)
    array([0.6931, 0.    ], dtype=float32)
    """
    same_shape("logits", logits, "targets", targets)
    wrong = ~((targets >= 0) & (targets <= 1))
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        raise ValueError(f"targets{list(place) if place else ''} is {targets[place]}: it must lie in 0 … 1")
    x = single(logits)
    wide = np.result_type(x, single(targets)) if targets.dtype.kind == "f" else x.dtype
    weight = non_negative(weight, "weight", wide, x.shape)
    pos_weight = non_negative(pos_weight, "pos_weight", wide, (), x.shape[-1:], x.shape)
    softplus = np.log1p(np.exp(-np.abs(x)))  # of -|x|
    if pos_weight is None:
        losses = np.maximum(x, 0) - x * targets + softplus
    else:
        losses = pos_weight * targets * (np.maximum(-x, 0) + softplus) + (1 - targets) * (np.maximum(x, 0) + softplus)
    if weight is not None:
        losses = losses * weight
    scale = reduction_scale(reduction, x.size)
    dtype = np.result_type(as_float(logits), targets)
    return reduced(losses, reduction, scale).astype(dtype, copy=False), (logits, targets, scale, weight, pos_weight)


@binary_cross_entropy_with_logits.vjp
def _(
    g: Any, needs: Any, logits: Array, targets: Array, scale: float, weight: Array | None, pos_weight: Array | None
) -> Any:
    x, g = single(logits), single(g)
    t = single(targets) if targets.dtype.kind == "f" else targets.astype(x.dtype)
    g = g * g.dtype.type(scale)
    if weight is not None:
        g = g * weight
    # sigmoid(x) - t, where both may be near 1, as a sum without cancellation at targets of 0 and 1
    if pos_weight is None:
        dx = ((1 - t) * sigmoid_of(x) - t * sigmoid_of(-x)) * g if needs[0] else None
        return dx, -x * g if needs[1] else None
    dx = ((1 - t) * sigmoid_of(x) - pos_weight * t * sigmoid_of(-x)) * g if needs[0] else None
    return dx, (pos_weight * np.logaddexp(0, -x) - np.logaddexp(0, x)) * g if needs[1] else None


@binary_cross_entropy_with_logits.batched_vjp
def _(g: Array, needs: Any, logits: Array, *rest: Any) -> Any:
    return binary_cross_entropy_with_logits.primitive.vjp(against(g, logits), needs, logits, *rest)


@binary_cross_entropy_with_logits.reference
def _(logits: Tensor, targets: Tensor, reduction: str = "mean", *, weight: Any = None, pos_weight: Any = None) -> Any:
    from .activations import softplus
    from .elementwise import add, multiply, negative, subtract
    from .reductions import sum

    positive = softplus(negative(logits))
    if pos_weight is not None:
        positive = multiply(positive, np.asarray(plain(pos_weight)))
    losses = add(multiply(targets, positive), multiply(subtract(1.0, targets), softplus(logits)))
    if weight is not None:
        losses = multiply(losses, np.asarray(plain(weight)))
    return losses if reduction == "none" else multiply(sum(losses), reduction_scale(reduction, losses.size))

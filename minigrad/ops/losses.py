"""Losses: one number, or one per entry, from predictions and targets of exactly fitting shapes.

Losses do not broadcast: (N,) against (N, 1) would silently give (N, N). The mean of no entries is 0, with gradient 0,
so that an empty batch does not change a model. Half precision is computed in single, and only the result is rounded. A
well classified entry keeps its small loss and gradient, because neither is computed as a difference from 1. The loss of
sequences without alignment is in :mod:`.ctc`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..compiler import fused
from ..core import Tensor, plain
from ..primitives import ForwardResult, primitive
from ..spec import Array, as_array, describe
from .activations import sigmoid_of, softplus
from .elementwise import absolute, add, exp, log, multiply, negative, square, subtract, where
from .kernels.numerics import (
    as_float,
    check_indices,
    narrowed,
    put_in_rows,
    refuse_entries,
    row_sums,
    single,
    take_in_rows,
)  # fmt: skip
from .linear import apply_linear
from .reductions import log_softmax, softmax, sum

# --- shared by losses --------------------------------------------------------------------------------


def reduction_scale(reduction: str, count: float, known: tuple[str, ...] = ("mean", "sum", "none")) -> float:
    """Return the weight of each loss: for a mean, 1 / count, with the number of entries or the sum of their weights.

    It is 1 if no entry counts, so that a mean of no entries is 0.
    """
    if not isinstance(reduction, str):  # PyTorch's third argument is the weight
        raise TypeError(
            f"reduction must be 'mean', 'sum' or 'none', not {describe(reduction)}. If you meant weights, pass them by "
            "keyword: weight=…"
        )
    if reduction not in known:
        raise ValueError(f"reduction must be {', '.join(map(repr, known[:-1]))} or {known[-1]!r}, not {reduction!r}")
    return 1.0 / (float(count) or 1.0) if reduction == "mean" else 1.0


def reduced(losses: Any, reduction: str, scale: float) -> Any:
    """Return one number, ``scale`` times the sum in the losses' dtype, or one per entry for "none"."""
    return losses if reduction == "none" else losses.sum() * scale


def _finished(losses: Array, reduction: str, dtype: Any) -> tuple[Array, float]:
    """Return the result in a dtype, given the losses of all entries and the scale of each."""
    scale = reduction_scale(reduction, losses.size)
    return reduced(losses, reduction, scale).astype(dtype, copy=False), scale


def _reference(losses: Any, reduction: str, count: Any = None) -> Any:
    """Reduce the losses of all entries, in references; a mean divides by ``count``, by default their number."""
    return reduced(losses, reduction, reduction_scale(reduction, losses.size if count is None else count))


def same_shape(name: str, first: Array, second_name: str, second: Array) -> None:
    """Raise unless two arrays have the same shape."""
    if first.shape != second.shape:
        raise ValueError(
            f"{name} {first.shape} and {second_name} {second.shape} must have the same shape: losses do not broadcast"
        )


def non_negative(weight: Any, name: str, dtype: Any, *shapes: tuple[int, ...]) -> Array | None:
    """Return weights that were given as an option, in a dtype; None if they were not given.

    Raises:
        ValueError: unless their shape is one of the given ones, and all are finite and at least 0.
    """
    if weight is None:
        return None
    array = as_array(plain(weight), rounded=False)
    if array.shape not in shapes:
        wanted = " or ".join(map(str, dict.fromkeys(shapes)))
        raise ValueError(f"{name} must have the shape {wanted}, not {array.shape}: losses do not broadcast")
    refuse_entries(~((array >= 0) & np.isfinite(array)), name, array, "it must be finite and at least 0")
    return array.astype(dtype)


# --- scores as rows ----------------------------------------------------------------------------------

# Scores (…, C) become rows (M, C), one for each entry that counts, with the right class (M,) of each. A loss and its
# gradient share all of their work, so the forward computes both, and the VJP only multiplies the gradient by the
# cotangent and puts its rows into place.


def score_rows(scores: Array, keep: Array | None) -> Array:
    """Return those scores (…, C) that count, as rows (M, C)."""
    if keep is not None:
        return np.asarray(single(scores[keep]))
    return np.ascontiguousarray(single(scores)).reshape(math.prod(scores.shape[:-1]), scores.shape[-1])


def cross_entropy_rows(z: Array, targets: Array, scale: Any) -> tuple[Array, Array]:
    """Return the cross-entropy (M,) of rows of logits z (M, C) at targets (M,), and the gradient (M, C).

    The gradient is that of the sum of scale times loss, for a ``scale`` that is a number or (M,): scale (p - q), with
    the row's softmax p and q one-hot. At the target, p - 1 would cancel, so it is minus the sum of the other p.

    >>> cross_entropy_rows(np.zeros((1, 3)), np.array([2]), scale=1.0)  # log 3
    (array([1.0986]), array([[ 0.3333,  0.3333, -0.6667]]))
    """
    if not z.size:
        return np.zeros(len(z), z.dtype), np.zeros_like(z)
    scale = scale[:, None] if isinstance(scale, np.ndarray) else scale
    losses, gradient = _cross_entropy_rows(z, targets.astype(np.int64, copy=False)[:, None], scale)
    return losses[:, 0], gradient


@fused
def _cross_entropy_rows(z: Any, targets: Any, scale: Any) -> tuple[Any, Any]:
    top = z.max(-1, keepdims=True)
    logits = take_in_rows(z, targets) - top
    weights = np.exp(z - top)
    put_in_rows(weights, targets, 0)
    others = row_sums(weights, -1)
    total = others + np.exp(logits)
    share = scale / total
    gradient = weights * share
    put_in_rows(gradient, targets, -share * others)
    # log p = z - log total; the target's z is 0 if it is the largest, and its p then near 1
    return np.where(logits == 0, np.log1p(others), np.log(total) - logits), gradient


def smoothed_rows(z: Array, targets: Array, scale: Any, own: Any, each: Any) -> tuple[Array, Array]:
    """Like :func:`cross_entropy_rows`, with target distributions that sum to 1.

    Args:
        own: the probability of each row's target, a number or (M,).
        each: the additional probability of each class, a number or (M, C).

    >>> smoothed_rows(np.array([[0.0, 0.0]]), np.array([0]), 1.0, 0.5, 0.25)
    (array([0.6931]), array([[-0.25,  0.25]]))
    """
    if not z.size:
        return np.zeros(len(z), z.dtype), np.zeros_like(z)
    z = z - z.max(axis=1, keepdims=True)
    picked = np.arange(len(z)), targets
    losses = np.multiply(own, z[picked], out=np.zeros(len(z), z.dtype), where=np.not_equal(own, 0))
    if isinstance(each, float):
        losses += each * z.sum(axis=1)
    else:  # a logit of -inf is safe if its class has probability 0
        losses += np.multiply(each, z, out=np.zeros_like(z), where=each != 0).sum(axis=1)
    np.exp(z, out=z)
    total = z.sum(axis=1)
    z *= (scale / total)[:, None]
    # Subtract the target distribution. The rows should now sum to 0, so subtract what is left in the same proportions.
    amount = np.full_like(total, scale)
    for _ in range(2):
        z -= amount[:, None] * each
        z[picked] -= amount * own
        amount = z.sum(axis=1)
    return np.log(total) - losses, z


def spread(rows: Array, keep: Array | None, shape: tuple[int, ...]) -> Array:
    """Put rows (M, …) of the kept entries in their places in zeros of a shape."""
    if keep is None:
        return rows.reshape(shape)
    full = np.zeros(shape, rows.dtype)
    full[keep] = rows
    return full


def pull_scores(g: Any, scores: Any, rows: Any, keep: Array | None, scale: Any) -> Any:
    """Return the cotangent of scores (…, C), arrays or tensors, given that of the losses.

    Args:
        rows, scale: the gradient and the argument of :func:`cross_entropy_rows`. keep: which entries count, or None.
    """
    if isinstance(scores, Tensor):  # the rows as a function of the scores, with the same values
        p = softmax(single(scores if keep is None else scores[keep]).reshape(rows.shape))
        rows = (p - p.data) * (scale if np.ndim(scale) == 0 else scale[:, None]) + rows
    if g.ndim:  # one loss per entry
        g = (g.reshape(-1) if keep is None else g[keep])[:, None]
    d = rows if isinstance(g, np.ndarray) and g.ndim == 0 and g == 1 else rows * g
    shape = scores.shape
    return d.reshape(shape) if keep is None else apply_linear(d, lambda r: spread(r, keep, shape), lambda u: u[keep])


# --- classes -----------------------------------------------------------------------------------------


def _check_classes(name: str, scores: Array, targets: Array, ignore_index: int | None) -> Array | None:
    """Raise unless targets (…) fit scores (…, C); return which targets count, or None if all do."""
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, (int, np.integer, type(None))):
        raise TypeError(f"ignore_index must be an integer or None, not {ignore_index!r}")
    if scores.ndim == 0:
        raise ValueError(f"{name} must be (…, C), with the classes along the last axis, not a single number")
    if targets.shape != scores.shape[:-1]:
        hint = ""
        if scores.ndim > 2 and targets.shape == scores.shape[:1] + scores.shape[2:]:
            hint = f"; the classes are along the LAST axis here: pass moveaxis({name}, 1, -1)"
        raise ValueError(
            f"targets must be {scores.shape[:-1]} as {name} without its last axis, not {targets.shape}{hint}"
        )
    keep = None if ignore_index is None else targets != ignore_index
    check_indices(targets, scores.shape[-1], "targets", keep)
    return None if keep is None or keep.all() else keep


def _distribution(
    logits: Array, targets: Array, ignore_index: int | None, smoothing: Any, weight: Any
) -> tuple[Array | None, Array, Any, Any, Any, Any]:
    """Convert the targets of a cross-entropy to distributions.

    Returns:
        keep: which entries count; None for all.
        chosen: (M,), the target of each entry that counts.
        own, each: the probability of the target, and the additional one of each class, as in :func:`smoothed_rows`.
        counts: the weight of each entry that counts, a number or (M,).
        total: the divisor of a mean.
    """
    if isinstance(smoothing, bool) or not isinstance(smoothing, (int, float, np.integer, np.floating)):
        raise TypeError(f"label_smoothing must be a number, not {smoothing!r}")
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing must lie in 0 … 1, not {smoothing}")
    of_classes = targets.dtype.kind != "f"
    if not of_classes and not targets.ndim == logits.ndim > 0:
        raise TypeError(
            f"targets must be integers, not {targets.dtype} {targets.shape}, or class probabilities of the "
            f"logits' shape {logits.shape}"
        )
    if not of_classes and ignore_index is not None:
        raise ValueError(f"ignore_index is {ignore_index}, and targets {targets.shape} are probabilities: omit it")
    keep = _check_classes("logits", logits, targets, ignore_index) if of_classes else None
    C = logits.shape[-1]
    weight = None if weight is None else non_negative(weight, "weight", single(logits[:0]).dtype, (C,))
    own, each = 1 - float(smoothing), float(smoothing) / max(C, 1)  # Python floats, which do not change the dtype
    if of_classes:
        chosen = targets.ravel() if keep is None else targets[keep]
        counts: Any = 1.0 if weight is None else weight[chosen]
        total = len(chosen) if weight is None else counts.sum()
        if weight is None or not smoothing:
            return keep, chosen, own, each, counts, total
        own, each = own * weight[chosen], each * weight
    else:
        q: Any = non_negative(targets, "targets", single(logits[:0]).dtype, logits.shape)
        chosen = np.zeros(math.prod(logits.shape[:-1]), np.intp)
        own, each, total = (
            0.0,
            (own * q.reshape(len(chosen), C) + each) * (1 if weight is None else weight),
            len(chosen),
        )
    counts = own + each.sum(axis=-1)
    share = 1 / np.where(counts == 0, 1, counts)
    return keep, chosen, own * share, each * share[:, None], counts, total


@primitive(residuals=("logits", "derived", "constant", "constant"))
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

    The classes are along the LAST axis, also for images and sequences. (In PyTorch they are the second axis: pass
    ``moveaxis(logits, 1, -1)``.) Logits of any size are safe.

    Args:
        logits: (…, C).
        targets: (…), integers in 0 … C-1; or (…, C), floats of at least 0, the probability q of each class, for the
            loss -sum(q log softmax(logits)). They are constants, and need not sum to 1.
        reduction: "mean" over the entries that count, "sum", or "none" for one loss per entry.
        ignore_index: entries with this target (it may be outside 0 … C-1) do not count: their loss and gradient are 0.
            It cannot be used with probabilities.
        label_smoothing: s in [0, 1]: the target distribution is (1 - s) on the target plus s/C on each class.
        weight: (C,), the weight of the log-probability of each class, at least 0; not differentiated. A mean divides by
            the sum of the targets' weights, with label smoothing too; for probabilities, by the number of entries.

    Returns:
        a single number, or (…) for "none"; of the logits' dtype. 0 if no entry counts.

    Raises:
        ValueError: if the shapes do not fit, or an option is out of its range.
        IndexError: if a target is not a class; names it and its position.
        TypeError: if the targets or ignore_index are not integers, or label_smoothing is not a number; in a reverse
            pass, if the targets are tracked.

    Source: label smoothing from C. Szegedy et al., Rethinking the Inception architecture (2016).

    >>> cross_entropy([[0.0, 0.0], [100.0, 0.0]], [1, 0], reduction="none").numpy().round(4)
    array([0.6931, 0.    ], dtype=float32)
    >>> cross_entropy([[0.0, 0.0], [100.0, 0.0]], [[0.5, 0.5], [0.9, 0.1]], reduction="none").numpy().round(4)
    array([ 0.6931, 10.    ], dtype=float32)
    """
    keep, chosen, own, each, counts, total = _distribution(logits, targets, ignore_index, label_smoothing, weight)
    rows, scale = score_rows(logits, keep), reduction_scale(reduction, total)
    if isinstance(each, float) and not each:
        losses, rows = cross_entropy_rows(rows, chosen, scale * counts)
    else:
        losses, rows = smoothed_rows(rows, chosen, scale * counts, own, each)
    losses = losses if isinstance(counts, float) else losses * counts
    if reduction == "none":
        losses = spread(losses, keep, logits.shape[:-1])
    return narrowed(reduced(losses, reduction, scale), logits), (logits, rows, keep, scale * counts)


@cross_entropy.vjp_on_tensors
@cross_entropy.vjp
def _(g: Any, needs: Any, *residuals: Any) -> Any:
    if needs[1]:
        raise TypeError(
            "cross_entropy: no gradient flows to the targets. Pass targets.detach(), or use "
            "-(targets * log_softmax(logits)).sum()."
        )
    return pull_scores(g, *residuals), None


@cross_entropy.reference
def _(
    logits: Any,
    targets: Any,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    *,
    weight: Any = None,
) -> Any:
    keep, chosen, own, each, counts, total = _distribution(
        logits.data, targets.data, ignore_index, label_smoothing, weight
    )
    q = np.zeros((len(chosen), logits.shape[-1]), logits.dtype) + each
    q[np.arange(len(q)), chosen] += own
    q *= np.reshape(counts, (-1, 1))  # in the dtype of the logits
    return _reference(sum(multiply(log_softmax(logits), -spread(q, keep, logits.shape)), axis=-1), reduction, total)


@primitive(residuals=("scores", "derived", "constant", "constant"))
def temporal_softmax_loss(scores: Array, targets: Array, mask: Array) -> ForwardResult:
    """Cross-entropy of a sequence, summed over the unmasked steps and divided by the batch size N.

    -1/N sum over (n, t) with mask[n, t] of log softmax(scores[n, t])[targets[n, t]]. Masked steps are not computed at
    all: their scores and targets do not matter. Scores of any size are safe; half precision is computed in single.

    Args:
        scores: (N, T, V).
        targets: (N, T), integers, in 0 … V-1 where the mask is true.
        mask: (N, T), booleans, or integers 0 and 1.

    Returns:
        a single number of the scores' dtype; 0 for an empty batch or if every step is masked.

    Raises:
        ValueError: if the shapes do not fit, or an integer mask holds anything but 0 and 1.
        TypeError: if the targets are not integers, or the mask is of floats.
        IndexError: if the target of an unmasked step is outside the vocabulary; names it and its position.

    Source: the captioning exercises.

    >>> scores = [[[0.0, 0.0], [5.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]
    >>> loss = temporal_softmax_loss(scores, [[1, 0], [0, 9]], [[True, False], [True, False]])
    >>> round(loss.item(), 4)  # log 2, twice, over 2
    0.6931
    """
    if scores.ndim != 3:
        raise ValueError(f"scores must have 3 axes (N, T, V), not shape {scores.shape}")
    for name, array in (("targets", targets), ("mask", mask)):
        if array.shape != scores.shape[:2]:
            raise ValueError(f"{name} must be (N, T) = {scores.shape[:2]} as in scores, not {array.shape}")
    if mask.dtype.kind not in "biu":
        raise TypeError(f"mask must contain booleans, or integers 0 and 1, not {mask.dtype}")
    if mask.dtype != bool and ((mask != 0) & (mask != 1)).any():
        raise ValueError(f"mask must hold only 0 and 1, not {mask[(mask != 0) & (mask != 1)][0]}")
    keep = None if mask.all() else mask.astype(bool, copy=False)
    check_indices(targets, scores.shape[2], "targets", keep)
    rows, scale = score_rows(scores, keep), 1 / max(len(scores), 1)
    losses, rows = cross_entropy_rows(rows, targets.ravel() if keep is None else targets[keep], scale)
    return narrowed(reduced(losses, "sum", scale), scores), (scores, rows, keep, scale)


@temporal_softmax_loss.vjp_on_tensors
@temporal_softmax_loss.vjp
def _(g: Any, needs: Any, *residuals: Any) -> Any:
    # the forward left rows of (softmax - one_hot(target)) / N
    return pull_scores(g, *residuals), None, None


@temporal_softmax_loss.reference
def _(scores: Tensor, targets: Tensor, mask: Tensor) -> Any:
    chosen = np.where(mask.data, targets.data.astype(int), -1)
    return multiply(cross_entropy(scores, chosen, "sum", -1), 1 / max(scores.shape[0], 1))


@primitive(residuals=("constant", "constant", "constant"))
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
        reduction: "mean" over the entries that count, "sum", or "none" for one loss per entry.
        ignore_index: entries with this target do not count: their loss and gradient are 0.
        weight: (C,), the weight of an entry of each class, at least 0; not differentiated. A mean divides by the sum of
            the targets' weights.

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
    picked = rows, targets.ravel() if keep is None else targets[keep]
    weight = non_negative(weight, "weight", values.dtype, values.shape[-1:])
    counts = np.ones(len(rows), values.dtype) if weight is None else weight[picked[1]]
    scale = reduction_scale(reduction, len(rows) if weight is None else counts.sum())
    losses = -values.reshape(targets.size, values.shape[-1])[picked] * counts
    if reduction == "none":
        losses = spread(losses, keep, targets.shape)
    return narrowed(reduced(losses, reduction, scale), log_probabilities), (picked, values.shape, -scale * counts)


@nll_loss.vjp
def _(g: Any, needs: Any, picked: tuple[Array, Array], shape: tuple[int, ...], each: Array) -> Any:
    def place(each: Array) -> Array:
        d = np.zeros((math.prod(shape[:-1]), shape[-1]), each.dtype)
        d[picked] = each
        return d

    g = single(g)
    each = (g.reshape(-1)[picked[0]] if g.ndim else g) * each  # g has one value per entry, or is a single number
    return apply_linear(each, place, lambda u: u[picked]).reshape(shape), None


# --- two classes -------------------------------------------------------------------------------------


@primitive(residuals=("logits", "targets", "constant", "constant", "constant"))
def binary_cross_entropy_with_logits(
    logits: Array, targets: Array, reduction: str = "mean", *, weight: Any = None, pos_weight: Any = None
) -> ForwardResult:
    """The cross-entropy of sigmoid(x) at targets t: -t log sigmoid(x) - (1 - t) log sigmoid(-x).

    Computed as ``max(x, 0) - x t + log(1 + exp(-|x|))``, which is safe for logits of any size.

    Args:
        logits: of any shape.
        targets: of the same shape, booleans or numbers in [0, 1]; floating ones are differentiated too.
        reduction: "mean" over all entries, "sum", or "none" for one loss per entry.
        weight: of the same shape, the weight of each entry, at least 0. The mean still divides by the number of
            entries. Neither weight is differentiated.
        pos_weight: the weight of the first term, that of t, at least 0: a number, or one for each entry of the last
            axis, (C,) for (…, C), or one for each entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". The mean of no entries is 0.

    Raises:
        ValueError: if the shapes differ (nothing else is broadcast), a target is outside [0, 1], a weight is negative
            or not finite, or the reduction is unknown.

    >>> binary_cross_entropy_with_logits([0.0, 1000.0], [1.0, 1.0], reduction="none").numpy().round(4)
    array([0.6931, 0.    ], dtype=float32)
    """
    same_shape("logits", logits, "targets", targets)
    refuse_entries(~((targets >= 0) & (targets <= 1)), "targets", targets, "it must lie in 0 … 1")
    x = single(logits)
    wide = np.result_type(x, single(targets)) if targets.dtype.kind == "f" else x.dtype
    weight = non_negative(weight, "weight", wide, x.shape)
    positive: Any = non_negative(pos_weight, "pos_weight", wide, (), x.shape[-1:], x.shape)
    tail = np.log1p(np.exp(-np.abs(x)))
    if positive is None:
        losses = np.maximum(x, 0) - x * targets + tail
    else:
        losses = positive * targets * (np.maximum(-x, 0) + tail) + (1 - targets) * (np.maximum(x, 0) + tail)
    losses = losses if weight is None else losses * weight
    result, scale = _finished(losses, reduction, np.result_type(as_float(logits), targets))
    return result, (logits, targets, scale, weight, positive)


@binary_cross_entropy_with_logits.vjp
def _(g: Any, needs: Any, logits: Any, targets: Any, scale: float, weight: Array | None, positive: Any) -> Any:
    x, g = single(logits), single(g) * scale
    t = single(targets) if targets.dtype.kind == "f" else targets.astype(x.dtype)
    g = g if weight is None else g * weight
    # sigmoid(x) - t, where both may be near 1, as a sum without cancellation at targets of 0 and 1
    dx = (
        ((1 - t) * sigmoid_of(x) - t * sigmoid_of(-x) * (1 if positive is None else positive)) * g if needs[0] else None
    )
    dt = (-x if positive is None else positive * np.logaddexp(0, -x) - np.logaddexp(0, x)) * g if needs[1] else None
    return dx, dt


@binary_cross_entropy_with_logits.reference
def _(logits: Any, targets: Any, reduction: str = "mean", *, weight: Any = None, pos_weight: Any = None) -> Any:
    positive = softplus(negative(logits))
    if pos_weight is not None:
        positive = multiply(positive, np.asarray(plain(pos_weight)))
    losses = add(multiply(targets, positive), multiply(subtract(1.0, targets), softplus(logits)))
    return _reference(losses if weight is None else multiply(losses, np.asarray(plain(weight))), reduction)


# --- losses of numbers -------------------------------------------------------------------------------


def _of_difference(
    prediction: Array, target: Array, reduction: str, loss: Callable[[Array], Array], *options: float
) -> ForwardResult:
    """Return the forward's result for a loss of prediction - target; the last residual is the scale."""
    same_shape("prediction", prediction, "target", target)
    dtype = np.result_type(as_float(prediction), target)
    result, scale = _finished(loss(_difference(prediction, target)), reduction, dtype)
    return result, (prediction, target, *options, scale)


def _difference(a: Any, b: Any) -> Any:
    """Return a - b as floats, half precision in single."""
    return np.subtract(single(a), b)


def _pulled(g: Any, needs: Any, slope: Any, scale: float) -> Any:
    """Return cotangents of prediction and target, given the derivative of each loss by their difference, in place."""
    slope *= single(g) * scale
    return slope if needs[0] else None, -slope if needs[1] else None


@primitive(residuals=("prediction", "target", "constant"))
def mse_loss(prediction: Array, target: Array, reduction: str = "mean") -> ForwardResult:
    """The squared error, (prediction - target)^2.

    Args:
        prediction, target: of the same shape (any); both are differentiated.
        reduction: "mean" over all entries, "sum", or "none" for one loss per entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". The mean of no entries is 0.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or the reduction is unknown.

    >>> mse_loss([1.0, 2.0], [0.0, 4.0])
    tensor(2.5)
    """
    return _of_difference(prediction, target, reduction, np.square)


mse_loss.vjp(lambda g, needs, a, b, scale: _pulled(g, needs, _difference(a, b), 2 * scale))


mse_loss.reference(lambda a, b, reduction="mean": _reference(square(subtract(a, b)), reduction))


@primitive(residuals=("prediction", "target", "constant"))
def l1_loss(prediction: Array, target: Array, *, reduction: str = "mean") -> ForwardResult:
    """The absolute error, ``|prediction - target|``. Its gradient is 0 where both are equal.

    Args:
        prediction, target: of the same shape (any); both are differentiated.
        reduction: "mean" over all entries, "sum", or "none" for one loss per entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". The mean of no entries is 0.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), or the reduction is unknown.

    >>> l1_loss([1.0, 2.0], [0.0, 4.0])
    tensor(1.5)
    """
    return _of_difference(prediction, target, reduction, np.abs)


l1_loss.vjp(lambda g, needs, a, b, scale: _pulled(g, needs, np.sign(_difference(a, b)), scale))


l1_loss.reference(lambda a, b, reduction="mean": _reference(absolute(subtract(a, b)), reduction))


@primitive(residuals=("prediction", "target", "constant", "constant"))
def huber_loss(prediction: Array, target: Array, *, delta: float = 1.0, reduction: str = "mean") -> ForwardResult:
    """The Huber loss: half the squared error up to an error of delta, and a line beyond: ``delta (|d| - delta / 2)``.

    With d = prediction - target and c = d clipped to ±delta, the loss is c (d - c / 2) and its gradient is c. No large
    number is squared, so nothing overflows.

    Args:
        prediction, target: of the same shape (any); both are differentiated.
        delta: a finite number above 0.
        reduction: "mean" over all entries, "sum", or "none" for one loss per entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". The mean of no entries is 0.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), delta is not above 0, or the reduction is unknown.

    Source: P. J. Huber, Robust estimation of a location parameter (1964).

    >>> huber_loss([0.5, 3.0], [0.0, 0.0], reduction="none")
    tensor([0.125, 2.5  ])
    """
    if not (0 < delta < math.inf):
        raise ValueError(f"delta must be a finite number above 0, not {delta}")
    delta = float(delta)

    def loss(d: Array) -> Array:
        clipped = d.clip(-delta, delta)
        return np.asarray(clipped * (d - clipped / 2))

    return _of_difference(prediction, target, reduction, loss, delta)


huber_loss.vjp(lambda g, needs, a, b, delta, scale: _pulled(g, needs, _difference(a, b).clip(-delta, delta), scale))


@huber_loss.reference
def _(prediction: Any, target: Any, *, delta: float = 1.0, reduction: str = "mean") -> Any:
    d = subtract(prediction, target)
    return _reference(where(abs(d.data) <= delta, 0.5 * square(d), delta * (absolute(d) - 0.5 * delta)), reduction)


@primitive(residuals=("log_prediction", "target", "constant", "constant"))
def kl_div(log_prediction: Array, target: Array, *, log_target: bool = False, reduction: str = "mean") -> ForwardResult:
    """The Kullback-Leibler divergence of probabilities q from predicted ones p, entry by entry: q (log q - log p).

    If q is 0, the loss is 0, even if p is 0 too; if only p is 0, it is infinite. The derivative with respect to q is
    log q - log p + 1, which is -inf at q = 0: pass the logarithm of a target that is differentiated there.

    Args:
        log_prediction: log p, of any shape.
        target: q, at least 0, of the same shape; both are differentiated.
        log_target: true if the target is log q.
        reduction: "batchmean", the sum divided by the first axis, is the divergence of rows of distributions; "mean"
            over all entries, "sum", or "none" for one loss per entry.

    Returns:
        a single number, or an array of the inputs' shape for "none". Without entries it is 0.

    Raises:
        ValueError: if the shapes differ (nothing is broadcast), a target is below 0, the reduction is unknown, or it is
            "batchmean" and there is no first axis.
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
    if not log_target:
        refuse_entries(target < 0, "target", target, "a probability is at least 0")
    scale = _divergence_scale(reduction, log_prediction.shape)
    q, difference, _ = _log_ratio(single(log_prediction), single(target), bool(log_target))
    dtype = np.result_type(as_float(log_prediction), as_float(target))
    return reduced(q * difference, reduction, scale).astype(dtype, copy=False), (
        log_prediction,
        target,
        bool(log_target),
        scale,
    )


def _divergence_scale(reduction: str, shape: tuple[int, ...]) -> float:
    """Return the weight of each entry's loss; for "batchmean", 1 divided by the length of the first axis."""
    if reduction != "batchmean":
        return reduction_scale(reduction, math.prod(shape), ("batchmean", "mean", "sum", "none"))
    if not shape:
        raise ValueError("reduction 'batchmean' divides by the first axis, but a single number has none")
    return 1 / max(shape[0], 1)


def _log_ratio(log_p: Any, target: Any, log_target: bool) -> tuple[Any, Any, Array]:
    """Return q, log q - log p, and where q is 0 (both are 0 there, for any p), for arrays or tensors."""
    none: Array = plain(target) == (-np.inf if log_target else 0)
    safe = np.where(none, 0 if log_target else 1, target)  # its logarithm and derivatives are finite
    q, log_q = (np.where(none, 0, np.exp(safe)), safe) if log_target else (target, np.log(safe))
    return q, log_q - np.where(none, 0, log_p), none


@kl_div.vjp
def _(g: Any, needs: Any, log_prediction: Any, target: Any, log_target: bool, scale: float) -> Any:
    q, difference, none = _log_ratio(single(log_prediction), single(target), log_target)
    g, d_target = single(g) * scale, None
    if needs[1]:
        slope = q * (difference + 1) if log_target else np.where(none, -np.inf, difference + 1)
        d_target = slope * g
    return -q * g if needs[0] else None, d_target


@kl_div.reference
def _(log_prediction: Any, target: Any, *, log_target: bool = False, reduction: str = "mean") -> Any:
    q, log_q = (exp(target), target) if log_target else (target, log(target))
    losses = multiply(q, subtract(log_q, log_prediction))
    return reduced(losses, reduction, _divergence_scale(reduction, losses.shape))

"""Cross-entropy of rows: logits (M, C), one row for each entry that counts, and the class (M,) that is right in each.

The loss and its gradient share all of their work, so the forward computes both: it turns the rows of logits, in place,
into the rows of their gradient, and the VJP only multiplies them by the cotangent and puts them where they belong.

A worked example, with C = 3 classes and two entries, of which the second is ignored::

    scores (2, 3), targets (2,)  score_rows           z (1, 3), chosen (1,)   the rows that count
    z, chosen                    cross_entropy_rows   losses (1,)             and z is (softmax - one_hot) scale
    z                            pull_rows            (2, 3)                  zeros where an entry is ignored

>>> scores, targets, keep = np.zeros((2, 3)), np.array([2, 0]), np.array([True, False])
>>> z, chosen = score_rows(scores, targets, keep)
>>> cross_entropy_rows(z, chosen, scale=1.0)  # log 3
array([1.0986])
>>> pull_rows(np.array(1.0), z, keep, scores.shape)
array([[ 0.3333,  0.3333, -0.6667],
       [ 0.    ,  0.    ,  0.    ]])

What the rows become is a function of the logits as well, and so has a cotangent in derivatives of derivatives:
:func:`rows_vjp`.

Weights of classes make each row count as :func:`row_weights` says: what is ``scale`` below is then an array (M,), of
``scale`` times these. With label smoothing the weights also bend the target distribution.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...spec import Array
from .numerics import single

__all__ = [
    "MadeOf", "cross_entropy_rows", "distribution_rows", "probabilities", "pull_batch", "pull_rows", "row_weights",
    "rows_vjp", "scaled_sum", "score_rows", "spread", "unscaled",
]  # fmt: skip


def score_rows(scores: Array, targets: Array, keep: Array | None) -> tuple[Array, Array]:
    """Scores (…, C) as rows (M, C) that may be written into, and their targets (M,): those that count."""
    if keep is None:  # a plain copy is faster than a gather
        rows, chosen = np.array(scores, order="C").reshape(targets.size, scores.shape[-1]), targets.ravel()
    else:
        rows, chosen = scores[keep], targets[keep]
    return single(rows), chosen


def row_weights(targets: Array, weight: Array, smoothing: float) -> Array:
    """What each row (M,) counts with weights of the classes (C,): the sum of its smoothed targets times these.

    >>> row_weights(np.array([0, 1]), np.array([1.0, 3.0]), smoothing=0.5)
    array([1.5, 2.5])
    """
    if not smoothing or not weight.size:
        return weight[targets]
    return (1 - smoothing) * weight[targets] + smoothing * weight.mean()  # type: ignore[no-any-return]


def cross_entropy_rows(
    z: Array, targets: Array, scale: Any, smoothing: float = 0.0, weight: Array | None = None
) -> Array:
    """The cross-entropy of each row of logits (M, C) at its target (M,).

    In place, the logits become the gradient of ``scale`` times the sum of the losses: with p the row's
    softmax and q the target distribution (one-hot, or smoothed), the loss is -sum q log p, and its gradient p - q.

    At the target p - 1 would cancel: there the gradient is minus the sum of the others.
    """
    if not z.size:
        return np.zeros(len(z), z.dtype)
    z -= z.max(axis=1, keepdims=True)
    picked = np.arange(len(z)), targets
    if smoothing:
        return _smoothed_rows(z, picked, scale, smoothing, weight)
    logits = z[picked]
    np.exp(z, out=z)
    own = z[picked]
    z[picked] = 0
    others = z.sum(axis=1)
    total = others + own
    share = scale / total
    z *= share[:, None]
    z[picked] = -share * others
    # log p = z - log total; the target's z is 0 if it is the largest, and its p then near 1
    result: Array = np.where(logits == 0, np.log1p(others), np.log(total) - logits)
    return result


def _smoothed_rows(z: Array, picked: tuple[Array, Array], scale: Any, smoothing: float, weight: Array | None) -> Array:
    """As :func:`cross_entropy_rows`, of logits whose largest is 0 and places with some label smoothing."""
    own, each = _target_distribution(picked[1], z.shape[1], smoothing, weight)
    everywhere = smoothing * z.mean(axis=1) if weight is None else (each * z).sum(axis=1)
    losses = own * z[picked] + everywhere
    np.exp(z, out=z)
    total = z.sum(axis=1)
    z *= (scale / total)[:, None]
    # Minus q, which sums to 1; what rounding left of the gradient's sum is taken off in the same proportions.
    amount = np.full_like(total, scale)
    for _ in range(2):
        z -= amount[:, None] * each
        z[picked] -= amount * own
        amount = z.sum(axis=1)
    result: Array = np.log(total) - losses
    return result


def distribution_rows(z: Array, q: Array, each: Array) -> Array:
    """As :func:`cross_entropy_rows`, with target distributions q (M, C), weighted by ``each`` (M,).

    >>> z = np.array([[0.0, 0.0]])
    >>> distribution_rows(z, np.array([[0.75, 0.25]]), np.array([1.0])), z
    (array([0.6931]), array([[-0.25,  0.25]]))
    """
    if not z.size:
        return np.zeros(len(z), z.dtype)
    z -= z.max(axis=1, keepdims=True)
    losses = np.multiply(q, z, out=np.zeros_like(z), where=q != 0).sum(axis=1)  # a logit of -inf is safe where q is 0
    np.exp(z, out=z)
    total = z.sum(axis=1)
    z *= (each / total)[:, None]
    amount = each
    for _ in range(2):  # as for label smoothing
        z -= amount[:, None] * q
        amount = z.sum(axis=1)
    return np.asarray(np.log(total) - losses)


def _target_distribution(targets: Array, C: int, smoothing: float, weight: Array | None) -> tuple[Any, Any]:
    """What q is at each row's target, and what it is everywhere besides: numbers, or with weights (M,) and (M, C).

    With weights q is, but for a factor that makes its sum 1, the smoothed targets times the weights.
    """
    if weight is None:
        return 1 - smoothing, smoothing / max(C, 1)
    counts = row_weights(targets, weight, smoothing)
    share = 1 / np.where(counts == 0, 1, counts)
    return (1 - smoothing) * weight[targets] * share, np.multiply.outer(share, smoothing / max(C, 1) * weight)


def pull_rows(g: Any, rows: Array, keep: Array | None, shape: tuple[int, ...]) -> Array:
    """The cotangent of logits of a shape, from ``rows`` as :func:`cross_entropy_rows` leaves them.

    For a g of 1, as a loss at the end of a graph has, ``rows`` are the answer as they are.
    """
    if g.ndim:  # one loss an entry
        g = (g.ravel() if keep is None else g[keep])[:, None]
    return spread(rows if g.ndim == 0 and g == 1 else rows * g, keep, shape)


def pull_batch(g: Array, rows: Array, keep: Array | None, shape: tuple[int, ...]) -> Array:
    """The same of a batch of cotangents: (B,), or (B, …) of one loss an entry. Returns (B, …, C)."""
    if g.ndim == 1:
        each = g[:, None]
    else:
        each = g.reshape(len(g), math.prod(g.shape[1:])) if keep is None else g[:, keep]
    products = each[..., None] * rows
    if keep is None:
        return products.reshape(len(g), *shape)
    full = np.zeros((len(g), *shape), products.dtype)
    full[:, keep] = products
    return full


class MadeOf(NamedTuple):
    """What the rows that :func:`cross_entropy_rows` leaves are made of beside logits; see :func:`probabilities`.

    Attributes:
        targets: (M,), or (M, C) of :func:`distribution_rows`. losses: (M,), as it returns them, not weighted.
        scale, smoothing, weight: those it was given.
    """

    targets: Array
    losses: Array
    scale: Any
    smoothing: float = 0.0
    weight: Array | None = None


def probabilities(
    rows: Array, targets: Array, losses: Array, scale: Any, smoothing: float = 0.0, weight: Array | None = None
) -> Array:
    """The softmax of the logits (M, C), from what :func:`cross_entropy_rows` left of them, and the losses (M,).

    The rows are scale (p - q). At the target p is e^-loss: p - 1 has lost it where it is small. With label smoothing
    what is far below that is lost.

    >>> probabilities(np.array([[0.5, -0.5]]), np.array([1]), np.log([2.0]), scale=1.0)
    array([[0.5, 0.5]])
    """
    p: Array = unscaled(rows, scale)
    picked = np.arange(len(p)), targets
    if targets.ndim == 2:
        p += targets
    elif smoothing and weight is not None:
        own, each = _target_distribution(targets, p.shape[1], smoothing, weight)
        p += each
        p[picked] += own
    elif smoothing:
        p += smoothing / max(p.shape[1], 1)
        p[picked] += 1 - smoothing
    else:
        p[picked] = np.exp(-losses)
    return p


def unscaled(rows: Any, scale: Any) -> Any:
    """p - q of rows that are scale (p - q), of arrays or tensors; 0 in rows that do not count, of which nobody asks it.

    >>> unscaled(np.array([[2.0, -2.0], [0.0, 0.0]]), np.array([4.0, 0.0]))
    array([[ 0.5, -0.5],
           [ 0. ,  0. ]])
    """
    if isinstance(scale, float):
        return rows / scale
    return rows * np.where(scale == 0, 0, 1 / np.where(scale == 0, 1, scale))[:, None]


def rows_vjp(d: Any, p: Any, scale: Any) -> Any:
    """The cotangent of the logits from d (M, C), that of rows as :func:`cross_entropy_rows` leaves them.

    Of arrays or tensors. The derivative of scale (p - q) is scale (p_i 1[i = j] - p_i p_j), as of softmax, and
    multiplied with as there: the mean is taken off twice, which is exact in the tails.

    >>> rows_vjp(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), scale=1.0)
    array([[ 0.25, -0.25]])
    """
    for _ in range(2):
        d = d - np.sum(d * p, axis=-1, keepdims=True)
    return d * (p * (scale if isinstance(scale, float) else scale[:, None]))


def spread(rows: Array, keep: Array | None, shape: tuple[int, ...]) -> Array:
    """Rows (M, …) of the kept entries in their places in zeros of a shape."""
    if keep is None:
        return rows.reshape(shape)
    full = np.zeros(shape, rows.dtype)
    full[keep] = rows
    return full


def scaled_sum(losses: Array, scale: float) -> Any:
    """``scale`` times the sum, in the losses' dtype."""
    return losses.sum() * losses.dtype.type(scale)

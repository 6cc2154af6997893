"""Temporal primitives: the same map at every step of a sequence, and the loss over masked steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import primitive
from ..spec import Array
from .lookup import check_indices

__all__ = ["temporal_affine", "temporal_softmax_loss"]


@primitive
def temporal_affine(x: Array, W: Array, b: Array) -> tuple[Array, tuple[Any, ...]]:
    """The same affine map at every step, x_t W + b, as one GEMM over all steps.

    Args:
        x: (N, T, D). W: (D, M). b: (M,). Floating; dtypes promote as in NumPy.

    Returns:
        (N, T, M).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.

    Source: the captioning exercises.

    >>> temporal_affine(np.ones((1, 2, 3)), np.ones((3, 1)), np.zeros(1)).numpy()
    array([[[3.],
            [3.]]])
    """
    if x.ndim != 3:
        raise ValueError(f"x must have 3 axes (N, T, D), not shape {x.shape}")
    if W.ndim != 2 or W.shape[0] != x.shape[2]:
        raise ValueError(f"W must be (D, M) with D = {x.shape[2]} as in x, not {W.shape}")
    if b.shape != W.shape[1:]:
        raise ValueError(f"b must have shape {W.shape[1:]} as W's columns, not {b.shape}")
    N, T, D = x.shape
    y = (x.reshape(N * T, D) @ W).astype(np.result_type(x, W, b), copy=False)
    y += b
    return y.reshape(N, T, W.shape[1]), (x, W)


@temporal_affine.vjp
def _(g: Array, needs: tuple[bool, ...], x: Array, W: Array) -> Any:
    N, T, D = x.shape
    rows = g.reshape(N * T, W.shape[1])
    return (
        (rows @ W.T).reshape(x.shape) if needs[0] else None,
        x.reshape(N * T, D).T @ rows if needs[1] else None,
        rows.sum(axis=0) if needs[2] else None,
    )


@temporal_affine.reference
def _(x: Tensor, W: Tensor, b: Tensor) -> Any:
    from .products import einsum

    return einsum("ntd,dm->ntm", x, W) + b


@primitive
def temporal_softmax_loss(scores: Array, targets: Array, mask: Array) -> tuple[Array, tuple[Any, ...]]:
    """Cross-entropy of a sequence, summed over the unmasked steps and divided by the batch size N.

    -1/N sum over (n, t) with mask[n, t] of log softmax(scores[n, t])[targets[n, t]]. Masked steps are not
    computed at all, and what their scores and targets hold does not matter.

    Args:
        scores: (N, T, V), floating.
        targets: (N, T), integers in 0 … V-1 where the mask is true.
        mask: (N, T), booleans, or integers 0 and 1.

    Returns:
        a single number; 0 for an empty batch or if every step is masked.

    Raises:
        ValueError: if the shapes do not fit, or an integer mask holds anything but 0 and 1.
        TypeError: if targets are not integers, or the mask is of floats.
        IndexError: names a target outside the vocabulary on an unmasked step, and its place.

    Source: the captioning exercises.

    >>> loss = temporal_softmax_loss(np.zeros((2, 3, 10)), np.ones((2, 3), int), np.ones((2, 3), bool))
    >>> round(float(loss.item() / np.log(10)), 6)
    3.0
    """
    if scores.ndim != 3:
        raise ValueError(f"scores must have 3 axes (N, T, V), not shape {scores.shape}")
    for name, array in (("targets", targets), ("mask", mask)):
        if array.shape != scores.shape[:2]:
            raise ValueError(f"{name} must be (N, T) = {scores.shape[:2]} as in scores, not {array.shape}")
    keep = _as_mask(mask)
    check_indices(np.where(keep, targets, 0) if scores.shape[2] else targets, scores.shape[2], "targets")
    p = scores[keep]  # (M, V), a copy: the unmasked rows alone
    p -= p.max(axis=1, keepdims=True) if p.size else 0
    picked = np.arange(len(p)), targets[keep]
    log_p = p[picked]  # of the targets, up to the normaliser
    np.exp(p, out=p)
    total = p.sum(axis=1)
    N = max(len(scores), 1)
    loss = (np.log(total) - log_p).sum() / N
    p /= total[:, None]
    return loss.astype(scores.dtype, copy=False), (p, picked, keep, N)


def _as_mask(mask: Array) -> Array:
    """Booleans from booleans or integers 0 and 1."""
    if mask.dtype == bool:
        return mask
    if mask.dtype.kind not in "iu":
        raise TypeError(f"mask must be of booleans, or integers 0 and 1, not {mask.dtype}")
    if ((mask != 0) & (mask != 1)).any():
        raise ValueError("mask must hold only 0 and 1")
    return mask.astype(bool)


@temporal_softmax_loss.vjp
def _(g: Array, needs: tuple[bool, ...], p: Array, picked: Any, keep: Array, N: int) -> Any:
    # d loss / d scores = (softmax - one_hot(target)) / N on unmasked steps, 0 elsewhere
    rows = p * (g / N).astype(p.dtype)
    rows[picked] -= (g / N).astype(p.dtype)
    if keep.all():
        return rows.reshape(*keep.shape, p.shape[1]), None, None
    d = np.zeros((*keep.shape, p.shape[1]), p.dtype)
    d[keep] = rows
    return d, None, None


@temporal_softmax_loss.reference
def _(scores: Tensor, targets: Tensor, mask: Tensor) -> Any:
    from .lookup import one_hot
    from .reductions import log_softmax, sum

    V = scores.shape[2]
    safe = Tensor(np.where(_as_mask(mask.data), targets.data, 0))
    chosen = one_hot(safe, V, dtype=scores.dtype) * Tensor(_as_mask(mask.data)[..., None])
    return sum(log_softmax(scores) * chosen) * (-1.0 / max(scores.shape[0], 1))

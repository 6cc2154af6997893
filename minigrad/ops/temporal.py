"""Temporal primitives: the same map at every step of a sequence, and the loss over its unmasked steps.

Shapes: N batch, T steps, D input, M output, V vocabulary.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import ForwardResult, primitive
from ..spec import Array
from .kernels.numerics import check_indices, narrowed
from .losses import cross_entropy_rows, pull_scores, reduced, score_rows
from .products import affine_rows, pull_affine, pull_affine_batch

__all__ = ["temporal_affine", "temporal_softmax_loss"]


@primitive(residuals=("x", "W"))
def temporal_affine(x: Array, W: Array, b: Array) -> ForwardResult:
    """The same affine map at every step, x_t W + b: :func:`minigrad.ops.affine` of (N, T, D).

    Args:
        x: (N, T, D). W: (D, M). b: (M,). Dtypes promote as in NumPy; half precision is computed in single.

    Returns:
        (N, T, M).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.

    Source: the captioning exercises.

    >>> temporal_affine([[[1.0, 2.0], [3.0, 4.0]]], [[1.0], [10.0]], [0.5])
    tensor([[[21.5],
             [43.5]]])
    """
    if x.ndim != 3:
        raise ValueError(f"x must have 3 axes (N, T, D), not shape {x.shape}")
    return affine_rows(x, W, b), (x, W)


temporal_affine.vjp(pull_affine)
temporal_affine.batched_vjp(pull_affine_batch)
temporal_affine.cost(lambda inputs, output, options: prod(output) * inputs[0][-1])


@temporal_affine.reference
def _(x: Tensor, W: Tensor, b: Tensor) -> Any:
    return x @ W + b


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
    from .elementwise import multiply
    from .indexing import one_hot
    from .reductions import log_softmax, sum

    keep = mask.data.astype(bool)
    chosen = one_hot(np.where(keep, targets.data, 0), scores.shape[2], dtype=scores.dtype).data * keep[..., None]
    return multiply(sum(multiply(log_softmax(scores), -chosen)), 1 / max(scores.shape[0], 1))

"""Gradients between backward pass and step: accumulate them over parts of a batch, and clip them.

``backward`` adds to the existing gradients. After a backward pass for each part of a batch, they are the gradients of
the sum of all losses. For the mean over the batch, weight each part's mean by its share of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ..core import Tensor
from ..spec import Array, describe
from ..writes import written
from .optimizer import as_number, as_whole, blocks, tensors

__all__ = ["clip_grad_norm", "clip_grad_value", "micro_batches"]


def micro_batches(parts: int, *arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Split a batch into parts of nearly equal length; yield each part after its share of the rows, between 0 and 1.

    With (share * loss).backward() for each part, the gradients add up to those of the mean over the batch, up to
    rounding, even if the parts differ in length. A loss that is a sum needs no share. Layers such as batch_norm
    normalise by the statistics of each part.

    Args:
        parts: the number of parts. No part is empty, so there are at most as many parts as rows.
        arrays: arrays, tensors or lists of equal length. Parts are slices along their first axis.

    Raises:
        TypeError: if an array has no rows.
        ValueError: if ``parts`` is not a positive integer, there is no array, or lengths differ.

    >>> import numpy as np
    >>> import minigrad as mg
    >>> x, y = np.arange(5.0)[:, None], np.arange(5.0)
    >>> w = mg.tensor([2.0], dtype="float64", requires_grad=True)
    >>> sgd = mg.optim.SGD([w], lr=0.1)
    >>> sgd.zero_grad()
    >>> for share, some_x, some_y in micro_batches(2, x, y):
    ...     loss = mg.mse_loss(some_x @ w, some_y)  # a mean
    ...     (share * loss).backward()
    ...     print(round(share, 1), some_y)
    0.6 [0. 1. 2.]
    0.4 [3. 4.]
    >>> w.grad  # 2 mean(x (x w - y))
    array([12.])
    >>> sgd.step()
    """
    number = as_whole("micro_batches", "parts", parts)
    if not arrays:
        raise ValueError("micro_batches: pass the arrays of a batch")
    try:
        lengths = [len(array) for array in arrays]
    except TypeError:  # also for an array without axes
        given = ", ".join(map(describe, arrays))
        raise TypeError(f"micro_batches: arrays must have rows along their first axes, not be {given}") from None
    if len(set(lengths)) > 1:
        raise ValueError(
            f"micro_batches: arrays have the lengths {', '.join(map(str, lengths))}. Pass rows of one batch."
        )
    rows = lengths[0]
    number = min(number, rows)
    ends = accumulate(rows // number + (i < rows % number) for i in range(number))
    return (((b - a) / rows, *(array[a:b] for array in arrays)) for a, b in pairwise([0, *ends]))


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients together, in place, so that their joint Euclidean norm is at most ``max_norm``.

    Args:
        params: tensors; those without a gradient are skipped, repeated ones count once.
        max_norm: above 0; infinity only measures the norm.

    Returns:
        The norm before clipping, summed in float64. If it is not finite, nothing is scaled, because no factor would
        help; the caller can skip the step. An array that is the gradient of two parameters counts twice in the norm,
        since both parameters move by it, but is scaled once, as is memory that gradients share.

    Raises:
        TypeError: if ``max_norm`` is not a number, or ``params`` is not an iterable of tensors.
        ValueError: if ``max_norm`` is not above 0, there are no parameters, or a gradient is read-only; nothing is
            scaled.

    >>> import minigrad as mg
    >>> p = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = np.array([3.0, 4.0], np.float32)
    >>> clip_grad_norm([p], 1.0), p.grad.round(6)
    (5.0, array([0.6, 0.8], dtype=float32))
    """
    max_norm = as_number("clip_grad_norm", "max_norm", max_norm, "above 0")
    gradients = _writeable("clip_grad_norm", params)
    norm = math.hypot(*(math.hypot(*(_norm(block) for (block,) in blocks([g]))) for g in gradients))
    if max_norm < norm < math.inf:
        grads = list({id(g): g for g in gradients}.values())
        overlap = any(a[1] > b[0] for a, b in pairwise(sorted(map(byte_bounds, grads))))
        scaled = [g.copy() for g in grads] if overlap else grads  # all copies, before any gradient is written
        factor = max_norm / norm
        for g, new in zip(grads, scaled, strict=True):
            written(g)
            if g.dtype.itemsize > 2 and factor >= np.finfo(g.dtype).tiny:
                new *= factor
            else:  # g's own dtype cannot hold the factor well
                new[...] = new.astype(np.result_type(g, np.float64)) / norm * max_norm
        for g, new in zip(grads, scaled, strict=True):
            if new is not g:
                g[...] = new
    return norm


def clip_grad_value(params: Iterable[Tensor], clip_value: float) -> None:
    """Clip every gradient entry, in place, to [-clip_value, clip_value]; infinities are clipped, NaN stays NaN.

    Args:
        params: tensors; those without a gradient are skipped.
        clip_value: at least 0; infinity changes nothing.

    Raises:
        TypeError: if ``clip_value`` is not a number, or ``params`` is not an iterable of tensors.
        ValueError: if ``clip_value`` is below 0 or NaN, or a gradient is read-only; nothing is changed.

    >>> import minigrad as mg
    >>> p = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = np.array([3.0, -0.5], np.float32)
    >>> clip_grad_value([p], 1.0)
    >>> p.grad
    array([ 1. , -0.5], dtype=float32)
    """
    bound = as_number("clip_grad_value", "clip_value", clip_value, "at least 0")
    for g in _writeable("clip_grad_value", params):
        written(g)
        largest = min(bound, float(np.finfo(g.dtype).max)) if bound < math.inf else bound  # 1e5 is infinite in float16
        np.clip(g, -largest, largest, out=g)


def _writeable(caller: str, params: Iterable[Tensor]) -> list[Array]:
    """Return the gradients of the parameters that have one; raise if one is read-only."""
    parameters = tensors(caller, params)
    if not parameters:
        raise ValueError(f"{caller}: there are no parameters. A generator is used up after one pass: pass a list.")
    for i, p in enumerate(parameters):
        if isinstance(p.grad, Tensor):  # from a differentiable pass, whose arrays must not be changed
            p.grad = p.grad.data.copy()
        if p.grad is not None and not p.grad.flags.writeable:
            raise ValueError(f"{caller}: the gradient of parameter {i} ({describe(p)}) is read-only")
    return [p.grad for p in parameters if p.grad is not None]


def _norm(block: Array) -> float:
    """Return the Euclidean norm in float64; scale first if squares would overflow or underflow."""
    wide = block.astype(np.float64).reshape(-1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        norm = math.sqrt(wide @ wide)
        if norm < 1e-150 or norm == math.inf:
            largest = float(np.abs(wide).max(initial=0.0))
            if largest == 0 or not math.isfinite(largest):
                return largest
            wide /= largest
            norm = largest * math.sqrt(wide @ wide)
    return norm

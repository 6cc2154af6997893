"""Clip gradients between backward pass and step, by their joint norm or entry by entry."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..core import Tensor
from ..recording import norm_of
from ..spec import Array, describe
from ..writes import written
from .optimizer import as_number, blocks, tensors

__all__ = ["clip_grad_norm", "clip_grad_value"]


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
    norm = math.hypot(*(math.hypot(*(norm_of(block) for (block,) in blocks([g]))) for g in gradients))
    if max_norm < norm < math.inf:
        grads = list({id(g): g for g in gradients}.values())
        # Views may share memory: copy them before any gradient is written.
        scaled = [g if g.base is None else g.copy() for g in grads]
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

"""Gradient clipping: by the norm of all gradients together, or entry by entry."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ..core import Tensor
from ..spec import Array, describe
from ..writes import written
from .groups import tensors
from .options import as_number
from .pieces import blocks

__all__ = ["clip_grad_norm", "clip_grad_value"]


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients together, in place, so that their joint Euclidean norm is at most ``max_norm``.

    Args:
        params: tensors; those without a gradient are skipped, repeated ones count once.
        max_norm: above 0; infinity measures and scales nothing.

    Returns:
        the norm before clipping, summed in float64. If it is not finite, nothing is scaled: no factor
        would help, and the caller can skip the step. An array that is the gradient of two parameters counts twice in
        the norm, since both will move by it, and is scaled once; so is memory in which gradients overlap.

    Raises:
        TypeError: if ``max_norm`` is no number, or ``params`` no iterable of tensors.
        ValueError: if ``max_norm`` is not above 0, or a gradient is read-only; nothing has been scaled.

    >>> import minigrad as mg
    >>> p = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = np.array([3.0, 4.0], np.float32)
    >>> clip_grad_norm([p], 1.0), p.grad.round(6)
    (5.0, array([0.6, 0.8], dtype=float32))
    """
    max_norm = as_number("clip_grad_norm", "max_norm", max_norm)
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm: max_norm must be above 0, not {max_norm}")
    gradients = _writeable("clip_grad_norm", params)
    grads = list({id(g): g for g in gradients}.values())
    times = Counter(map(id, gradients))
    norms = {id(g): math.hypot(*(_norm(block) for (block,) in blocks([g]))) for g in grads}
    norm = math.hypot(*(norms[key] * math.sqrt(count) for key, count in times.items()))
    if max_norm < norm < math.inf:
        for g in grads:
            written(g)
        for group in _overlapping(grads):
            if len(group) == 1:
                _scale(group[0], max_norm, norm)
                continue
            scaled = [g.copy() for g in group]  # of all, before any is written
            for g in scaled:
                _scale(g, max_norm, norm)
            for g, new in zip(group, scaled, strict=True):
                g[...] = new
    return norm


def clip_grad_value(params: Iterable[Tensor], clip_value: float) -> None:
    """Bound each entry of all gradients, in place, to [-clip_value, clip_value]; infinite ones too, NaN stays.

    Args:
        params: tensors; those without a gradient are skipped.
        clip_value: at least 0; infinity changes nothing.

    Raises:
        TypeError: if ``clip_value`` is no number, or ``params`` no iterable of tensors.
        ValueError: if ``clip_value`` is below 0 or NaN, or a gradient is read-only; nothing has been changed.

    >>> import minigrad as mg
    >>> p = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = np.array([3.0, -0.5], np.float32)
    >>> clip_grad_value([p], 1.0)
    >>> p.grad
    array([ 1. , -0.5], dtype=float32)
    """
    bound = as_number("clip_grad_value", "clip_value", clip_value)
    if not bound >= 0:
        raise ValueError(f"clip_grad_value: clip_value must be at least 0, not {bound}")
    for g in _writeable("clip_grad_value", params):
        written(g)
        largest = min(bound, float(np.finfo(g.dtype).max)) if bound < math.inf else bound  # 1e5 is infinite in float16
        for (block,) in blocks([g]):
            np.clip(block, -largest, largest, out=block)


def _writeable(caller: str, params: Iterable[Tensor]) -> list[Array]:
    """The gradients of parameters, those without left out; an error if one cannot be written into."""
    parameters = tensors(caller, params)
    for p in parameters:
        if isinstance(p.grad, Tensor):  # of a pass that left a graph, whose arrays must not be written into
            p.grad = p.grad.data.copy()
    for i, p in enumerate(parameters):
        if p.grad is not None and not p.grad.flags.writeable:
            raise ValueError(f"{caller}: the gradient of parameter {i} ({describe(p)}) is read-only")
    return [p.grad for p in parameters if p.grad is not None]


def _scale(g: Array, max_norm: float, norm: float) -> None:
    """g <- g max_norm / norm, in a wider dtype if g's own cannot hold the factor well (halves, and near 0)."""
    factor = max_norm / norm
    if g.dtype.itemsize > 2 and factor >= np.finfo(g.dtype).tiny:
        g *= factor
        return
    for (block,) in blocks([g]):
        block[...] = block.astype(np.result_type(block, np.float64)) / norm * max_norm


def _overlapping(arrays: list[Array]) -> list[list[Array]]:
    """The arrays in groups whose stretches of memory touch no other group's; most groups are of one."""
    if all(a.base is None for a in arrays):  # different arrays with memory of their own
        return [[a] for a in arrays]
    spans = sorted(((*byte_bounds(a), i) for i, a in enumerate(arrays)), key=lambda span: span[:2])
    groups: list[list[Array]] = []
    reached = 0
    for begin, end, i in spans:
        if groups and begin < reached:
            groups[-1].append(arrays[i])
        else:
            groups.append([arrays[i]])
        reached = max(reached, end)
    return groups


def _norm(block: Array) -> float:
    """The Euclidean norm in float64, scaled first if squares would overflow or vanish."""
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

"""Reverse passes for many cotangents at once, which an axis in front tells apart: the rows of a jacobian.

Rules of entrywise primitives take such cotangents as they are, since they broadcast; others have a ``batched_vjp``.
Where there is neither, the usual rule is called for each cotangent in turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from .backward import check_residuals, graph_of
from .core import Leaf, Node, Tensor
from .hooks import fire_rows
from .primitives import Primitive
from .spec import Array, describe
from .walk import pull_back

__all__ = ["jacobian_rows"]

_LARGEST = 2**22  # entries of the cotangents of one node at a time: 16 MB in single precision


def jacobian_rows(y: Tensor, sources: Sequence[Leaf]) -> list[Array]:
    """All partial derivatives of an output in each of some leaves: (*y.shape, *leaf.shape), of the leaf's dtype."""
    matrices = [np.zeros((y.size, *leaf.shape), leaf.dtype) for leaf in sources]
    if y.node is not None and y.size:
        step = max(1, _LARGEST // max(1, *_sizes(y.node)))
        for start in range(0, y.size, step):
            rows = np.arange(start, min(start + step, y.size))
            one_hot = np.zeros((len(rows), y.size), y.dtype)
            one_hot[np.arange(len(rows)), rows] = 1
            seed = y.node, y.index, one_hot.reshape(len(rows), *y.shape)
            found = pull_back([seed], sources, _pull, _add, fire_rows)
            for leaf, matrix in zip(sources, matrices, strict=True):
                if leaf in found:
                    matrix[rows] = found[leaf]
    return [m.reshape(y.shape + leaf.shape) for m, leaf in zip(matrices, sources, strict=True)]


def _sizes(node: Node) -> list[int]:
    """How many entries the outputs of each node behind a node have."""
    return [sum(math.prod(shape) for shape, _ in behind.outputs) for behind in graph_of([node]).nodes]


def _add(a: Array, b: Array) -> Array:
    """The sum of two cotangents; of half precision in single, since sums of ones would stop at 2,048."""
    return np.add(a, b, dtype=np.float32 if a.dtype == b.dtype == np.float16 else None)


def _pull(node: Node, cotangents: tuple[Array | None, ...], needs: tuple[bool, ...]) -> Sequence[Any]:
    primitive, residuals = cast(Primitive, node.primitive), cast("tuple[Any, ...]", node.residuals)
    check_residuals(node)
    g = cotangents if node.later_outputs else cotangents[0]
    if primitive.batched_vjp is not None and not _is_uncovered(primitive, len(cotangents)):
        grads = primitive.batched_vjp(g, needs, *residuals)
    elif primitive.entrywise:
        grads = primitive.vjp(g, needs, *residuals)
    else:
        grads = _one_by_one(primitive, cotangents, bool(node.later_outputs), needs, residuals)
    size = next(len(c) for c in cotangents if c is not None)
    fitted: list[Any] = [None] * len(needs)
    for parent, argnum, index in zip(node.parents, node.edges[0], node.edges[2], strict=True):
        if needs[argnum]:
            fitted[argnum] = _fit(primitive, argnum, grads[argnum], size, *parent.outputs[index])
    return fitted


def _is_uncovered(primitive: Primitive, outputs: int) -> bool:
    """Whether hidden outputs are among so many, which only the usual rule takes cotangents of."""
    hidden = [int(name.partition(" ")[2]) for name in primitive.residuals or () if name.startswith("hidden")]
    return bool(hidden) and outputs > min(hidden)


def _one_by_one(
    primitive: Primitive, cotangents: tuple[Array | None, ...], several: bool, needs: tuple[bool, ...], residuals: Any
) -> tuple[Any, ...]:
    """The results of the rule for each cotangent, side by side."""
    size = next(len(c) for c in cotangents if c is not None)
    results = []
    for i in range(size):
        gs = tuple(None if c is None else c[i] for c in cotangents)
        results.append(primitive.vjp(gs if several else gs[0], needs, *residuals))
    return tuple(np.stack([r[k] for r in results]) if need else None for k, need in enumerate(needs))


def _fit(primitive: Primitive, argnum: int, grad: Any, size: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """Cotangents in their input's shape, behind the axis in front, and dtype; or an error that names the primitive."""
    grad = np.asarray(grad)
    if grad.shape != (size, *shape):
        lead = grad.ndim - 1 - len(shape)
        if not primitive.broadcasts or lead < 0 or grad.shape[:1] != (size,):
            raise ValueError(
                f"the VJP of {primitive.name}, of {size} cotangents, gave {describe(grad)} for "
                f"{primitive.input_name(argnum)}, which is {dtype} {shape}"
            )
        if grad.dtype == np.float16:
            grad = grad.astype(np.float32)
        stretched = (1 + lead + i for i, n in enumerate(shape) if n == 1 and grad.shape[1 + lead + i] != 1)
        grad = grad.sum(axis=(*range(1, 1 + lead), *stretched)).reshape(size, *shape)
    return grad.astype(dtype, copy=False)  # type: ignore[no-any-return]

"""Reverse passes for many cotangents at once, which an axis in front tells apart: the rows of a jacobian.

Rules of entrywise primitives take such cotangents as they are, since they broadcast; others have a ``batched_vjp``.
Where there is neither, the usual rule is called for each cotangent in turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from .backward import graph_of
from .core import Leaf, Node, Tensor
from .generic_backward import pull_back, pull_through
from .hooks import fire_rows
from .primitives import Primitive
from .spec import Array

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
            found = pull_back([seed], sources, _pull, fire_rows)
            for leaf, matrix in zip(sources, matrices, strict=True):
                if leaf in found:
                    matrix[rows] = found[leaf]
    return [m.reshape(y.shape + leaf.shape) for m, leaf in zip(matrices, sources, strict=True)]


def _sizes(node: Node) -> list[int]:
    """How many entries the outputs of each node behind a node have."""
    return [sum(math.prod(shape) for shape, _ in behind.outputs) for behind in graph_of([node]).nodes]


def _pull(node: Node, cotangents: tuple[Array | None, ...], needs: tuple[bool, ...]) -> Sequence[Any]:
    size = next(len(c) for c in cotangents if c is not None)
    return pull_through(node, cotangents, needs, _batched_rule, batch=(size,))


def _batched_rule(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    primitive, residuals = cast(Primitive, node.primitive), cast("tuple[Any, ...]", node.residuals)
    if primitive.batched_vjp is not None:
        return primitive.batched_vjp(g, needs, *residuals)
    return (primitive.vjp if primitive.entrywise else partial(_one_by_one, primitive))(g, needs, *residuals)


def _one_by_one(primitive: Primitive, g: Any, needs: tuple[bool, ...], *residuals: Any) -> tuple[Any, ...]:
    """The results of the rule for each cotangent, side by side."""
    several = isinstance(g, tuple)
    cotangents = g if several else (g,)
    results = []
    for i in range(next(len(c) for c in cotangents if c is not None)):
        gs = tuple(None if c is None else c[i] for c in cotangents)
        results.append(primitive.vjp(gs if several else gs[0], needs, *residuals))
    return tuple(np.stack([r[k] for r in results]) if need else None for k, need in enumerate(needs))

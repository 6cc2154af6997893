"""Products and reductions, and what is made of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import ops
from .table import constant, integers, like, reads

_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceSum": ops.sum, "ReduceMean": ops.mean, "ReduceProd": ops.prod, "ReduceMax": ops.max, "ReduceMin": ops.min,
    "ReduceLogSumExp": ops.logsumexp,
    "ReduceSumSquare": lambda x, *over: ops.sum(ops.square(x), *over),
    "ReduceL1": lambda x, *over: ops.sum(ops.absolute(x), *over),
    "ReduceL2": lambda x, *over: ops.norm(x, *over),
    "ReduceLogSum": lambda x, *over: ops.log(ops.sum(x, *over)),
}  # fmt: skip


@reads("MatMul")
def _(a: Any, b: Any) -> Any:
    return ops.matmul(a, b)


@reads("Gemm")
def _(
    a: Any, b: Any, c: Any = None, *, alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0
) -> Any:  # fmt: skip
    a, b = a.T if transA else a, b.T if transB else b
    if alpha == 1 and beta == 1 and (c is None or (c.ndim == 1 and c.shape[0] == b.shape[1])):
        return ops.affine(a, b, c)
    y = ops.matmul(a, b)
    y = y if alpha == 1 else alpha * y
    return y if c is None or beta == 0 else y + (c if beta == 1 else beta * c)


@reads("Einsum")
def _(*operands: Any, equation: str) -> Any:
    return ops.einsum(equation.replace(" ", ""), *operands)


# --- reductions ---------------------------------------------------------------------------------------


@reads(*_REDUCTIONS)
def _(
    x: Any, over: Any = None, *, kind: str, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Any:  # fmt: skip
    """The axes are an input, or an attribute up to version 17; of none all are reduced, unless that is ruled out."""
    wanted = tuple(integers(over) if over is not None else axes or ())
    if not wanted and noop_with_empty_axes:
        return like(_REDUCTIONS[kind](x[..., None], -1, False), x)  # of each entry alone
    wanted = tuple(i % x.ndim for i in wanted) or tuple(range(x.ndim))
    if kind in ("ReduceMax", "ReduceMin") and not all(x.shape[i] for i in wanted):
        return _of_nothing(x, wanted, kind, keepdims)
    return like(_REDUCTIONS[kind](x, wanted, bool(keepdims)), x)


def _of_nothing(x: Any, axes: tuple[int, ...], kind: str, keepdims: int) -> Any:
    """The largest of no entries is the least number that there is, the smallest the greatest."""
    shape = [1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes]
    if x.dtype.kind == "f":
        ends: Any = (-np.inf, np.inf)
    else:
        ends = (False, True) if x.dtype.kind == "b" else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
    return constant(np.full(shape, ends[kind == "ReduceMin"], x.dtype))


@reads("ArgMax", "ArgMin")
def _(x: Any, *, kind: str, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Any:
    find = ops.argmax if kind == "ArgMax" else ops.argmin
    if not select_last_index:
        return find(x, axis, bool(keepdims))
    return x.shape[axis] - 1 - find(ops.flip(x, axis), axis, bool(keepdims))


@reads("CumSum")
def _(x: Any, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Any:
    (i,) = integers(axis)
    x = ops.flip(x, i) if reverse else x
    y = like(ops.cumsum(x, i), x)
    y = y - x if exclusive else y
    return ops.flip(y, i) if reverse else y


@reads("Softmax", "LogSoftmax")
def _(x: Any, *, kind: str, axis: int = -1) -> Any:
    return (ops.softmax if kind == "Softmax" else ops.log_softmax)(x, axis)


@reads("TopK")
def _(x: Any, k: Any, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> Any:
    (number,) = integers(k)
    return tuple(ops.topk(x, number, axis, bool(largest)))

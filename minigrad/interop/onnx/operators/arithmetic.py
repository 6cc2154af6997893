"""Arithmetic, functions, comparisons and activations entry by entry; products and reductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np

from .... import ops
from ..graphs import GraphWriter
from ..tracing import Call
from .table import (
    axes_of,
    bounds,
    composed,
    constant,
    integers,
    like,
    read_as,
    reads,
    refuse,
    same,
    write_as,
    writes,
    written_as,
)

_SAME = {
    "absolute": "Abs", "add": "Add", "arccos": "Acos", "arcsin": "Asin", "arctan": "Atan", "ceil": "Ceil",
    "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor", "log": "Log", "logical_and": "And",
    "logical_not": "Not", "logical_or": "Or", "logical_xor": "Xor", "matmul": "MatMul", "multiply": "Mul",
    "negative": "Neg", "reciprocal": "Reciprocal", "relu": "Relu", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin",
    "sinh": "Sinh", "softplus": "Softplus", "sqrt": "Sqrt", "subtract": "Sub", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
for _primitive, _operator in _SAME.items():
    same(_primitive, _operator)
for _primitive, _operator in {
    "equal": "Equal", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
    "greater_equal": "GreaterOrEqual", "isnan": "IsNaN",
}.items():  # fmt: skip
    same(_primitive, _operator, cast="inputs")
same("leaky_relu", "LeakyRelu", alpha=("negative_slope", float))
same("elu", "Elu", alpha=("alpha", float))

# --- writing ------------------------------------------------------------------------------------------


written_as("divide", "Div")
written_as("power", "Pow")
written_as("maximum", "Max")
written_as("minimum", "Min")
written_as("astype", "Identity")  # the cast is the promotion
written_as("isinf", "IsInf", cast="inputs")


@writes("where", cast="")
def _(graph: GraphWriter, call: Call, *names: str) -> str:
    condition, x, y = call.inputs
    return graph.op("Where", graph.value(condition, bool), graph.value(x, call.dtype), graph.value(y, call.dtype))


@writes("remainder", "floor_divide")
def _(graph: GraphWriter, call: Call, a: str, b: str) -> str:
    """The operator takes the sign of the dividend for floats: add the divisor where that is another one."""
    rest, zero = graph.op("Mod", a, b, fmod=1), graph.constant(0, call.dtype)
    opposite = graph.op("Xor", graph.op("Less", rest, zero), graph.op("Less", b, zero))
    wrong = graph.op("And", opposite, graph.op("Not", graph.op("Equal", rest, zero)))
    rest = graph.op("Where", wrong, graph.op("Add", rest, b), rest)
    if call.name == "remainder":
        return rest
    quotient = graph.op("Div", graph.op("Sub", a, rest), b)  # a whole number, up to rounding
    return graph.op("Round", quotient) if call.dtype.kind == "f" else quotient


@writes("clip")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    low, high = call.option("min"), call.option("max")
    if np.ndim(low) or np.ndim(high):
        raise refuse("clip between arrays")
    return graph.op("Clip", x, *("" if c is None else graph.constant(c, call.dtype) for c in (low, high)))


@writes("round")
def _(graph: GraphWriter, call: Call, x: str) -> Any:
    if not call.option("decimals"):
        return graph.op("Round", x)
    scale = 10.0 ** call.option("decimals")
    return composed(graph, call, lambda x, decimals: ops.round(x * scale) / scale)


def _log1p(x: Any) -> Any:
    """log(u) x / (u - 1) of u = 1 + x, in which the rounding of u cancels (Kahan).

    It is x where u is 1, and log(u) where u is x, infinity too.
    """
    u = x + 1
    exact = ops.where(ops.equal(u, x), ops.log(u), ops.log(u) * (x / (u - 1)))
    return ops.where(ops.equal(u, 1), x, exact)


def _logaddexp(a: Any, b: Any) -> Any:
    """max(a, b) + softplus(-|a - b|); of equal ones, infinities too, a + log 2."""
    y = ops.maximum(a, b) + ops.softplus(-ops.absolute(a - b))
    return ops.where(ops.equal(a, b), a + math.log(2), y)


def _over_integers(reduce: Callable[..., Any], x: Any, **options: Any) -> Any:
    """Whether any, or all, are true, as the largest, or smallest, of integers."""
    return ops.astype(reduce(ops.astype(ops.astype(x, bool), np.int32), **options), bool)


write_as({
    "square": lambda x: x * x,
    "silu": lambda x: x * ops.sigmoid(x),
    "expm1": lambda x: ops.tanh(x * 0.5) * (ops.exp(x) + 1),  # loses no digits near 0
    "log1p": _log1p,
    "logaddexp": _logaddexp,
    "not_equal": lambda a, b: ops.logical_not(ops.equal(a, b)),
    "isfinite": lambda x: ops.logical_not(ops.logical_or(ops.isnan(x), ops.isinf(x))),
    "any": partial(_over_integers, ops.max),
    "all": partial(_over_integers, ops.min),
})  # fmt: skip


@writes("dropout")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    raise refuse("dropout in training")


@writes("einsum")
def _(graph: GraphWriter, call: Call, *operands: str) -> str:
    """An ellipsis stands for as many axes in each operand: some of length 1 are added."""
    terms = call.option("subscripts").replace(" ", "").partition("->")[0].split(",")
    ranks = [
        np.ndim(x) - len(term.replace("...", "")) if "..." in term else 0
        for x, term in zip(call.inputs, terms, strict=True)
    ]
    names = []
    for x, name, term, rank in zip(call.inputs, operands, terms, ranks, strict=True):
        if "..." in term and rank < max(ranks):
            place, shape = term.index("..."), np.shape(x)
            name = graph.reshape(name, (*shape[:place], *(1,) * (max(ranks) - rank), *shape[place:]))
        names.append(name)
    return graph.op("Einsum", *names, equation=call.option("subscripts"))


_REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin",
               "logsumexp": "ReduceLogSumExp"}  # fmt: skip


@writes(*_REDUCTIONS)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    axes = axes_of(call)
    if not axes:  # of no axes ONNX reduces all
        return graph.op("Identity", x)
    return graph.op(_REDUCTIONS[call.name], x, graph.ints(*axes), keepdims=int(call.option("keepdims")))


@writes("argmax", "argmin", cast="")
def _(graph: GraphWriter, call: Call, x: str) -> Any:
    axis, keep = call.option("axis"), int(call.option("keepdims"))
    x = graph.reshape(x, (-1,)) if axis is None else x
    y = graph.op("ArgMax" if call.name == "argmax" else "ArgMin", x, axis=int(axis or 0), keepdims=keep)
    return graph.reshape(y, call.outputs[0].shape) if axis is None else y


@writes("cumsum")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    axis = call.option("axis")
    x = graph.reshape(x, (-1,)) if axis is None else x
    return graph.op("CumSum", x, graph.constant(axis or 0, np.int64))


@writes("softmax", "log_softmax")
def _(graph: GraphWriter, call: Call, x: str) -> Any:
    axes = axes_of(call)
    if len(axes) == 1:
        return graph.op("Softmax" if call.name == "softmax" else "LogSoftmax", x, axis=axes[0])
    if call.name == "softmax":
        return composed(graph, call, lambda x, axis: ops.exp(x - ops.logsumexp(x, axis, keepdims=True)))
    return composed(graph, call, lambda x, axis: x - ops.logsumexp(x, axis, keepdims=True))


@writes("topk", "sort", "argsort", cast="")
def _(graph: GraphWriter, call: Call, x: str) -> str | tuple[str, ...]:
    axis = call.option("axis")
    if axis is None:
        raise refuse(f"{call.name} of a flattened array")
    k, largest = (call.option("k"), call.option("largest")) if call.name == "topk" else (call.shape[axis], False)
    both = graph.ops("TopK", 2, x, graph.ints(k), axis=int(axis), largest=int(largest), sorted=1)
    return both if call.name == "topk" else both[call.name == "argsort"]


# --- reading ------------------------------------------------------------------------------------------

read_as({
    "Round": lambda x: ops.round(x),
    "Pow": lambda a, b: like(ops.power(a, b), a),
    "Max": lambda *x: reduce(ops.maximum, x),
    "Min": lambda *x: reduce(ops.minimum, x),
    "Sum": lambda *x: reduce(ops.add, x),
    "Mean": lambda *x: reduce(ops.add, x) / len(x),
    "Identity": lambda x: x,
    "Where": lambda condition, x, y: ops.where(condition, x, y),
    "Cast": lambda x, *, to, saturate=1: ops.astype(x, to),
    "Gelu": lambda x, *, approximate="none": ops.gelu(x, approximate),
    "Swish": lambda x, *, alpha=1.0: ops.silu(x) if alpha == 1 else x * ops.sigmoid(alpha * x),
    "HardSigmoid": lambda x, *, alpha=0.2, beta=0.5: ops.clip(alpha * x + beta, 0.0, 1.0),
    "HardSwish": lambda x: x * ops.clip(x / 6 + 0.5, 0.0, 1.0),
    "PRelu": lambda x, slope: ops.where(x < 0, slope * x, x),
    "Softmax": lambda x, *, axis=-1: ops.softmax(x, axis),
    "LogSoftmax": lambda x, *, axis=-1: ops.log_softmax(x, axis),
    "Einsum": lambda *operands, equation: ops.einsum(equation.replace(" ", ""), *operands),
})  # fmt: skip


@reads("Div")
def _(a: Any, b: Any) -> Any:
    """Integers are divided towards 0."""
    if a.dtype.kind == "f":
        return ops.divide(a, b)
    quotient, rest = np.divmod(a.data, b.data)
    return constant(quotient + ((rest != 0) & ((a.data < 0) != (b.data < 0))).astype(a.dtype))


@reads("Mod")
def _(a: Any, b: Any, *, fmod: int = 0) -> Any:
    """The sign is the divisor's, or with fmod the dividend's."""
    if not fmod:
        return ops.remainder(a, b)
    if a.dtype.kind != "f":
        return constant(np.fmod(a.data, b.data))
    return ops.sign(a) * ops.remainder(ops.absolute(a), ops.absolute(b))


@reads("IsInf")
def _(x: Any, *, detect_negative: int = 1, detect_positive: int = 1) -> Any:
    signs = (x.data > 0) & bool(detect_positive) | (x.data < 0) & bool(detect_negative)
    return ops.logical_and(ops.isinf(x), signs) if not (detect_negative and detect_positive) else ops.isinf(x)


@reads("Clip")
def _(x: Any, low: Any = None, high: Any = None) -> Any:
    """The lower bound first: where it is above the upper one, the result is that."""
    x = x if low is None else ops.maximum(x, low)
    return x if high is None else ops.minimum(x, high)


@reads("Dropout")
def _(x: Any, ratio: Any = None, training: Any = None, *, seed: int = 0) -> Any:
    if training is not None and training.item() and (ratio is None or ratio.item()):
        raise NotImplementedError("dropout in training")
    return x, constant(np.ones(x.shape, bool))


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


_REDUCERS: dict[str, Callable[..., Any]] = {
    **{operator: getattr(ops, primitive) for primitive, operator in _REDUCTIONS.items()},
    "ReduceSumSquare": lambda x, *over: ops.sum(ops.square(x), *over),
    "ReduceL1": lambda x, *over: ops.sum(ops.absolute(x), *over),
    "ReduceL2": lambda x, *over: ops.norm(x, *over),
    "ReduceLogSum": lambda x, *over: ops.log(ops.sum(x, *over)),
}


@reads(*_REDUCERS)
def _(
    x: Any, over: Any = None, *, kind: str, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Any:  # fmt: skip
    """The axes are an input, or an attribute up to version 17; of none all are reduced, unless that is ruled out."""
    wanted = tuple(integers(over) if over is not None else axes or ())
    if not wanted and noop_with_empty_axes:
        return like(_REDUCERS[kind](x[..., None], -1, False), x)  # of each entry alone
    wanted = tuple(i % x.ndim for i in wanted) or tuple(range(x.ndim))
    if kind in ("ReduceMax", "ReduceMin") and not all(x.shape[i] for i in wanted):
        # The largest of no entries is the least number that there is, the smallest the greatest.
        shape = [1 if i in wanted else n for i, n in enumerate(x.shape) if keepdims or i not in wanted]
        return constant(np.full(shape, bounds(x.dtype)[kind == "ReduceMin"], x.dtype))
    return like(_REDUCERS[kind](x, wanted, bool(keepdims)), x)


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


@reads("TopK")
def _(x: Any, k: Any, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> Any:
    return tuple(ops.topk(x, int(k.item()), axis, bool(largest)))

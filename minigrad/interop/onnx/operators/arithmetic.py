"""Arithmetic, functions, comparisons and activations entry by entry; products and reductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np

from .... import ops
from ..graph_writer import Call, GraphWriter
from .registry import READERS, axes_of, bounds, compose, composed, integers, like, refuse, same, write

same({
    "absolute": "Abs", "add": "Add", "arccos": "Acos", "arcsin": "Asin", "arctan": "Atan", "ceil": "Ceil",
    "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor", "log": "Log", "logical_and": "And",
    "logical_not": "Not", "logical_or": "Or", "logical_xor": "Xor", "matmul": "MatMul", "multiply": "Mul",
    "negative": "Neg", "reciprocal": "Reciprocal", "relu": "Relu", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin",
    "sinh": "Sinh", "softplus": "Softplus", "sqrt": "Sqrt", "subtract": "Sub", "tan": "Tan", "tanh": "Tanh",
})  # fmt: skip
same({
    "equal": "Equal", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
    "greater_equal": "GreaterOrEqual", "isnan": "IsNaN",
}, cast="inputs")  # fmt: skip
_REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin",
               "logsumexp": "ReduceLogSumExp"}  # fmt: skip

# --- writing ------------------------------------------------------------------------------------------


def _remainder(graph: GraphWriter, call: Call, a: str, b: str) -> str:
    """The operator takes the sign of the dividend for floats: add the divisor where the signs differ."""
    rest, zero = graph.op("Mod", a, b, fmod=1), graph.constant(0, call.dtype)
    opposite = graph.op("Xor", graph.op("Less", rest, zero), graph.op("Less", b, zero))
    wrong = graph.op("And", opposite, graph.op("Not", graph.op("Equal", rest, zero)))
    return graph.op("Where", wrong, graph.op("Add", rest, b), rest)


def _floor_divide(graph: GraphWriter, call: Call, a: str, b: str) -> str:
    quotient = graph.op("Div", graph.op("Sub", a, _remainder(graph, call, a, b)), b)  # a whole number, up to rounding
    return graph.op("Round", quotient) if call.dtype.kind == "f" else quotient


def _clip(graph: GraphWriter, call: Call, x: str) -> str:
    low, high = call.option("min"), call.option("max")
    if np.ndim(low) or np.ndim(high):
        raise refuse("clip between arrays")
    return graph.op("Clip", x, *("" if c is None else graph.constant(c, call.dtype) for c in (low, high)))


def _round(graph: GraphWriter, call: Call, x: str) -> Any:
    if not call.option("decimals"):
        return graph.op("Round", x)
    scale = 10.0 ** call.option("decimals")
    return composed(graph, call, lambda x, decimals: ops.round(x * scale) / scale)


def _dropout(graph: GraphWriter, call: Call, x: str) -> str:
    raise refuse("dropout in training")


def _einsum(graph: GraphWriter, call: Call, *operands: str) -> str:
    """An ellipsis stands for the same number of axes in each operand: add axes of length 1."""
    terms, names = call.option("subscripts").replace(" ", "").partition("->")[0].split(","), []
    ranks = [
        np.ndim(x) - len(t.replace("...", "")) if "..." in t else 0 for x, t in zip(call.inputs, terms, strict=True)
    ]
    for x, name, term, rank in zip(call.inputs, operands, terms, ranks, strict=True):
        place, shape, missing = term.find("..."), np.shape(x), max(ranks) - rank
        short = place >= 0 and missing
        names.append(graph.reshape(name, (*shape[:place], *(1,) * missing, *shape[place:])) if short else name)
    return graph.op("Einsum", *names, equation=call.option("subscripts"))


def _reduce(graph: GraphWriter, call: Call, x: str) -> str:
    axes = axes_of(call)
    if not axes:  # without axes ONNX reduces all
        return graph.op("Identity", x)
    return graph.op(_REDUCTIONS[call.name], x, graph.ints(*axes), keepdims=int(call.option("keepdims")))


def _argmax(graph: GraphWriter, call: Call, x: str) -> str:
    axis, keep, kind = call.option("axis"), int(call.option("keepdims")), "ArgM" + call.name[4:]
    if axis is not None:
        return graph.op(kind, x, axis=int(axis), keepdims=keep)
    return graph.reshape(graph.op(kind, graph.reshape(x, (-1,)), axis=0), call.outputs[0].shape)


def _cumsum(graph: GraphWriter, call: Call, x: str) -> str:
    axis = call.option("axis")
    x = graph.reshape(x, (-1,)) if axis is None else x
    return graph.op("CumSum", x, graph.constant(axis or 0, np.int64))


def _softmax(graph: GraphWriter, call: Call, x: str) -> Any:
    axes = axes_of(call)
    if len(axes) > 1:
        return composed(graph, call, call.primitive.reference)
    return graph.op("Softmax" if call.name == "softmax" else "LogSoftmax", x, axis=axes[0])


write({
    "divide": lambda graph, call, a, b: graph.op("Div", a, b),
    "power": lambda graph, call, a, b: graph.op("Pow", a, b),
    "maximum": lambda graph, call, a, b: graph.op("Max", a, b),
    "minimum": lambda graph, call, a, b: graph.op("Min", a, b),
    "astype": lambda graph, call, x: graph.op("Identity", x),  # the cast is the promotion
    "leaky_relu": lambda graph, call, x: graph.op("LeakyRelu", x, alpha=float(call.option("negative_slope"))),
    "elu": lambda graph, call, x: graph.op("Elu", x, alpha=float(call.option("alpha"))),
    "remainder": _remainder,
    "floor_divide": _floor_divide,
    "clip": _clip,
    "round": _round,
    "dropout": _dropout,
    "einsum": _einsum,
    "cumsum": _cumsum,
    "softmax": _softmax,
    "log_softmax": _softmax,
    **dict.fromkeys(_REDUCTIONS, _reduce),
})  # fmt: skip
write({
    "isinf": lambda graph, call, x: graph.op("IsInf", x),
    "where": lambda graph, call, *_: graph.op(
        "Where", *(graph.value(x, dtype) for x, dtype in zip(call.inputs, (bool, call.dtype, call.dtype), strict=True))
    ),
    **dict.fromkeys(("argmax", "argmin"), _argmax),
    "topk": lambda graph, call, x: graph.ops(
        "TopK", 2, x, graph.ints(call.option("k")), axis=int(call.option("axis")), largest=int(call.option("largest"))
    ),
}, cast="")  # fmt: skip


def _log1p(x: Any) -> Any:
    """Compute log(u) x / (u - 1) for u = 1 + x, in which the rounding of u cancels (Kahan).

    It is x where u is 1, and log(u) where u is x, including infinity.
    """
    u = x + 1
    exact = ops.where(ops.equal(u, x), ops.log(u), ops.log(u) * (x / (u - 1)))
    return ops.where(ops.equal(u, 1), x, exact)


def _logaddexp(a: Any, b: Any) -> Any:
    """Compute max(a, b) + softplus(-|a - b|); for equal ones, including infinities, a + log 2."""
    y = ops.maximum(a, b) + ops.softplus(-ops.absolute(a - b))
    return ops.where(ops.equal(a, b), a + math.log(2), y)


def _sorted(x: Any, axis: int | None = -1) -> Any:
    """Return the entries in ascending order, and their places."""
    x, axis = (ops.ravel(x), 0) if axis is None else (x, axis)
    return ops.topk(x, x.shape[axis], axis, False)


compose({
    "square": lambda x: x * x,
    "silu": lambda x: x * ops.sigmoid(x),
    "expm1": lambda x: ops.tanh(x * 0.5) * (ops.exp(x) + 1),  # loses no digits near 0
    "log1p": _log1p,
    "logaddexp": _logaddexp,
    "not_equal": lambda a, b: ops.logical_not(ops.equal(a, b)),
    "isfinite": lambda x: ops.logical_not(ops.logical_or(ops.isnan(x), ops.isinf(x))),
    "sort": lambda x, axis=-1: _sorted(x, axis)[0],
    "argsort": lambda x, axis=-1: _sorted(x, axis)[1],
    "any": lambda x, **options: ops.max(ops.astype(ops.astype(x, bool), np.int32), **options),
    "all": lambda x, **options: ops.min(ops.astype(ops.astype(x, bool), np.int32), **options),
})  # fmt: skip

# --- reading ------------------------------------------------------------------------------------------


def _fmod(a: Any, b: Any, *, fmod: int = 0) -> Any:
    """The result has the sign of the divisor, or with fmod that of the dividend."""
    if not fmod:
        return ops.remainder(a, b)
    if a.dtype.kind != "f":
        return np.fmod(a.data, b.data)
    return ops.sign(a) * ops.remainder(ops.absolute(a), ops.absolute(b))


def _between(x: Any, low: Any = None, high: Any = None) -> Any:
    """Apply the lower bound first: if it is above the upper bound, the result is the upper bound."""
    x = x if low is None else ops.maximum(x, low)
    return x if high is None else ops.minimum(x, high)


def _without_dropout(x: Any, ratio: Any = None, training: Any = None, *, seed: int = 0) -> Any:
    if training is not None and training.item() and (ratio is None or ratio.item()):
        raise NotImplementedError("dropout in training")
    return x, np.ones(x.shape, bool)


def _gemm(
    a: Any, b: Any, c: Any = None, *, alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0
) -> Any:  # fmt: skip
    a, b = a.T if transA else a, b.T if transB else b
    if alpha == 1 and beta == 1 and (c is None or (c.ndim == 1 and c.shape[0] == b.shape[1])):
        return ops.affine(a, b, c)
    y = ops.matmul(a, b)
    y = y if alpha == 1 else alpha * y
    return y if c is None or beta == 0 else y + (c if beta == 1 else beta * c)


def _reduced(
    function: Callable[..., Any], x: Any, over: Any = None, *, axes: Any = None, keepdims: int = 1,
    noop_with_empty_axes: int = 0,
) -> Any:  # fmt: skip
    """The axes are an input, or an attribute up to version 17; without axes, reduce all unless it is forbidden."""
    wanted = tuple(integers(over) if over is not None else axes or ())
    if not wanted and noop_with_empty_axes:
        return like(function(x[..., None], -1, False), x)  # for each entry by itself
    wanted = tuple(i % x.ndim for i in wanted) or tuple(range(x.ndim))
    if function in (ops.max, ops.min) and not all(x.shape[i] for i in wanted):
        # The maximum of no entries is the smallest number of the dtype; the minimum is the largest.
        shape = [1 if i in wanted else n for i, n in enumerate(x.shape) if keepdims or i not in wanted]
        return np.full(shape, bounds(x.dtype)[function is ops.min], x.dtype)
    return like(function(x, wanted, bool(keepdims)), x)


def _place(
    function: Callable[..., Any], x: Any, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
) -> Any:  # fmt: skip
    if not select_last_index:
        return function(x, axis, bool(keepdims))
    return x.shape[axis] - 1 - function(ops.flip(x, axis), axis, bool(keepdims))


def _cumulated(x: Any, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Any:
    (i,) = integers(axis)
    x = ops.flip(x, i) if reverse else x
    y = like(ops.cumsum(x, i), x)
    y = y - x if exclusive else y
    return ops.flip(y, i) if reverse else y


READERS.update({
    **{operator: partial(_reduced, getattr(ops, primitive)) for primitive, operator in _REDUCTIONS.items()},
    "ReduceSumSquare": partial(_reduced, lambda x, *over: ops.sum(ops.square(x), *over)),
    "ReduceL1": partial(_reduced, lambda x, *over: ops.sum(ops.absolute(x), *over)),
    "ReduceL2": partial(_reduced, ops.norm),
    "ReduceLogSum": partial(_reduced, lambda x, *over: ops.log(ops.sum(x, *over))),
    "ArgMax": partial(_place, ops.argmax),
    "ArgMin": partial(_place, ops.argmin),
    "Cast": lambda x, *, to, saturate=1: ops.astype(x, to),
    "Clip": _between,
    "CumSum": _cumulated,
    "Div": lambda a, b: (  # integers are divided towards 0
        ops.divide(a, b) if a.dtype.kind == "f" else (a.data - np.fmod(a.data, b.data)) // b.data
    ),
    "Dropout": _without_dropout,
    "Einsum": lambda *operands, equation: ops.einsum(equation.replace(" ", ""), *operands),
    "Elu": lambda x, *, alpha=1.0: ops.elu(x, alpha),
    "Gelu": lambda x, *, approximate="none": ops.gelu(x, approximate),
    "Gemm": _gemm,
    "HardSigmoid": lambda x, *, alpha=0.2, beta=0.5: ops.clip(alpha * x + beta, 0.0, 1.0),
    "HardSwish": lambda x: x * ops.clip(x / 6 + 0.5, 0.0, 1.0),
    "Identity": lambda x: x,
    "IsInf": lambda x, *, detect_negative=1, detect_positive=1: ops.isinf(
        ops.clip(x, -np.inf if detect_negative else 0.0, np.inf if detect_positive else 0.0)
    ),
    "LeakyRelu": lambda x, *, alpha=0.01: ops.leaky_relu(x, alpha),
    "LogSoftmax": lambda x, *, axis=-1: ops.log_softmax(x, axis),
    "Max": lambda *x: reduce(ops.maximum, x),
    "Mean": lambda *x: reduce(ops.add, x) / len(x),
    "Min": lambda *x: reduce(ops.minimum, x),
    "Mod": _fmod,
    "PRelu": lambda x, slope: ops.where(x < 0, slope * x, x),
    "Pow": lambda a, b: like(ops.power(a, b), a),
    "Round": ops.round,
    "Softmax": lambda x, *, axis=-1: ops.softmax(x, axis),
    "Sum": lambda *x: reduce(ops.add, x),
    "Swish": lambda x, *, alpha=1.0: ops.silu(x) if alpha == 1 else x * ops.sigmoid(alpha * x),
    "TopK": lambda x, k, *, axis=-1, largest=1, sorted=1: tuple(ops.topk(x, int(k.item()), axis, bool(largest))),
    "Where": ops.where,
})  # fmt: skip

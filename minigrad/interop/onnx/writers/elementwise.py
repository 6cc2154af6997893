"""Arithmetic, functions, comparisons and activations, entry by entry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graphs import GraphWriter
from ..tracing import Call
from .table import refuse, writes

_SAME = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "power": "Pow", "maximum": "Max",
    "minimum": "Min", "negative": "Neg", "absolute": "Abs", "sqrt": "Sqrt", "reciprocal": "Reciprocal", "exp": "Exp",
    "log": "Log", "sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan",
    "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "sign": "Sign", "floor": "Floor", "ceil": "Ceil",
    "sigmoid": "Sigmoid", "relu": "Relu", "softplus": "Softplus", "erf": "Erf",
}  # fmt: skip
_COMPARISONS = {
    "equal": "Equal", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
}  # fmt: skip
_LOGICAL = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "logical_not": "Not"}


@writes(*_SAME)
def _(graph: GraphWriter, call: Call, *x: str) -> str:
    return graph.op(_SAME[call.name], *x)


@writes(*_COMPARISONS, "not_equal", promoted=False)
def _(graph: GraphWriter, call: Call, a: str, b: str) -> str:
    dtype = np.result_type(*call.inputs)
    a, b = (graph.value(x, dtype) for x in call.inputs)
    if call.name == "not_equal":
        return graph.op("Not", graph.op("Equal", a, b))
    return graph.op(_COMPARISONS[call.name], a, b)


@writes(*_LOGICAL)
def _(graph: GraphWriter, call: Call, *x: str) -> str:
    return graph.op(_LOGICAL[call.name], *x)


@writes("isnan", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("IsNaN", x)


@writes("isinf", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("IsInf", x)


@writes("isfinite", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("Not", graph.op("Or", graph.op("IsNaN", x), graph.op("IsInf", x)))


@writes("remainder", "floor_divide")
def _(graph: GraphWriter, call: Call, a: str, b: str) -> str:
    """The operator takes the sign of the dividend for floats: add the divisor where that is another one."""
    dtype = call.outputs[0].dtype
    rest, zero = graph.op("Mod", a, b, fmod=1), graph.constant(0, dtype)
    opposite = graph.op("Xor", graph.op("Less", rest, zero), graph.op("Less", b, zero))
    wrong = graph.op("And", opposite, graph.op("Not", graph.op("Equal", rest, zero)))
    rest = graph.op("Where", wrong, graph.op("Add", rest, b), rest)
    if call.name == "remainder":
        return rest
    quotient = graph.op("Div", graph.op("Sub", a, rest), b)  # a whole number, up to rounding
    return graph.op("Round", quotient) if dtype.kind == "f" else quotient


@writes("square")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("Mul", x, x)


@writes("expm1")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    """tanh(x / 2) (exp(x) + 1), which loses no digits near 0."""
    one, half = (graph.constant(c, call.outputs[0].dtype) for c in (1, 0.5))
    slope = graph.op("Tanh", graph.op("Mul", x, half))
    return graph.op("Mul", slope, graph.op("Add", graph.op("Exp", x), one))


@writes("log1p")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    """log(u) x / (u - 1) of u = 1 + x, in which the rounding of u cancels (Kahan).

    It is x where u is 1, and log(u) where u is x, infinity too.
    """
    one = graph.constant(1, call.outputs[0].dtype)
    u = graph.op("Add", x, one)
    log = graph.op("Log", u)
    exact = graph.op("Mul", log, graph.op("Div", x, graph.op("Sub", u, one)))
    exact = graph.op("Where", graph.op("Equal", u, x), log, exact)
    return graph.op("Where", graph.op("Equal", u, one), x, exact)


@writes("logaddexp")
def _(graph: GraphWriter, call: Call, a: str, b: str) -> str:
    """max(a, b) + softplus(-|a - b|); of equal ones, infinities too, a + log 2."""
    apart = graph.op("Neg", graph.op("Abs", graph.op("Sub", a, b)))
    y = graph.op("Add", graph.op("Max", a, b), graph.op("Softplus", apart))
    both = graph.op("Add", a, graph.constant(math.log(2), call.outputs[0].dtype))
    return graph.op("Where", graph.op("Equal", a, b), both, y)


@writes("clip")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    low, high = call.option("min"), call.option("max")
    if np.ndim(low) or np.ndim(high):
        raise refuse("clip between arrays")
    return graph.op("Clip", x, *("" if c is None else graph.constant(c, call.outputs[0].dtype) for c in (low, high)))


@writes("where", promoted=False)
def _(graph: GraphWriter, call: Call, *names: str) -> str:
    condition, x, y = call.inputs
    dtype = call.outputs[0].dtype
    return graph.op("Where", graph.value(condition, bool), graph.value(x, dtype), graph.value(y, dtype))


@writes("astype")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("Identity", x)  # the cast is the promotion


@writes("round")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    if not call.option("decimals"):
        return graph.op("Round", x)
    scale = graph.constant(10.0 ** call.option("decimals"), call.outputs[0].dtype)
    return graph.op("Div", graph.op("Round", graph.op("Mul", x, scale)), scale)


# --- activations --------------------------------------------------------------------------------------


@writes("leaky_relu")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("LeakyRelu", x, alpha=float(call.option("negative_slope")))


@writes("elu")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("Elu", x, alpha=float(call.option("alpha")))


@writes("silu")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("Mul", x, graph.op("Sigmoid", x))


@writes("normal_cdf")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return _below(graph, x, call.outputs[0].dtype)


@writes("gelu")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    """x times the normal distribution function; as one operator it came with version 20."""
    dtype = call.outputs[0].dtype
    if call.option("approximate") == "none":
        return graph.op("Mul", x, _below(graph, x, dtype))
    cube = graph.op("Mul", graph.op("Mul", x, x), x)
    inner = graph.op("Add", x, graph.op("Mul", cube, graph.constant(0.044715, dtype)))
    # (1 + tanh(u)) / 2 = sigmoid(2 u)
    twice = graph.op("Mul", inner, graph.constant(2 * math.sqrt(2 / math.pi), dtype))
    return graph.op("Mul", x, graph.op("Sigmoid", twice))


def _below(graph: GraphWriter, x: str, dtype: Any) -> str:
    """(1 + erf(x / sqrt 2)) / 2."""
    erf = graph.op("Erf", graph.op("Mul", x, graph.constant(math.sqrt(0.5), dtype)))
    return graph.op("Mul", graph.op("Add", erf, graph.constant(1, dtype)), graph.constant(0.5, dtype))


@writes("dropout")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    raise refuse("dropout in training")

"""Arithmetic, functions, comparisons and activations, entry by entry."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from .... import ops
from .table import constant, like, reads

_UNARY = {
    "Neg": ops.negative, "Abs": ops.absolute, "Sqrt": ops.sqrt, "Reciprocal": ops.reciprocal, "Exp": ops.exp,
    "Log": ops.log, "Sin": ops.sin, "Cos": ops.cos, "Tan": ops.tan, "Asin": ops.arcsin, "Acos": ops.arccos,
    "Atan": ops.arctan, "Sinh": ops.sinh, "Cosh": ops.cosh, "Tanh": ops.tanh, "Sign": ops.sign, "Floor": ops.floor,
    "Ceil": ops.ceil, "Round": ops.round, "Sigmoid": ops.sigmoid, "Relu": ops.relu, "Softplus": ops.softplus,
    "Erf": ops.erf, "Not": ops.logical_not, "IsNaN": ops.isnan,
}  # fmt: skip
_BINARY = {
    "Add": ops.add, "Sub": ops.subtract, "Mul": ops.multiply, "Equal": ops.equal, "Less": ops.less,
    "LessOrEqual": ops.less_equal, "Greater": ops.greater, "GreaterOrEqual": ops.greater_equal,
    "And": ops.logical_and, "Or": ops.logical_or, "Xor": ops.logical_xor,
}  # fmt: skip


@reads(*_UNARY)
def _(x: Any, *, kind: str) -> Any:
    return _UNARY[kind](x)


@reads(*_BINARY)
def _(a: Any, b: Any, *, kind: str) -> Any:
    return _BINARY[kind](a, b)


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


@reads("Pow")
def _(a: Any, b: Any) -> Any:
    return like(ops.power(a, b), a)


@reads("Max", "Min")
def _(*x: Any, kind: str) -> Any:
    return reduce(ops.maximum if kind == "Max" else ops.minimum, x)


@reads("Sum", "Mean")
def _(*x: Any, kind: str) -> Any:
    total = reduce(ops.add, x)
    return total if kind == "Sum" else total / len(x)


@reads("Identity")
def _(x: Any) -> Any:
    return x


@reads("IsInf")
def _(x: Any, *, detect_negative: int = 1, detect_positive: int = 1) -> Any:
    if detect_negative and detect_positive:
        return ops.isinf(x)
    signs = (x.data > 0) & bool(detect_positive) | (x.data < 0) & bool(detect_negative)
    return constant(np.isinf(x.data) & signs)


@reads("Where")
def _(condition: Any, x: Any, y: Any) -> Any:
    return ops.where(condition, x, y)


@reads("Clip")
def _(x: Any, low: Any = None, high: Any = None) -> Any:
    """The lower bound first: where it is above the upper one, the result is that."""
    x = x if low is None else ops.maximum(x, low)
    return x if high is None else ops.minimum(x, high)


@reads("Cast")
def _(x: Any, *, to: Any, saturate: int = 1) -> Any:
    return ops.astype(x, to)


# --- activations --------------------------------------------------------------------------------------


@reads("LeakyRelu")
def _(x: Any, *, alpha: float = 0.01) -> Any:
    return ops.leaky_relu(x, alpha)


@reads("Elu")
def _(x: Any, *, alpha: float = 1.0) -> Any:
    return ops.elu(x, alpha)


@reads("Gelu")
def _(x: Any, *, approximate: str = "none") -> Any:
    return ops.gelu(x, approximate)


@reads("Swish")
def _(x: Any, *, alpha: float = 1.0) -> Any:
    return ops.silu(x) if alpha == 1 else x * ops.sigmoid(alpha * x)


@reads("HardSigmoid")
def _(x: Any, *, alpha: float = 0.2, beta: float = 0.5) -> Any:
    return ops.clip(alpha * x + beta, 0.0, 1.0)


@reads("HardSwish")
def _(x: Any) -> Any:
    return x * ops.clip(x / 6 + 0.5, 0.0, 1.0)


@reads("PRelu")
def _(x: Any, slope: Any) -> Any:
    return ops.where(x < 0, slope * x, x)


@reads("Dropout")
def _(x: Any, ratio: Any = None, training: Any = None, *, seed: int = 0) -> Any:
    if training is not None and training.item() and (ratio is None or ratio.item()):
        raise NotImplementedError("dropout in training")
    return x, constant(np.ones(x.shape, bool))

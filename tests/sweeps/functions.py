"""Functions entry by entry, of up to a million numbers, each against its formula in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from tests.sweeps.runs import Array, Family, Results, levels, numbers, run

__all__ = ["FAMILIES"]

Formula = Callable[[Array], Array]


def _each(function: Callable[[float], float]) -> Formula:
    return np.vectorize(function, otypes=[float])


_erf, _erfc = _each(math.erf), _each(math.erfc)


def _cdf(x: Array) -> Array:
    return _erfc(-x / math.sqrt(2)) / 2


def _density(x: Array) -> Array:
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _logistic(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


# From, to; the function; its derivative as the terms of a sum. Nothing of minigrad is used.
FUNCTIONS: dict[str, tuple[float, float, Formula, Callable[[Array], tuple[Any, ...]]]] = {
    "absolute": (-9, 9, np.abs, lambda x: (np.sign(x),)),
    "arccos": (-0.999, 0.999, np.arccos, lambda x: (-1 / np.sqrt((1 - x) * (1 + x)),)),
    "arcsin": (-0.999, 0.999, np.arcsin, lambda x: (1 / np.sqrt((1 - x) * (1 + x)),)),
    "arctan": (-30, 30, np.arctan, lambda x: (1 / (1 + x * x),)),
    "clip": (-2, 2, lambda x: np.clip(x, -1, 0.5), lambda x: ((x >= -1) & (x <= 0.5),)),
    "cos": (-100, 100, np.cos, lambda x: (-np.sin(x),)),
    "cosh": (-20, 20, np.cosh, lambda x: (np.sinh(x),)),
    "elu": (-20, 20, lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: (np.exp(np.minimum(x, 0)),)),
    "erf": (-5, 5, _erf, lambda x: (2 / math.sqrt(math.pi) * np.exp(-x * x),)),
    "exp": (-80, 80, np.exp, lambda x: (np.exp(x),)),
    "expm1": (-20, 20, np.expm1, lambda x: (np.exp(x),)),
    "gelu": (-5, 5, lambda x: x * _cdf(x), lambda x: (_cdf(x), x * _density(x))),
    "leaky_relu": (-9, 9, lambda x: np.where(x > 0, x, 0.01 * x), lambda x: (np.where(x > 0, 1, 0.01),)),
    "log": (1e-3, 1e3, np.log, lambda x: (1 / x,)),
    "log1p": (-0.999, 30, np.log1p, lambda x: (1 / (1 + x),)),
    "negative": (-9, 9, np.negative, lambda x: (-1.0,)),
    "normal_cdf": (-5, 5, _cdf, lambda x: (_density(x),)),
    "reciprocal": (1e-3, 1e3, lambda x: 1 / x, lambda x: (-1 / x**2,)),
    "relu": (-9, 9, lambda x: np.maximum(x, 0), lambda x: (x > 0,)),
    "sigmoid": (-30, 30, _logistic, lambda x: (_logistic(x) * _logistic(-x),)),
    "silu": (-30, 30, lambda x: x * _logistic(x),
             lambda x: (_logistic(x), x * _logistic(x) * _logistic(-x))),
    "sin": (-100, 100, np.sin, lambda x: (np.cos(x),)),
    "sinh": (-20, 20, np.sinh, lambda x: (np.cosh(x),)),
    "softplus": (-30, 30, lambda x: np.logaddexp(0, x), lambda x: (_logistic(x),)),
    "sqrt": (1e-3, 1e3, np.sqrt, lambda x: (0.5 / np.sqrt(x),)),
    "square": (-9, 9, np.square, lambda x: (2 * x,)),
    "tan": (-1.5, 1.5, np.tan, lambda x: (1 + np.tan(x) ** 2,)),
    "tanh": (-8, 8, np.tanh, lambda x: (1, -np.tanh(x) ** 2)),  # by its output: what is subtracted is near 1
}  # fmt: skip
OPTIONS = {"clip": {"min": -1, "max": 0.5}}
_SHAPES = ((100_000,), (1000, 1000), (64, 50, 300))


def functions(i: int) -> Results:
    """Of numbers that are spread evenly: case i is the i-th function, with each shape in turn."""
    name = list(FUNCTIONS)[i % len(FUNCTIONS)]
    low, high, formula, derivative = FUNCTIONS[name]
    shape = _SHAPES[i // len(FUNCTIONS)]
    x = np.random.default_rng(i).uniform(low, high, shape).astype(np.float32)
    g = numbers(i + 1)(*shape)
    y, dx = run(lambda x: getattr(mg.ops, name)(x, **OPTIONS.get(name, {})), [x], g)
    X = x.astype(np.float64)
    exact, terms = formula(X), derivative(X)
    yield name, y, exact, np.abs(exact)
    yield name, dx, g * sum(terms), np.abs(g) * sum(map(np.abs, terms))


def dropout(i: int) -> Results:
    """What is kept is divided by the share that is kept."""
    case = levels(i, {"shape": _SHAPES, "p": (0.1, 0.5, 0.9)})
    x, g = numbers(i)(*case["shape"]), numbers(i + 1)(*case["shape"])
    y, dx = run(lambda x: mg.ops.dropout(x, case["p"], rng=i), [x], g)
    kept = (y != 0) / (1 - case["p"])
    yield "dropout", y, x * kept, np.abs(x * kept)
    yield "dropout", dx, g * kept, np.abs(g * kept)


# The function, how many cases, and the bound in units of rounding.
FAMILIES: dict[str, tuple[Family, int, float]] = {
    "functions": (functions, len(_SHAPES) * len(FUNCTIONS), 64.0),
    "dropout": (dropout, 9, 8.0),
}

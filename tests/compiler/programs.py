"""Random functions of arrays: ``program(seed)`` is one, ``arguments(seed, dtype)`` are its arguments.

Where a program branches on numbers, it does so on arguments, which are the same in every precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.compiler.tracing import Traced, column_numbers

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-310, 1.0, -2.5, 1e-3]  # with subnormal numbers

_OF_ONE: list[Callable[[Any], Any]] = [
    np.exp, np.tanh, np.negative, np.square, np.abs, np.expm1, lambda a: np.sqrt(np.abs(a)),
    lambda a: np.log1p(np.abs(a)), lambda a: np.log(np.abs(a) + 0.1), lambda a: np.maximum(a, 0),
    lambda a: np.clip(a, -1, 1), lambda a: np.where(a > 0, a, 0.1 * a), lambda a: (a > 0).astype(a.dtype) * a,
    lambda a: np.reciprocal(1 + a * a), lambda a: (0.5 * a) ** 2, lambda a: (0.5 * a) ** 3, lambda a: a / 3 - 1,
]  # fmt: skip
_OF_TWO: list[Callable[[Any, Any], Any]] = [
    np.add, np.subtract, np.multiply, np.maximum, np.minimum, lambda a, b: a / (np.abs(b) + 1),
]  # fmt: skip
_REDUCTIONS: list[Callable[[Any], Any]] = [
    lambda e: 0.1 * e.sum(-1, keepdims=True), lambda e: e.max(-1, keepdims=True), lambda e: e.mean(-1, keepdims=True),
    lambda e: 0.1 * np.sum(e, axis=-1)[..., None], lambda e: np.max(e, axis=-1)[..., None],
    lambda e: 0.1 * e.sum(tuple(range(e.ndim - 1))), lambda e: np.mean(e, axis=tuple(range(e.ndim - 1))),
    lambda e: e * (1e-3 * e.sum()), lambda e: e * e.mean(), lambda e: 0.1 * np.vecdot(e, e)[..., None],
]  # fmt: skip


def column_numbers_of(x: Any) -> Any:
    return column_numbers(x) if isinstance(x, Traced) else np.arange(x.shape[-1])


def _where(x: Any, y: Any, r: Any, mask: Any, index: Any, a: Any, b: Any, kind: int) -> Any:
    """A choice or a jump that depends on arguments only."""
    return [
        lambda: np.where(x < y, a, b), lambda: np.where(mask, a, b), lambda: np.where(~mask & (x >= 0), a, b),
        lambda: np.where(np.logical_or(mask, x != y), a, b), lambda: np.copysign(a, y), lambda: np.sign(x) * a,
        lambda: np.floor(x) * a, lambda: np.rint(3 * r) + a, lambda: np.where(column_numbers_of(x) == index, a, 0),
        lambda: np.where(column_numbers_of(x) < index, a, b), lambda: np.take_along_axis(x, index, -1) + a,
        lambda: np.where((x <= 0) | (y > 1), a, b),
    ][kind]()  # fmt: skip


def program(seed: int) -> Callable[..., Any]:
    """Return a function of entries x and y, numbers of rows r and of columns c, a float, a mask and indices."""

    def function(x: Any, y: Any, r: Any, c: Any, s: Any, mask: Any, index: Any) -> Any:
        rng = np.random.default_rng(seed)
        values = [x, y, r, c]

        def some() -> Any:
            return values[rng.integers(len(values))]

        for _ in range(rng.integers(2, 12)):
            kind, a = rng.integers(12), some()
            if kind < 3:
                value = _OF_ONE[rng.integers(len(_OF_ONE))](a)
            elif kind < 7:
                value = _OF_TWO[rng.integers(len(_OF_TWO))](a, some())
            elif kind == 7:
                value = a * s + 0.5
            elif kind < 10:
                value = _where(x, y, r, mask, index, a + 0.1 * x, some(), rng.integers(12))
            else:
                value = _REDUCTIONS[rng.integers(len(_REDUCTIONS))](a + 0.1 * x)
            values.append(np.tanh(value) if rng.random() < 0.5 else np.clip(value, -30, 30))
        chosen = tuple(1.0 * values[i] for i in rng.integers(4, len(values), 3))
        return chosen, (values[-1] * x).sum(), some(), None

    return function


def arguments(seed: int, dtype: Any, special: bool = False) -> list[Any]:
    """Return arguments of a program, of one to three axes."""
    rng = np.random.default_rng(seed + 10**6)
    M, K = int(rng.integers(1, 70)), int(rng.integers(1, 300))
    kind = rng.integers(12)
    if kind == 0:
        K = int(rng.integers(1000, 5000))  # several runs of a sum
    elif kind == 1:
        M = K  # a square array: (M,) and (K,) have the same shape
    rows = [(M,), (M, 1), (3, M)][rng.integers(3)] if kind > 1 else (M,)

    def array(*shape: int) -> Any:
        numbers = rng.standard_normal(shape)
        if special:
            numbers = np.where(rng.random(shape) < 0.2, rng.choice(SPECIAL, shape), numbers)
        made = numbers.astype(dtype)
        made.flags.writeable = False
        return made

    index = rng.integers(K, size=(*rows, 1))
    mask = rng.random((*rows, K)) < 0.5
    s = float(rng.standard_normal())
    return [array(*rows, K), array(*rows, K), array(*rows, 1), array(K), s, mask, index]


def leaves(tree: Any) -> list[Any]:
    return [x for part in tree for x in leaves(part)] if isinstance(tree, tuple) else [tree]


_NUMBERS = [
    0.1, 2, True, -0.5, 1e-50, np.float32(0.1), np.float64(0.1), np.int64(2), np.float16(0.1), np.array(0.1),
    np.array(0.1, np.float32), np.bool_(True),
]  # fmt: skip
_COMPARISONS: list[Callable[[Any, Any], Any]] = [
    np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, lambda a, b: a < b,
    lambda a, b: a == b, lambda a, b: a >= b,
]  # fmt: skip
_ARITHMETIC: list[Callable[[Any, Any], Any]] = [
    np.add, np.multiply, np.maximum, np.copysign, lambda a, b: a + b, lambda a, b: a - b, lambda a, b: b - a,
    lambda a, b: a * b, lambda a, b: -a, lambda a, b: np.sqrt(np.abs(a)), lambda a, b: a**2, lambda a, b: a / 2,
]  # fmt: skip


def typed_program(seed: int) -> Callable[..., Any]:
    """Return a function that mixes floats, booleans and numbers of Python and NumPy.

    It compares arguments, or results of one operation, which rounding changes alike in NumPy and in loops.
    """

    def function(x: Any, r: Any, c: Any, s: Any, t: Any, z: Any, mask: Any, index: Any) -> Any:
        rng = np.random.default_rng(seed)

        def one_of(choices: Any) -> Any:
            return choices[rng.integers(len(choices))]

        def compared() -> Any:
            a, b = (one_of([x, r, c, s, t, z, one_of(_NUMBERS)]) for _ in range(2))
            a = one_of(_ARITHMETIC)(a, one_of([s, 0.1])) if rng.random() < 0.3 and a is not b else a
            return one_of(_COMPARISONS)(a, b) if rng.random() < 0.8 else index >= one_of([1, 2.0, np.int64(2), 0.5])

        def chosen() -> Any:
            a, b, m = one_of(values), one_of([*values, *_NUMBERS]), np.logical_and(compared(), True)
            kind = rng.integers(6)
            return [
                lambda: np.where(m, a, b), lambda: np.where(m | mask, a, b), lambda: m.astype(x.dtype) * a,
                lambda: np.where(m, one_of(_NUMBERS), one_of(_NUMBERS)) * x, lambda: np.where(~mask, a, b),
                lambda: np.where(np.logical_and(m, mask), a, b),
            ][kind]()  # fmt: skip

        values, masks = [x, r, c, s, t, z], []
        for _ in range(rng.integers(1, 4)):
            kind = rng.integers(6)
            if kind < 2:
                values.append(one_of(_ARITHMETIC)(one_of(values), one_of([*values, *_NUMBERS])))
            elif kind < 4:
                values.append(chosen())
            elif kind == 4:
                masks.append(compared() | mask)
            else:
                values.append(one_of([
                    lambda e: e.sum(-1, keepdims=True), lambda e: e.mean(-1, keepdims=True), lambda e: e.sum(0),
                    lambda e: e.max(-1, keepdims=True), lambda e: e.mean(), lambda e: mask.sum(-1, keepdims=True),
                    lambda e: e.astype(x.dtype),
                ])(one_of(values) + 0 * x))  # fmt: skip
        return (values[-1] + x, values[-1] * 2 + 0 * x, *masks)

    return function


def typed_arguments(seed: int, rows: int, dtype: Any) -> list[Any]:
    """Return arguments of a typed program, for 4 columns. Many entries are 0.1, at which comparisons are decided."""
    rng = np.random.default_rng(seed)

    def array(*shape: int) -> Any:
        return rng.choice([0.1, -0.5, 0.25, 2.0, 0.1 + 1e-12], shape).astype(dtype)

    number = [0.1, np.float32(0.1), np.float64(0.1), np.array(0.1, dtype), 2.0][rng.integers(5)]
    mask, index = rng.random((rows, 4)) < 0.5, rng.integers(4, size=(rows, 1))
    return [array(rows, 4), array(rows, 1), array(4), number, 0.3, dtype(0.1), mask, index]

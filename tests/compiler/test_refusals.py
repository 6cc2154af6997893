"""Functions that loops would compute otherwise than NumPy: they are compiled rightly, or raise Untraceable."""

from __future__ import annotations

import sys
from collections import namedtuple

import numpy as np
import pytest

from minigrad.compiler import fused
from minigrad.compiler.tracing import Untraceable

fused_module = sys.modules["minigrad.compiler.fused"]
X = np.arange(12.0).reshape(3, 4) - 5
CUBE = np.arange(24.0).reshape(2, 3, 4) - 9
INDEX = np.array([[0], [3], [1]])
Pair = namedtuple("Pair", "first second")


@pytest.mark.parametrize("x", [X, CUBE, X[0], CUBE.astype(np.float32)], ids=["2", "3", "1", "single"])
@pytest.mark.parametrize("function", [
    lambda x: x.mean((-1,)), lambda x: x.mean(x.ndim - 1), lambda x: x.mean(tuple(range(x.ndim))),
    lambda x: x.mean(tuple(range(-x.ndim, 0))), lambda x: x.mean(tuple(range(x.ndim - 1))), lambda x: x.mean(),
    lambda x: x.sum(-1).mean(), lambda x: x.sum(-1).mean(tuple(range(x.ndim - 1))),
    lambda x: x.mean(-1, keepdims=True).mean(), lambda x: np.mean(x, axis=(-1,), keepdims=True),
    lambda x: x.max(-1)[..., None] + x, lambda x: x.max(-1, keepdims=True)[..., 0],
    lambda x: np.expand_dims(x.max(-1), -1), lambda x: np.expand_dims(x.max(-1), x.ndim - 1),
    lambda x: x.sum(-1, keepdims=True) + x.sum(0) if x.ndim == 2 else x,
    lambda x: np.sum(x, -1, keepdims=True),
    lambda x: (x > 0) == (x < 2), lambda x: (x > 0) != (x < 2), lambda x: (x > 0) <= (x < 2), lambda x: (x > 0) == 1,
    lambda x: np.logical_and(x, x - 1), lambda x: np.logical_or(x, x > 2), lambda x: np.logical_not(x),
    lambda x: np.logical_or(x, 0), lambda x: np.logical_and(x * np.inf, True), lambda x: ~(x > 2) | (x < 0),
    lambda x: (x > 0).astype(x.dtype) + (x > 2),
])  # fmt: skip
def test_compiled_as_numpy_computes(function, x):
    with np.errstate(invalid="ignore"):
        found, expected = fused(function)(x), function(x)
    np.testing.assert_allclose(found, expected, 1e-6)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)


@pytest.mark.parametrize("s", [2.0, -2.0, np.nan])
def test_a_number_decides(s):
    def choose(x, c, s):
        return np.where(s > 0, x, 2 * x), np.where((s > 0) | (x > 3), x, s), np.where(c > s, x, 0), s > 0

    for found, expected in zip(fused(choose)(X, X[0], s), choose(X, X[0], s), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_logical_functions_of_integers():
    function = fused(lambda x, i: np.where(np.logical_and(i, x > 0), x, 0))
    np.testing.assert_array_equal(function(X, INDEX), np.where((INDEX != 0) & (X > 0), X, 0))


def test_astype_returns_a_new_value():
    def function(x):
        d = x * 2
        e = d.astype(x.dtype)
        e += 1
        same = d.astype(x.dtype, copy=False)
        same -= 1
        return d, e

    np.testing.assert_array_equal(fused(function)(X), function(X))


def test_results_given_twice_share_no_memory():
    a, (b, rows, again) = fused(lambda x: (x + 1, (x + 1, x.sum(-1), x.sum(-1, keepdims=True))))(X)
    a += 1
    rows += 1
    np.testing.assert_array_equal(b, X + 1)
    np.testing.assert_array_equal(again, X.sum(-1, keepdims=True))


def chain(x):
    for i in range(1500):
        x = x * 0.5 + i
    return x


@pytest.mark.parametrize(("function", "message"), [
    (lambda x: x.sum(-1, where=x > 0), "sum with where"),
    (lambda x: np.sum(x, axis=-1, initial=3), "sum with initial"),
    (lambda x: x.mean(-1, dtype=np.float32), "sum with dtype"),
    (lambda x: np.max(x, -1, initial=9), "max with initial"),
    (lambda x: x.sum(-1) + x.sum(0), "keepdims"),
    (lambda x: x.sum(-1) * x, "keepdims"),
    (lambda x: np.expand_dims(x.max(-1), 0), "only numbers"),
    (lambda x: x.max(-1)[..., 0], "only numbers"),
    (lambda x: x.max(-1, keepdims=True)[..., None], "only numbers"),
    (lambda x: (x > 0) + (x > 1), "add computes in bool"),
    (lambda x: -(x > 0), "negative computes in bool"),
    (lambda x: (x > 0) * 2, "multiply computes in int64"),
    (lambda x: np.sqrt(x > 0), "sqrt computes in bool"),
    (lambda x: np.where(x > 0, x > 1, x > 2), "where computes in bool"),
    (lambda x: np.where(x > 0, True, False), "where computes in bool"),
    (lambda x: np.where(x > 0, 1, 0), "where computes in int64"),
    (lambda x: (x > 0).sum(-1), "sum of bool: convert"),
    (lambda x: (x > 0).mean(-1), "sum of bool: convert"),
    (lambda x: (x > 0).max(-1), "max of bool: convert"),
    (lambda x: np.where(~(x.sum() > 0), x, 0), "invert of numbers"),
    (lambda x: x & x, "bitwise_and of numbers"),
    (lambda x: (x > 0) & 1, "bitwise_and of numbers"),
    (lambda x: x * 1j, "complex"),
    (lambda x: x * np.complex64(1j), "complex"),
    (lambda x: [x, x], "returns a list"),
    (lambda x: {"x": x}, "returns a dict"),
    (lambda x: (x, (x, [x])), "returns a list"),
    (lambda x: (y for y in (x,)), "returns a generator"),
    (lambda x: Pair(x, x), "returns a Pair"),
    (lambda x: (x, X), "returns a ndarray"),
    (lambda x: x.cumsum(1), "x.cumsum cannot be compiled"),
    (lambda x: x.copy(), "x.copy cannot be compiled"),
    (lambda x: x.T, "x.T cannot be compiled"),
    (lambda x: x.std(-1), "x.std cannot be compiled"),
    (chain, "too long a chain"),
    (lambda x: tuple(x + i for i in range(300)), "more than 250 arrays"),
])  # fmt: skip
def test_refused_by_name(function, message):
    with pytest.raises(Untraceable, match=message):
        fused(function)(X.copy())


@pytest.mark.parametrize(("function", "message"), [
    (lambda x, r, s: x * np.sqrt(s), "sqrt computes in float64"),
    (lambda x, r, s: np.multiply(s, 2) * x, "multiply computes in float64"),
    (lambda x, r, s: x * np.float64(2), "multiply computes in float64"),
    (lambda x, r, s: x * np.int64(2), "multiply computes in float64"),
    (lambda x, r, s: x ** np.float64(2), "power cannot be compiled"),
    (lambda x, r, s: np.where(x > 0, 1.0, 0.0), "where computes in float64"),
    (lambda x, r, s: np.where(x > 0, s, 0.0), "where computes in float64"),
    (lambda x, r, s: x > np.float64(0.1), "greater computes in float64"),
    (lambda x, r, s: (x > 0) > 0.5, "greater computes in float64"),
    (lambda x, r, s: np.where(np.float32(0.1) > s, x, 0), "computes in float32|computes in float64"),
    (lambda x, r, s: x * (1 / s), "divide of Python floats"),
    (lambda x, r, s: np.logical_and(s, x > 0), "logical_and of Python floats"),
    (lambda x, r, s: (x, 2 * s), "a Python float that it computes"),
    (lambda x, r, s: (x, r[..., 0]), "a view of an argument"),
])  # fmt: skip
@pytest.mark.parametrize("rows", [2, 2000])
def test_single_precision_refusals_at_every_size(function, message, rows, monkeypatch):
    monkeypatch.setattr(fused_module, "_worth_a_call", lambda: 2048)
    with pytest.raises(Untraceable, match=message):
        fused(function)(np.ones((rows, 4), np.float32), np.ones((rows, 1), np.float32), 0.5)


@pytest.mark.parametrize(("function", "message"), [
    (lambda x: np.sum(x, -1, np.float64), "positional argument"),
    (lambda x: x.sum(-1, np.float64), "positional argument"),
    (lambda x: np.clip(x, 0, 1, out=x), "unexpected keyword argument 'out'"),
    (lambda x: np.where(x > 0), "missing 2 required"),
])  # fmt: skip
def test_options_that_are_unknown(function, message):
    with pytest.raises(TypeError, match=message):
        fused(function)(X.copy())


def test_axes_that_do_not_exist():
    with pytest.raises(np.exceptions.AxisError):
        fused(lambda x: x.sum(5))(X)


def test_many_arguments_are_refused():
    with pytest.raises(Untraceable, match=r"more than 250 arrays|too long a chain"):
        fused(lambda *xs: sum(xs[1:], xs[0]))(*[X] * 600)


@pytest.mark.parametrize(
    "function", [lambda x, i: i & 1, lambda x, i: i << 1, lambda x, i: np.take_along_axis(i, i, 1)]
)
def test_integers_are_not_computed_with(function):
    with pytest.raises(Untraceable):
        fused(function)(X, INDEX)

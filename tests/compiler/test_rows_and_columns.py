"""One entry of each row, and numbers of columns, in fused functions: the same as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.compiler import fused
from minigrad.compiler.tracing import Graph, Untraceable

RNG = np.random.default_rng(0)
X, G = RNG.standard_normal((2, 64, 100))
ROWS, COLUMNS = RNG.standard_normal((64, 1)), RNG.standard_normal(100)
PLACES = RNG.integers(0, 100, (64, 1))


def placed(x, indices):
    y = x * 2
    np.put_along_axis(y, indices, 7.0, -1)
    return y, np.take_along_axis(x, indices, -1)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (placed, (X, PLACES)),
        (lambda x, r: np.vecmat(r[..., 0], x), (X, ROWS)),
        (lambda x: np.sum(x, axis=0, keepdims=True), (X,)),
        (lambda x: x - x.sum(0, keepdims=True), (X,)),
        (lambda x, c: np.where(c > 0, x, 0.0), (X, COLUMNS)),
        (lambda x, c: np.where(~(c * 2 > 1), x, c), (X, COLUMNS)),
    ],
)
def test_a_fused_function_agrees_with_numpy(function, args):
    found, expected = fused(function)(*args), function(*args)
    if not isinstance(expected, tuple):
        found, expected = (found,), (expected,)
    for mine, exact in zip(found, expected, strict=True):
        assert mine.shape == exact.shape
        np.testing.assert_allclose(mine, exact, rtol=1e-13, atol=1e-13)


def test_an_entry_of_an_argument_cannot_be_replaced():
    graph = Graph(np.dtype(float))
    x, indices = graph.argument("E", 2), graph.argument("R", 2, "int")
    with pytest.raises(Untraceable, match="put_along_axis"):
        np.put_along_axis(x, indices, 1.0, -1)

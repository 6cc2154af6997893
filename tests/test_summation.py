"""Sums of many float32 numbers are accurate in every operation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.summation import block_sum
from tests.strategies import arrays, shapes

N = 10**6
ROWS = np.random.default_rng(0).random((N, 4), np.float32)
EXACT = ROWS.astype(np.float64)
TOTAL = EXACT.sum(0)


def pulled(function, shape):
    """The gradient of an input that is broadcast to the rows, with these as the cotangent."""
    w = mg.tensor(np.zeros(shape, np.float32), requires_grad=True)
    function(w).backward(ROWS)
    return w.grad.reshape(-1)


SUMS = {
    "sum": (lambda x: mg.sum(x, axis=0), TOTAL),
    "sum over two axes": (lambda x: mg.sum(x.reshape(1000, 1000, 4), axis=(0, 1)), TOTAL),
    "mean": (lambda x: mg.mean(x, axis=0), TOTAL / N),
    "var": (lambda x: mg.var(x, axis=0), EXACT.var(0)),
    "std": (lambda x: mg.std(x, axis=0), EXACT.std(0)),
    "norm": (lambda x: mg.norm(x, axis=0), np.sqrt(np.square(EXACT).sum(0))),
    "logsumexp": (lambda x: mg.logsumexp(x, axis=0), np.log(np.exp(EXACT).sum(0))),
    "softmax": (lambda x: mg.softmax(x, axis=0)[-1], np.exp(EXACT[-1]) / np.exp(EXACT).sum(0)),
    "log_softmax": (lambda x: mg.log_softmax(x, axis=0)[-1], EXACT[-1] - np.log(np.exp(EXACT).sum(0))),
    "einsum": (lambda x: mg.einsum("ij->j", x), TOTAL),
    "cumsum": (lambda x: mg.cumsum(x, axis=0)[-1], TOTAL),
    "equal rows": (lambda x: mg.sum(mg.broadcast_to(x[:1], (N, 4)), axis=0), N * EXACT[0]),
}
GRADIENTS = {
    "bias": ((4,), lambda w: ROWS + w),
    "bias of affine": ((4,), lambda w: mg.affine(ROWS, np.eye(4, dtype=np.float32), w)),
    "scale": ((1, 4), lambda w: np.ones_like(ROWS) * w),
    "where": ((4,), lambda w: mg.where(np.ones((N, 1), bool), w, 0.0)),
    "broadcast_to": ((4,), lambda w: mg.broadcast_to(w, (N, 4))),
    "repeat": ((1, 4), lambda w: mg.repeat(w, N, axis=0)),
    "embedding": ((1, 4), lambda w: mg.embedding(np.zeros(N, int), w)),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_of_a_million_rows(name):
    function, expected = SUMS[name]
    with mg.no_grad():
        y = function(mg.tensor(ROWS))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, expected, rtol=3e-6)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_that_sum_a_million_rows(name):
    shape, function = GRADIENTS[name]
    np.testing.assert_allclose(pulled(function, shape), TOTAL, rtol=3e-6)


LONG = st.integers(500, 3000)


@given(st.data(), st.tuples(st.integers(1, 3), LONG, st.integers(1, 3)) | st.tuples(LONG, st.integers(1, 3)) | shapes())
def test_block_sum_is_numpys_sum(data, shape):
    x = data.draw(arrays(shape))
    axis = data.draw(st.none() | st.lists(st.integers(0, max(0, x.ndim - 1)), max_size=x.ndim, unique=True).map(tuple))
    keepdims = data.draw(st.booleans())
    got, expected = block_sum(x, axis, keepdims), np.sum(x, axis=axis, keepdims=keepdims)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-11)

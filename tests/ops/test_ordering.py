"""Sorting and the first few: orders, ties and NaN against plain Python and NumPy, gradients, PyTorch, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)
DTYPES = [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64, bool]


@st.composite
def sorts(draw, none=True):
    x = draw(arrays(shapes(min_dims=1), distinct=True))
    axes = st.integers(-x.ndim, x.ndim - 1)
    return Case([x], {"axis": draw(axes | st.none() if none else axes)})


@st.composite
def tops(draw):
    x = draw(arrays(shapes(min_dims=1), distinct=True))
    axis = draw(st.integers(-x.ndim, x.ndim - 1))
    k = draw(st.integers(0, x.shape[axis]))
    return Case([x], {"k": k, "axis": axis, "largest": draw(st.booleans())})


@st.composite
def tied(draw):
    """Rows of few different numbers, some of them NaN, of any dtype."""
    dtype = draw(st.sampled_from(DTYPES))
    x = np.round(draw(arrays(shapes(min_dims=1, max_dims=2, max_side=9), low=-1.5, high=2.5)))
    if np.dtype(dtype).kind == "f" and draw(st.booleans()):
        x = np.where(x == draw(st.sampled_from([-1, 0, 2])), np.nan, x)
    return np.abs(x).astype(dtype) if dtype is np.uint8 else x.astype(dtype)


CASES = {"sort": sorts(), "topk": tops()}
CONSTANT = {"argsort"}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@pytest.mark.parametrize("name", ["sort", "argsort"])
@given(x=tied(), data=st.data())
def test_orders_are_numpys(name, x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1) | st.none())
    got = getattr(mg.ops, name)(x, axis).data
    expected = getattr(np, name)(x, axis, stable=True)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


def first(row, k, largest):
    """The definition, in plain Python: by size, NaN above all, then by index."""
    key = lambda i: (math.isnan(row[i]), 0 if math.isnan(row[i]) else row[i])  # noqa: E731
    return sorted(range(len(row)), key=key, reverse=largest)[:k]  # which keeps the order of ties either way


@given(x=tied(), data=st.data())
def test_topk_is_the_definition(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    k, largest = data.draw(st.integers(0, x.shape[axis])), data.draw(st.booleans())
    values, indices = mg.ops.topk(x, k, axis, largest)
    assert (values.dtype, indices.dtype) == (x.dtype, np.int64)
    rows = np.moveaxis(x, axis, -1)
    assert np.moveaxis(indices.data, axis, -1).shape == (*rows.shape[:-1], k)
    for place in np.ndindex(rows.shape[:-1]):
        expected = first(rows[place].tolist(), k, largest)
        assert np.moveaxis(indices.data, axis, -1)[place].tolist() == expected
        np.testing.assert_array_equal(np.moveaxis(values.data, axis, -1)[place], rows[place][expected])


@pytest.mark.parametrize("largest", [True, False])
def test_topk_of_many_with_ties_at_the_bound(largest):
    x = np.random.default_rng(0).integers(0, 30, (20, 500)).astype(np.float32)
    values, indices = mg.ops.topk(x, 50, largest=largest)
    for row, chosen, found in zip(x, indices.data, values.data, strict=True):
        assert chosen.tolist() == first(row.tolist(), 50, largest)
        np.testing.assert_array_equal(found, row[chosen])


@pytest.mark.parametrize("digits", [1, 3, 9])
@pytest.mark.parametrize("axis", [0, 1])
def test_many_with_all_ties_some_and_few_are_numpys(digits, axis):
    """The quick sort is put right, or left for the stable one."""
    x = np.round(np.random.default_rng(0).standard_normal((50, 400)), digits).astype(np.float32)
    x[3, ::3], x[4, :2], x[5, 1:] = np.nan, (0.0, -0.0), np.nan
    np.testing.assert_array_equal(mg.ops.argsort(x, axis).data, np.argsort(x, axis, stable=True))


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_pytorch(name):
    theirs = lambda torch, x, **options: getattr(torch, name)(x, *options.values())[0]  # noqa: E731
    mine = lambda x, **o: mg.ops.sort(x, **o) if name == "sort" else mg.ops.topk(x, **o)[0]  # noqa: E731
    PYTORCH.compare_drawn(name, mine, theirs, {"sort": sorts(none=False), "topk": tops()}[name], rtol=0)


def test_ties_share_nothing():
    """Each place in the order is that of one entry: of ties the first has the first place."""
    x, g = np.array([2.0, 1.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert pull(mg.ops.sort, [leaf(x)], [g])[1][0].tolist() == [3, 1, 4, 2]
    with mg.create_graph():
        d = mg.grad(lambda x: (mg.ops.sort(x) * g).sum())(mg.tensor(x, requires_grad=True))
    assert d.tolist() == [3, 1, 4, 2]
    top = lambda x: mg.ops.topk(x, 1)[0]  # noqa: E731
    assert pull(top, [leaf(x)], [np.ones(1)])[1][0].tolist() == [1, 0, 0, 0]
    assert pull(top, [leaf(np.array([1.0, np.nan, np.nan]))], [np.ones(1)])[1][0].tolist() == [0, 1, 0]


def test_indices_are_constants():
    x = mg.tensor([1.0, 3.0, 2.0], requires_grad=True)
    values, indices = mg.ops.topk(x, 2)
    assert (values.requires_grad, indices.requires_grad, mg.ops.argsort(x).requires_grad) == (True, False, False)
    (values * mg.tensor([1.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [0, 1, 10]


x23 = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mg.ops.sort(x23, 2), ValueError, r"sort\(x: float64 \(2, 3\)\): axis 2 is out of bounds"),
        (lambda: mg.ops.sort(1.0), ValueError, "sort.*axis -1 is out of bounds"),
        (lambda: mg.ops.argsort(x23, -3), ValueError, "argsort.*axis -3 is out of bounds"),
        (lambda: mg.ops.topk(x23, 1, 2), ValueError, r"topk\(x: float64 \(2, 3\)\): axis 2 is out of bounds"),
        (lambda: mg.ops.topk(x23, 4), ValueError, "k must lie in 0 … 3, the length of axis 1, not be 4"),
        (lambda: mg.ops.topk(x23, -1, 0), ValueError, "k must be at least 0, not -1"),
        (lambda: mg.ops.topk(x23, 1.0), TypeError, "k must be an integer, not 1.0"),
    ],
)  # fmt: skip
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()

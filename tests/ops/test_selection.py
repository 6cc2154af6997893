"""Choices and comparisons: values against NumPy, ties and bounds, misuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.ops.test_elementwise import gradients
from tests.peers import Peer
from tests.strategies import arrays, broadcastable, shapes

PYTORCH = Peer(__name__)


@st.composite
def apart(draw):
    """Two arrays that broadcast, with no entry of one near any of the other (so no ties)."""
    a, b = draw(broadcastable())
    return Case([np.asarray(np.round(a, 1)), np.asarray(np.round(b, 1) + 0.05)])


@st.composite
def choices(draw):
    condition, x, y = draw(broadcastable(3))
    x, y = draw(st.sampled_from([(x, y), (x, 2), (0.5, y)]))
    return Case([np.asarray(condition > 0), x, y])


def clips():
    bounds = st.sampled_from([{"min": -0.5}, {"max": 1}, {"min": -0.5, "max": 1}, {}])
    arrays_too = apart().map(lambda pair: Case(pair.inputs[:1], {"min": pair.inputs[1]}, float32=False))
    return st.builds(Case, arrays(shapes(), away_from=(-0.5, 1.0)).map(lambda x: [x]), bounds) | arrays_too


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


CASES = {
    "astype": st.builds(
        lambda x, dtype: Case([x], {"dtype": dtype}, rtol=1e-6, float32=False),
        arrays(shapes()),
        st.sampled_from([np.float64, "float64", float]),
    ),
    "clip": clips(),
    "maximum": apart(),
    "minimum": apart(),
    "where": choices(),
    "sort": sorts(),
    "topk": tops(),
}


CONSTANT = {
    "ceil",
    "equal",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
    "round",
    "sign",
    "argsort",
}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


UNARY = {"ceil", "floor", "isfinite", "isinf", "isnan", "logical_not", "round", "sign"}


@pytest.mark.parametrize("name", sorted(CONSTANT - {"argsort"}))
@given(pair=broadcastable())
def test_constants_agree_with_numpy(name, pair):
    pair = [np.round(4 * x) / 4 for x in pair][: 1 if name in UNARY else 2]
    if name == "floor_divide":
        pair[1] = np.where(pair[1] == 0, 0.5, pair[1])
    if name.startswith("is"):
        pair = [np.where(x == 0, np.nan, np.where(x == 1, np.inf, x)) for x in pair]
    out = getattr(mg.ops, name)(*(mg.tensor(x, requires_grad=True) for x in pair))
    expected = np.asarray(getattr(np, name)(*pair))
    assert not out.requires_grad
    assert out.dtype == expected.dtype
    np.testing.assert_array_equal(out.numpy(), expected)


@pytest.mark.parametrize("decimals", [-2, 0, 1, 3])
def test_round_to_decimals_is_numpys(decimals):
    for x in (np.array([123.4565, -250.0, 0.5, -1.5, np.inf]), np.array([15, 25, -150])):
        np.testing.assert_array_equal(mg.ops.round(x, decimals).data, np.round(x, decimals))


# --- maximum and minimum -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ties_share_equally(dtype):
    a, b = np.array([1, 2, 3], dtype), np.array([3, 2, 1], dtype)
    value, da, db = gradients(mg.ops.maximum, a, b)
    assert (value.tolist(), da.tolist(), db.tolist()) == ([3, 2, 3], [0, 0.5, 1], [1, 0.5, 0])
    value, da, db = gradients(mg.ops.minimum, a, b)
    assert (value.tolist(), da.tolist(), db.tolist()) == ([1, 2, 1], [1, 0.5, 0], [0, 0.5, 1])
    assert da.dtype == dtype


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_extremes_agree_with_pytorch(name):
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 3, (4, 5)).astype(float), rng.integers(0, 3, 5).astype(float)  # with ties
    theirs = lambda torch, a, b: getattr(torch, name)(a, b)  # noqa: E731
    PYTORCH.compare(name, getattr(mg.ops, name), theirs, inputs, rtol=0)


# --- clip --------------------------------------------------------------------------------------------


def test_clip_agrees_with_pytorch():
    x = np.arange(-20, 21) / 10
    for bounds in [(None, 1.0), (-1.0, None), (-1.0, 0.5)]:
        mine = lambda t, bounds=bounds: mg.ops.clip(t, *bounds)  # noqa: E731
        theirs = lambda torch, t, bounds=bounds: torch.clip(t, *bounds)  # noqa: E731
        PYTORCH.compare(f"clip {bounds}", mine, theirs, [x], rtol=0)


@pytest.mark.parametrize("bound", [0, 0.5, np.float64(0.5), np.float32(0.5), np.array(0.5), np.int64(0), True])
def test_clip_keeps_float32_whatever_number_the_bound_is(bound):
    value, slope = gradients(lambda t: mg.ops.clip(t, bound), np.array([-1, 2], np.float32))
    assert value.tolist() == [float(bound), 2]
    assert value.dtype == slope.dtype == np.float32


def test_clip_between_arrays_agrees_with_numpy():
    """Also where the bounds have more axes than x; the gradient is 1 at a bound, and 0 where the bounds hold x back."""
    x, low, high = np.array([-1.0, 0.5, 2.0], np.float32), np.array([[0.0], [-1.0]], np.float32), np.array([3, 0.5, 1])
    for bounds in ((low, high), (mg.tensor(low), mg.tensor(high)), (low, None), (None, high), (-0.5, high)):
        value, slope = gradients(lambda t, bounds=bounds: mg.ops.clip(t, *bounds), x)
        expected = np.clip(x, *(b.numpy() if isinstance(b, mg.Tensor) else b for b in bounds))
        np.testing.assert_array_equal(value, expected)
        assert value.dtype == expected.dtype
        np.testing.assert_array_equal(slope, (expected == x).reshape(-1, 3).sum(axis=0))
        assert slope.dtype == x.dtype


def test_clip_without_bounds_copies():
    x = mg.tensor([1.0, 2.0])
    assert not np.shares_memory(mg.ops.clip(x).numpy(), x.numpy())


x2 = np.ones(2)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mg.ops.clip(x2, 2, 1), ValueError, r"clip.*min 2 .*max 1"),
        (lambda: mg.ops.clip(x2, max=float("nan")), ValueError, "max is NaN"),
        (lambda: mg.ops.clip(x2, np.array([0.0, 2.0]), 1), ValueError, r"min 2\.0 .*max 1\b"),
        (lambda: mg.ops.clip(x2, np.ones(3)), ValueError, "could not be broadcast"),
        (lambda: mg.ops.clip(x2, "1"), TypeError, "min: "),
        (lambda: mg.ops.clip(x2, max=mg.tensor(x2, requires_grad=True)), TypeError, "max is not differentiable"),
        (lambda: mg.ops.where(x2, x2, x2), TypeError, "where.*boolean, not float64"),
        (lambda: mg.ops.where(1, x2, x2), TypeError, "where.*boolean, not int64"),
        (lambda: mg.ops.where(x2 > 0, np.ones(3), 0), ValueError, r"where.*\(2,\).*\(3,\)"),
        (lambda: mg.ops.astype(x2, complex), TypeError, "astype.*dtype"),
        (lambda: mg.ops.astype(x2, "U3"), TypeError, "astype.*dtype"),
        *((lambda name=name: getattr(mg.ops, name)(x2, np.ones(3)), ValueError, rf"{name}.*\(2,\).*\(3,\)")
          for name in sorted((CONSTANT - UNARY - {"argsort"}) | {"maximum", "minimum"})),
    ],
)  # fmt: skip
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# --- where and astype --------------------------------------------------------------------------------


def test_where_gives_an_exact_zero_to_the_branch_not_taken():
    x, y = (mg.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    with np.errstate(invalid="ignore"):
        mg.ops.where(np.array([True, False]), x, y).backward(np.array([np.inf, np.nan], np.float32))
    np.testing.assert_array_equal(x.grad, [np.inf, 0])
    np.testing.assert_array_equal(y.grad, [0, np.nan])


def test_where_agrees_with_numpy_and_keeps_float32():
    condition, x, y = np.array([[True], [False]]), np.arange(3, dtype=np.float32), np.float32(7)
    np.testing.assert_array_equal(mg.ops.where(condition, x, y).numpy(), np.where(condition, x, y))
    assert mg.ops.where(condition, x, 0.5).dtype == np.float32


def test_astype_casts_there_and_back():
    x = mg.tensor(np.array([1.0, 2.5]), requires_grad=True)
    out = mg.ops.astype(x, np.float32)
    assert out.dtype == np.float32
    out.backward(np.array([1, 2], np.float32))
    assert x.grad.dtype == np.float64
    assert x.grad.tolist() == [1, 2]
    same = mg.ops.astype(x, np.float64)
    assert not np.shares_memory(same.numpy(), x.numpy())


def test_astype_to_integers_is_a_constant():
    out = mg.ops.astype(mg.tensor([1.0, 2.5], requires_grad=True), int)
    assert out.numpy().tolist() == [1, 2]
    assert not out.requires_grad
    assert mg.ops.astype(np.array([0, 2]), bool).numpy().tolist() == [False, True]


# --- orders ----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", ["sort", "topk"])
def test_orders_agree_with_pytorch(name):
    theirs = lambda torch, x, **options: getattr(torch, name)(x, *options.values())[0]  # noqa: E731
    mine = lambda x, **o: mg.ops.sort(x, **o) if name == "sort" else mg.ops.topk(x, **o)[0]  # noqa: E731
    PYTORCH.compare_drawn(name, mine, theirs, {"sort": sorts(none=False), "topk": tops()}[name], rtol=0)


def test_ties_in_orders_share_nothing():
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
        (lambda: mg.ops.topk(x23, 4), ValueError, "k must be in 0 … 3, the length of axis 1, not 4"),
        (lambda: mg.ops.topk(x23, -1, 0), ValueError, "k must be at least 0, not -1"),
        (lambda: mg.ops.topk(x23, 1.0), TypeError, "k must be an integer, not 1.0"),
    ],
)  # fmt: skip
def test_refusals_of_orders(call, kind, message):
    with pytest.raises(kind, match=message):
        call()

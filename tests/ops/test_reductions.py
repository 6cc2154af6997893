"""Reductions, softmax and cumulative sums: values against NumPy and PyTorch, gradients, edges."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive
from tests.ops.test_elementwise import gradients
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)


@st.composite
def axes(draw, ndim, none=True, several=True):
    """None, an axis or a tuple of axes of an array, each counted from either end."""
    kinds = (["none"] if none else []) + (["one"] if ndim else []) + (["several"] if several else [])
    kind = draw(st.sampled_from(kinds))
    signed = st.integers(-ndim, ndim - 1)
    if kind == "none":
        return None
    if kind == "one" or not ndim:
        return draw(signed) if ndim else ()
    return tuple(draw(st.lists(signed, unique_by=lambda a: a % ndim)))


@st.composite
def reductions(draw, min_side=0, distinct=False, low=-2.0, high=2.0, **options):
    x = draw(arrays(shapes(min_side=min_side), low=low, high=high, distinct=distinct))
    drawn = {name: draw(st.sampled_from(values)) for name, values in options.items()}
    return Case([x], {"axis": draw(axes(x.ndim)), "keepdims": draw(st.booleans()), **drawn})


@st.composite
def along(draw, none=False, **options):
    x = draw(arrays(shapes(min_dims=1, **options)))
    return Case([x], {"axis": draw(axes(x.ndim, none=none, several=False))})


def spread_out():
    """Reductions of at least two entries that differ, with a degree of freedom."""
    axis = st.sampled_from([None, 0, -1, (0, 1), (-1,)])
    options = st.fixed_dictionaries({"axis": axis, "keepdims": st.booleans(), "ddof": st.sampled_from([0, 1])})
    return st.builds(Case, arrays(shapes(min_dims=2, min_side=2), distinct=True).map(lambda x: [x]), options)


CASES = {
    "cumsum": along(none=True),
    "log_softmax": along(min_side=1),
    "logsumexp": reductions(min_side=1),
    "max": reductions(min_side=1, distinct=True),
    "mean": reductions(min_side=1),
    "min": reductions(min_side=1, distinct=True),
    "norm": reductions(min_side=1, distinct=True, low=0.1, high=2.0, ord=[1, 2, np.inf])
    | reductions(min_side=1, distinct=True, low=-2.0, high=-0.1, ord=[1, 2, np.inf]),
    "prod": reductions(),
    "softmax": along(),
    "std": spread_out(),
    "sum": reductions(),
    "var": spread_out(),
}

CONSTANT = {"all", "any", "argmax", "argmin"}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@pytest.mark.parametrize("name", ["all", "any", "max", "mean", "min", "prod", "std", "sum", "var"])
@given(data=st.data())
def test_values_dtypes_and_shapes_are_numpys(name, data):
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.int32, bool]))
    if name == "std" and dtype is bool:
        dtype = np.int64
    x = data.draw(arrays(shapes(min_side=1))).astype(dtype)
    options = {"axis": data.draw(axes(x.ndim)), "keepdims": data.draw(st.booleans())}
    got, expected = getattr(mg.ops, name)(x, **options).numpy(), np.asarray(getattr(np, name)(x, **options))
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)


@pytest.mark.parametrize("name", ["argmax", "argmin", "cumsum"])
@given(data=st.data())
def test_values_along_one_axis_are_numpys(name, data):
    x = np.round(data.draw(arrays(shapes(min_side=1))))  # with ties
    axis = data.draw(axes(x.ndim, several=False))
    got, expected = getattr(mg.ops, name)(mg.tensor(x, requires_grad=True), axis), getattr(np, name)(x, axis)
    np.testing.assert_array_equal(got.numpy(), expected)
    assert got.dtype == np.asarray(expected).dtype
    assert got.requires_grad == (name == "cumsum")


X23, NUMBER = np.ones((2, 3)), np.array(2.0)


@pytest.mark.parametrize(
    ("name", "x", "options", "kind", "message"),
    [
        *((name, X23, {"axis": 2}, ValueError, r"axis 2 is out of bounds")
          for name in sorted((CASES.keys() | CONSTANT) - {"cumsum"})),
        # NumPy lets 0 and -1 pass, where the gradient would find no such axis
        *((name, NUMBER, {"axis": axis}, ValueError, "axis") for axis in (0, -1)
          for name in ("sum", "mean", "max", "min", "prod", "norm", "var", "std", "cumsum", "cumprod")),
        *((name, X23, {"axis": (0, -2)}, ValueError, "duplicate value in 'axis'")
          for name in ("sum", "max", "prod", "norm", "logsumexp", "var")),
        *((name, X23, {"axis": 0.5}, TypeError, "") for name in ("sum", "max", "prod", "norm", "logsumexp", "var")),
        *((name, np.ones((0, 2)), {"axis": 0}, ValueError, "zero-size array") for name in ("max", "min")),
        *(("norm", X23, {"ord": o}, ValueError, f"ord must be 1, 2 or inf, not {o}") for o in (0, 3, -np.inf, "fro")),
    ],
)  # fmt: skip
def test_refusals(name, x, options, kind, message):
    shape = re.escape(str(x.shape))
    with pytest.raises(kind, match=rf"{name}\(x: float64 {shape}\): .*{message}"):
        getattr(mg.ops, name)(x, **options)


PEERS = {
    "sum": lambda torch, t, axis: t.sum(axis),
    "mean": lambda torch, t, axis: t.mean(axis),
    "prod": lambda torch, t, axis: t.prod(axis),
    "max": lambda torch, t, axis: t.amax(axis),
    "min": lambda torch, t, axis: t.amin(axis),
    "var": lambda torch, t, axis: t.var(axis, correction=0),
    "std": lambda torch, t, axis: t.std(axis, correction=0),
    "norm": lambda torch, t, axis: torch.linalg.vector_norm(t, dim=axis),
    "logsumexp": lambda torch, t, axis: t.logsumexp(axis),
    "softmax": lambda torch, t, axis: t.softmax(axis),
    "log_softmax": lambda torch, t, axis: t.log_softmax(axis),
    "cumsum": lambda torch, t, axis: t.cumsum(axis),
}


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("name", PEERS)
def test_agrees_with_pytorch(name, axis):
    x = np.round(np.random.default_rng(0).normal(size=(3, 4, 5)), 1)  # with ties and zeros
    mine = getattr(mg.ops, name)
    PYTORCH.compare(f"{name} {axis}", mine, PEERS[name], [x], {"axis": axis}, rtol=1e-11, atol=2e-14)


# --- empty arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape", "options"), [("mean", (0, 2), {}), ("var", (1, 2), {"ddof": 1}),
                                                        ("std", (1, 2), {"ddof": 1})])  # fmt: skip
def test_means_of_nothing_warn_as_numpy_does(name, shape, options):
    with pytest.warns(RuntimeWarning, match="Mean of empty slice|invalid value"):
        assert np.isnan(getattr(mg.ops, name)(np.ones(shape), axis=0, **options).numpy()).all()


# --- dtypes ------------------------------------------------------------------------------------------


# --- products, extremes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "slope"),
    [
        ([2.0, 3.0, 4.0], [12, 8, 6]),
        ([2.0, 0.0, 4.0], [0, 8, 0]),
        ([0.0, 3.0, 0.0], [0, 0, 0]),
        ([1e-200, 1e-200, 1e200], [1, 1, 0]),  # the product underflows to 0, the others do not
        ([5.0], [1]),
        ([], []),
    ],
)
def test_product_with_zeros(x, slope):
    np.testing.assert_array_equal(gradients(mg.ops.prod, np.array(x))[1], slope)


def test_product_over_any_axes_with_a_zero():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    x[0, 1, 2, 3] = 0
    for axis in [(0, 2), (3, 1), (-1, 0, 1), 2, ()]:
        assert mg.gradcheck(lambda t, axis=axis: mg.ops.prod(t, axis), [x], rtol=1e-7)


@pytest.mark.parametrize(("name", "x"), [("max", [[1.0, 3, 3], [2, 2, 2]]), ("min", [[5.0, 3, 3], [2, 2, 2]])])
def test_ties_share_equally(name, x):
    slope = gradients(lambda t: getattr(mg.ops, name)(t, axis=1), np.array(x))[1]
    np.testing.assert_allclose(slope, [[0, 0.5, 0.5], [1 / 3] * 3])


@pytest.mark.parametrize("name", ["max", "min"])
def test_nan_is_the_extreme(name):
    value, slope = gradients(lambda t: getattr(mg.ops, name)(t, axis=1), np.array([[1.0, np.nan], [1, 2]]))
    assert np.isnan(value).tolist() == [True, False]
    assert slope[0].tolist() == [0, 1]


# --- spread and size ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 1000])
def test_no_spread_is_zero_with_gradient_zero(n, dtype):
    x = np.tile(np.array([[0.1], [1 / 3], [1e10 / 7], [-1e-10 / 3], [0]], dtype), (1, n))
    for name in ["std", "var"]:
        value, slope = gradients(lambda t, name=name: getattr(mg.ops, name)(t, axis=1), x)
        assert not value.any()
        assert not slope.any()


@pytest.mark.parametrize("name", ["std", "var"])
def test_spread_is_accurate_far_from_zero(name):
    x = np.random.default_rng(0).normal(size=1000)
    shifted = x + 1e6
    np.testing.assert_allclose(getattr(mg.ops, name)(shifted).item(), getattr(np, name)(x), rtol=1e-9)


@pytest.mark.parametrize("ord", [1, 2, np.inf])
@given(data=st.data())
def test_norm_agrees_with_numpy(ord, data):
    x = data.draw(arrays(shapes(min_dims=1, min_side=1)))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    keepdims = data.draw(st.booleans())
    got = mg.ops.norm(x, axis, keepdims, ord).numpy()
    np.testing.assert_allclose(got, np.linalg.norm(x, ord, axis, keepdims), rtol=1e-13)


def test_norm_of_infinity_and_ties():
    assert mg.ops.norm(np.array([1.0, -np.inf])).item() == np.inf
    assert gradients(lambda x: mg.ops.norm(x, ord=np.inf), np.array([1.0, -2.0, 2.0]))[1].tolist() == [0, -0.5, 0.5]


# --- softmax -----------------------------------------------------------------------------------------


def test_softmax_family_at_large_scores():
    x = np.array([[1e4, 1e4, -1e4], [-1e4, -1e4, -1e4], [1e4, 0, -1e4]])
    p = np.array([[0.5, 0.5, 0], [1 / 3] * 3, [1, 0, 0]])
    value, slope = gradients(lambda t: mg.ops.logsumexp(t, axis=1), x)
    np.testing.assert_allclose(value, [1e4 + np.log(2), -1e4 + np.log(3), 1e4], rtol=1e-12)
    for found in (mg.ops.softmax(x).numpy(), slope, (1 - gradients(mg.ops.log_softmax, x)[1]) / 3):
        np.testing.assert_allclose(found, p, rtol=1e-11)
    np.testing.assert_allclose(mg.ops.log_softmax(x).numpy()[0], [-np.log(2), -np.log(2), -2e4 - np.log(2)])


def test_the_gradient_of_log_softmax_near_1_keeps_its_digits():
    """Where p is near 1, g - p sum(g) cancels."""
    slope = gradients(lambda t: mg.ops.log_softmax(t)[:1], np.array([40.0, 0.0, 1.0]))[1]
    p = np.exp([-40.0, -39.0])
    np.testing.assert_allclose(slope, [p.sum(), *-p], rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_of_a_softmax_is_exact_in_the_tails(dtype):
    """p_i g_i - p_i sum(p g) without cancellation, where p is as near to 0 and 1 as it goes."""
    x = np.array([[1000, 0, -5], [40, 0, 1], [0.5, 0, 0]], dtype)
    g = np.array([5, -1, 0.5], dtype)
    p = np.exp((x - x.max(axis=1, keepdims=True)).astype(np.longdouble))
    p /= p.sum(axis=1, keepdims=True)
    exact = p * ((g[:, None] - g) * p[:, None]).sum(axis=2)
    slope = gradients(lambda t: mg.ops.softmax(t) * g, x)[1]
    np.testing.assert_allclose(slope, exact.astype(dtype), rtol=30 * np.finfo(dtype).eps)


def test_masked_scores():
    x = np.array([[-np.inf, 0.0, 0.0], [-np.inf, -np.inf, -np.inf]])
    value, slope = gradients(lambda t: mg.ops.logsumexp(t, axis=1), x)
    np.testing.assert_allclose(value, [np.log(2), -np.inf])
    np.testing.assert_allclose(slope, [[0, 0.5, 0.5], [0, 0, 0]])
    value, slope = gradients(mg.ops.softmax, x[:1])
    assert (value.tolist(), slope.tolist()) == ([[0, 0.5, 0.5]], [[0, 0, 0]])
    assert mg.ops.log_softmax(x[:1]).numpy()[0, 0] == -np.inf
    assert mg.ops.logsumexp(np.array([np.inf, 1.0])).item() == np.inf


def test_softmax_of_a_row_masked_out_warns():
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(mg.ops.softmax(np.full(3, -np.inf)).numpy()).all()


def test_softmax_over_several_axes():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    together = mg.ops.softmax(x, axis=(1, 2)).numpy()
    np.testing.assert_allclose(together.reshape(2, 12), mg.ops.softmax(x.reshape(2, 12)).numpy(), rtol=1e-13)
    np.testing.assert_allclose(np.exp(mg.ops.log_softmax(x, axis=(1, 2)).numpy()), together, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unit", [1.0, 1e-30, 1e-19, 1e19, 1e30])
def test_lengths_of_rows_with_units_of_their_own(dtype, unit):
    x = np.random.default_rng(0).standard_normal((4, 9)).astype(dtype)
    scaled = x * np.array([[unit], [1.0], [0.0], [1.0]], dtype)
    expected = np.sqrt(np.square(scaled.astype(np.longdouble)).sum(axis=1))
    np.testing.assert_allclose(mg.ops.norm(scaled, 1).numpy(), expected, rtol=4 * np.finfo(dtype).eps)
    one = mg.ops.norm(x * dtype(unit)).numpy()
    np.testing.assert_allclose(one / dtype(unit), np.sqrt(np.square(x).sum()), rtol=8 * np.finfo(dtype).eps)

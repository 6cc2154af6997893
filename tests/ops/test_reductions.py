"""Reductions, softmax and cumulative sums: values against NumPy and PyTorch, gradients, edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
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


def gradients(function, *inputs):
    tensors = [mg.tensor(x, requires_grad=True) for x in inputs]
    out = function(*tensors)
    out.backward(np.ones(out.shape, out.dtype))
    return out.numpy(), *(t.grad for t in tensors)


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


def test_constants_keep_dimensions_and_carry_no_gradient():
    x = mg.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    for name in sorted(CONSTANT):
        out = getattr(mg.ops, name)(x, axis=1, keepdims=True)
        assert out.shape == (2, 1)
        assert not out.requires_grad


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


@pytest.mark.parametrize("name", sorted((CASES.keys() | CONSTANT) - {"cumsum"}))
def test_axes_out_of_range(name):
    with pytest.raises(np.exceptions.AxisError, match=rf"{name}\(x: float64 \(2, 3\)\): axis 2 is out of bounds"):
        getattr(mg.ops, name)(np.ones((2, 3)), axis=2)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "norm", "var", "std", "cumsum", "cumprod"])
def test_a_scalar_has_no_axis(name):
    """NumPy's reductions let 0 and -1 pass, where the gradient would find no such axis."""
    for axis in (0, -1, (0,)) if name not in ("cumsum", "cumprod") else (0, -1):
        with pytest.raises(np.exceptions.AxisError, match=rf"{name}\(x: float64 \(\)\): axis"):
            getattr(mg, name)(mg.tensor(np.array(2.0), requires_grad=True), axis=axis)


@pytest.mark.parametrize("name", ["sum", "max", "prod", "norm", "logsumexp", "var"])
def test_axes_that_make_no_sense(name):
    with pytest.raises(ValueError, match=rf"{name}\(x: float64 \(2, 3\)\): duplicate value in 'axis'"):
        getattr(mg.ops, name)(np.ones((2, 3)), axis=(0, -2))
    with pytest.raises(TypeError, match=rf"{name}\(x: float64 \(2, 3\)\)"):
        getattr(mg.ops, name)(np.ones((2, 3)), axis=0.5)


# --- empty arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "neutral"), [("sum", 0), ("prod", 1), ("norm", 0), ("logsumexp", -np.inf)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reductions_of_nothing(name, neutral, dtype):
    value, slope = gradients(lambda x: getattr(mg.ops, name)(x, axis=0), np.ones((0, 2), dtype))
    assert value.tolist() == [neutral, neutral]
    assert value.dtype == slope.dtype == dtype
    assert slope.shape == (0, 2)


@pytest.mark.parametrize("name", ["max", "min"])
def test_extremes_of_nothing(name):
    with pytest.raises(ValueError, match=rf"{name}\(x: float64 \(0, 2\)\): zero-size array"):
        getattr(mg.ops, name)(np.ones((0, 2)), axis=0)
    value, slope = gradients(lambda x: getattr(mg.ops, name)(x, axis=1), np.ones((0, 2)))
    assert value.shape == (0,)
    assert slope.shape == (0, 2)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_nothing(name):
    for axis in (0, 1):
        value, slope = gradients(lambda x, axis=axis: getattr(mg.ops, name)(x, axis), np.ones((0, 2)))
        assert value.shape == slope.shape == (0, 2)


def test_argmax_of_nothing():
    with pytest.raises(ValueError, match=r"argmax\(x: float64 \(0,\)\): attempt to get argmax of an empty sequence"):
        mg.ops.argmax(np.ones(0))


def test_means_of_nothing_warn_as_numpy_does():
    x = mg.tensor(np.ones((0, 2)), requires_grad=True)
    with pytest.warns(RuntimeWarning, match="Mean of empty slice|invalid value"):
        out = mg.ops.mean(x, axis=0)
    assert np.isnan(out.numpy()).all()
    out.backward(np.ones(2))
    assert x.grad.shape == (0, 2)
    assert gradients(lambda x: mg.ops.mean(x, axis=1), np.ones((0, 2)))[1].shape == (0, 2)


@pytest.mark.parametrize("name", ["var", "std"])
def test_variance_without_freedom_warns_as_numpy_does(name):
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(getattr(mg.ops, name)(np.ones((1, 2)), axis=0, ddof=1).numpy()).all()
    assert gradients(lambda x: getattr(mg.ops, name)(x, axis=1), np.ones((0, 2)))[1].shape == (0, 2)


# --- dtypes ------------------------------------------------------------------------------------------


def test_float32_stays_and_means_of_integers_are_float64():
    x = np.arange(4, dtype=np.float32)
    for name in sorted(CASES):
        out = getattr(mg.ops, name)(x) if name != "cumsum" else mg.ops.cumsum(x, 0)
        assert out.dtype == np.float32, name
    integers = np.arange(4)
    for name in ["mean", "var", "std", "norm", "logsumexp", "softmax", "log_softmax"]:
        out = getattr(mg.ops, name)(integers)
        assert out.dtype == np.float64, name
        np.testing.assert_allclose(out.numpy(), getattr(mg.ops, name)(integers.astype(float)).numpy())


def test_the_gradient_of_a_sum_is_a_view():
    g = np.ones(3)
    (grad,) = mg.ops.sum.primitive.vjp(g, (True,), (1000, 3), 0, False)
    assert grad.shape == (1000, 3)
    assert np.shares_memory(grad, g)


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


@pytest.mark.parametrize("ddof", [0, 1, 2, 0.5])
def test_degrees_of_freedom(ddof):
    x = np.random.default_rng(0).normal(size=(4, 5))
    for name in ["std", "var"]:
        got = getattr(mg.ops, name)(x, axis=0, ddof=ddof).numpy()
        np.testing.assert_allclose(got, getattr(np, name)(x, axis=0, ddof=ddof), rtol=1e-13)


@pytest.mark.parametrize("ord", [1, 2, np.inf])
@given(data=st.data())
def test_norm_agrees_with_numpy(ord, data):
    x = data.draw(arrays(shapes(min_dims=1, min_side=1)))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    keepdims = data.draw(st.booleans())
    got = mg.ops.norm(x, axis, keepdims, ord).numpy()
    np.testing.assert_allclose(got, np.linalg.norm(x, ord, axis, keepdims), rtol=1e-13)


@pytest.mark.parametrize("ord", [1, 2, np.inf])
def test_norm_at_zero_is_flat(ord):
    value, slope = gradients(lambda x: mg.ops.norm(x, axis=1, ord=ord), np.zeros((2, 3)))
    assert not value.any()
    assert not slope.any()


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e-310])
def test_norm_neither_over_nor_underflows(size):
    value, slope = gradients(mg.ops.norm, np.array([3.0, -4.0]) * size)
    np.testing.assert_allclose(value, 5 * size, rtol=1e-12)
    np.testing.assert_allclose(slope, [0.6, -0.8], rtol=1e-12)


def test_norm_of_infinity_and_ties():
    assert mg.ops.norm(np.array([1.0, -np.inf])).item() == np.inf
    value, slope = gradients(lambda x: mg.ops.norm(x, ord=np.inf), np.array([1.0, -2.0, 2.0]))
    assert value == 2
    assert slope.tolist() == [0, -0.5, 0.5]


@pytest.mark.parametrize("ord", [0, 3, -np.inf, "fro"])
def test_norm_refuses_other_orders(ord):
    with pytest.raises(ValueError, match=rf"norm\(x: float64 \(2,\)\): ord must be 1, 2 or inf, not {ord}"):
        mg.ops.norm(np.ones(2), ord=ord)


# --- softmax -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_family_at_large_scores(dtype):
    x = np.array([[1e4, 1e4, -1e4], [-1e4, -1e4, -1e4], [1e4, 0, -1e4]], dtype)
    p = [[0.5, 0.5, 0], [1 / 3] * 3, [1, 0, 0]]
    np.testing.assert_allclose(mg.ops.softmax(x).numpy(), p, rtol=1e-6)
    value, slope = gradients(lambda t: mg.ops.logsumexp(t, axis=1), x)
    np.testing.assert_allclose(value, [1e4 + np.log(2), -1e4 + np.log(3), 1e4], rtol=1e-7)
    np.testing.assert_allclose(slope, p, rtol=1e-3 if dtype == np.float32 else 1e-11)
    logs, slope = gradients(mg.ops.log_softmax, x)
    np.testing.assert_allclose(logs[0], [-np.log(2), -np.log(2), -2e4 - np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(slope, 1 - 3 * np.array(p), rtol=1e-5)


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


def test_cumsum_without_an_axis_flattens():
    value, slope = gradients(mg.ops.cumsum, np.arange(6.0).reshape(2, 3))
    assert value.tolist() == [0, 1, 3, 6, 10, 15]
    assert slope.tolist() == [[6, 5, 4], [3, 2, 1]]


def test_log_softmax_sums_cotangents_beyond_half_precision():
    x, g = leaf(np.zeros(3, np.float16)), np.array([6e4, 6e4, 0], np.float16)
    assert pull(mg.ops.log_softmax, [x], [g])[1][0].tolist() == [2e4, 2e4, -4e4]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unit", [1.0, 1e-30, 1e-19, 1e19, 1e30])
def test_lengths_of_rows_with_units_of_their_own(dtype, unit):
    x = np.random.default_rng(0).standard_normal((4, 9)).astype(dtype)
    scaled = x * np.array([[unit], [1.0], [0.0], [1.0]], dtype)
    expected = np.sqrt(np.square(scaled.astype(np.longdouble)).sum(axis=1))
    np.testing.assert_allclose(mg.ops.norm(scaled, 1).numpy(), expected, rtol=4 * np.finfo(dtype).eps)
    one = mg.ops.norm(x * dtype(unit)).numpy()
    np.testing.assert_allclose(one / dtype(unit), np.sqrt(np.square(x).sum()), rtol=8 * np.finfo(dtype).eps)

"""Reductions, softmax and cumulative sums: values against NumPy and PyTorch, gradients, edges."""

from __future__ import annotations

import inspect
import re

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.ops.test_elementwise import gradients
from tests.peers import Peer, cotangent
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


@st.composite
def products_along(draw, zeros=False, none=True):
    """An array of up to three axes, or a vector of up to nine entries, and an axis of it; some entries are 0."""
    x = draw(arrays(shapes(min_dims=1)) | arrays(st.integers(0, 9).map(lambda n: (n,))))
    if zeros:
        x = np.where(np.abs(x) < 0.5, 0, x)
    return Case([x], {"axis": draw(st.integers(-x.ndim, x.ndim - 1) | (st.none() if none else st.nothing()))})


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
    "cumprod": products_along() | products_along(zeros=True),
}


CONSTANT = {"all", "any", "argmax", "argmin"}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
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
    for found in (mg.ops.softmax(x).numpy(), slope):
        np.testing.assert_allclose(found, p, rtol=1e-11)
    np.testing.assert_allclose(gradients(mg.ops.log_softmax, x)[1], 1 - 3 * p, rtol=1e-11, atol=1e-30)
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


def test_softmax_of_a_row_masked_out_is_nan():
    with np.errstate(invalid="ignore"):
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


# --- cumulative products ---------------------------------------------------------------------------------


@given(CASES["cumprod"], st.sampled_from([np.float32, np.float64, np.int32, bool]))
def test_cumprod_is_numpys(case, dtype):
    (x,), options = case.inputs, case.options
    got, expected = mg.ops.cumprod(x.astype(dtype), **options).data, np.cumprod(x.astype(dtype), **options)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.cumprod(mg.tensor(x), **options).data, np.cumprod(x, **options))


def test_cumprod_agrees_with_pytorch():
    def theirs(torch, x, axis):
        return torch.cumprod(x, axis)

    cases = products_along(none=False) | products_along(zeros=True, none=False)
    PYTORCH.compare_drawn("cumprod", mg.ops.cumprod, theirs, cases, rtol=1e-11, atol=1e-12)


def gradient_of_cumprod(x, g, axis=0):
    return pull(lambda x: mg.ops.cumprod(x, axis), [leaf(x)], [np.asarray(g, x.dtype)])[1][0]


@pytest.mark.parametrize(
    ("x", "slope"),
    [
        ([2.0, 3.0, 4.0], [1 + 3 + 12, 2 + 8, 6]),
        ([2.0, 0.0, 4.0], [1, 2 + 8, 0]),
        ([0.0, 3.0, 4.0], [1 + 3 + 12, 0, 0]),
        ([2.0, 0.0, 4.0, 0.0, 5.0], [1, 2 + 8, 0, 0, 0]),
        ([5.0], [1]),
        ([0.0], [1]),
        ([], []),
    ],
)
def test_cumprod_of_zeros(x, slope):
    np.testing.assert_array_equal(gradient_of_cumprod(np.array(x), np.ones(len(x))), slope)


def exactly(x, g):
    """By the definition, with so many digits that nothing is lost."""
    with mpmath.workdps(200):
        numbers, weights = [mpmath.mpf(float(v)) for v in x], [mpmath.mpf(float(v)) for v in g]
        products = [
            [mpmath.fprod(v for k, v in enumerate(numbers[: j + 1]) if k != i) for j in range(len(x))]
            for i in range(len(x))
        ]
        return [float(mpmath.fsum(weights[j] * products[i][j] for j in range(i, len(x)))) for i in range(len(x))]


@pytest.mark.parametrize(
    "x",
    [
        [1e-200, 1e-200, 3.0],  # the product underflows
        [1e-200, 1e-30, 1e-100, 2.0],
        [1e-150, 2.0, 1e150, 1e150],
        [1e-300, 0.0, 1e150, 1e150, 2.0],
        [0.0, 1.0, 1e100, 1e150],
    ],
)
def test_cumprod_at_both_ends_of_the_range(x):
    g = [1.0, -2.0, 0.5, 0.25, -3.0][: len(x)]
    np.testing.assert_allclose(gradient_of_cumprod(np.array(x), g), exactly(x, g), rtol=1e-12, atol=1e-300)


def test_what_is_not_finite_shows_in_cumprod():
    with np.errstate(invalid="ignore"):
        found = gradient_of_cumprod(np.array([2.0, np.inf, 3.0]), np.ones(3))
    np.testing.assert_array_equal(found, [np.inf, np.nan, np.inf])
    assert np.isnan(gradient_of_cumprod(np.array([2.0, np.nan, 3.0]), np.ones(3))).all()


def test_long_sequences_to_third_order():
    """The recurrence that derivatives of derivatives take gives what the quotient gives, at any length."""
    for n in (1, 2, 3, 7, 8, 9, 100):
        x = np.random.default_rng(n).uniform(0.9, 1.1, n)
        first = mg.grad(lambda x: (mg.ops.cumprod(x) ** 2).sum())
        with mg.create_graph():
            again = first(mg.tensor(x, requires_grad=True)).detach().numpy()
        np.testing.assert_allclose(again, first(x).numpy(), rtol=1e-12)
        third = mg.grad(lambda x, first=first: (mg.grad(lambda x: (first(x) ** 2).sum())(x)).sum())
        assert mg.gradcheck(lambda x, first=first: first(x), [x])
        assert third(x).shape == (n,)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2, None])
def test_all_rules_along_every_axis(axis, zeros):
    """Of one cotangent, of many, and on tensors, against derivatives by a step in the complex plane."""
    x = np.random.default_rng(0).uniform(0.5, 2, (2, 3, 4))
    if zeros:
        x[0, 1, 2] = x[1, :, 3] = x[0, 0, 0] = 0
    function = lambda x: mg.ops.cumprod(x, axis)  # noqa: E731
    steps = 1e-30j * np.eye(x.size).reshape(-1, *x.shape)
    moved = [np.cumprod(x + step, axis).imag / 1e-30 for step in steps]
    expected = np.moveaxis(np.array(moved), 0, -1).reshape(*moved[0].shape, *x.shape)
    np.testing.assert_allclose(mg.jacobian(function)(x).numpy(), expected, rtol=1e-12, atol=1e-14)
    u = cotangent(moved[0].shape)
    pulled = np.tensordot(u, expected, u.ndim)
    np.testing.assert_allclose(pull(function, [leaf(x)], [u])[1][0], pulled, rtol=1e-12, atol=1e-13)
    with mg.create_graph():
        found = mg.grad(lambda x: (function(x) * u).sum())(mg.tensor(x, requires_grad=True))
    np.testing.assert_allclose(found.detach().numpy(), pulled, rtol=1e-12, atol=1e-13)


# --- arrays without axes -------------------------------------------------------------------------------

ALONG_AN_AXIS = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (mg.ops, mg.linalg)
    for name in module.__all__
    if "axis" in inspect.signature(getattr(module, name)).parameters
}
OTHER_ARGUMENTS = {"repeat": [2], "roll": [1], "split": [1], "take_along_axis": [0], "topk": [1]}
ADD_AN_AXIS = {"minigrad.ops.expand_dims", "minigrad.ops.stack"}


@pytest.mark.parametrize("path", sorted(ALONG_AN_AXIS.keys() - ADD_AN_AXIS))
def test_a_number_has_no_axis(path):
    name = path.rpartition(".")[2]
    x = mg.tensor(2.0, requires_grad=True)
    for axis in (0, -1):
        with pytest.raises(ValueError, match=r"axis -?\d is out of bounds|zero-dimensional"):
            ALONG_AN_AXIS[path]([x] if name == "concatenate" else x, *OTHER_ARGUMENTS.get(name, []), axis=axis)


@pytest.mark.parametrize(
    ("name", "value", "slope"),
    [("sum", 2, 1), ("mean", 2, 1), ("max", 2, 1), ("min", 2, 1), ("prod", 2, 1), ("norm", 2, 1), ("var", 0, 0),
     ("std", 0, 0), ("logsumexp", 2, 1), ("softmax", 1, 0), ("log_softmax", 0, 0), ("cumsum", 2, 1),
     ("cumprod", 2, 1), ("sort", 2, 1), ("squeeze", 2, 1), ("flip", 2, 1)],
)  # fmt: skip
def test_all_axes_of_a_number(name, value, slope):
    def total(x):
        return mg.sum(getattr(mg, name)(x, axis=None))

    x = mg.tensor(2.0, requires_grad=True)
    assert (total(x).item(), mg.grad(total)(x), mg.grad(mg.grad(total))(x)) == (value, slope, 0)

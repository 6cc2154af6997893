"""Cumulative products: values, gradients at zeros and at both ends of the range of numbers, to any order."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer, cotangent
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)


@st.composite
def along(draw, zeros=False, none=True):
    """An array of up to three axes, or a vector of up to nine entries, and an axis of it; some entries are 0."""
    x = draw(arrays(shapes(min_dims=1)) | arrays(st.integers(0, 9).map(lambda n: (n,))))
    if zeros:
        x = np.where(np.abs(x) < 0.5, 0, x)
    return Case([x], {"axis": draw(st.integers(-x.ndim, x.ndim - 1) | (st.none() if none else st.nothing()))})


CASES = {"cumprod": along() | along(zeros=True)}


@given(CASES["cumprod"])
def test_gradients(case):
    check_primitive(mg.ops.cumprod, case)


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

    cases = along(none=False) | along(zeros=True, none=False)
    PYTORCH.compare_drawn("cumprod", mg.ops.cumprod, theirs, cases, rtol=1e-11, atol=1e-12)


def gradient(x, g, axis=0):
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
def test_zeros(x, slope):
    np.testing.assert_array_equal(gradient(np.array(x), np.ones(len(x))), slope)


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
def test_both_ends_of_the_range(x):
    g = [1.0, -2.0, 0.5, 0.25, -3.0][: len(x)]
    np.testing.assert_allclose(gradient(np.array(x), g), exactly(x, g), rtol=1e-12, atol=1e-300)


def test_what_is_not_finite_shows():
    with np.errstate(invalid="ignore"):
        found = gradient(np.array([2.0, np.inf, 3.0]), np.ones(3))
    np.testing.assert_array_equal(found, [np.inf, np.nan, np.inf])
    assert np.isnan(gradient(np.array([2.0, np.nan, 3.0]), np.ones(3))).all()


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

"""Arithmetic and elementary functions: values against NumPy and PyTorch, gradients, edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive
from tests.peers import Peer
from tests.strategies import arrays, broadcastable, shapes

PYTORCH = Peer(__name__)


def unary(low=-2.0, high=2.0, **options):
    return arrays(shapes(), low=low, high=high, **options).map(lambda x: Case([x]))


def binary(low=-2.0, high=2.0, scalars=(0.5, 2, -1.25), **options):
    """Two arrays that broadcast, or an array and a Python number on either side."""
    single = arrays(shapes(), low=low, high=high, **options)
    pairs = broadcastable(low=low, high=high, **options).map(Case)
    if not scalars:
        return pairs
    number = st.sampled_from(scalars)
    return (
        pairs
        | st.builds(lambda x, s: Case([x, s]), single, number)
        | st.builds(lambda x, s: Case([s, x]), single, number)
    )


def remainders():
    """Dividends that lie a quarter or a half of the divisor, -1 or 0.5, away from its multiples, where it jumps."""
    between = lambda a: np.asarray(np.round(2 * a) / 2 + 0.25)  # noqa: E731
    pairs = broadcastable().map(lambda pair: [between(pair[0]), np.where(pair[1] < 0, -1.0, 0.5)])
    return (pairs | pairs.map(lambda pair: [pair[0], -1]) | pairs.map(lambda pair: [1.75, pair[1]])).map(Case)


CASES = {
    "absolute": unary(away_from=(0.0,)),
    "add": binary(),
    "arccos": unary(-0.9, 0.9),
    "arcsin": unary(-0.9, 0.9),
    "arctan": unary(),
    "arctan2": binary(0.3, 2.0) | binary(-2.0, -0.3),
    "cos": unary(),
    "cosh": unary(),
    "divide": binary(0.3, 2.0),
    "exp": unary(),
    "expm1": unary(),
    "log": unary(0.2, 3.0),
    "log1p": unary(-0.7, 3.0),
    "logaddexp": binary(),
    "multiply": binary(),
    "negative": unary(),
    "power": binary(0.3, 2.5, scalars=(2, 3, 0.5, 1)),
    "reciprocal": unary(0.3, 2.0),
    "remainder": remainders(),
    "sin": unary(),
    "sinh": unary(),
    "sqrt": unary(0.2, 3.0),
    "square": unary(),
    "subtract": binary(),
    "tan": unary(-1.2, 1.2),
    "tanh": unary(),
}

DOMAIN = {"log": (0.1, 3), "sqrt": (0.1, 3), "power": (0.3, 2), "arcsin": (-0.9, 0.9), "arccos": (-0.9, 0.9),
          "log1p": (-0.8, 3), "reciprocal": (0.3, 3)}  # fmt: skip
BINARY = {"add", "subtract", "multiply", "divide", "power", "arctan2", "logaddexp", "remainder"}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


def sample(name, dtype=np.float64, seed=0):
    low, high = DOMAIN.get(name, (-2, 2))
    rng = np.random.default_rng(seed)
    inputs = [rng.uniform(low, high, (3, 4)).astype(dtype)]
    return [*inputs, rng.uniform(low, high, 4).astype(dtype)] if name in BINARY else inputs


def gradients(function, *inputs):
    """The output, and the gradients of its sum."""
    tensors = [mg.tensor(x, requires_grad=True) for x in inputs]
    out = function(*tensors)
    out.backward(np.ones(out.shape, out.dtype))
    return out.numpy(), *(t.grad for t in tensors)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_values_and_dtypes_are_numpys(name, dtype):
    inputs = sample(name, dtype)
    got, expected = getattr(mg.ops, name)(*inputs).numpy(), getattr(np, name)(*inputs)
    assert got.dtype == expected.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=2e-7 if dtype == np.float32 else 2e-16)


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"arcsin", "arccos"}))
def test_integers_follow_numpy(name):
    inputs = [np.array([[1, 2], [3, 4]]), np.array([2, 1])][: 2 if name in BINARY else 1]
    got, expected = getattr(mg.ops, name)(*inputs).numpy(), getattr(np, name)(*inputs)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_pytorch(name):
    peer = {"power": "pow", "absolute": "abs", "divide": "div", "negative": "neg"}.get(name, name)
    theirs = lambda torch, *tensors: getattr(torch, peer)(*tensors)  # noqa: E731
    PYTORCH.compare(name, getattr(mg.ops, name), theirs, sample(name, seed=1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_a_number_alone_takes_the_default_dtype_and_no_dimension(name):
    function = getattr(mg.ops, name)
    alone = function(0.75, mg.tensor(0.5)) if name in BINARY else function(0.75)
    assert alone.shape == ()
    assert alone.dtype == np.float32


def test_shapes_that_do_not_broadcast():
    for name in BINARY:
        with pytest.raises(ValueError, match=rf"{name}\(\w+: float64 \(2,\), \w+: float64 \(3,\)\)"):
            getattr(mg.ops, name)(np.ones(2), np.ones(3))


# --- kinks, poles and extreme values -----------------------------------------------------------------


# A call, its inputs, its value (None: whatever), and the gradient of each input.
POINTS = {
    "absolute at 0": (mg.ops.absolute, [[0.0, -0.0, -3.0]], None, [[0, 0, -1]]),
    "the pole of sqrt": (mg.ops.sqrt, [[0.0, 4.0]], None, [[np.inf, 0.25]]),
    "the poles of arcsin": (mg.ops.arcsin, [[-1.0, 1.0]], None, [[np.inf, np.inf]]),
    "the poles of arccos": (mg.ops.arccos, [[-1.0, 1.0]], None, [[-np.inf, -np.inf]]),
    "the pole of a root": (lambda x: mg.ops.power(x, 0.5), [[0.0, 4.0]], None, [[np.inf, 0.25]]),
    "the tail of expm1": (mg.ops.expm1, [[-40.0]], None, [[np.exp(-40.0)]]),
    "log1p near 0": (mg.ops.log1p, [[1e-20]], [1e-20], [[1]]),
    "the tails of tanh": (mg.ops.tanh, [[-1e3, 1e3]], [-1, 1], [[0, 0]]),
    "the tails of arctan": (mg.ops.arctan, [[-1e200, 1e200]], None, [[0, 0]]),
    "squares in divide": (mg.ops.divide, [[1e-200, 1e200]] * 2, [1, 1], [[1e200, 1e-200], [-1e200, -1e-200]]),
    "squares in arctan2": (mg.ops.arctan2, [[1e200, 1e-200, 0.0]] * 2, None,
                           [[0.5e-200, 0.5e200, 0], [-0.5e-200, -0.5e200, 0]]),
    "large exponents": (mg.ops.logaddexp, [[-np.inf, -np.inf, 1e4, 1e4], [-np.inf, 3, 1e4, -1e4]],
                        [-np.inf, 3, 1e4 + np.log(2), 1e4], [[0, 0, 0.5, 1], [0, 1, 0.5, 0]]),
    "the power 0": (lambda x: mg.ops.power(x, 0), [[-1.0, 0.0, 2.0]], [1, 1, 1], [[0, 0, 0]]),
    "powers of 0s": (lambda x: mg.ops.power(x, np.zeros(3)), [[-1.0, 0.0, 2.0]], [1, 1, 1], [[0, 0, 0]]),
    "powers of 0": (lambda y: mg.ops.power(0, y), [[0.0, 0.5, 2.0]], [1, 0, 0], [[0, 0, 0]]),
    "powers of integers": (lambda y: mg.ops.power(np.array([0, 2, 3]), y), [[2.0, 2.0, 0.0]], [0, 4, 1],
                           [[0, 4 * np.log(2), np.log(3)]]),
    "powers by integers": (lambda x: mg.ops.power(x, np.array([0, 2, -1])), [[0.0, 3.0, 2.0]], [1, 9, 0.5],
                           [[0, 6, -0.25]]),
    "powers by booleans": (lambda x: mg.ops.power(x, np.array([True, False])), [[3.0, 3.0]], [3, 1], [[1, 0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_special_points_have_exact_values_and_gradients_without_a_warning(name):
    function, inputs, value, expected = POINTS[name]
    found, *slopes = gradients(function, *map(np.array, inputs))
    for mine, exact in zip([found, *slopes], [found if value is None else value, *expected], strict=True):
        np.testing.assert_allclose(mine, exact, rtol=1e-14)


def test_log_warns_as_numpy_does():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert mg.ops.log(0.0).item() == -np.inf


# --- power -------------------------------------------------------------------------------------------


def test_negative_powers_of_zero_fall_without_bound_in_the_exponent():
    with np.errstate(divide="ignore"):
        value, slope = gradients(lambda y: mg.ops.power(0.0, y), np.array([-1.0]))
    assert (value.tolist(), slope.tolist()) == ([np.inf], [-np.inf])


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, 0.5])
def test_power_keeps_float32_with_python_numbers(exponent):
    value, slope = gradients(lambda x: mg.ops.power(x, exponent), np.ones(3, np.float32))
    assert value.dtype == slope.dtype == np.float32
    value, slope = gradients(lambda y: mg.ops.power(2.5, y), np.ones(3, np.float32))
    assert value.dtype == slope.dtype == np.float32


def test_power_of_integers_with_negative_exponents():
    with pytest.raises(ValueError, match=r"power\(a: int64 \(2,\), b: int\): .*negative integer power"):
        mg.ops.power(np.array([1, 2]), -1)


def test_power_of_a_negative_base_has_no_gradient_in_the_exponent():
    y = mg.tensor(2.0, requires_grad=True)
    out = mg.ops.power(mg.tensor(-2.0), y)
    assert out.item() == 4
    with pytest.warns(RuntimeWarning, match="invalid value"):
        out.backward()
    assert np.isnan(y.grad)


HALF = {
    "power": (lambda x: x**-0.5, 1e-4, -5000),
    "power in the exponent": (lambda x: 1e-3**x, -1.5, 0.01 * 1e3**1.5 * np.log(1e-3)),
    "divide": (lambda x: 1e-4 / x, 1e-4, -100),
}


@pytest.mark.parametrize("name", HALF)
def test_gradients_in_half_precision_overflow_only_if_the_result_does(name):
    function, at, expected = HALF[name]
    x = mg.tensor(np.array([at], np.float16), requires_grad=True)
    function(x).backward(np.array([0.01], np.float16))
    np.testing.assert_allclose(x.grad, [expected], rtol=0.01)


@pytest.mark.parametrize("b", range(-3, 18))
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_whole_powers_of_negative_numbers(b, dtype):
    a = np.array([-1.25, -0.5, 0.75, 1.5], dtype)
    x = mg.tensor(a, requires_grad=True)
    y = mg.power(x, b)
    exact = a.astype(np.float64) ** b
    assert y.dtype == dtype
    np.testing.assert_allclose(y.data, exact, rtol=20 * np.finfo(dtype).eps)
    y.backward(np.ones_like(a))
    np.testing.assert_allclose(x.grad, b * a.astype(np.float64) ** (b - 1), rtol=20 * np.finfo(dtype).eps)


def test_the_mixed_derivative_of_a_power_at_the_exponent_0():
    slope = lambda b: mg.grad(lambda a: a**b)(np.array(4.0))  # noqa: E731
    assert mg.grad(slope)(np.array(0.0)).item() == 0.25  # 1 / a

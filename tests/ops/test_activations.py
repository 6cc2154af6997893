"""Activation functions and dropout: values, tails, gradients, the law of dropout."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import ops
from tests.checks import Case, check_primitive
from tests.ops.test_elementwise import gradients
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)


def unary(low=-3.0, high=3.0, away_from=(), **options):
    """Arrays with options drawn from lists."""
    drawn = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in options.items()})
    return st.builds(Case, arrays(shapes(), low=low, high=high, away_from=away_from).map(lambda x: [x]), drawn)


CASES = {
    "dropout": unary(p=[0.0, 0.25, 0.5], training=[True, False], rng=[3, 4]),
    "elu": unary(away_from=(0.0,), alpha=[1.0, 0.5, 2]),
    "erf": unary(away_from=(-0.46875, 0.46875)) | unary(-5.5, -3.5),
    "gelu": unary(approximate=["none", "tanh"]),
    "leaky_relu": unary(away_from=(0.0,), negative_slope=[0.01, 0.0, 1, 2.5, -0.5]),
    "normal_cdf": unary(away_from=(-0.6629, 0.6629)) | unary(-7, -5),
    "relu": unary(away_from=(0.0,)),
    "sigmoid": unary(),
    "silu": unary(),
    "softplus": unary(),
}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


PEERS = [
    ("elu", {}, "elu", {}),
    ("elu", {"alpha": 0.5}, "elu", {"alpha": 0.5}),
    ("gelu", {}, "gelu", {}),
    ("gelu", {"approximate": "tanh"}, "gelu", {"approximate": "tanh"}),
    ("leaky_relu", {}, "leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}, "leaky_relu", {"negative_slope": 0.3}),
    ("relu", {}, "relu", {}),
    ("sigmoid", {}, "sigmoid", {}),
    ("silu", {}, "silu", {}),
    ("softplus", {}, "softplus", {"threshold": 1000}),  # PyTorch's default takes x itself above 20
    ("erf", {}, None, {}),
]


@pytest.mark.parametrize(("name", "options", "peer", "theirs"), PEERS)
def test_agrees_with_pytorch(name, options, peer, theirs):
    x = np.concatenate([np.linspace(-9, 9, 601), [0.0, -0.46875, 0.46875, 1e-9, -1e-9, 30.0, -30.0]])
    PYTORCH.compare(
        f"{name} {options}",
        lambda t: getattr(mg.ops, name)(t, **options),
        lambda torch, t: getattr(torch.nn.functional, peer)(t, **theirs) if peer else torch.erf(t),
        [x], rtol=1e-12, atol=2e-14,
    )  # fmt: skip


SMOOTH = {name for name, *_ in PEERS}


@pytest.mark.parametrize(("name", "options", "peer", "theirs"), PEERS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_tails_are_finite_and_keep_the_dtype(name, options, peer, theirs, dtype):
    huge = 6e4 if dtype == np.float16 else 1e30
    x = np.array([-huge, -200.0, -90.0, -20.0, 0.0, 20.0, 90.0, 200.0, huge], dtype)
    value, slope = gradients(lambda t: getattr(mg.ops, name)(t, **options), x)
    assert value.dtype == slope.dtype == dtype
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_nan_stays_and_a_number_alone_takes_the_default_dtype(name):
    assert np.isnan(getattr(mg.ops, name)(np.array([np.nan, 1.0])).numpy()).tolist() == [True, False]
    alone = getattr(mg.ops, name)(0.5)
    assert (alone.shape, alone.dtype) == ((), np.float32)


def test_relu_keeps_integers():
    out = mg.ops.relu(np.array([-2, 3]))
    assert out.dtype == np.int64
    assert out.numpy().tolist() == [0, 3]


def test_kinks():
    zero = np.array([0.0, -0.0])
    assert gradients(mg.ops.relu, zero)[1].tolist() == [0, 0]
    assert gradients(lambda x: mg.ops.leaky_relu(x, 0.25), zero)[1].tolist() == [0.25, 0.25]
    assert gradients(lambda x: mg.ops.elu(x, 0.25), zero)[1].tolist() == [0.25, 0.25]


def test_sigmoid_and_softplus_are_accurate_in_the_tails():
    x = np.array([-700.0, -40.0, -1e4, 40.0, 1e4])
    value, slope = gradients(mg.ops.sigmoid, x)
    np.testing.assert_allclose(value, [np.exp(-700), np.exp(-40), 0, 1, 1], rtol=1e-14)
    np.testing.assert_allclose(slope[:3], [np.exp(-700), np.exp(-40), 0], rtol=1e-14)
    value, slope = gradients(mg.ops.softplus, x)
    np.testing.assert_allclose(value, [np.exp(-700), np.exp(-40), 0, 40, 1e4], rtol=1e-14)
    np.testing.assert_allclose(slope, [np.exp(-700), np.exp(-40), 0, 1, 1], rtol=1e-14)


# --- erf and gelu ------------------------------------------------------------------------------------


def test_gelu_is_accurate_where_one_plus_erf_cancels():
    x = np.linspace(-35, 8, 4001)
    expected = np.array([t * 0.5 * math.erfc(-t / math.sqrt(2)) for t in x])
    np.testing.assert_allclose(mg.ops.gelu(x).numpy(), expected, rtol=1e-12)


# --- dropout -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_drops_the_share(p):
    x = np.ones(200_000)
    value, slope = gradients(lambda t: mg.ops.dropout(t, p, rng=0), x)
    assert set(np.unique(value)) == {0, 1 / (1 - p)}
    deviation = math.sqrt(p * (1 - p) / x.size)
    assert abs((value == 0).mean() - p) < 5 * deviation
    np.testing.assert_array_equal(slope, value)


def test_dropout_draws_from_the_librarys_generator_or_the_one_given():
    x = np.ones(100)
    mg.rng.manual_seed(1)
    first, second = (mg.ops.dropout(x).numpy() for _ in range(2))
    mg.rng.manual_seed(1)
    np.testing.assert_array_equal(mg.ops.dropout(x).numpy(), first)
    assert (first != second).any()
    given_rng = np.random.default_rng(5)
    np.testing.assert_array_equal(mg.ops.dropout(x, rng=given_rng).numpy(), mg.ops.dropout(x, rng=5).numpy())
    assert (mg.ops.dropout(x, rng=given_rng).numpy() != mg.ops.dropout(x, rng=5).numpy()).any()


def test_a_seed_means_the_same_mask_in_all_precisions():
    wide, narrow = (mg.ops.dropout(np.ones(1000, d), 0.3, rng=2).numpy() for d in (np.float64, np.float32))
    np.testing.assert_array_equal(wide != 0, narrow != 0)
    assert narrow.dtype == np.float32


@pytest.mark.parametrize("options", [{"p": 0.0}, {"training": False}, {"p": 0.9, "training": False}])
def test_dropout_can_be_the_identity_and_then_draws_nothing(options):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    rng = np.random.default_rng(0)
    assert mg.ops.dropout(x, rng=rng, **options) is x
    assert rng.random() == np.random.default_rng(0).random()
    assert mg.ops.dropout([1.0, 2.0], **options).numpy().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mg.ops.gelu(np.ones(2), approximate="erf"), ValueError, "gelu.*approximate .* 'erf'"),
        (lambda: mg.ops.dropout(np.array([1, 2])), TypeError, "dropout.* floating, not int64"),
        *((lambda p=p: mg.ops.dropout(np.ones(2), p, False), ValueError, rf"p .*\[0, 1\), not {p}")
          for p in (-0.1, 1.0, 2, float("nan"))),
    ],
)  # fmt: skip
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# --- masks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.01, 1.0, 2.5, -0.5])
def test_leaky_relu_at_the_ends_and_what_comes_to_one_side_stays_there(slope):
    x = np.array([-np.inf, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan])
    y = mg.ops.leaky_relu(x, slope).numpy()
    np.testing.assert_array_equal(y, np.where(x > 0, x, slope * x))
    assert np.signbit(y[:6]).tolist() == np.signbit(np.where(x > 0, x, slope * x))[:6].tolist()
    t = mg.tensor(np.array([-1.0, 1.0, -1.0, 1.0]), requires_grad=True)
    mg.ops.leaky_relu(t, slope).backward(np.array([np.inf, -np.inf, np.nan, 3.0]))
    np.testing.assert_array_equal(t.grad, [slope * np.inf, -np.inf, np.nan, 3.0])


# --- the normal distribution -----------------------------------------------------------------------------


ROOT = math.sqrt(0.5)


DTYPES = [np.float32, np.float64]


def below(x):
    return ops.normal_cdf(x).data


def erf(x):
    return ops.erf(x).data


def ulps(value, expected):
    """The largest error, in units of the last place of what is expected."""
    return (np.abs(value.astype(np.longdouble) - expected) / np.spacing(np.abs(expected.astype(value.dtype)))).max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_erf_is_exact_to_the_last_places(dtype):
    x = np.concatenate([np.linspace(-7, 7, 4001), np.geomspace(1e-30, 1, 200)]).astype(dtype)
    assert ulps(erf(x), np.array([math.erf(t) for t in x.tolist()])) < 5


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_are_exact_to_the_last_places_and_in_the_tail_to_the_rounding_of_the_square(dtype):
    near = np.linspace(-2, 9, 4001).astype(dtype)
    expected = np.array([math.erfc(-t * ROOT) / 2 for t in near.tolist()])
    assert ulps(below(near), expected) < 8
    tail = np.linspace(-37 if dtype == np.float64 else -12.5, -2, 2001).astype(dtype)
    expected = np.array([math.erfc(-t * ROOT) / 2 for t in tail.tolist()])
    error = np.abs(below(tail) / expected - 1)
    assert (error / (tail * tail) < 2 * np.finfo(dtype).eps).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_erf_and_the_normal_distribution_at_their_ends(dtype):
    x = np.array([-np.inf, -np.finfo(dtype).max, -0.0, 0.0, np.finfo(dtype).max, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(below(x), np.array([0, 0, 0.5, 0.5, 1, 1, np.nan], dtype))
    y = erf(x)
    np.testing.assert_array_equal(y, np.array([-1, -1, 0, 0, 1, 1, np.nan], dtype))
    assert np.signbit(y[:6]).tolist() == [True, True, True, False, False, False]


@pytest.mark.parametrize("function", [below, erf])
def test_size_and_layout_do_not_matter(function):
    """Large contiguous arrays may be computed by a compiled loop, others by NumPy."""
    x = np.random.default_rng(0).standard_normal((1, 20_005))
    whole = function(x)
    np.testing.assert_allclose(function(x.T), whole.T, rtol=1e-14)
    np.testing.assert_allclose(function(x[:, ::-2]), whole[:, ::-2], rtol=1e-14)
    np.testing.assert_allclose(function(x[0, 0, ...]), whole[0, 0], rtol=1e-14)
    assert function(x[:0]).shape == (0, x.shape[1])


# --- the gamma function --------------------------------------------------------------------------------


def test_gammaln_and_its_derivatives():
    points = np.concatenate([[1e-300, 1e-5, 1, 2, 171.0, 1e15], np.linspace(0.01, 20, 300), np.logspace(-3, 6, 50)])
    for order, function in enumerate((mpmath.loggamma, lambda x: mpmath.psi(0, x), lambda x: mpmath.psi(1, x))):
        x, derivative = points[points > 1e-9], mg.gammaln
        for _ in range(order):
            derivative = mg.grad(lambda x, f=derivative: mg.sum(f(x)))
        exact = np.array([float(function(mpmath.mpf(float(number)))) for number in x])
        np.testing.assert_allclose(derivative(x).numpy(), exact, rtol=1e-14, atol=1e-14)


def test_gammaln_of_other_numbers():
    for dtype in (np.float16, np.float32):
        x = mg.tensor(np.array([3.0, 5.0], dtype), requires_grad=True)
        y = mg.gammaln(x)
        y.sum().backward()
        assert y.dtype == x.grad.dtype == dtype
        np.testing.assert_array_equal(y.data, np.log(np.array([2.0, 24.0])).astype(dtype))
    np.testing.assert_allclose(mg.gammaln(3).item(), np.log(2.0))
    with pytest.warns(RuntimeWarning):
        assert np.isnan(mg.gammaln([-0.5, -1.5]).data).all()
    with pytest.warns(RuntimeWarning):
        assert mg.gammaln(0.0).item() == np.inf

"""Small numbers stay exact: half precision is computed in single, tails keep their digits, and 0 times infinity is 0
where a cotangent is not passed on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import ops
from minigrad.ops.kernels.numerics import masked, narrowed, narrowed_all, row_sums, single, sum_single, widened
from tests.checks import leaf, pull

INF, NAN = np.inf, np.nan


def gradient(function, x, g=None):
    """Of a function of one array, with a cotangent of ones if none is given."""
    out = function(leaf(np.asarray(x)))
    g = np.ones(out.shape) if g is None else np.broadcast_to(g, out.shape)
    return pull(function, [leaf(np.asarray(x))], [g.astype(out.dtype)])[1][0]


# --- the helpers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize(
    "layout", [lambda g: g, lambda g: np.repeat(g, 2)[::-2][::-1], lambda g: g[0, ...], lambda g: np.repeat(g, 99)]
)
def test_taken_keeps_every_bit_or_none(dtype, layout):
    g = layout(np.array([-0.0, 0.0, 1.5, -INF, INF, NAN], dtype))
    got = masked(g, np.array([True, False]).reshape(-1, *(1,) * g.ndim))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, [g, 0 * np.nan_to_num(g)])
    np.testing.assert_array_equal(np.signbit(got[0]), np.signbit(g))


def test_precisions():
    ones = [np.ones(3, d) for d in (np.float16, np.float32, np.float64, np.int8, bool)]
    half, whole, double, integer = ones[:4]
    assert [single(x).dtype for x in ones] == [np.float32, np.float32, np.float64, np.float64, np.float64]
    assert [widened(x).dtype for x in ones] == [np.float32, *(x.dtype for x in ones[1:])]
    assert [narrowed(whole, x).dtype for x in ones] == [np.float16, *[np.float32] * 4]
    assert [sum_single(x).dtype for x in ones] == [np.float32, np.float32, np.float64, np.int64, np.int64]
    assert all(widened(x) is x for x in ones[1:])
    others = [(half, half), (half, integer), (half, whole), (whole, whole)]
    assert [narrowed_all(whole, pair).dtype for pair in others] == [np.float16, np.float16, np.float32, np.float32]
    assert narrowed_all(double, (half, double)).dtype == np.float64


# --- 0 times infinity --------------------------------------------------------------------------------

NOT_TAKEN = [  # function, x, and which entries of x pass their cotangent on
    ("relu", ops.relu, [-1.0, 0.0, 2.0], [0, 0, 1]),
    ("leaky_relu of slope 0", lambda x: ops.leaky_relu(x, 0.0), [-1.0, 0.0, 2.0], [0, 0, 1]),
    ("elu of alpha 0", lambda x: ops.elu(x, 0.0), [-1.0, 0.0, 2.0], [0, 0, 1]),
    ("maximum, left", lambda x: ops.maximum(x, 1.0), [-1.0, 0.0, 2.0], [0, 0, 1]),
    ("maximum, right", lambda x: ops.maximum(1.0, x), [-1.0, 0.0, 2.0], [0, 0, 1]),
    ("minimum, left", lambda x: ops.minimum(x, 1.0), [-1.0, 0.0, 2.0], [1, 1, 0]),
    ("minimum, right", lambda x: ops.minimum(1.0, x), [-1.0, 0.0, 2.0], [1, 1, 0]),
    ("clip", lambda x: ops.clip(x, 0, 1), [-1.0, 0.0, 1.0, 2.0], [0, 1, 1, 0]),
    ("clip below", lambda x: ops.clip(x, 0), [-1.0, 0.0, 2.0], [0, 1, 1]),
    ("clip above", lambda x: ops.clip(x, max=0), [-1.0, 0.0, 2.0], [1, 1, 0]),
    ("max", ops.max, [1.0, 3.0, 2.0], [0, 1, 0]),
    ("min", ops.min, [1.0, 3.0, 2.0], [1, 0, 0]),
    ("max along an axis", lambda x: ops.max(x, axis=1), [[1.0, 3.0], [4.0, 2.0]], [[0, 1], [1, 0]]),
    ("norm, inf", lambda x: ops.norm(x, ord=np.inf), [1.0, 3.0, 0.0], [0, 1, 0]),
    ("norm, inf, of zeros", lambda x: ops.norm(x, ord=np.inf), [0.0, 0.0], [0, 0]),
    ("norm, 1", lambda x: ops.norm(x, ord=1), [0.0, 3.0], [0, 1]),
    ("norm of zeros", ops.norm, [0.0, 0.0], [0, 0]),
    ("std of equals", ops.std, [2.0, 2.0], [0, 0]),
    ("absolute", ops.absolute, [0.0, 3.0], [0, 1]),
    ("arctan2 at the origin", lambda x: ops.arctan2(x, 0.0), [0.0], [0]),
    ("arctan2 at the origin, right", lambda x: ops.arctan2(0.0, x), [0.0], [0]),
    ("max_pool2d", lambda x: ops.max_pool2d(x[None, None], 2, 1)[0, 0], [[1.0, 4.0], [3.0, 0.0]], [[0, 1], [0, 0]]),
    ("dropout", lambda x: ops.dropout(x, 0.5, rng=1) * 0.5, [1.0, 2.0, 3.0, 4.0], [0, 1, 1, 1]),
    ("where", lambda x: ops.where(np.array([True, False]), x, 0.0), [1.0, 2.0], [1, 0]),
    ("where, right", lambda x: ops.where(np.array([True, False]), 0.0, x), [1.0, 2.0], [0, 1]),
    ("tril", ops.tril, [[1.0, 2.0], [3.0, 4.0]], [[1, 0], [1, 1]]),
    ("triu", ops.triu, [[1.0, 2.0], [3.0, 4.0]], [[1, 1], [0, 1]]),
    ("getitem", lambda x: x[[0, 0]] * 0.5, [1.0, 2.0], [1, 0]),
    ("put", lambda x: ops.put(x, 0, 5.0), [1.0, 2.0], [0, 1]),
    ("put, repeated", lambda x: ops.put(np.zeros(2), [1, 1], x), [1.0, 2.0], [0, 1]),
    ("take_along_axis", lambda x: ops.take_along_axis(x, [1]), [1.0, 2.0], [0, 1]),
    ("embedding", lambda x: ops.embedding([1], x), [[1.0], [2.0]], [[0], [1]]),
    ("nll_loss", lambda x: -ops.nll_loss(x, [1], "none"), [[1.0, 2.0]], [[0, 1]]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("cotangent", [INF, -INF, NAN])
@pytest.mark.parametrize(("function", "x", "passes"), [case[1:] for case in NOT_TAKEN], ids=[c[0] for c in NOT_TAKEN])
def test_what_is_not_taken_gets_an_exact_0(function, x, passes, cotangent, dtype):
    d = gradient(function, np.array(x, dtype), cotangent)
    np.testing.assert_array_equal(d, np.where(np.array(passes, bool), cotangent, 0))


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: ops.sqrt(ops.relu(x)), -1.0),
        (lambda x: ops.sqrt(ops.clip(x, 0, 1)), -1.0),
        (lambda x: ops.sqrt(ops.maximum(x, 0.0)), -1.0),
        (lambda x: ops.log(ops.minimum(x, 0.0) * -1 + 0.0), 1.0),
    ],
)
def test_the_square_root_of_nothing_passes_nothing_on(function, x):
    with np.errstate(divide="ignore", invalid="ignore"):
        assert gradient(function, np.array([x])).tolist() == [0]


def test_nan_passes_the_whole_cotangent_on():
    for function in (ops.relu, lambda x: ops.maximum(x, 0.0), lambda x: ops.minimum(0.0, x)):
        assert gradient(function, [NAN, 1.0], 3.0)[0] == 3
    a, b = pull(ops.maximum, [leaf(np.array([1.0])), leaf(np.array([NAN]))], [np.array([3.0])])[1]
    assert (a.tolist(), b.tolist()) == ([3], [3])


# --- half precision ----------------------------------------------------------------------------------

N = 70_000  # more than half precision can count to
_rng = np.random.default_rng(0)
MANY = _rng.normal(size=N).astype(np.float16)
ROWS = _rng.normal(size=(N, 3)).astype(np.float16)
TARGETS = _rng.integers(0, 3, N)
SOME = _rng.normal(size=(40, 3000)).astype(np.float16)
ENTRIES = _rng.normal(size=3000).astype(np.float16)
TABLE = ENTRIES.reshape(300, 10)
PORTIONS = _rng.random(3000).astype(np.float16)
SCORES = np.array([-60000.0, -40, -17, -12, -9, -1, -1e-3, 0, 1e-3, 1, 9, 12, 17, 40, 60000], np.float16)


def fixed(x, *shape):
    """A constant in x's dtype, whose entries half precision holds."""
    return np.cos(np.arange(math.prod(shape))).reshape(shape).astype(np.float16).astype(x.dtype)


def weights(x, gates):
    """Of a recurrent primitive with 3 inputs and 4 states."""
    return fixed(x, 3, 4 * gates), fixed(x, 4, 4 * gates), fixed(x, 4 * gates)


def layer_of(x, name, gates, biases=1):
    """6 sequences of 5 steps, from a list of 90 numbers."""
    wx, wh, b = weights(x, gates)
    return getattr(ops, name)(ops.reshape(x, (6, 5, 3)), fixed(x, 6, 4), wx, wh, *[b] * biases)


def step_of(x):
    return ops.lstm_step(ops.reshape(x, (30, 3)), fixed(x, 30, 4), fixed(x, 30, 4), *weights(x, 4))


MATRICES = (np.diag([4.0, 8.0, 16.0]) + np.random.default_rng(2).uniform(-1, 1, (4, 3, 3))).astype(np.float16)
EVEN = ((MATRICES + MATRICES.swapaxes(-1, -2)) / 2).astype(np.float16)
IMAGES = SOME[:, :60].reshape(2, 3, 20, 20)


def table(x):
    """The constant matrix that others are multiplied by."""
    return fixed(x, 3000, 10)


HALF = {
    "sum": (ops.sum, MANY),
    "sum of many": (ops.sum, np.full(N, 0.5, np.float16)),
    "mean": (ops.mean, MANY),
    "mean along rows": (lambda x: ops.mean(x, 0), ROWS),
    "var": (ops.var, np.tile(np.array([0.0, 1.0, 0.5], np.float16), N // 3)),
    "var of the large": (lambda x: ops.var(x, 0), 100 * ROWS[:100]),
    "std": (lambda x: ops.std(x, 0), ROWS),
    "std of the large": (ops.std, np.array([-1000.0, 1000.0, 500.0], np.float16)),
    "norm, 1": (lambda x: ops.norm(x * 0.5, ord=1), MANY),
    "norm, 2": (ops.norm, MANY),
    "norm, inf of ties": (lambda x: ops.norm(x, ord=np.inf), np.full(N, 0.5, np.float16)),
    "max of ties": (ops.max, np.full(N, 0.5, np.float16)),
    "softmax": (lambda x: ops.softmax(x)[:5], np.zeros(N, np.float16)),
    "log_softmax": (lambda x: ops.log_softmax(x)[:5], np.zeros(N, np.float16)),
    "log_softmax down": (lambda x: ops.log_softmax(x, 0), np.zeros((9000, 2), np.float16)),
    "logsumexp": (ops.logsumexp, np.zeros(N, np.float16)),
    "layer_norm": (ops.layer_norm, 100 * ROWS[:100]),
    "rms_norm": (ops.rms_norm, 100 * ROWS[:100]),
    "group_norm": (lambda x: ops.group_norm(x, 2), 100 * SOME[:, :40]),
    "batch_norm": (ops.batch_norm, 100 * SOME[:, :40]),
    "cumsum": (ops.cumsum, np.full(6000, 0.25, np.float16)),
    "cumprod": (lambda x: ops.cumprod(x, 1), np.exp(SOME[:, :90] / 10).astype(np.float16)),
    "cumprod beyond its range": (ops.cumprod, np.array([300.0, 300.0, 0.25, 0.5], np.float16)[[2, 0, 3, 1]]),
    "cumprod through zeros": (ops.cumprod, np.array([3.0, 7.0, 0.0, 5.0, 0.0, 2.0], np.float16)),
    "pad by reflection": (lambda x: ops.pad(x, ((0, 0), (40, 50)), "reflect"), SOME[:, :9]),
    "pad with the edge": (lambda x: ops.pad(x, 300, "edge"), SOME[:5, :5]),
    "prod": (lambda x: ops.prod(x, 1), np.exp(SOME / 100).astype(np.float16)),
    "prod beyond its range": (ops.prod, np.array([300.0, 300.0, 0.25, 0.5], np.float16)),
    "cross_entropy": (lambda x: ops.cross_entropy(x, TARGETS), ROWS),
    "cross_entropy, smoothed": (lambda x: ops.cross_entropy(x, TARGETS, label_smoothing=0.1), ROWS),
    "cross_entropy of many classes": (lambda x: ops.cross_entropy(x[None], [3]), np.zeros(N, np.float16)),
    "nll_loss": (lambda x: ops.nll_loss(x, TARGETS), ROWS),
    "temporal_softmax_loss": (
        lambda x: ops.temporal_softmax_loss(x[:, None], TARGETS[:, None], np.ones((N, 1), bool)), ROWS),
    "mse_loss": (lambda x: ops.mse_loss(x, MANY[::-1]), MANY),
    "mse_loss of the large": (lambda x: ops.mse_loss(x, 0 * x.data), np.array([300.0, 9, 0, 0], np.float16)),
    "binary_cross_entropy_with_logits": (
        lambda x: ops.binary_cross_entropy_with_logits(x, (TARGETS > 1).astype(np.float16)), MANY),
    "avg_pool2d": (lambda x: ops.avg_pool2d(x, 30), np.full((1, 1, 30, 30), 100.0, np.float16)),
    "avg_pool2d, overlapping": (lambda x: ops.avg_pool2d(x, 20, 1), SOME[None, None, :, :60]),
    "adaptive_avg_pool2d": (lambda x: ops.adaptive_avg_pool2d(x[None, None], (3, 7)), SOME),
    "adaptive_avg_pool2d of all": (lambda x: ops.adaptive_avg_pool2d(x, 1), np.full((1, 1, 30, 30), 100.0, np.float16)),
    "upsample": (lambda x: ops.upsample(x[None, None], 60), SOME[:3, :3]),
    "upsample, bilinear": (lambda x: ops.upsample(x[None, None], (3, 7), "bilinear"), SOME),
    "sort": (ops.sort, ENTRIES),
    "topk": (lambda x: ops.topk(x, 100)[0], ENTRIES),
    "max_pool2d, overlapping": (lambda x: ops.max_pool2d(x, 20, 1), SOME[None, None, :, :60]),
    "matmul": (lambda x: x @ table(x), SOME),
    "matmul, right": (lambda x: table(x).T @ x, SOME.T[:, :9]),
    "einsum": (lambda x: ops.einsum("ij,jk->ik", x, table(x)), SOME),
    "einsum of a single operand": (lambda x: ops.einsum("ij->j", x), np.full((9000, 2), 0.5, np.float16)),
    "temporal_affine": (lambda x: ops.temporal_affine(x[None], table(x), np.ones(10, x.dtype)), SOME),
    "sigmoid": (ops.sigmoid, SCORES),
    "silu": (ops.silu, SCORES),
    "normal_cdf": (ops.normal_cdf, np.concatenate([SCORES, ENTRIES])),
    "softplus": (ops.softplus, SCORES),
    "elu": (ops.elu, SCORES),
    "arctan": (ops.arctan, SCORES),
    "tan of small angles": (ops.tan, ENTRIES[np.abs(ENTRIES) < 1] / np.float16(20)),
    "arcsin": (ops.arcsin, ENTRIES[np.abs(ENTRIES) < 1]),
    "arccos": (ops.arccos, ENTRIES[np.abs(ENTRIES) < 1]),
    "arctan2 at a distance of 5": (lambda y: ops.arctan2(y, 4 + 0 * y.data), np.full(300, 3, np.float16)),
    "logaddexp with 0": (lambda x: ops.logaddexp(x, 0 * x.data), ENTRIES),
    "tan": (ops.tan, np.array([1.54, -1.5, 0.5], np.float16)),
    "reciprocal": (ops.reciprocal, np.array([300.0, 0.007, -2.0], np.float16)),
    **{f"{name} of many values": (getattr(ops, name), ENTRIES)
       for name in ["sigmoid", "silu", "softplus", "elu", "erf", "gelu", "absolute", "square", "arctan"]},
    "gelu, tanh": (lambda x: ops.gelu(x, "tanh"), ENTRIES),
    **{f"{name} of rows": (lambda x, name=name: getattr(ops, name)(x, 1), TABLE)
       for name in ["sum", "mean", "var", "std", "norm", "prod", "cumsum", "max", "min", "logsumexp", "softmax",
                    "log_softmax"]},
    "norm, 1, of rows": (lambda x: ops.norm(x, 1, ord=1), TABLE),
    "norm, inf, of rows": (lambda x: ops.norm(x, 1, ord=np.inf), TABLE),
    "cross_entropy of three": (lambda x: ops.cross_entropy(x, [0, 1, 2]), TABLE[:3]),
    "cross_entropy, each": (lambda x: ops.cross_entropy(x, np.arange(300) % 10, "none"), TABLE),
    "cross_entropy, each, smoothed": (
        lambda x: ops.cross_entropy(x, np.arange(300) % 10, "none", label_smoothing=0.1), TABLE),
    "nll_loss of three": (lambda x: ops.nll_loss(x, [0, 1, 2]), TABLE[:3]),
    "mse_loss of three": (lambda x: ops.mse_loss(x, fixed(x, 3)), ENTRIES[:3]),
    "mse_loss, each": (lambda x: ops.mse_loss(fixed(x, 3000), x, "none"), ENTRIES),
    "binary_cross_entropy_with_logits of three": (
        lambda x: ops.binary_cross_entropy_with_logits(x, PORTIONS[:3].astype(x.dtype)), ENTRIES[:3]),
    "binary_cross_entropy_with_logits, each": (
        lambda x: ops.binary_cross_entropy_with_logits(x, PORTIONS.astype(x.dtype), "none"), ENTRIES),
    "binary_cross_entropy_with_logits, targets": (
        lambda x: ops.binary_cross_entropy_with_logits(ENTRIES[:3].astype(x.dtype), x), PORTIONS[:3]),
    "avg_pool2d of nines": (lambda x: ops.avg_pool2d(x[None, None], 3, 1), TABLE),
    "max_pool2d of nines": (lambda x: ops.max_pool2d(x[None, None], 3, 1), TABLE),
    "a row for many": (lambda x: ops.broadcast_to(x, (N, 2)), np.ones((1, 2), np.float16)),
    "a bias of many": (lambda x: x + np.zeros((N, 2), np.float16), np.ones(2, np.float16)),
    "repeat": (lambda x: ops.repeat(x, 5000), np.ones(2, np.float16)),
    "repeat, unequally": (lambda x: ops.repeat(x, [5000, 3000]), np.ones(2, np.float16)),
    "repeat of rows, unequally": (lambda x: ops.repeat(x, [5000, 3000], 0), np.ones((2, 20), np.float16)),
    "tile": (lambda x: ops.tile(x, 5000), np.ones(2, np.float16)),
    "getitem": (lambda x: x[np.arange(9000) % 2], np.ones(2, np.float16)),
    "getitem of rows": (lambda x: x[np.arange(9000) % 2], np.ones((2, 20), np.float16)),
    "embedding": (lambda x: ops.embedding(np.arange(9000) % 2, x), np.ones((2, 3), np.float16)),
    "bias of an affine map": (lambda b: ops.temporal_affine(np.zeros((1, 5000, 1), np.float16),
                                                            np.zeros((1, 3), np.float16), b), np.ones(3, np.float16)),
    "lstm": (lambda x: layer_of(x, "lstm", 4)[0], MANY[:90]),
    "lstm, cells": (lambda x: layer_of(x, "lstm", 4)[1], MANY[:90]),
    "gru": (lambda x: layer_of(x, "gru", 3, 2), MANY[:90]),
    "lstm_step": (lambda x: step_of(x)[0], MANY[:90]),
    "lstm_step, cells": (lambda x: step_of(x)[1], MANY[:90]),
    "rnn": (lambda x: layer_of(x, "rnn", 1), MANY[:90]),
    "rnn_step": (lambda x: ops.rnn_step(ops.reshape(x, (30, 3)), fixed(x, 30, 4), *weights(x, 1)), MANY[:90]),
    "conv1d": (lambda x: ops.conv1d(ops.reshape(x, (4, 6, 125)), fixed(x, 6, 6, 5), fixed(x, 6)), ENTRIES),
    "conv_transpose1d": (lambda x: ops.conv_transpose1d(ops.reshape(x, (4, 6, 125)), fixed(x, 6, 6, 5)), ENTRIES),
    "conv2d": (lambda x: ops.conv2d(x, fixed(x, 4, 3, 3, 3)), IMAGES),
    "filters of conv2d": (lambda w: ops.conv2d(IMAGES.astype(w.dtype), ops.reshape(w, (4, 3, 3, 3))), MANY[:108]),
    "attention": (lambda x: ops.attention(ops.reshape(x, (2, 15, 3)), fixed(x, 2, 9, 3), fixed(x, 2, 9, 5)), MANY[:90]),
    "keys of attention": (lambda x: ops.attention(fixed(x, 9, 3), ops.reshape(x, (30, 3)), fixed(x, 30, 5)), MANY[:90]),
    "ctc_loss": (lambda x: ops.ctc_loss(x, [[1, 2, 1], [2, 2, 0]], [30, 20], [3, 2]),
                 np.log(np.full((30, 2, 3), 1 / 3)).astype(np.float16)),
    **{f"{name} of many": (lambda x, name=name: getattr(ops, name)(x, np.full(x.shape, 0.25, x.dtype)), -np.abs(ROWS))
       for name in ["l1_loss", "huber_loss", "kl_div", "mse_loss"]},
    "det": (mg.linalg.det, MATRICES),
    "inv": (mg.linalg.inv, MATRICES),
    "slogdet": (lambda x: mg.linalg.slogdet(x).logabsdet, MATRICES),
    "solve": (lambda x: mg.linalg.solve(x, fixed(x, 3, 2)), MATRICES),
    "cholesky": (mg.linalg.cholesky, EVEN),
    "eigh": (lambda x: mg.linalg.eigh(x)[0], EVEN),
    "qr": (lambda x: mg.linalg.qr(x)[1], MATRICES),
    "svd": (lambda x: mg.linalg.svd(x)[1], MATRICES),
    **{f"linalg.norm, {ord}": (lambda x, ord=ord: mg.linalg.norm(x, ord), MATRICES[0])
       for ord in ["fro", "nuc", 1, 2, np.inf]},
    **{f"linalg.norm of vectors, {ord}": (lambda x, ord=ord: mg.linalg.norm(x, ord), ENTRIES[:8]) for ord in [3, 0.5]},
    "lstm_cell": (lambda x: ops.lstm_cell(ops.reshape(x, (3, 12)), np.ones((3, 3), x.dtype))[0], 20 * MANY[:36]),
}  # fmt: skip


def rounded_once(got, exact):
    """Half precision, off by half a unit of the last place, and by the rounding of single precision before that.

    Of a result that is rounded to half precision on its way, some entries are off by more.
    """
    assert got.dtype == np.float16
    exact = np.asarray(exact)
    wide = np.where(np.abs(exact) > 65519, np.copysign(INF, exact), exact)
    size = np.where(np.isfinite(wide), np.abs(wide), 0)
    allowed = 0.51 * np.spacing(size.astype(np.float16)).astype(float) + 1e-6 * size.max(initial=0)
    with np.errstate(invalid="ignore"):
        off = np.abs(got.astype(float) - wide) > allowed
    wrong = off & (got != wide)
    assert not wrong.any(), (got[wrong][:5], wide[wrong][:5])


@pytest.mark.parametrize("name", HALF)
def test_half_precision_is_rounded_once(name):
    function, x = HALF[name]
    out = function(leaf(x))
    exact = function(leaf(x.astype(float)))
    rounded_once(out.data, exact.data)
    g = np.random.default_rng(1).standard_normal(out.shape)
    g = np.asarray(g / 4 if out.size >= 3000 else g).astype(np.float16)
    d = pull(function, [leaf(x)], [g])[1][0]
    rounded_once(d, pull(function, [leaf(x.astype(float))], [g.astype(float)])[1][0])


F2, F4, F8, I8 = np.float16, np.float32, np.float64, np.int64
PIXELS, IMAGE = np.array([[[[0, 4]]]]), np.ones((1, 1, 2, 2))
DTYPES = [
    *((call, x, y, np.result_type(np.ones(1, x), np.ones(1, y)))
      for call in (ops.add, ops.matmul, lambda a, b: ops.einsum("ij,jk", a, b))
      for x in (F2, F4, F8, np.int8) for y in (F2, F4, np.int8, I8, bool)),
    *((lambda a, b, name=name: getattr(ops, name)(a), I8, F4, F8)
      for name in ("mean", "var", "std", "norm", "logsumexp", "softmax", "log_softmax", "sigmoid", "gelu")),
    *((lambda a, b, name=name: getattr(ops, name)(a), x, F4, x)
      for name in ("sum", "max", "cumsum", "sort", "relu", "ravel", "transpose") for x in (F2, F4, I8)),
    *((lambda a, b, mode=mode: ops.pad(a, 1, mode), x, F4, x) for mode in ("constant", "edge", "wrap")
      for x in (bool, np.uint8, F2)),
    *((lambda a, b, call=call: call(a), x, F4, x) for x in (bool, np.uint8, F2) for call in (
        lambda a: ops.reshape(a, 4), lambda a: ops.stack([a, a]), lambda a: ops.split(a, 2)[0], ops.flip,
        lambda a: ops.roll(a, 1), lambda a: ops.repeat(a, [1, 2], 0), lambda a: ops.tile(a, 2),
        lambda a: ops.upsample(a[None, None], 2), lambda a: ops.max_pool2d(a[None, None], 2))),
    *((lambda a, b, call=call: call(a[None, None]), x, F4, x if x is F2 else F8) for x in (np.uint8, F2) for call in (
        lambda a: ops.upsample(a, 2, "bilinear"), lambda a: ops.avg_pool2d(a, 2),
        lambda a: ops.adaptive_avg_pool2d(a, 2))),
    (lambda a, b: ops.conv2d(a[None, None], b[None, None]), I8, I8, I8),
    (lambda a, b: ops.conv1d(a[None], b[None]), I8, I8, I8),
    (lambda a, b: ops.conv2d(a[None, None], a[None, None], b[0, :1]), F4, F8, F8),
    (lambda a, b: ops.einsum(",i->i", 2.0, b[0]), F4, F4, F4),
    (lambda a, b: ops.einsum("ij->j", a), bool, F4, bool),
    (lambda a, b: ops.maximum(a, 3), I8, F4, I8),
    (lambda a, b: ops.broadcast_to(2.0, (3,)), F4, F4, F4),
    (lambda a, b: ops.rnn_step(a, a, a, a, a[0]), I8, F4, F8),
    (lambda a, b: mg.linalg.cholesky(a + 3 * np.eye(2, dtype=int)), I8, F4, F8),
    (lambda a, b: mg.linalg.norm(a[0], 0), I8, F4, F8),
    (lambda a, b: ops.mse_loss(a, a), np.uint8, F4, F8),
    (lambda a, b: ops.binary_cross_entropy_with_logits(a, b), F4, bool, F4),
    (lambda a, b: ops.cross_entropy(a, [0, 1], label_smoothing=np.float64(0.1)), F4, F4, F4),
    (lambda a, b: ops.cross_entropy(a, [0, 1], "none", label_smoothing=np.int64(1)), F4, F4, F4),
    (lambda a, b: mg.kron(a, b), I8, F4, F8),
    *((lambda a, b, loss=loss: loss(a, [0, 1], weight=b[0]), x, F8, x) for loss in (ops.cross_entropy, ops.nll_loss)
      for x in (F2, F4)),
]  # fmt: skip


@pytest.mark.parametrize(("call", "x", "y", "dtype"), DTYPES)
def test_dtypes_of_results(call, x, y, dtype):
    assert call(np.ones((2, 2), x), np.ones((2, 2), y)).dtype == dtype


@pytest.mark.parametrize("function", [
    ops.matmul, ops.add, lambda x, w: ops.einsum("ij,jk->ik", x, w), lambda x, w: ops.layer_norm(x, w[0]),
    lambda x, w: ops.conv1d(x[None], w[None]), lambda x, w: ops.conv_transpose1d(x[None], w[:, None]),
    lambda x, w: ops.conv2d(x[None, None], w[None, None]),
    lambda x, w: ops.conv_transpose2d(x[None, None], w[None, None]),
])  # fmt: skip
def test_gradients_have_the_dtypes_of_their_inputs(function):
    x, w = leaf(np.ones((2, 2), np.float32)), leaf(np.ones((2, 2)))
    outs, grads = pull(function, [x, w], [np.ones(function(x, w).shape)])
    assert [a.dtype for a in outs + grads] == [np.float64, np.float32, np.float64]


# --- tails -------------------------------------------------------------------------------------------

E40 = math.exp(-40)


def test_the_vjp_of_softmax_keeps_its_tails():
    """Each row by itself."""
    x = np.tile([40.0, 0.0], (5, 1))
    g = np.array([[-1.0, 0], [1, 0], [0, 1], [1, 1], [1e9, 1e9 + 1]])
    exact = [[-E40, E40], [E40, -E40], [-E40, E40], [0, 0], [-E40, E40]]
    np.testing.assert_allclose(gradient(ops.softmax, x, g), exact, rtol=1e-15)
    exact = [[-E40, E40], [E40, -E40], [-1, 1], [2 * E40 - 1, 1 - 2 * E40]]
    np.testing.assert_allclose(gradient(ops.log_softmax, x[:4], g[:4]), exact, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_is_as_steep_on_both_sides(dtype):
    x = np.array([-80.0, -30.0, -17.0, 17.0, 30.0, 80.0], dtype)
    u = np.exp(-np.abs(x.astype(float)))
    np.testing.assert_allclose(gradient(ops.sigmoid, x), u / (1 + u) ** 2, rtol=4 * np.finfo(dtype).eps)
    assert gradient(ops.sigmoid, np.array([-1e30, 1e30], dtype)).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("z", [-80.0, -30.0, -18.0, -10.0, 0.0, 10.0, 18.0, 30.0, 80.0])
def test_gates_keep_their_tails(z, dtype):
    """The value of each gate times a number, and its derivative, where the others are shut or open."""
    low, steep = 1 / (1 + np.exp(-z)), np.exp(-abs(z)) / (1 + np.exp(-abs(z))) ** 2
    for gates, c, output, gate, factor in [
        ([-1e4, z, 0, 0], 2.0, 1, 1, 2.0),
        ([z, -1e4, 0, 0.5], 0.0, 1, 0, math.tanh(0.5)),
        ([-1e4, 1e4, z, 0], 1.0, 0, 2, math.tanh(1)),
    ]:
        inputs = [leaf(np.array([gates], dtype)), leaf(np.array([[c]], dtype))]
        (y,), (da, _) = pull(lambda a, c, k=output: ops.lstm_cell(a, c)[k], inputs, [np.ones((1, 1), dtype)])
        np.testing.assert_allclose([y[0, 0], da[0, gate]], [factor * low, factor * steep], rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@given(size=st.sampled_from([100.0, 1e3, 6e4]), seed=st.integers(0, 99))
def test_gates_of_any_size_are_finite(dtype, size, seed):
    rng = np.random.default_rng(seed)
    a, c = (size * rng.normal(size=(3, 8))).clip(-6e4, 6e4).astype(dtype), rng.normal(size=(3, 2)).astype(dtype)
    outs, grads = pull(ops.lstm_cell, [leaf(a), leaf(c)], [np.ones((3, 2), dtype)] * 2)
    assert all(np.isfinite(x).all() for x in outs + grads)


# --- logsumexp and logaddexp -------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0.0, 1e5, 1e8, -1e8])
def test_shares_of_equals_are_halves(shift):
    x = np.full(2, shift, np.float32)
    assert gradient(ops.logsumexp, x).tolist() == [0.5, 0.5]
    for side in (lambda t: ops.logaddexp(t, x), lambda t: ops.logaddexp(x, t)):
        assert gradient(side, x).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("a", "b", "value", "da", "db"),
    [
        (INF, 0, INF, 1, 0), (0, INF, INF, 0, 1), (INF, INF, INF, 0.5, 0.5), (INF, -INF, INF, 1, 0),
        (-INF, 0, 0, 0, 1), (0, -INF, 0, 1, 0), (-INF, -INF, -INF, 0, 0),
        (NAN, 0, NAN, NAN, NAN), (0, NAN, NAN, NAN, NAN), (6e4, -6e4, 6e4, 1, 0),
    ],
)  # fmt: skip
def test_infinite_exponents(a, b, value, da, db, dtype):
    a, b = np.array([a], dtype), np.array([b], dtype)
    with np.errstate(invalid="ignore"):  # NumPy warns of NaN, in logaddexp alone
        outs, grads = pull(ops.logaddexp, [leaf(a), leaf(b)], [np.ones(1, dtype)])
    np.testing.assert_array_equal([outs[0], *grads], np.array([[value], [da], [db]], dtype))
    both = np.concatenate([a, b])
    np.testing.assert_array_equal(ops.logsumexp(both).item(), np.array(value, dtype))
    np.testing.assert_array_equal(gradient(ops.logsumexp, both), np.array([da, db], dtype))


def test_logsumexp_with_an_infinite_row_beside_others():
    x = np.array([[INF, INF, 0.0], [-INF, -INF, -INF], [1.0, 1.0, -INF]])
    value = ops.logsumexp(x, axis=1).numpy()
    np.testing.assert_allclose(value, [INF, -INF, 1 + math.log(2)])
    assert gradient(lambda t: ops.logsumexp(t, axis=1), x).tolist() == [[0.5, 0.5, 0], [0, 0, 0], [0.5, 0.5, 0]]
    assert ops.logsumexp(x, axis=1, keepdims=True).shape == (3, 1)


# --- nothing at all ----------------------------------------------------------------------------------

EMPTY = {
    "softmax of no rows": (ops.softmax, (0, 3)),
    "softmax of no entries": (ops.softmax, (3, 0)),
    "log_softmax of no entries": (ops.log_softmax, (3, 0)),
    "logsumexp of no entries": (lambda x: ops.logsumexp(x, axis=1), (3, 0)),
    "logsumexp of no rows": (lambda x: ops.logsumexp(x, axis=1), (0, 3)),
    "norm": (ops.norm, (0,)),
    "norm, inf": (lambda x: ops.norm(x, axis=1, ord=np.inf), (3, 0)),
    "var of no rows": (lambda x: ops.var(x, axis=1), (0, 3)),
    "sum": (ops.sum, (0, 2)),
    "mean of no rows": (lambda x: ops.mean(x, axis=1), (0, 2)),
    "max of no rows": (lambda x: ops.max(x, axis=1), (0, 2)),
    **{f"{name} of {shape}": (getattr(ops, name), shape) for name in ("layer_norm", "rms_norm", "batch_norm")
       for shape in ((0, 3, 4), (2, 3, 0))},
    "group_norm of no images": (lambda x: ops.group_norm(x, 3), (0, 3, 4)),
    **{name: (lambda x, name=name: getattr(ops, name)(x, np.zeros((0, 2))), (0, 2))
       for name in ("l1_loss", "huber_loss", "kl_div")},
    "prod": (lambda x: ops.prod(x, axis=0), (0, 2)),
    "cumsum": (ops.cumsum, (0, 2)),
    "cumprod": (ops.cumprod, (0, 2)),
    "sort": (ops.sort, (0, 2)),
    "topk": (lambda x: ops.topk(x, 1)[0], (0, 2)),
    "relu": (ops.relu, (0, 2)),
    "maximum": (lambda x: ops.maximum(x, 1.0), (2, 0)),
    "logaddexp": (lambda x: ops.logaddexp(x, 1.0), (0,)),
    "cross_entropy of no rows": (lambda x: ops.cross_entropy(x, np.zeros(0, int)), (0, 3)),
    "cross_entropy, smoothed, of no rows": (
        lambda x: ops.cross_entropy(x, np.zeros(0, int), label_smoothing=0.5), (0, 3)),
    "nll_loss of no rows": (lambda x: ops.nll_loss(x, np.zeros(0, int)), (0, 3)),
    "mse_loss": (lambda x: ops.mse_loss(x, np.zeros((0, 2))), (0, 2)),
    "binary_cross_entropy_with_logits": (lambda x: ops.binary_cross_entropy_with_logits(x, np.zeros(0)), (0,)),
    "temporal_softmax_loss": (
        lambda x: ops.temporal_softmax_loss(x, np.zeros((2, 0), int), np.zeros((2, 0), bool)), (2, 0, 4)),
    "max_pool2d of no images": (lambda x: ops.max_pool2d(x, 2), (0, 3, 4, 4)),
    "max_pool2d of no channels": (lambda x: ops.max_pool2d(x, 2), (2, 0, 4, 4)),
    "avg_pool2d of no channels": (lambda x: ops.avg_pool2d(x, 2), (2, 0, 4, 4)),
    "pixel_shuffle of no channels": (lambda x: ops.pixel_shuffle(x, 2), (2, 0, 4, 4)),
    "pixel_unshuffle of no channels": (lambda x: ops.pixel_unshuffle(x, 2), (2, 0, 4, 4)),
    "adaptive_avg_pool2d of no channels": (lambda x: ops.adaptive_avg_pool2d(x, 3), (2, 0, 4, 4)),
    "upsample of no pixels": (lambda x: ops.upsample(x, 2, "bilinear"), (2, 3, 0, 4)),
    "matmul over nothing": (lambda x: x @ np.zeros((0, 4)), (2, 0)),
    "einsum over nothing": (lambda x: ops.einsum("ij,jk->ik", x, np.zeros((0, 4))), (2, 0)),
    "temporal_affine of no steps": (lambda x: ops.temporal_affine(x, np.ones((3, 2)), np.ones(2)), (2, 0, 3)),
    "embedding of an empty table": (lambda W: ops.embedding(np.zeros(0, int), W), (0, 3)),
    "getitem": (lambda x: x[[]], (3, 2)),
    "lstm_cell of no rows": (lambda x: ops.lstm_cell(x, np.zeros((0, 2)))[0], (0, 8)),
    "dropout": (lambda x: ops.dropout(x, 0.5), (0, 3)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("name", EMPTY)
def test_nothing_gives_nothing_or_the_neutral_element(name, dtype):
    function, shape = EMPTY[name]
    x = np.zeros(shape, dtype)
    out = function(leaf(x))
    d = gradient(function, x)
    assert (d.shape, d.dtype) == (shape, dtype)
    assert not d.any()
    neutral = {"logsumexp of no entries": -INF, "prod": 1}.get(name, 0)
    np.testing.assert_array_equal(out.data, np.full(out.shape, neutral))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.max(np.zeros((0, 2))), r"max\(x: float64 \(0, 2\)\): zero-size array"),
        (lambda: ops.max_pool2d(np.zeros((1, 1, 0, 4)), 2), r"max_pool2d\(.*at least one row and one column"),
        (lambda: ops.avg_pool2d(np.zeros((1, 1, 4, 0)), 2), r"avg_pool2d\(.*at least one row and one column"),
        (lambda: ops.cross_entropy(np.zeros((2, 0)), [0, 0]), r"cross_entropy\(.*targets\[0\] is 0"),
        (lambda: ops.argmax(np.zeros(0)), r"argmax\(x: float64 \(0,\)\): attempt to get argmax of an empty"),
    ],
)
def test_what_needs_an_entry_says_so(call, message):
    with pytest.raises((ValueError, IndexError), match=message):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize(("shape", "axis"), [((3, 5), 1), ((3, 5), -1), ((3, 5), 0), ((2, 3, 4), 2), ((), -1),
                                             ((2, 0), 1), ((0, 2), 1), ((20, 50), 1), ((2, 5000), 1)])  # fmt: skip
def test_row_sums_are_sums(dtype, shape, axis):
    x = np.random.default_rng(0).random(shape).astype(dtype)
    for layout in (x, np.asfortranarray(x)):
        y = row_sums(layout, axis)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, np.sum(x, axis=axis, keepdims=True), rtol=1e-6)

"""Identities that hold for whole families, whatever the numbers: shifts, scalings, permutations, adjoints.

They bind a gradient to a value, or its entries to one another, so no second implementation is needed; and they hold
in the tails, where a numerical derivative sees nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import ops
from minigrad.ops.convolution import _conv2d_filters
from minigrad.ops.kernels.windows import Windows
from tests.checks import leaf, outputs_of, pull
from tests.strategies import shapes

DTYPES = (np.float64, np.float32, np.float16)
SIZES = (1e-3, 1.0, 40.0, 700.0, 3e4)  # of the entries: near 0, ordinary, and where exponentials are all or nothing


def exact_sum(values: Any) -> float:
    return math.fsum(np.asarray(values, np.float64).ravel().tolist())


def along(axis: int, *arrays: np.ndarray) -> Any:
    """Vectors of several arrays of one shape, those along an axis, together."""
    turned = [np.moveaxis(a, axis, -1).reshape(-1, a.shape[axis]) for a in arrays]
    return zip(*turned, strict=True)


def pulled(function: Any, x: np.ndarray, g: np.ndarray | None = None, rng: Any = None) -> tuple[Any, Any, Any]:
    """Value, cotangent (drawn if none is given) and gradient of a function of one array."""
    out = function(leaf(x))
    if g is None:
        g = np.asarray(rng.normal(size=out.shape)).astype(out.dtype)
    return out.data, g, pull(function, [leaf(x)], [g])[1][0]


@st.composite
def drawn(draw: Any, sizes: Any = SIZES, min_dims: int = 1, max_side: int = 6) -> tuple[np.ndarray, int, Any]:
    """An array of a drawn shape, dtype and size of entries, one of its axes, and a generator."""
    dtype, size = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(sizes))
    shape = draw(shapes(min_dims=min_dims, min_side=1, max_side=max_side))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = (size * rng.uniform(-1, 1, shape)).astype(dtype)
    return x, draw(st.integers(0, x.ndim - 1)), rng


def cotangents(rng: Any, shape: Any, dtype: Any) -> np.ndarray:
    """Drawn, of one entry alone, or all the same."""
    kind = rng.integers(3)
    if kind == 0:
        return rng.normal(size=shape).astype(dtype)
    g = np.full(shape, rng.choice([-1.0, 1.0]), dtype)
    if kind == 1:
        g[rng.random(shape) < 0.7] = 0
    return g


# --- shifts ------------------------------------------------------------------------------------------


def classes(loss: Any, **options: Any) -> Any:
    """A loss of scores with classes along an axis, at targets that the shape decides."""

    def function(x: Any, axis: int) -> Any:
        scores = ops.moveaxis(x, axis, -1)
        targets = np.arange(math.prod(scores.shape[:-1])).reshape(scores.shape[:-1]) % scores.shape[-1]
        return loss(scores, targets, **options)

    return function


def temporal(scores: Any, targets: Any) -> Any:
    N, V = math.prod(scores.shape[:-1]), scores.shape[-1]
    mask = np.arange(N).reshape(N, 1) % 3 != 1
    return ops.temporal_softmax_loss(ops.reshape(scores, (N, 1, V)), targets.reshape(N, 1), mask)


UNMOVED = {  # f(x + c) = f(x), with one c along the axis
    "softmax": ops.softmax,
    "log_softmax": ops.log_softmax,
    "var": ops.var,
    "std": ops.std,
    "cross_entropy": classes(ops.cross_entropy),
    "cross_entropy, sum": classes(ops.cross_entropy, reduction="sum"),
    "cross_entropy, none": classes(ops.cross_entropy, reduction="none", ignore_index=1),
    "cross_entropy, smoothing 0.1": classes(ops.cross_entropy, label_smoothing=0.1),
    "cross_entropy, smoothing 1": classes(ops.cross_entropy, label_smoothing=1.0),
    "cross_entropy, smoothing 1e-20": classes(ops.cross_entropy, label_smoothing=1e-20),
    "nll_loss of log_softmax": classes(lambda x, t: ops.nll_loss(ops.log_softmax(x), t)),
    "temporal_softmax_loss": classes(temporal),
}


@pytest.mark.parametrize("name", UNMOVED)
@given(data=drawn())
def test_the_vjp_of_what_no_shift_moves_sums_to_0(name, data):
    x, axis, rng = data
    with np.errstate(over="ignore"):  # the value may lie beyond half precision, the gradient does not
        value = UNMOVED[name](leaf(x), axis)
        g = cotangents(rng, value.shape, value.dtype)
        _, _, d = pulled(lambda t: UNMOVED[name](t, axis), x, g)
    info = np.finfo(x.dtype)
    # What is 0 in exact arithmetic (all entries alike, say) may be left at the square of the precision.
    size = float(np.abs(g).max(initial=0)) * (max(float(np.ptp(x)), 1) if name in ("var", "std") else 1)
    for row in np.moveaxis(d, axis, -1).reshape(-1, x.shape[axis]):
        floor = len(row) * (float(info.smallest_subnormal) + float(info.eps) ** 2 * size)
        assert abs(exact_sum(row)) <= 4 * float(info.eps) * exact_sum(np.abs(row)) + floor


# --- scalings ----------------------------------------------------------------------------------------


# --- permutations ------------------------------------------------------------------------------------


# --- adjoints ----------------------------------------------------------------------------------------

X34, X234, IMAGES = (3, 4), (2, 3, 4), (2, 4, 5, 6)
STRIDE_2 = Windows.of(2, 2, 1)  # 3 x 4 of them in images of 5 x 6


def fixed(shape: Any, dtype: Any) -> Any:
    """A constant factor of small integers."""
    return np.random.default_rng(3).integers(-2, 3, shape).astype(dtype)


# name of the primitive -> calls (function of the linear inputs, their shapes); dtype is that of the constants
LINEAR: dict[str, list[tuple[Any, list[Any]]]] = {
    "add": [(lambda d, a, b: a + b, [X34, (4,)])],
    "adaptive_avg_pool2d": [(lambda d, x, m=m: ops.adaptive_avg_pool2d(x, m), [IMAGES]) for m in (1, (2, 4), 7)],
    "affine": [(lambda d, x, b: ops.affine(x, fixed((4, 5), d), b), [X234, (5,)])],
    "astype": [(lambda d, x: ops.astype(x, np.float64), [X34])],
    "avg_pool2d": [(lambda d, x, o=o: ops.avg_pool2d(x, **o), [IMAGES])
                   for o in ({"kernel": 2}, {"kernel": (2, 3), "stride": (1, 2), "padding": 1})],
    "broadcast_to": [(lambda d, x: ops.broadcast_to(x, (2, 3, 4)), [(3, 1)])],
    "concatenate": [(lambda d, a, b: ops.concatenate([a, b], 1), [X34, (3, 2)])],
    "conv1d": [(lambda d, x: ops.conv1d(x, fixed((2, 4, 3), d), stride=2, padding="same"), [(2, 4, 6)]),
               (lambda d, w: ops.conv1d(fixed((2, 4, 6), d), w, dilation=2), [(2, 4, 3)])],
    "conv2d": [(lambda d, x: ops.conv2d(x, fixed((2, 4, 3, 3), d), stride=2, padding=1), [IMAGES]),
               (lambda d, w: ops.conv2d(np.resize(fixed(X34, d), IMAGES), w), [(2, 4, 3, 3)])],
    "conv2d_filters": [(lambda d, x: _conv2d_filters(x, fixed((2, 4, 3, 4), d), STRIDE_2, 1), [IMAGES]),
                       (lambda d, y: _conv2d_filters(fixed(IMAGES, d), y, STRIDE_2, 1), [(2, 4, 3, 4)])],
    "conv_transpose1d": [(lambda d, x: ops.conv_transpose1d(x, fixed((4, 2, 3), d), stride=2), [(2, 4, 6)]),
                         (lambda d, w: ops.conv_transpose1d(fixed((2, 4, 6), d), w, padding=1), [(4, 2, 3)])],
    "conv_transpose2d": [(lambda d, x: ops.conv_transpose2d(x, fixed((4, 2, 3, 3), d), stride=2, padding=1), [IMAGES]),
                         (lambda d, w: ops.conv_transpose2d(np.resize(fixed(X34, d), IMAGES), w), [(4, 2, 3, 3)])],
    "cumsum": [(lambda d, x, axis=axis: ops.cumsum(x, axis), [X34]) for axis in (0, 1, None)],
    "diagonal": [(lambda d, x: ops.diagonal(x, 1, 0, 2), [X234])],
    "divide": [(lambda d, x: x / 4.0, [X34])],
    "dropout": [(lambda d, x: ops.dropout(x, 0.5, rng=3), [X34])],
    "einsum": [(lambda d, x: ops.einsum("ij,jk->ki", x, fixed((4, 5), d)), [X34]),
               (lambda d, x: ops.einsum("iji->j", x), [(3, 4, 3)])],
    "embedding": [(lambda d, W: ops.embedding([[0, 2, 0], [2, 2, 1]], W), [X34])],
    "expand_dims": [(lambda d, x: ops.expand_dims(x, 1), [X34])],
    "flip": [(lambda d, x: ops.flip(x, 1), [X34])],
    "getitem": [(lambda d, x, i=i: x[i], [X34])
                for i in (1, slice(None, None, -2), [0, 0, 2], ([0, 0, 2], slice(1, 3)), (..., None, 1))],
    "matmul": [(lambda d, x: x @ fixed((4, 5), d), [X234]), (lambda d, x: fixed((5, 3), d) @ x, [X34])],
    "mean": [(lambda d, x, axis=axis: ops.mean(x, axis), [X234]) for axis in (0, (0, 2), None)],
    "moveaxis": [(lambda d, x: ops.moveaxis(x, 0, 2), [X234])],
    "multiply": [(lambda d, x: x * fixed(X34, d), [X234])],
    "negative": [(lambda d, x: -x, [X34])],
    "nll_loss": [(lambda d, x, r=r: ops.nll_loss(x, [0, 3, 3], r, 0), [X34]) for r in ("mean", "sum", "none")],
    "pad": [(lambda d, x, mode=mode: ops.pad(x, ((1, 2), (0, 9)), mode), [X34])
            for mode in ("constant", "edge", "reflect", "symmetric", "wrap")],
    "pixel_shuffle": [(lambda d, x: ops.pixel_shuffle(x, 2), [IMAGES])],
    "pixel_unshuffle": [(lambda d, x: ops.pixel_unshuffle(x, 2), [(2, 3, 4, 6)])],
    "put": [(lambda d, x, v: ops.put(x, [2, 0, 2], v), [X34, X34])],
    "ravel": [(lambda d, x: ops.ravel(x), [X34])],
    "repeat": [(lambda d, x, n=n: ops.repeat(x, n, 1), [X34]) for n in (3, [1, 0, 2, 4])],
    "linear_map": [(lambda d, x: ops.linear_map(x, lambda x: x[::-1] * 2, lambda u: u[::-1] * 2), [X34])],
    "reshape": [(lambda d, x: ops.reshape(x, (2, 6)), [X34])],
    "roll": [(lambda d, x: ops.roll(x, (1, -2), (0, 1)), [X34])],
    "split": [(lambda d, x: ops.split(x, [1, 3], 1), [X34])],
    "squeeze": [(lambda d, x: ops.squeeze(x, 1), [(3, 1, 4)])],
    "stack": [(lambda d, a, b: ops.stack([a, b, a], 1), [X34, X34])],
    "subtract": [(lambda d, a, b: a - b, [X34, (3, 1)])],
    "sum": [(lambda d, x, axis=axis: ops.sum(x, axis), [X234]) for axis in (1, (0, 2), None)],
    "swapaxes": [(lambda d, x: ops.swapaxes(x, 0, 2), [X234])],
    "take_along_axis": [(lambda d, x: ops.take_along_axis(x, [[0, 0], [1, 3], [2, 2]]), [X34])],
    "temporal_affine": [(lambda d, x, b: ops.temporal_affine(x, fixed((4, 5), d), b), [X234, (5,)])],
    "tile": [(lambda d, x: ops.tile(x, (2, 3, 1)), [X34])],
    "transpose": [(lambda d, x: ops.transpose(x, (2, 0, 1)), [X234])],
    "tril": [(lambda d, x: ops.tril(x, 1), [X234])],
    "triu": [(lambda d, x: ops.triu(x, -1), [X234])],
    "upsample": [(lambda d, x, mode=mode: ops.upsample(x, (2, 3), mode), [IMAGES]) for mode in ("nearest", "bilinear")],
    "where": [(lambda d, x, y: ops.where(fixed(X34, d) > 0, x, y), [X34, (4,)])],
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LINEAR)
def test_the_vjp_of_a_linear_primitive_is_its_adjoint(name, dtype):
    for seed, (function, inputs) in enumerate(LINEAR[name]):
        rng = np.random.default_rng(seed)
        # small integers, whose sums are exact; none is 0
        v = [rng.choice([-2, -1, 1, 2], shape).astype(dtype) for shape in inputs]
        outputs = [o.data for o in outputs_of(function(dtype, *map(leaf, v)))]
        u = [np.asarray(rng.choice([-2, -1, 1, 2], o.shape)).astype(o.dtype) for o in outputs]
        _, grads = pull(lambda *t, f=function: f(dtype, *t), [leaf(x) for x in v], u)
        there = np.concatenate([(o.astype(float) * w).ravel() for o, w in zip(outputs, u, strict=True)])
        back = np.concatenate([(x.astype(float) * d).ravel() for x, d in zip(v, grads, strict=True)])
        assert np.abs(back).sum() > 0
        assert abs(there.sum() - back.sum()) <= 4 * np.finfo(dtype).eps * (np.abs(there).sum() + np.abs(back).sum())


# --- symmetries --------------------------------------------------------------------------------------

"""Pools, and the pixel shuffle and its inverse: gradients, PyTorch, ties, padding and mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.kernels.windows import Windows
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays

PYTORCH = Peer(__name__)


@st.composite
def pools(draw: Any, distinct: bool = False, half: bool = False) -> Case:
    """A call that fits; ``half`` keeps padding to half the kernel, as PyTorch wants it."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, k // 2 if half else k - 1)) for k in kernel)
    stride = draw(st.none() | st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3)))
    sizes = []
    for k, p in zip(kernel, padding, strict=True):
        least = max(1, k - 2 * p)
        sizes.append(draw(st.integers(least, least + 4)))
    shape = (draw(st.sampled_from([0, 1, 2])), draw(st.integers(1, 3)), *sizes)
    return Case([draw(arrays(shape, distinct=distinct))], {"kernel": kernel, "stride": stride, "padding": padding})


@st.composite
def shuffles(draw: Any, least: int = 0) -> Case:
    r = draw(st.integers(1, 3))
    n, c, height, width = (draw(st.integers(least, 2)) for _ in range(4))
    return Case([draw(arrays((n, c * r * r, height, width)))], {"factor": r})


@st.composite
def unshuffles(draw: Any, least: int = 0) -> Case:
    r = draw(st.integers(1, 3))
    n, c, height, width = (draw(st.integers(least, 2)) for _ in range(4))
    return Case([draw(arrays((n, c, height * r, width * r)))], {"factor": r})


@st.composite
def bins(draw: Any, least: int = 0) -> Case:
    """More and fewer bins than pixels, of which they are divisors or not."""
    shape = draw(st.sampled_from([least, 1, 2])), draw(st.integers(1, 2)), *(draw(st.integers(1, 6)) for _ in "hw")
    size = draw(st.integers(1, 7) | st.tuples(st.integers(1, 7), st.integers(1, 7)))
    return Case([draw(arrays(shape))], {"output_size": size})


@st.composite
def upsamplings(draw: Any, least: int = 0) -> Case:
    shape = draw(st.sampled_from([least, 1, 2])), draw(st.integers(1, 2)), *(draw(st.integers(least, 4)) for _ in "hw")
    factor = draw(st.integers(1, 5) | st.tuples(st.integers(1, 5), st.integers(1, 5)))
    return Case([draw(arrays(shape))], {"factor": factor, "mode": draw(st.sampled_from(["nearest", "bilinear"]))})


CASES = {
    "adaptive_avg_pool2d": bins(),
    "avg_pool2d": pools(),
    "max_pool2d": pools(distinct=True),
    "pixel_shuffle": shuffles(),
    "pixel_unshuffle": unshuffles(),
    "upsample": upsamplings(),
}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_gradients(name: str, data: Any) -> None:
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


# PyTorch 2.13's own pixel_shuffle gradient fails on some empty images
ASKED = {
    "adaptive_avg_pool2d": bins(least=1),
    "pixel_shuffle": shuffles(least=1),
    "pixel_unshuffle": unshuffles(least=1),
}


@pytest.mark.parametrize("name", [name for name in CASES if name != "upsample"])
def test_agrees_with_pytorch(name: str) -> None:
    cases = ASKED.get(name, pools(distinct=True, half=True))

    def theirs(torch: Any, x: Any, **options: Any) -> Any:
        return getattr(torch.nn.functional, name)(x, *options.values())

    PYTORCH.compare_drawn(name, getattr(mg.ops, name), theirs, cases, rtol=1e-12, atol=1e-13)


def test_stride_is_the_kernel_by_default() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 8))
    blocks = x.reshape(2, 3, 2, 3, 4, 2)
    np.testing.assert_array_equal(mg.ops.max_pool2d(x, (3, 2)).data, blocks.max(axis=(3, 5)))
    np.testing.assert_allclose(mg.ops.avg_pool2d(x, (3, 2)).data, blocks.mean(axis=(3, 5)), rtol=1e-14)


def gradient(function: Any, x: np.ndarray) -> np.ndarray:
    out = function(x)
    return pull(function, [leaf(x)], [np.ones(out.shape)])[1][0]


def test_ties_share_equally() -> None:
    x = np.array([[[[5.0, 5.0, 1.0], [5.0, 0.0, 1.0]]]])
    found = gradient(lambda a: mg.ops.max_pool2d(a, 2, stride=1), x)
    np.testing.assert_allclose(found, [[[[1 / 3, 1 / 3 + 1, 0], [1 / 3, 0, 0]]]])


@pytest.mark.parametrize("value", [-3.0, 0.0, -np.inf])
def test_padding_never_wins_nor_shares(value) -> None:
    """A window of padding and one entry: the entry gets all, though they are equal."""
    x = np.full((1, 1, 2, 2), value)
    np.testing.assert_array_equal(mg.ops.max_pool2d(x, 2, padding=1).data, x)
    np.testing.assert_array_equal(gradient(lambda a: mg.ops.max_pool2d(a, 2, padding=1), x), np.ones_like(x))
    np.testing.assert_array_equal(mg.ops.avg_pool2d(np.ones_like(x), 2, padding=1).data, np.full(x.shape, 0.25))


def test_a_nan_shows_in_its_own_window_alone() -> None:
    x, g = np.array([[[[1.0, np.nan, 2.0, 3.0, 4.0, 4.0]]]]), np.array([[[[1.0, 5.0, 6.0]]]])
    (y,), (d,) = pull(lambda a: mg.ops.max_pool2d(a, (1, 2)), [leaf(x)], [g])
    np.testing.assert_array_equal(y, [[[[np.nan, 3, 4]]]])
    np.testing.assert_array_equal(d, [[[[np.nan, np.nan, 0, 5, 3, 3]]]])


def test_pixel_shuffle_order() -> None:
    """y[n, c, h r + i, w r + j] = x[n, c r² + i r + j, h, w]."""
    x = np.random.default_rng(0).standard_normal((2, 18, 2, 4))
    y = mg.ops.pixel_shuffle(x, 3).data
    assert y.shape == (2, 2, 6, 12)
    for c, i, j, h, w in np.ndindex(2, 3, 3, 2, 4):
        np.testing.assert_array_equal(y[:, c, 3 * h + i, 3 * w + j], x[:, 9 * c + 3 * i + j, h, w])


@given(unshuffles())
def test_unshuffling_undoes_shuffling(case: Case) -> None:
    (x,), r = case.inputs, case.options["factor"]
    y = mg.ops.pixel_unshuffle(x, r)
    np.testing.assert_array_equal(mg.ops.pixel_shuffle(y, r).data, x)
    for i, j in np.ndindex(r, r):
        np.testing.assert_array_equal(y.data[:, i * r + j :: r * r], x[:, :, i::r, j::r])


@given(bins())
def test_bins_are_means_of_slices(case: Case) -> None:
    (x,), size = case.inputs, np.broadcast_to(case.options["output_size"], 2)
    y = mg.ops.adaptive_avg_pool2d(x, case.options["output_size"]).data
    for place in np.ndindex(*size):
        rows, columns = (
            slice(int(np.floor(i * n / m)), int(np.ceil((i + 1) * n / m)))
            for i, n, m in zip(place, x.shape[2:], size, strict=True)
        )
        np.testing.assert_allclose(y[:, :, *place], x[:, :, rows, columns].mean(axis=(2, 3)), atol=1e-13)


def test_what_is_not_finite_stays_in_its_bin() -> None:
    x = np.where(np.arange(30) == 0, np.inf, 1.0).reshape(1, 1, 5, 6)
    assert np.flatnonzero(~np.isfinite(mg.ops.adaptive_avg_pool2d(x, (2, 3)).data)).tolist() == [0]


X = np.ones((1, 3, 4, 5))


@pytest.mark.parametrize(
    ("name", "inputs", "error", "message"),
    [
        *((name, inputs, error, message) for name in ("max_pool2d", "avg_pool2d") for inputs, error, message in [
            ([X[0], 2], ValueError, "x must have 4 axes"),
            ([X, 0], ValueError, "kernel .* 1, not 0"),
            ([X, 1.5], TypeError, "kernel .*integer.*, not 1.5"),
            ([X, 2, 0], ValueError, "stride .* 1, not 0"),
            ([X, 2, None, -1], ValueError, "padding .* 0, not -1"),
            ([X, (2, 3), None, 2], ValueError, r"padding \(2, 2\) .* kernel \(2, 3\)"),
            ([X, (2, 6)], ValueError, "kernel of 2x6 .* 4x5"),
            ([X[:, :, :0], 2, None, 1], ValueError, "at least one row and one column"),
        ]),
        ("pixel_shuffle", [X[0], 2], ValueError, "x must have 4 axes"),
        ("pixel_shuffle", [X, 2], ValueError, "x has 3 channels.* 4"),
        ("pixel_shuffle", [X, 0], ValueError, "factor .* 1, not 0"),
        ("pixel_shuffle", [X, 1.0], TypeError, "factor must be an integer, not 1.0"),
        ("pixel_shuffle", [X, (1, 1)], TypeError, r"factor must be an integer, not \(1, 1\)"),
        ("pixel_unshuffle", [X[0], 2], ValueError, "x must have 4 axes"),
        ("pixel_unshuffle", [X, 2], ValueError, "x has 4 rows and 5 columns"),
        ("pixel_unshuffle", [X, 0], ValueError, "factor .* 1, not 0"),
        ("adaptive_avg_pool2d", [X[0], 2], ValueError, "x must have 4 axes"),
        ("adaptive_avg_pool2d", [X, 0], ValueError, "output_size .* 1, not 0"),
        ("adaptive_avg_pool2d", [X, (1, None)], TypeError, "output_size must be an integer or a pair"),
        ("adaptive_avg_pool2d", [X[:, :, :0], 1], ValueError, "at least one row and one column"),
    ],
)  # fmt: skip
def test_refusals(name: str, inputs: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=rf"{name}\(x: float64 .*{message}"):
        getattr(mg.ops, name)(*inputs)


def test_windows_with_dilation():
    """Pooling has none, but a view of windows has its own."""
    x = np.arange(2 * 3 * 9 * 11.0).reshape(2, 3, 9, 11)
    windows = Windows.of((2, 3), (2, 1), 0, (3, 4))
    view = windows.view(x, windows.output_size((9, 11)))
    assert view.shape == (2, 3, 2, 3, 3, 3)
    for i, j, p, q in np.ndindex(view.shape[2:]):
        np.testing.assert_array_equal(view[:, :, i, j, p, q], x[:, :, 2 * p + 3 * i, q + 4 * j])


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_equal_maxima_share_a_cotangent_of_the_gradient_too(dtype):
    """The gradient is linear in the cotangents of windows, by shares of 1 / ties; so is what comes back to these."""
    x = np.array([[1, 1, 0, 2], [0, 1, 2, 2], [3, 0, 5, 4], [0, 0, 1, 1]], dtype)[None, None]
    u = (np.arange(16) * 18.4).astype(dtype).reshape(1, 1, 4, 4)  # of which partial sums are rounded in half precision

    def along(g):
        return (u * mg.grad(lambda x: (g * mg.max_pool2d(x, 2)).sum())(x)).sum()

    found = mg.grad(along)(np.ones((1, 1, 2, 2), dtype))
    assert found.dtype == dtype
    v = u.ravel().astype(float)  # half precision is computed in single, and rounded once
    expected = [(v[0] + v[1] + v[5]) / 3, (v[3] + v[6] + v[7]) / 3, v[8], v[10]]
    np.testing.assert_allclose(found.numpy().ravel(), np.array(expected).astype(dtype), rtol=1e-12)


# --- upsampling ------------------------------------------------------------------------------------------


def test_upsample_agrees_with_pytorch() -> None:
    def theirs(torch: Any, x: Any, factor: Any, mode: str) -> Any:
        corners = {"align_corners": False} if mode == "bilinear" else {}
        return torch.nn.functional.interpolate(x, scale_factor=factor, mode=mode, **corners)

    PYTORCH.compare_drawn("upsample", mg.ops.upsample, theirs, upsamplings(least=1), rtol=1e-12, atol=1e-14)


def test_a_plane_stays_one() -> None:
    """Between the middles of pixels bilinear interpolation is exact for a x + b y + c."""
    rows, columns = np.mgrid[0:4, 0:5].astype(float)
    y = mg.ops.upsample((2 * rows - 3 * columns + 1)[None, None], (3, 4), "bilinear").data[0, 0]
    down, across = (np.arange(12) + 0.5) / 3 - 0.5, (np.arange(20) + 0.5) / 4 - 0.5
    expected = 2 * down[:, None] - 3 * across + 1
    np.testing.assert_allclose(y[2:-2, 2:-2], expected[2:-2, 2:-2], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_what_is_not_finite_reaches_its_neighbours_alone(mode: str) -> None:
    x = np.ones((1, 1, 1, 5))
    x[..., 2] = np.inf
    y = mg.ops.upsample(x, (1, 3), mode).data[0, 0, 0]
    assert np.flatnonzero(np.isinf(y)).tolist() == list(range(6, 9) if mode == "nearest" else range(5, 10))
    assert not np.isnan(y).any()
    g = np.ones((1, 1, 1, 15))
    g[..., 7] = np.nan  # the middle of pixel 2, and taken from it alone
    d = pull(lambda x: mg.ops.upsample(x, (1, 3), mode), [leaf(np.ones((1, 1, 1, 5)))], [g])[1][0]
    assert np.isnan(d).ravel().tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ([X[0], 2], ValueError, r"upsample\(x: float64 \(3, 4, 5\)\): x must have 4 axes"),
        ([X, 0], ValueError, "factor must be at least 1, not 0"),
        ([X, 1.5], TypeError, "factor must be an integer or a pair of integers, not 1.5"),
        ([X, (2, 2, 2)], TypeError, r"factor must be an integer or a pair of integers, not \(2, 2, 2\)"),
        ([X, 2, "bicubic"], ValueError, "mode must be 'nearest' or 'bilinear', not 'bicubic'"),
    ],
)
def test_refusals_of_upsample(inputs: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        mg.ops.upsample(*inputs)

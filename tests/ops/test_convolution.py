"""Convolutions: against their defining sum, PyTorch, each other, and the matrices that they are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.array_utils import byte_bounds

import minigrad as mg
from minigrad.ops import convolution
from minigrad.ops.kernels import im2col
from minigrad.ops.kernels.windows import Windows
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Answer, Peer, check_pull, pulled
from tests.strategies import arrays

PYTORCH = Peer(__name__)


def pairs(low: int, high: int) -> st.SearchStrategy[Any]:
    """A pair of integers."""
    return st.tuples(st.integers(low, high), st.integers(low, high))


def option(low: int, high: int) -> st.SearchStrategy[Any]:
    """An integer, or a pair of integers."""
    return st.integers(low, high) | pairs(low, high)


def both(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


@st.composite
def convolutions(draw: Any, transposed: bool = False) -> Case:
    """A call that fits: any option, groups, odd sizes, empty batches, with a bias and without."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    c, f = groups * draw(st.integers(1, 3 - groups // 2)), groups * draw(st.integers(1, 3 - groups // 2))
    strides = st.just(1) | option(1, 3)
    kernel, stride, padding, dilation = draw(pairs(1, 3)), draw(strides), draw(option(0, 2)), draw(option(1, 2))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    extents = [d * (k - 1) + 1 for d, k in zip(both(dilation), kernel, strict=True)]
    sizes = []
    if transposed:
        extra = [draw(st.integers(0, max(s, d) - 1)) for s, d in zip(both(stride), both(dilation), strict=True)]
        options["output_padding"] = tuple(extra)
        for e, s, p, o in zip(extents, both(stride), both(padding), extra, strict=True):
            least = max(1, -(-(1 + 2 * p - e - o) // s) + 1)  # so that one pixel is left
            sizes.append(draw(st.integers(least, least + 3)))
    else:
        for e, p in zip(extents, both(padding), strict=True):
            least = max(1, e - 2 * p)
            sizes.append(draw(st.integers(least, least + 3)))
    x = draw(arrays((draw(st.sampled_from([2, 1, 2, 0])), c, *sizes)))  # what comes first is drawn most
    w = draw(arrays((c, f // groups, *kernel) if transposed else (f, c // groups, *kernel)))
    b = draw(st.none() | arrays((f,)))
    return Case([x, w, b], options)


@st.composite
def filter_cotangents(draw: Any) -> Case:
    """Images and responses that fit: those of a convolution, or of a transposed one."""
    transposed = draw(st.booleans())
    case = draw(convolutions(transposed))
    x, w, _ = case.inputs
    function = mg.ops.conv_transpose2d if transposed else mg.ops.conv2d
    other = draw(arrays(function(x, w, **case.options).shape))
    options = [case.options[name] for name in ("stride", "padding", "dilation")]
    windows = Windows.of(w.shape[2:], *options)
    return Case([other, x] if transposed else [x, other], {"windows": windows, "groups": case.options["groups"]})


CONVOLUTIONS = {"conv2d": convolutions(), "conv_transpose2d": convolutions(transposed=True)}


@st.composite
def convolutions_1d(draw: Any, transposed: bool = False) -> Case:
    """A call that fits: any option, groups, odd lengths, empty batches, with a bias and without."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    c, f = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel, stride, dilation = draw(st.integers(1, 4)), draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 2))
    padding, extent = draw(st.integers(0, 3)), dilation * (kernel - 1) + 1
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if transposed:
        extra = options["output_padding"] = draw(st.integers(0, max(stride, dilation) - 1))
        least = max(1, -(-(1 + 2 * padding - extent - extra) // stride) + 1)  # so that one entry is left
    else:
        least = max(1, extent - 2 * padding)
    length = least + draw(st.integers(0, 5))
    x = draw(arrays((draw(st.sampled_from([2, 1, 3, 0])), c, length)))  # what comes first is drawn most
    w = draw(arrays((c, f // groups, kernel) if transposed else (f, c // groups, kernel)))
    return Case([x, w, draw(st.none() | arrays((f,)))], options)


CASES = {
    **CONVOLUTIONS,
    "conv2d_filters": filter_cotangents(),
    "conv1d": convolutions_1d(),
    "conv_transpose1d": convolutions_1d(transposed=True),
}


FUNCTIONS = {"conv2d_filters": convolution._conv2d_filters}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_gradients(name: str, data: Any) -> None:
    check_primitive(FUNCTIONS.get(name) or getattr(mg.ops, name), data.draw(CASES[name]))


# A name, the shapes of x and w, and options, where kernels treat borders, strides or channels in a way of their own.
GEOMETRIES = [
    *(("conv2d", (1, 3 * n, 3, 4), (2 * n, 3, 2, 3), {"stride": s, "padding": p, "groups": n})
      for s, p, n in (((1, 1), 0, 1), ((1, 1), (0, 1), 2), ((2, 1), 1, 2), ((1, 2), (0, 1), 1))),
    *(("conv_transpose2d", (1, 3 * n, 3, 4), (3 * n, 2, 2, 3), {"stride": s, "padding": p, "groups": n})
      for s, p, n in (((1, 1), (0, 1), 1), ((1, 1), 1, 2), ((2, 1), 0, 2))),
    *(("conv2d", (1, 1, 11, 9), (2, 1, 3, 2), {"stride": s, "padding": 1, "dilation": d})
      for s, d in (((4, 1), 2), ((5, 7), 1), ((9, 2), 2))),
    *(("conv_transpose2d", (1, 2, 2, 3), (2, 1, 3, 2), {"stride": s, "padding": 1, "dilation": d})
      for s, d in (((4, 1), 1), ((5, 7), 2))),
    *(("conv2d", (1, 1, 5, 4), (3, 1, *k), {"stride": 2, "padding": p})
      for k, p in (((3, 3), 1), ((2, 1), 0), ((4, 1), (1, 0)), ((5, 2), 1))),
    *(("conv_transpose2d", (1, 3, 3, 4), (3, 1, *k), {"stride": 2, "padding": p, "output_padding": 1})
      for k, p in (((3, 3), 1), ((4, 1), 0), ((5, 2), (1, 0)))),
    ("conv2d", (1, 2, 3, 6), (2, 2, 2, 7), {"padding": (0, 3)}),  # taps reach far into the next row
    ("conv2d", (1, 2, 3, 6), (2, 2, 2, 3), {"padding": (0, 2), "dilation": (1, 2)}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "x", "w", "options"), GEOMETRIES)
def test_gradients_at_special_geometries(name: str, x: Any, w: Any, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    check_primitive(getattr(mg.ops, name), Case([rng.standard_normal(x), rng.standard_normal(w), None], options))


def test_a_stride_beyond_the_image_takes_no_longer() -> None:
    """The one window that there is does not depend on it."""
    x, w = np.random.default_rng(0).standard_normal((2, 1, 2, 3, 3))
    near, far = (
        pull(lambda x, w, s=s: mg.ops.conv2d(x, w, None, s, 1), [leaf(x), leaf(w)], [np.ones((1, 1, 1, 1))])[1]
        for s in (9, 10**12)
    )
    np.testing.assert_array_equal(np.stack(near), np.stack(far))


@contextmanager
def in_pieces(entries: int, worth: int) -> Iterator[None]:
    """On three threads, in pieces of so many columns and multiplications, in memory that is never clean."""
    before = mg.get_num_threads()
    mg.set_num_threads(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "_LARGEST", entries)
        patch.setattr(im2col, "workspace", unclean)
        patch.setattr(convolution, "workspace", unclean)
        patch.setattr(convolution, "_WORTH_A_THREAD", worth)
        try:
            yield
        finally:
            mg.set_num_threads(before)


def unclean(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """In place of memory that is used again: what is not written before it is read is not a number."""
    return np.full(shape, np.nan, dtype)


@pytest.mark.parametrize("name", sorted(CASES.keys() - FUNCTIONS.keys()))
def test_agrees_with_pytorch(name: str) -> None:
    """In one piece or many, of a few images or rows, on one thread or some."""
    pieces = st.tuples(st.sampled_from([1, 20, 200, 2**20]), st.sampled_from([1, 1000, 2**21]))
    cases = st.builds(lambda case, p: Case(case.inputs, {**case.options, "pieces": p}), CASES[name], pieces)

    def theirs(torch: Any, *tensors: Any, pieces: Any, **options: Any) -> Any:
        return getattr(torch.nn.functional, name)(*tensors, **options)

    def mine(*tensors: Any, pieces: Any, **options: Any) -> Any:
        return getattr(mg.ops, name)(*tensors, **options)

    def check(answer: Answer) -> None:
        with in_pieces(*answer.options["pieces"]):
            check_pull(mine, answer, rtol=1e-10, atol=1e-11)

    PYTORCH.ask_drawn(name, pulled(theirs), cases, check)


LAYERS = {
    "as large as its images": ("conv2d", (2, 20, 30, 30), (12, 20, 3, 3), {"padding": 1}),
    "smaller": ("conv2d", (2, 12, 30, 31), (20, 12, 3, 2), {}),
    "of many images": ("conv2d", (50, 3, 16, 16), (8, 3, 5, 5), {"padding": 2}),
    "with stride": ("conv2d", (3, 30, 28, 29), (40, 30, 3, 3), {"stride": 2, "padding": 1}),
    "in groups": ("conv2d", (3, 32, 30, 30), (64, 8, 3, 3), {"padding": 1, "groups": 4}),
    "depthwise": ("conv2d", (3, 32, 40, 40), (32, 1, 3, 3), {"padding": 1, "groups": 32}),
    "depthwise, large": ("conv2d", (2, 8, 40, 40), (8, 1, 11, 11), {"padding": 5, "groups": 8}),
    "of pixels": ("conv2d", (2, 24, 30, 30), (32, 24, 1, 1), {}),
    "transposed": ("conv_transpose2d", (3, 40, 15, 14), (40, 24, 4, 4), {"stride": 2, "padding": 1}),
    "of sound": ("conv1d", (2, 1, 9000), (16, 1, 25), {"stride": 4, "padding": 11}),
    "dilated": ("conv1d", (2, 32, 900), (32, 32, 2), {"padding": "same", "dilation": 64}),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_large_layers_in_float32_are_those_in_float64(layer: str) -> None:
    """Large enough for tiles, threads and several blocks; and the same bits each time."""
    name, *shapes, options = LAYERS[layer]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in (*shapes, _bias(name, shapes[1], options))]

    def run(dtype: Any) -> Any:
        def call(*a: Any) -> Any:
            return getattr(mg.ops, name)(*a, **options)

        inputs = [a.astype(dtype) for a in arrays]
        g = np.random.default_rng(1).standard_normal(call(*inputs).shape).astype(dtype)
        outs, grads = pull(call, [leaf(a) for a in inputs], [g])
        return outs + grads

    with in_pieces(2**16, 1):
        results = run(np.float32), run(np.float32), run(np.float64)
    for mine, again, exact in zip(*results, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine, again)
        np.testing.assert_allclose(mine, exact, rtol=0, atol=4e-6 * np.abs(exact).max())


@pytest.mark.parametrize("layer", LAYERS)
def test_views_keep_within_their_memory(layer: str) -> None:
    """What is read beyond it would be overwritten with zeros, so that no result shows it."""
    name, *shapes, options = LAYERS[layer]

    def within(array: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
        view = columns_as_strided(array, shape, strides)
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        (first, end), (least, most) = byte_bounds(view), byte_bounds(root)
        assert not view.size or least <= first <= end <= most
        return view

    columns_as_strided = im2col.as_strided
    with in_pieces(2**16, 2**40), pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "as_strided", within)
        inputs = [leaf(np.ones(shape, np.float32)) for shape in shapes]
        y = getattr(mg.ops, name)(*inputs, **options)
        y.backward(np.ones(y.shape, np.float32))


def _bias(name: str, w: tuple[int, ...], options: dict[str, Any]) -> tuple[int]:
    return (w[0] if "transpose" not in name else w[1] * options.get("groups", 1),)


def test_the_defining_sum() -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((2, 4, 7, 6)), rng.standard_normal((6, 2, 3, 2)), rng.standard_normal(6)
    y = mg.ops.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 3), groups=2).data
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    assert y.shape == (2, 6, 4, 7)
    for n, f, p, q in np.ndindex(y.shape):
        total = b[f]
        for c, i, j in np.ndindex(2, 3, 2):
            total += w[f, c, i, j] * padded[n, 2 * (f // 3) + c, 2 * p + i, q + 3 * j]
        np.testing.assert_allclose(y[n, f, p, q], total, rtol=1e-12)


@pytest.mark.parametrize("kernel", [(2, 4), (3, 2)])
def test_gradients_of_filters_with_a_border_that_is_odd(kernel: tuple[int, int]) -> None:
    """Windows over "same" padding reach one pixel further than the image that they are given back to."""
    windows, number = Windows.over((3, 4), kernel, (2, 1), "same")
    inputs = [np.random.default_rng(0).standard_normal(shape) for shape in ((1, 2, 3, 4), (1, 2, *number))]
    assert mg.gradcheck(lambda x, y: convolution._conv2d_filters(x, y, windows, 2), inputs)
    assert mg.gradgradcheck(lambda x, y: convolution._conv2d_filters(x, y, windows, 2), inputs)


# --- worked examples: convolutions are matrices ----------------------------------------------------


def matrix_of(function: Any, *size: int) -> np.ndarray:
    """The matrix of a linear map of one image of that size, flattened by rows."""
    n = int(np.prod(size))
    return function(np.eye(n).reshape(n, 1, *size)).data.reshape(n, -1).T


WEIGHTS = np.array([[2.0, 3.0], [5.0, 7.0]])  # W00, W01, W10, W11


def test_a_transposed_convolution_is_a_matrix() -> None:
    """Homework 1-2: a 2x2 image, a 2x2 kernel, stride 2; the transpose of the convolution's matrix."""
    a = matrix_of(lambda x: mg.ops.conv_transpose2d(x, WEIGHTS[None, None], stride=2), 2, 2)
    expected = np.zeros((16, 4))
    columns = [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]
    entries = [0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3]
    expected[np.arange(16), columns] = WEIGHTS.ravel()[entries]
    np.testing.assert_array_equal(a, expected)
    np.testing.assert_array_equal(a.T, matrix_of(lambda x: mg.ops.conv2d(x, WEIGHTS[None, None], stride=2), 4, 4))


# --- mistakes --------------------------------------------------------------------------------------

X, W = np.ones((2, 4, 5, 6)), np.ones((6, 4, 3, 3))


WT = np.ones((4, 6, 3, 3))


X_1D, W_1D, WT_1D = X[..., 0], W[..., 0], WT[..., 0]


MISTAKES = {
    "x without channels": ("conv2d", [X[0], W], {}, ValueError, r"x must have 4 axes \(N, C, H, W\), not 3"),
    "w of three axes": ("conv2d", [X, W[0]], {}, ValueError, r"w must have 4 axes \(F, C/groups, kh, kw\), not 3"),
    "no channels": ("conv2d", [X[:, :0], W[:, :0]], {}, ValueError, "must have at least one channel"),
    "no filters": ("conv2d", [X, W[:0]], {}, ValueError, "at least one channel each, and w one filter"),
    "no transposed channels": ("conv_transpose2d", [X[:, :0], WT[:0]], {}, ValueError, "at least one channel"),
    "no transposed filters": ("conv_transpose2d", [X, WT[:, :0]], {}, ValueError, "at least one channel each"),
    "channels": ("conv2d", [X, W[:, :3]], {}, ValueError, "w expects 3 channels.*x has 4.*a w with 4"),
    "channels in groups": ("conv2d", [X, W], {"groups": 2}, ValueError, "expects 8 channels.*a w with 2"),
    "groups and C": ("conv2d", [X, W], {"groups": 3}, ValueError, "groups=3 must divide x's 4 channels"),
    "groups and F": ("conv2d", [X, W[:5, :2]], {"groups": 2}, ValueError, "groups=2 must divide .* 5"),
    "no groups": ("conv2d", [X, W], {"groups": 0}, ValueError, "groups must be at least 1, not 0"),
    "half a group": ("conv2d", [X, W], {"groups": 1.5}, TypeError, "groups must be an integer, not 1.5"),
    "bias": ("conv2d", [X, W, np.ones(4)], {}, ValueError, r"b must have shape \(6,\).*not \(4,\)"),
    "bias of one": ("conv2d", [X, W, np.ones(1)], {}, ValueError, r"b must have shape \(6,\).*not \(1,\)"),
    "stride 0": ("conv2d", [X, W], {"stride": (1, 0)}, ValueError, r"stride must be at least 1, not \(1, 0\)"),
    "stride 1.5": ("conv2d", [X, W], {"stride": 1.5}, TypeError, "stride must be an integer or a pair.*not 1.5"),
    "three strides": ("conv2d", [X, W], {"stride": (1, 1, 1)}, TypeError, "stride must be .* a pair of integers"),
    "padding in words": ("conv2d", [X, W], {"padding": "full"}, ValueError, "'same', 'valid'.*not 'full'"),
    "words for each axis": ("conv2d", [X, W], {"padding": ("same", 0)}, TypeError, "padding must be an integer or a"),
    "nothing to pad": ("conv2d", [X[:, :, :0], W], {"padding": "same"}, ValueError, "'same'.* at least one"),
    "padding -1": ("conv2d", [X, W], {"padding": -1}, ValueError, "padding must be at least 0, not -1"),
    "dilation 0": ("conv2d", [X, W], {"dilation": 0}, ValueError, "dilation must be at least 1, not 0"),
    "large kernel": ("conv2d", [X[:, :, :2], W], {}, ValueError, "kernel of 3x3 is larger than .* input of 2x6"),
    "large dilated kernel": ("conv2d", [X, W], {"dilation": 4}, ValueError, "3x3, 9x9 with its dilation, .* 5x6"),
    "no kernel": ("conv2d", [X, W[..., :0]], {}, ValueError, "kernel must be at least 1"),
    "transposed channels": ("conv_transpose2d", [X, W], {}, ValueError, "w has 6 input channels.*x has 4"),
    "transposed groups": ("conv_transpose2d", [X, WT], {"groups": 3}, ValueError, "groups=3 must divide"),
    "transposed rank": ("conv_transpose2d", [X, WT[0]], {}, ValueError, r"\(C, F/groups, kh, kw\), not 3"),
    "transposed bias": ("conv_transpose2d", [X, WT, np.ones(4)], {}, ValueError, r"b must have shape \(6,\)"),
    "output padding": ("conv_transpose2d", [X, WT], {"stride": 2, "output_padding": 2}, ValueError,
                       r"output_padding \(2, 2\) must be smaller than .* stride and dilation, \(2, 2\)"),
    "output padding of columns": ("conv_transpose2d", [X, WT], {"stride": (2, 1), "output_padding": 1}, ValueError,
                                  r"output_padding \(1, 1\) must be smaller .* \(2, 1\)"),
    "output padding of rows": (
        "conv_transpose2d",
        [X, WT],
        {"stride": (1, 2), "output_padding": 1},
        ValueError,
        r"output_padding \(1, 1\) must be smaller .* \(1, 2\)",
    ),
    "output padding -1": ("conv_transpose2d", [X, WT], {"output_padding": -1}, ValueError, "output_padding must be"),
    "nothing left": ("conv_transpose2d", [X[:, :, :1], WT], {"padding": 2}, ValueError, "would have -1x4 pixels"),
    "no pixels": ("conv_transpose2d", [X[:, :, :0], WT], {}, ValueError, "at least one row and one column"),
    "1d: x without channels": ("conv1d", [X_1D[0], W_1D], {}, ValueError, r"x must have 3 axes \(N, C, L\), not 2"),
    "1d: images": ("conv1d", [X_1D[..., None], W_1D], {}, ValueError, r"x must have 3 axes \(N, C, L\), not 4"),
    "1d: w of two axes": ("conv1d", [X_1D, W_1D[0]], {}, ValueError, r"w must have 3 axes \(F, C/groups, K\), not 2"),
    "1d: no channels": ("conv1d", [X_1D[:, :0], W_1D[:, :0]], {}, ValueError, "at least one channel"),
    "1d: no filters": ("conv1d", [X_1D, W_1D[:0]], {}, ValueError, "at least one .* filter"),
    "1d: channels": ("conv1d", [X_1D, W_1D[:, :3]], {}, ValueError, "w expects 3 channels.*x has 4.* 4"),
    "1d: groups": ("conv1d", [X_1D, W_1D], {"groups": 3}, ValueError, "groups=3 must divide x's 4 channels"),
    "1d: bias": ("conv1d", [X_1D, W_1D, np.ones(4)], {}, ValueError, r"b must have shape \(6,\).*not \(4,\)"),
    "1d: stride 0": ("conv1d", [X_1D, W_1D], {"stride": 0}, ValueError, "stride must be at least 1, not 0"),
    "1d: a pair of strides": ("conv1d", [X_1D, W_1D], {"stride": (1, 1)}, TypeError, r"stride .*integer, not .1, 1."),
    "1d: padding -1": ("conv1d", [X_1D, W_1D], {"padding": -1}, ValueError, "padding must be at least 0, not -1"),
    "1d: padding 0.5": ("conv1d", [X_1D, W_1D], {"padding": 0.5}, TypeError, "padding must be an integer, not 0.5"),
    "1d: padding in words": ("conv1d", [X_1D, W_1D], {"padding": "full"}, ValueError, "'same', 'valid'.*not 'full'"),
    "1d: dilation 0": ("conv1d", [X_1D, W_1D], {"dilation": 0}, ValueError, "dilation must be at least 1, not 0"),
    "1d: large kernel": ("conv1d", [X_1D[..., :2], W_1D], {}, ValueError, "kernel of 3x1 .* 2x1"),
    "1d: large dilated kernel": ("conv1d", [X_1D, W_1D], {"dilation": 4, "padding": 1}, ValueError,
                             "kernel of 3x1, 9x1 .* 7x1"),
    "1d: large kernel, in words": ("conv1d", [X_1D[..., :2], W_1D], {"padding": "valid"}, ValueError, "kernel of 3x1"),
    "1d: no kernel": ("conv1d", [X_1D, W_1D[..., :0]], {}, ValueError, "kernel must be at least 1"),
    "1d: nothing to pad": ("conv1d", [X_1D[..., :0], W_1D], {"padding": "same"}, ValueError, "'same'.* at least one"),
    "1d: transposed channels": ("conv_transpose1d", [X_1D, W_1D], {}, ValueError, "w has 6 input channels.*x has 4"),
    "1d: transposed rank": ("conv_transpose1d", [X_1D, WT_1D[0]], {}, ValueError, r"3 axes \(C, F/groups, K\), not 2"),
    "1d: transposed bias": ("conv_transpose1d", [X_1D, WT_1D, np.ones(4)], {}, ValueError, r"b must have shape \(6,\)"),
    "1d: transposed words": ("conv_transpose1d", [X_1D, WT_1D], {"padding": "same"}, TypeError, "integer, not 'same'"),
    "1d: output padding": ("conv_transpose1d", [X_1D, WT_1D], {"stride": 2, "output_padding": 2}, ValueError,
                       "output_padding .2, 0. .* .2, 1."),
    "1d: output padding -1": ("conv_transpose1d", [X_1D, WT_1D], {"output_padding": -1}, ValueError, "output_padding"),
    "1d: nothing left": ("conv_transpose1d", [X_1D[..., :1], WT_1D], {"padding": 2}, ValueError, "-1x1 pixels"),
    "1d: no entries": ("conv_transpose1d", [X_1D[..., :0], WT_1D], {}, ValueError, "at least one row"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake: str) -> None:
    name, inputs, options, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message) as caught:
        getattr(mg.ops, name)(*inputs, **options)
    assert str(caught.value).startswith(f"{name}(x: float64 ")


def test_output_padding_may_reach_dilation() -> None:
    """With stride 1 and dilation 3, two more rows and columns, which no window reaches."""
    y = mg.ops.conv_transpose2d(X, WT, dilation=3, output_padding=2).data
    assert y.shape == (2, 6, 13, 14)
    assert not y[:, :, 11:].any()
    assert not y[:, :, :, 12:].any()
    assert y[:, :, :11, :12].all()


# --- sequences -------------------------------------------------------------------------------------------


# --- other ways to the same numbers ------------------------------------------------------------------


def test_one_channel_and_one_filter_are_numpys_correlate() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(20), rng.standard_normal(5)
    for mode, padding in (("valid", 0), ("same", 2), ("full", 4)):
        y = mg.ops.conv1d(x[None, None], w[None, None], padding=padding).data[0, 0]
        np.testing.assert_allclose(y, np.correlate(x, w, mode), rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_where_it_is_seen(value: float) -> None:
    x = np.ones((1, 1, 9))
    x[0, 0, 4] = value
    y = mg.ops.conv1d(x, np.ones((1, 1, 3)), padding=1).data[0, 0]
    np.testing.assert_array_equal(np.isfinite(y), [True] * 3 + [False] * 3 + [True] * 3)


# --- mistakes ------------------------------------------------------------------------------------------


# --- "same" padding --------------------------------------------------------------------------------------


AXES = {"conv1d": 1, "conv2d": 2}


@st.composite
def same(draw: Any, axes: int, strides: st.SearchStrategy[int]) -> Case:
    """A convolution along a number of axes with padding "same"; kernels may be larger than the image."""
    groups = draw(st.sampled_from([1, 1, 2]))
    c, f = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    size, kernel, stride, dilation = (
        tuple(draw(st.tuples(*[numbers] * axes)))
        for numbers in (st.integers(1, 6), st.integers(1, 4), strides, st.integers(1, 2))
    )
    x, w = draw(arrays((draw(st.sampled_from([2, 1, 0])), c, *size))), draw(arrays((f, c // groups, *kernel)))
    one = axes == 1
    options = {"stride": stride[0] if one else stride, "dilation": dilation[0] if one else dilation, "groups": groups}
    return Case([x, w, draw(st.none() | arrays((f,)))], {**options, "padding": "same"})


@pytest.mark.parametrize("name", AXES)
@settings(max_examples=10)
@given(data=st.data())
def test_gradients_with_same_padding(name: str, data: Any) -> None:
    check_primitive(getattr(mg.ops, name), data.draw(same(AXES[name], st.integers(1, 3))))


@pytest.mark.parametrize("name", AXES)
def test_with_stride_1_it_agrees_with_pytorch(name: str) -> None:
    """An odd pixel of padding is at the end in both."""

    def theirs(torch: Any, *tensors: Any, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that an even kernel takes a copy
            return getattr(torch.nn.functional, name)(*tensors, **options)

    def mine(*tensors: Any, **options: Any) -> Any:
        return getattr(mg.ops, name)(*tensors, **options)

    def check(answer: Answer) -> None:
        check_pull(mine, answer, rtol=1e-10, atol=1e-11)

    PYTORCH.ask_drawn(f"{name} same", pulled(theirs), same(AXES[name], st.just(1)), check)


def by_tensorflows_rule(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """How many zeros come before and behind."""
    extent = (kernel - 1) * dilation + 1
    zeros = max(extent - stride, 0) if size % stride == 0 else max(extent - size % stride, 0)
    return zeros // 2, zeros - zeros // 2


@pytest.mark.parametrize("name", AXES)
@given(data=st.data())
def test_with_any_stride_it_is_tensorflows(name: str, data: Any) -> None:
    """Padded first, with what the rule says, then convolved without padding: values and all gradients."""
    case = data.draw(same(AXES[name], st.integers(1, 4)))
    x, w, b = case.inputs
    options = {k: v for k, v in case.options.items() if k != "padding"}
    numbers = zip(x.shape[2:], w.shape[2:], np.ravel(options["stride"]), np.ravel(options["dilation"]), strict=True)
    widths = [(0, 0), (0, 0), *(by_tensorflows_rule(*map(int, along)) for along in numbers)]
    function = getattr(mg.ops, name)

    def padded_first(x: Any, *others: Any) -> Any:
        return function(mg.ops.pad(x, widths), *others, **options)

    y = function(x, w, b, **case.options).data
    ceilings = [-(-n // s) for n, s in zip(x.shape[2:], np.ravel(options["stride"]), strict=True)]
    assert list(y.shape[2:]) == ceilings
    g = np.random.default_rng(0).standard_normal(y.shape)
    tensors = [a if a is None else leaf(a) for a in (x, w, b)]
    outs, grads = pull(lambda *a: function(*a, **case.options), tensors, [g])
    expected_outs, expected = pull(padded_first, tensors, [g])
    for mine, theirs in zip(outs + grads, expected_outs + expected, strict=True):
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_the_odd_pixel_is_at_the_end() -> None:
    """Sums of windows over numbers 1 … 5."""
    x, ones = np.arange(1.0, 6).reshape(1, 1, 5), lambda k: np.ones((1, 1, k))
    for kernel, stride, expected in [(2, 1, [3, 5, 7, 9, 5]), (4, 1, [6, 10, 14, 12, 9]), (2, 2, [3, 7, 5]),
                                     (3, 2, [3, 9, 9]), (1, 3, [1, 4]), (4, 5, [10])]:  # fmt: skip
        y = mg.ops.conv1d(x, ones(kernel), stride=stride, padding="same").data
        assert y[0, 0].tolist() == expected
        rows = mg.ops.conv2d(x[..., None], ones(kernel)[..., None], stride=(stride, 1), padding="same").data
        np.testing.assert_array_equal(rows[..., 0], y)

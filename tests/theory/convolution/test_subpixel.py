"""Transposed convolutions by convolutions and pixel shuffles: against the primitives, PyTorch, and by gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case
from tests.peers import Peer
from theory.convolution.certificates import permutation_of
from theory.convolution.domains import transposed
from theory.convolution.matrices import transposed_size
from theory.convolution.subpixel import cropped_rows, shuffle_matrix, subpixel_conv, subpixel_kernel

PYTORCH = Peer(__name__)
SIZES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))


def square_strides(kind="any"):
    return transposed(kind, most=3).filter(lambda example: example.stride[0] == example.stride[1])


def check_subpixel_conv(example):
    options = {name: value for name, value in example.options.items() if name != "stride"}
    x = np.stack([example.x, -2 * example.x])
    y = subpixel_conv(x, example.w, example.stride[0], **options)
    expected = mg.ops.conv_transpose2d(x, example.w, **example.options)
    np.testing.assert_allclose(y.numpy(), expected.numpy(), atol=1e-9)


@given(square_strides())
def test_subpixel_conv_is_the_transposed_convolution(example):
    check_subpixel_conv(example)


@given(square_strides())
def test_gradients_are_those_of_the_transposed_convolution(example):
    options = {name: value for name, value in example.options.items() if name != "stride"}
    y, pullback = mg.vjp(lambda x: subpixel_conv(x, example.w, example.stride[0], **options), example.x[None])
    g = example.cotangent(y.shape)
    _, expected = mg.vjp(lambda x: mg.ops.conv_transpose2d(x, example.w, **example.options), example.x[None])
    np.testing.assert_allclose(pullback(g)[0].numpy(), expected(g)[0].numpy(), atol=1e-9)


def test_pytorch_agrees():
    """Its pixel shuffle of its convolution with our kernel is its transposed convolution."""

    def theirs(torch, x, w, v, r, groups):
        x, w, v = (torch.tensor(a.copy()) for a in (x[None], w, v))
        coarse = torch.nn.functional.conv2d(x, v, padding=(v.shape[2] - 1, v.shape[3] - 1), groups=groups)
        y = torch.nn.functional.pixel_shuffle(coarse, r)
        return y, torch.nn.functional.conv_transpose2d(x, w, stride=r, groups=groups)

    def case(example):
        r, groups = example.stride[0], example.groups
        kernel = subpixel_kernel(example.w, r, groups=groups)
        return Case([example.x, example.w, kernel], {"r": r, "groups": groups})

    def check(answer):
        x, w, v = answer.inputs
        np.testing.assert_array_equal(subpixel_kernel(w, answer.options["r"], groups=answer.options["groups"]), v)
        y, expected = answer.expected
        np.testing.assert_allclose(y, expected, atol=1e-9)
        ours = subpixel_conv(x[None], w, answer.options["r"], groups=answer.options["groups"])
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-9)

    PYTORCH.ask_drawn("pixel shuffle", theirs, square_strides("multiple").map(case), check)


def test_output_padding_of_a_dilated_kernel():
    """It may reach beyond the stride there; the kernel's end is filled further."""
    x, w = np.arange(1.0, 4).reshape(1, 1, 1, 3), np.arange(1.0, 4).reshape(1, 1, 1, 3)
    expected = mg.ops.conv_transpose2d(x, w, stride=2, dilation=4, output_padding=3).numpy()
    y = subpixel_conv(x, w, 2, dilation=4, output_padding=3).numpy()
    np.testing.assert_array_equal(y, expected)
    assert y.shape == (1, 1, 4, 16)


@given(SIZES, st.integers(1, 3), st.integers(1, 3))
def test_shuffle_matrix_by_loops(size, rh, rw):
    channels, height, width = size
    shape = channels * rh * rw, height, width
    x = np.arange(np.prod(shape)).reshape(shape)
    y = np.empty((channels, height * rh, width * rw), int)
    for c, h, w in np.ndindex(y.shape):
        y[c, h, w] = x[c * rh * rw + h % rh * rw + w % rw, h // rh, w // rw]
    p = shuffle_matrix(shape, (rh, rw))
    np.testing.assert_array_equal(p @ x.ravel(), y.ravel())
    order = permutation_of(p.dense())
    assert order == y.ravel().tolist()
    np.testing.assert_array_equal(p.T @ (p @ x.ravel()), x.ravel())


@given(SIZES, st.integers(1, 3))
def test_shuffle_matrix_is_pixel_shuffle(size, r):
    shape = size[0] * r * r, *size[1:]
    x = np.random.default_rng(0).normal(size=shape)
    expected = mg.ops.pixel_shuffle(x[None], r).numpy().ravel()
    np.testing.assert_array_equal(shuffle_matrix(shape, r) @ x.ravel(), expected)


@given(transposed())
def test_sub_kernels_hold_every_weight_once_and_zeros(example):
    v = subpixel_kernel(example.w, example.stride, example.output_padding, example.dilation, example.groups)
    weights = sorted(example.w[example.w != 0].tolist())
    assert sorted(v[v != 0].tolist()) == weights
    assert v.dtype == example.w.dtype
    (rh, rw), (channels, part) = example.stride, example.w.shape[:2]
    assert v.shape[:2] == (part * example.groups * rh * rw, channels // example.groups)


@given(SIZES, st.data())
def test_cropped_rows(size, data):
    _, height, width = size
    top, left = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    tall, wide = data.draw(st.integers(0, height - top)), data.draw(st.integers(0, width - left))
    x = np.random.default_rng(0).normal(size=size)
    kept = cropped_rows(size, (top, left), (tall, wide))
    np.testing.assert_array_equal(x.ravel()[kept], x[:, top : top + tall, left : left + wide].ravel())


@pytest.mark.slow
def test_campaign(full):
    @settings(max_examples=5000 if full else 50)
    @given(square_strides())
    def run(example):
        check_subpixel_conv(example)

    run()


# Mistakes ------------------------------------------------------------------------------------------

W = np.ones((2, 1, 3, 3))
X = np.ones((1, 2, 4, 4))

MISTAKES = {
    "factor 0": (lambda: shuffle_matrix((4, 1, 1), 0), ValueError, "factor must be at least 1, not 0"),
    "factor 2.5": (lambda: shuffle_matrix((4, 1, 1), 2.5), TypeError, "factor must be an integer or a pair"),
    "channels": (lambda: shuffle_matrix((6, 1, 1), 2), ValueError, "6 channels must be a multiple of 2·2 = 4"),
    "no channels": (lambda: shuffle_matrix((0, 1, 1), 2), ValueError, "input_shape's C must be at least 1, not 0"),
    "two sizes": (lambda: shuffle_matrix((4, 1), 2), ValueError, r"input_shape must be \(C, H, W\), not \(4, 1\)"),
    "no sizes": (lambda: shuffle_matrix(5, 2), ValueError, r"input_shape must be \(C, H, W\), not 5"),
    "factor True": (lambda: shuffle_matrix((4, 1, 1), True), TypeError, "factor must be an integer .*, not True"),
    "w": (lambda: subpixel_kernel(W[0], 2), ValueError, r"w must have the shape .* not \(1, 3, 3\)"),
    "empty w": (lambda: subpixel_kernel(W[:0], 2), ValueError, r"each at least 1, not \(0, 1, 3, 3\)"),
    "ragged w": (lambda: subpixel_kernel([[1], [2, 3]], 2), ValueError, "w's rows must be of one length"),
    "words": (lambda: subpixel_kernel([[[["a"]]]], 2), TypeError, "subpixel_kernel: w must hold real numbers, not <U1"),
    "complex": (lambda: subpixel_kernel(1j * W, 2), TypeError, "w must hold real numbers, not complex128"),
    "nan": (lambda: subpixel_kernel(np.nan * W, 2), ValueError, "w must be finite"),
    "stride True": (lambda: subpixel_kernel(W, True), TypeError, "stride must be an integer or a pair .* not True"),
    "stride": (lambda: subpixel_kernel(W, 0), ValueError, "subpixel_kernel: stride must be at least 1, not 0"),
    "groups": (lambda: subpixel_kernel(W, 2, groups=3), ValueError, "groups=3 must divide the first axis of w, 2"),
    "no groups": (lambda: subpixel_kernel(W, 2, groups=0), ValueError, "groups must be at least 1, not 0"),
    "dilation": (lambda: subpixel_kernel(W, 2, dilation=0), ValueError, "dilation must be at least 1, not 0"),
    "output padding": (lambda: subpixel_kernel(W, 2, -1), ValueError, "output_padding must be at least 0, not -1"),
    "wide": (lambda: subpixel_kernel(W, 2, 2), ValueError, r"output_padding \(2, 2\) must be smaller than the larger"),
    "wider": (lambda: subpixel_conv(X, W, 2, output_padding=2), ValueError, "smaller than the larger of stride and"),
    "pictures": (lambda: subpixel_conv(X[0], W, 2), ValueError, r"x must have 4 axes \(N, C, H, W\), not 3"),
    "two factors": (lambda: subpixel_conv(X, W, (2, 1)), TypeError, r"factor must be an integer, not \(2, 1\)"),
    "padding": (lambda: subpixel_conv(X, W, 2, padding=-1), ValueError, "padding must be at least 0, not -1"),
    "nothing left": (lambda: subpixel_conv(X, W, 2, padding=5), ValueError, "padding 5 is too large"),
    "size": (lambda: transposed_size((1, 1), (1, 1), padding=1), ValueError, "1x1 pixels would give -1x-1"),
    "crop": (lambda: cropped_rows((1, 3, 3), (1, 0), (3, 3)), ValueError, r"3x3 pixels from \(1, 0\) .* within 3x3"),
    "crop before": (lambda: cropped_rows((1, 3, 3), (0, -1), (1, 1)), ValueError, "are not within 3x3"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name):
    function, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        function()

"""The matrices of convolutions: against loops, PyTorch and the primitives; what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given

import minigrad as mg
from tests.checks import Case
from tests.peers import Peer, cotangent, pulled
from theory.convolution.domains import convolutions, transposed
from theory.convolution.matrices import conv_matrix, conv_transpose_matrix, transposed_size

PYTORCH = Peer(__name__)


def loops(example):
    """The dense matrix of a convolution, one weight at a time, with its picture padded rather than tested."""
    w, (channels, height, width) = example.w, example.x.shape
    (sh, sw), (ph, pw), (dh, dw) = example.stride, example.padding, example.dilation
    padded = np.full((channels, height + 2 * ph, width + 2 * pw), -1)
    padded[:, ph : ph + height, pw : pw + width] = np.arange(example.x.size).reshape(example.x.shape)
    filters, part, kh, kw = w.shape
    rows = []
    for f, top, left in itertools.product(
        range(filters),
        range(0, padded.shape[1] - dh * (kh - 1), sh),
        range(0, padded.shape[2] - dw * (kw - 1), sw),
    ):
        group = f * example.groups // filters
        places = padded[group * part : (group + 1) * part, top:, left:][:, ::dh, ::dw][:, :kh, :kw]
        row = np.zeros(example.x.size + 1)  # the last: the border
        row[places.ravel()] = w[f].ravel()
        rows.append(row[:-1])
    return np.array(rows)


@given(convolutions())
def test_matrix_of_a_convolution_is_that_of_the_loops(example):
    a = conv_matrix(example.w, example.x.shape, **example.options)
    np.testing.assert_array_equal(a.dense(), loops(example))


@given(transposed())
def test_matrix_of_a_transposed_convolution_maps_unit_vectors_as_the_primitive_does(example):
    a = conv_transpose_matrix(example.w, example.x.shape, **example.options)
    units = np.eye(example.x.size).reshape(-1, *example.x.shape)
    y = mg.ops.conv_transpose2d(units, example.w, **example.options).numpy()
    np.testing.assert_array_equal(a.dense().T, y.reshape(len(units), -1))
    assert y.shape[2:] == transposed_size(
        example.x.shape[1:], example.w.shape[2:], example.stride, example.padding, example.output_padding,
        example.dilation,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("function", "matrix", "examples"),
    [("conv2d", conv_matrix, convolutions()), ("conv_transpose2d", conv_transpose_matrix, transposed())],
)
def test_pytorch_agrees(function, matrix, examples):
    def theirs(torch, x, w, **options):
        return getattr(torch.nn.functional, function)(x[None], w, **options)

    def check(answer):
        (x, w), (y, gx, _) = answer.inputs, answer.expected
        a = matrix(w, x.shape, **answer.options)
        np.testing.assert_allclose(a @ x.ravel(), y.ravel(), atol=1e-9)
        np.testing.assert_allclose(a.T @ cotangent(y.shape).ravel(), gx.ravel(), atol=1e-9)

    cases = examples.map(lambda example: Case([example.x, example.w], example.options))
    PYTORCH.ask_drawn(function, pulled(theirs), cases, check)


@given(convolutions())
def test_triplets_and_products_are_those_of_the_dense_matrix(example):
    a = conv_matrix(example.w, example.x.shape, **example.options)
    dense = a.dense()
    assert dense.shape == a.shape
    built = np.zeros(a.shape)
    for row, column, value in a.triplets():
        built[row, column] += value
    np.testing.assert_array_equal(built, dense)
    np.testing.assert_array_equal(a.T.dense(), dense.T)
    assert a.T.triplets() == sorted((column, row, value) for row, column, value in a.triplets())
    vectors = np.random.default_rng(0).normal(size=(a.shape[1], 3))
    np.testing.assert_allclose(a @ vectors, dense @ vectors, atol=1e-9)
    np.testing.assert_allclose(a @ vectors[:, 0], dense @ vectors[:, 0], atol=1e-9)


@pytest.mark.slow
def test_every_small_geometry(full):
    """All strides, kernels, paddings and dilations of one axis, each on every small size of picture."""
    most = 6 if full else 3
    tried = 0
    for size, kernel, stride, padding, dilation in itertools.product(*[range(1, most + 1)] * 3, range(3), (1, 2, 3)):
        if dilation * (kernel - 1) + 1 > size + 2 * padding:
            continue
        tried += 1
        w, x = np.arange(1.0, kernel + 1).reshape(1, 1, 1, -1), np.eye(size).reshape(size, 1, 1, size)
        options = {"stride": (1, stride), "padding": (0, padding), "dilation": (1, dilation)}
        a = conv_matrix(w, (1, 1, size), **options)
        y = mg.ops.conv2d(x, w, **options).numpy()
        np.testing.assert_array_equal(a.dense(), y.reshape(size, -1).T)
        rest = (size + 2 * padding - dilation * (kernel - 1) - 1) % stride
        back = conv_transpose_matrix(w, (1, 1, y.shape[3]), output_padding=(0, rest), **options)
        np.testing.assert_array_equal(back.dense(), a.dense().T)
    assert tried > (1000 if full else 100)


W = np.ones((4, 2, 3, 3))


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: conv_matrix(W, (2, 5, 6), stride=0), ValueError, "stride must be at least 1, not 0"),
    (lambda: conv_matrix(W, (2, 5, 6), groups=2), ValueError, "2 group.* picture of 2 channels"),
    (lambda: conv_matrix(W, (2, 5, 6), dilation=3), ValueError, "spans 7x7 .* padded picture of 5x6"),
    (lambda: conv_matrix(W * np.nan, (2, 5, 6)), ValueError, "w must be finite"),
    (lambda: conv_matrix(W * 1j, (2, 5, 6)), TypeError, "real numbers, not complex128"),
    (lambda: conv_matrix(W[0], (2, 5, 6)), ValueError, r"\(F, C/groups, kh, kw\).*not \(2, 3, 3\)"),
    (lambda: conv_matrix(W, (2, 5, 6)) @ np.ones(59), ValueError, r"60 columns, but x has the shape \(59,\)"),
    (lambda: conv_transpose_matrix(W, (4, 5, 6), stride=2, output_padding=2), ValueError, "smaller than the stride"),
    (lambda: conv_transpose_matrix(W, (2, 5, 6)), ValueError, "picture of 2 channels"),
    (lambda: conv_transpose_matrix(W, (4, 5, 6), padding=(4, 0)), ValueError, r"-1x8: padding \(4, 0\)"),
])  # fmt: skip
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()

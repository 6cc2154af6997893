"""The matrices of convolutions: against loops, PyTorch and the primitives; what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

import minigrad as mg
from tests.checks import Case
from tests.peers import Peer, cotangent, pulled
from theory.convolution.domains import convolutions, transposed
from theory.convolution.matrices import SparseMatrix, conv_matrix, conv_transpose_matrix, transposed_size

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


def check_loops(example):
    a = conv_matrix(example.w, example.x.shape, **example.options)
    np.testing.assert_array_equal(a.dense(), loops(example))


def check_unit_vectors(example):
    a = conv_transpose_matrix(example.w, example.x.shape, **example.options)
    units = np.eye(example.x.size).reshape(-1, *example.x.shape)
    y = mg.ops.conv_transpose2d(units, example.w, **example.options).numpy()
    np.testing.assert_array_equal(a.dense().T, y.reshape(len(units), -1))
    assert y.shape[2:] == transposed_size(
        example.x.shape[1:], example.w.shape[2:], example.stride, example.padding, example.output_padding,
        example.dilation,
    )  # fmt: skip


@given(convolutions())
def test_matrix_of_a_convolution_is_that_of_the_loops(example):
    check_loops(example)


@given(transposed())
def test_matrix_of_a_transposed_convolution_maps_unit_vectors_as_the_primitive_does(example):
    check_unit_vectors(example)


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


def test_values_keep_their_type():
    w = np.ones((1, 1, 2, 2), np.float32)
    assert conv_matrix(w, (1, 3, 3)).dense().dtype == np.float32
    assert conv_transpose_matrix(w.astype(int), (1, 3, 3)).dense().dtype == int
    assert (conv_matrix(w, (1, 3, 3)) @ np.ones(9, np.float32)).dtype == np.float32


def test_a_whole_layer_fits_into_memory():
    """Weights are 0.6 % of the entries of this layer's matrix, which is never made dense."""
    w = np.random.default_rng(0).normal(size=(8, 3, 3, 3))
    x = np.random.default_rng(1).normal(size=(3, 64, 64))
    a = conv_matrix(w, x.shape, padding=1)
    assert a.shape == (8 * 64 * 64, 3 * 64 * 64)
    assert len(a.values) == 8 * 3 * (3 * 64 - 2) ** 2
    np.testing.assert_allclose(a @ x.ravel(), mg.ops.conv2d(x[None], w, padding=1).numpy().ravel(), atol=1e-9)


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


@pytest.mark.slow
def test_campaign(full):
    @settings(max_examples=5000 if full else 50)
    @given(convolutions(), transposed())
    def run(convolution, transposition):
        check_loops(convolution)
        check_unit_vectors(transposition)

    run()


# Mistakes ------------------------------------------------------------------------------------------

W = np.ones((4, 2, 3, 3))
CONV = (conv_matrix, W, (2, 5, 6))
TRANS = (conv_transpose_matrix, W, (4, 5, 6))

MISTAKES = {
    "stride 0": (CONV, {"stride": 0}, ValueError, "conv_matrix: stride must be at least 1, not 0"),
    "stride of one axis": (CONV, {"stride": (1, 0)}, ValueError, r"stride must be at least 1, not \(1, 0\)"),
    "stride 1.5": (CONV, {"stride": 1.5}, TypeError, "stride must be an integer or a pair of integers, not 1.5"),
    "three strides": (CONV, {"stride": (1, 2, 3)}, TypeError, "stride must be an integer or a pair"),
    "padding": (CONV, {"padding": -1}, ValueError, "padding must be at least 0, not -1"),
    "dilation": (CONV, {"dilation": 0}, ValueError, "dilation must be at least 1, not 0"),
    "groups 0": (CONV, {"groups": 0}, ValueError, "groups must be at least 1, not 0"),
    "groups 1.0": (CONV, {"groups": 1.0}, TypeError, "groups must be an integer, not 1.0"),
    "groups": (CONV, {"groups": 3}, ValueError, "groups=3 must divide the picture's 2 channels"),
    "groups of filters": ((conv_matrix, W[:3, :1], (2, 5, 6)), {"groups": 2}, ValueError, "the first axis of w, 3"),
    "channels in groups": (CONV, {"groups": 2}, ValueError, "w has 2 input channels in each of 2 group.*must have 1"),
    "kernel": (CONV, {"dilation": 3}, ValueError, "kernel that spans 7x7 .* padded picture of 5x6"),
    "kernel too wide": ((conv_matrix, W[:, :, :1], (2, 5, 2)), {}, ValueError, "spans 1x3 .* of 5x2"),
    "w of three axes": ((conv_matrix, W[0], (2, 5, 6)), {}, ValueError, r"\(F, C/groups, kh, kw\).*not \(2, 3, 3\)"),
    "no filters": ((conv_matrix, W[:0], (2, 5, 6)), {}, ValueError, r"each at least 1, not \(0, 2, 3, 3\)"),
    "words": ((conv_matrix, np.full((1, 1, 1, 1), "w"), (1, 1, 1)), {}, TypeError, "w must hold real numbers, not <U1"),
    "complex": ((conv_matrix, W * 1j, (2, 5, 6)), {}, TypeError, "w must hold real numbers, not complex128"),
    "picture": ((conv_matrix, W, (5, 6)), {}, ValueError, r"input_shape must be \(C, H, W\), not \(5, 6\)"),
    "a number": ((conv_matrix, W, 5), {}, ValueError, r"input_shape must be \(C, H, W\), not 5"),
    "empty picture": ((conv_matrix, W, (2, 0, 6)), {}, ValueError, "input_shape's H must be at least 1, not 0"),
    "half a pixel": ((conv_matrix, W, (2, 5, 6.5)), {}, TypeError, "input_shape's W must be an integer, not 6.5"),
    "output padding": (TRANS, {"stride": 2, "output_padding": 2}, ValueError,
                       r"conv_transpose_matrix: output_padding \(2, 2\) must be smaller than the stride, \(2, 2\)"),
    "output padding of dilation": (TRANS, {"stride": (1, 2), "dilation": 3, "output_padding": 1}, ValueError,
                                   r"output_padding \(1, 1\) must be smaller than the stride, \(1, 2\)"),
    "negative output padding": (TRANS, {"output_padding": -1}, ValueError, "output_padding must be at least 0"),
    "transposed stride": (TRANS, {"stride": 0}, ValueError, "conv_transpose_matrix: stride must be at least 1, not 0"),
    "transposed channels": ((conv_transpose_matrix, W, (2, 5, 6)), {}, ValueError, "w has 4 input .* picture has 2"),
    "transposed groups": (TRANS, {"groups": 3}, ValueError, "groups=3 must divide the picture's 4 channels"),
    "nothing left": (TRANS, {"padding": (4, 0)}, ValueError, r"5x6 pixels would give -1x8: padding \(4, 0\)"),
    "stride True": (CONV, {"stride": True}, TypeError, "stride must be an integer or a pair of integers, not True"),
    "padding of True": (TRANS, {"padding": (True, 0)}, TypeError, r"integers, not \(True, 0\)"),
    "groups True": (CONV, {"groups": True}, TypeError, "groups must be an integer, not True"),
    "ragged w": ((conv_matrix, [[1, 2], [3]], (1, 3, 3)), {}, ValueError, "w's rows must be of one length"),
    "nan": ((conv_matrix, W * np.nan, (2, 5, 6)), {}, ValueError, "conv_matrix: w must be finite"),
    "infinity": ((conv_transpose_matrix, W * np.inf, (4, 5, 6)), {}, ValueError, "w must be finite"),
    "transposed w": ((conv_transpose_matrix, W[0], (4, 5, 6)), {}, ValueError, r"\(C, F/groups, kh, kw\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name):
    (function, w, shape), options, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        function(w, shape, **options)


def test_a_vector_of_another_length():
    a = conv_matrix(W, (2, 5, 6))
    assert isinstance(a, SparseMatrix)
    for wrong in (np.ones(59), np.ones((3, 60)), 2.0):
        with pytest.raises(ValueError, match=r"48x60 cannot be applied to .* it must have 60 rows"):
            a @ wrong


@pytest.mark.parametrize(("arguments", "error", "message"), [
    (((2,), (2, 2)), TypeError, r"transposed_size: size must be an integer or a pair of integers, not \(2,\)"),
    (((0, 2), (2, 2)), ValueError, r"size must be at least 1, not \(0, 2\)"),
    (((2, 2), (2, 2, 2)), TypeError, "kernel must be an integer or a pair"),
    (((2, 2), (2, 2), 1, 0, 5), ValueError, r"output_padding \(5, 5\) must be smaller than .*dilation, \(1, 1\)"),
])  # fmt: skip
def test_mistakes_in_a_size(arguments, error, message):
    with pytest.raises(error, match=message):
        transposed_size(*arguments)

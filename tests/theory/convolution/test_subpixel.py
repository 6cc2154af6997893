"""Transposed convolutions by convolutions and pixel shuffles: against the primitives, PyTorch, and by gradients."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case
from tests.peers import Peer
from theory.convolution.domains import transposed
from theory.convolution.subpixel import subpixel_conv, subpixel_kernel

PYTORCH = Peer(__name__)
SIZES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))


def square_strides(kind="any"):
    return transposed(kind, most=3).filter(lambda example: example.stride[0] == example.stride[1])


@given(square_strides())
def test_subpixel_conv_is_the_transposed_convolution(example):
    options = {name: value for name, value in example.options.items() if name != "stride"}
    x = np.stack([example.x, -2 * example.x])
    y = subpixel_conv(x, example.w, example.stride[0], **options)
    expected = mg.ops.conv_transpose2d(x, example.w, **example.options)
    np.testing.assert_allclose(y.numpy(), expected.numpy(), atol=1e-9)


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


@given(transposed())
def test_sub_kernels_hold_every_weight_once_and_zeros(example):
    v = subpixel_kernel(example.w, example.stride, example.output_padding, example.dilation, example.groups)
    weights = sorted(example.w[example.w != 0].tolist())
    assert sorted(v[v != 0].tolist()) == weights
    assert v.dtype == example.w.dtype
    (rh, rw), (channels, part) = example.stride, example.w.shape[:2]
    assert v.shape[:2] == (part * example.groups * rh * rw, channels // example.groups)

"""The examples of convolutions: they fit, are written short, and the finite ones are all there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from theory.convolution.domains import Example, convolutions, shuffles, transposed
from theory.convolution.matrices import conv_matrix, conv_transpose_matrix

W = np.array([[2.0, 3.0], [5.0, 7.0]])
TRANSPOSED = Example("transposed", np.arange(4.0).reshape(1, 2, 2), W[None, None], (2, 2))


def test_a_counterexample_is_written():
    assert (
        str(TRANSPOSED)
        == "x = [[[0, 1], [2, 3]]] of shape 1x2x2, w = [[[[2, 3], [5, 7]]]] of shape 1x1x2x2, stride (2, 2)"
    )
    large = Example("conv", np.zeros((1, 9, 9)), W[None, None], groups=1, dilation=(1, 2))
    assert str(large).startswith("x = numbers of shape 1x9x9, w = ")
    assert str(large).endswith(", dilation (1, 2)")


@given(convolutions())
def test_drawn_convolutions_fit(example):
    assert example.x.shape[0] == example.w.shape[1] * example.groups
    assert conv_matrix(example.w, example.x.shape, **example.options).shape[0] > 0


@pytest.mark.parametrize("kernel", ["any", "stride", "multiple"])
def test_drawn_transposed_convolutions_fit(kernel):
    @given(transposed(kernel))
    def fit(example):
        assert all(0 <= e < s for e, s in zip(example.output_padding, example.stride, strict=True))
        assert conv_transpose_matrix(example.w, example.x.shape, **example.options).shape[0] > 0
        if kernel != "any":
            assert all(k % s == 0 for k, s in zip(example.w.shape[2:], example.stride, strict=True))

    fit()


def test_shuffles_are_all_and_the_smallest_first():
    cases = shuffles(100)
    assert len(set(cases)) == len(cases) == 3**4
    assert cases[0] == (1, 1, 1, 1)
    entries = [c * h * w * r * r for c, h, w, r in cases]
    assert entries == sorted(entries)
    assert len(shuffles(1000)) == 4**4

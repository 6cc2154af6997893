"""Padding "same" and "valid": against PyTorch with stride 1, TensorFlow's rule with others, and gradient checks.

TensorFlow's rule is written down here as its documentation has it, by the remainder of the size; the operations find
the border by the number of windows instead.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Answer, Peer, check_pull, pulled
from tests.strategies import arrays

PYTORCH = Peer(__name__)
AXES = {"conv1d": 1, "conv2d": 2}


@st.composite
def same(draw: Any, axes: int, strides: st.SearchStrategy[int]) -> Case:
    """A convolution along so many axes with the padding "same"; kernels of any size, larger than images too."""
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
@given(data=st.data())
def test_gradients(name: str, data: Any) -> None:
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

    PYTORCH.ask_drawn(name, pulled(theirs), same(AXES[name], st.just(1)), check)


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

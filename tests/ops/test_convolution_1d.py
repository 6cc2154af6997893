"""Convolutions of sequences: against PyTorch, images of one row, the matrices that they are, and each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive
from tests.ops.test_convolution import in_pieces
from tests.peers import Answer, Peer, check_pull, pulled
from tests.strategies import arrays

PYTORCH = Peer(__name__)


@st.composite
def convolutions(draw: Any, transposed: bool = False) -> Case:
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


CASES = {"conv1d": convolutions(), "conv_transpose1d": convolutions(transposed=True)}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_gradients(name: str, data: Any) -> None:
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@pytest.mark.parametrize("name", ["conv1d", "conv_transpose1d"])
def test_agrees_with_pytorch(name: str) -> None:
    """In one piece or many, of a few sequences or entries, on one thread or some."""
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

X, W, WT = np.ones((2, 4, 5)), np.ones((6, 4, 3)), np.ones((4, 6, 3))

MISTAKES = {
    "x without channels": ("conv1d", [X[0], W], {}, ValueError, r"x must have 3 axes \(N, C, L\), not 2"),
    "images": ("conv1d", [X[..., None], W], {}, ValueError, r"x must have 3 axes \(N, C, L\), not 4"),
    "w of two axes": ("conv1d", [X, W[0]], {}, ValueError, r"w must have 3 axes \(F, C/groups, K\), not 2"),
    "no channels": ("conv1d", [X[:, :0], W[:, :0]], {}, ValueError, "must have at least one channel each"),
    "no filters": ("conv1d", [X, W[:0]], {}, ValueError, "at least one channel each, and w one filter"),
    "channels": ("conv1d", [X, W[:, :3]], {}, ValueError, "w has 3 input channels.*x has 4 channels.*must have 4"),
    "groups": ("conv1d", [X, W], {"groups": 3}, ValueError, "groups=3 must divide x's 4 channels"),
    "bias": ("conv1d", [X, W, np.ones(4)], {}, ValueError, r"b must have shape \(6,\).*not \(4,\)"),
    "stride 0": ("conv1d", [X, W], {"stride": 0}, ValueError, "stride must be at least 1, not 0"),
    "a pair of strides": ("conv1d", [X, W], {"stride": (1, 1)}, TypeError, r"stride must be an integer, not \(1, 1\)"),
    "padding -1": ("conv1d", [X, W], {"padding": -1}, ValueError, "padding must be at least 0, not -1"),
    "padding 0.5": ("conv1d", [X, W], {"padding": 0.5}, TypeError, "padding must be an integer, not 0.5"),
    "padding in words": ("conv1d", [X, W], {"padding": "full"}, ValueError, "'same', 'valid'.*not 'full'"),
    "dilation 0": ("conv1d", [X, W], {"dilation": 0}, ValueError, "dilation must be at least 1, not 0"),
    "large kernel": ("conv1d", [X[..., :2], W], {}, ValueError, "kernel of 3x1 is larger than the padded input of 2x1"),
    "large dilated kernel": ("conv1d", [X, W], {"dilation": 4, "padding": 1}, ValueError,
                             "kernel of 3x1, 9x1 with its dilation, is larger than the padded input of 7x1"),
    "large kernel, in words": ("conv1d", [X[..., :2], W], {"padding": "valid"}, ValueError, "kernel of 3x1 is larger"),
    "no kernel": ("conv1d", [X, W[..., :0]], {}, ValueError, "kernel must be at least 1"),
    "nothing to pad": ("conv1d", [X[..., :0], W], {"padding": "same"}, ValueError, "'same'.* at least one"),
    "transposed channels": ("conv_transpose1d", [X, W], {}, ValueError, "w has 6 input channels.*x has 4"),
    "transposed rank": ("conv_transpose1d", [X, WT[0]], {}, ValueError, r"3 axes \(C, F/groups, K\), not 2"),
    "transposed bias": ("conv_transpose1d", [X, WT, np.ones(4)], {}, ValueError, r"b must have shape \(6,\)"),
    "transposed words": ("conv_transpose1d", [X, WT], {"padding": "same"}, TypeError, "an integer, not 'same'"),
    "output padding": ("conv_transpose1d", [X, WT], {"stride": 2, "output_padding": 2}, ValueError,
                       "output_padding .2, 0. must be smaller than the larger of stride and dilation, .2, 1."),
    "output padding -1": ("conv_transpose1d", [X, WT], {"output_padding": -1}, ValueError, "output_padding must be"),
    "nothing left": ("conv_transpose1d", [X[..., :1], WT], {"padding": 2}, ValueError, "would have -1x1 pixels"),
    "no entries": ("conv_transpose1d", [X[..., :0], WT], {}, ValueError, "at least one row"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake: str) -> None:
    name, inputs, options, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message) as caught:
        getattr(mg.ops, name)(*inputs, **options)
    assert str(caught.value).startswith(f"{name}(x: float64 ")

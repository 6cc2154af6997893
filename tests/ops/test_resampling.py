"""Upsampling: gradients, PyTorch, edges, dtypes and mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays

PYTORCH = Peer(__name__)


@st.composite
def upsamplings(draw: Any, least: int = 0) -> Case:
    shape = draw(st.sampled_from([least, 1, 2])), draw(st.integers(1, 2)), *(draw(st.integers(least, 4)) for _ in "hw")
    factor = draw(st.integers(1, 5) | st.tuples(st.integers(1, 5), st.integers(1, 5)))
    return Case([draw(arrays(shape))], {"factor": factor, "mode": draw(st.sampled_from(["nearest", "bilinear"]))})


CASES = {"upsample": upsamplings()}


@given(CASES["upsample"])
def test_gradients(case: Case) -> None:
    check_primitive(mg.ops.upsample, case)


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


X = np.ones((1, 3, 4, 5))


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
def test_mistakes_are_named(inputs: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        mg.ops.upsample(*inputs)

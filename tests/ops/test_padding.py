"""Padding in all modes: values against NumPy, gradients by check_primitive, PyTorch, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)
MODES = ["edge", "reflect", "symmetric", "wrap"]


@st.composite
def pads(draw, modes=("constant", *MODES), widest=2):
    """Any widths of up to ``widest``; more than that of a vector."""
    mode = draw(st.sampled_from(modes))
    x = draw(arrays(shapes(max_side=3, min_side=0 if mode == "constant" else 1)))
    width = st.integers(0, 5 * widest if x.ndim == 1 else widest)
    each = [(draw(width), draw(width)) for _ in x.shape]
    options = {"pad_width": draw(st.sampled_from([1, (0, 2), [(2, 1)]] + ([each] if x.ndim else []))), "mode": mode}
    if mode == "constant":
        options["constant_values"] = draw(st.sampled_from([0, 1.5]))
    return Case([x], options)


CASES = {"pad": pads()}


@given(CASES["pad"])
def test_gradients(case):
    check_primitive(mg.ops.pad, case)


@given(pads(widest=9))
def test_pad_is_numpys(case):
    (x,), options = case.inputs, case.options
    got, expected = mg.ops.pad(x, **options).data, np.pad(x, **options)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.pad(mg.tensor(x), **options).data, expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_far_beyond_the_edge(mode, n):
    x = np.arange(1.0, n + 1)
    for widths in [(0, 50), (50, 0), (29, 31)]:
        np.testing.assert_array_equal(mg.ops.pad(x, widths, mode).data, np.pad(x, widths, mode))
        g = np.random.default_rng(0).standard_normal(n + sum(widths))
        expected = np.bincount(np.pad(np.arange(n), widths, mode), g, n)
        np.testing.assert_allclose(pull(lambda x: mg.ops.pad(x, widths, mode), [leaf(x)], [g])[1][0], expected)  # noqa: B023


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_pad_agrees_with_pytorch(mode):
    x, named = np.random.default_rng(0).standard_normal((2, 3, 5, 4)), {"edge": "replicate", "wrap": "circular"}

    def theirs(torch, x):
        return torch.nn.functional.pad(x, (3, 2, 1, 4), named.get(mode, mode))

    PYTORCH.compare(mode, lambda x: mg.ops.pad(x, ((0, 0), (0, 0), (1, 4), (3, 2)), mode), theirs, [x], rtol=1e-14)


def test_what_is_not_finite_stays_where_it_is():
    x = np.array([np.inf, 1.0, np.nan, 2.0])
    for mode in MODES:
        np.testing.assert_array_equal(mg.ops.pad(x, 2, mode).data, np.pad(x, 2, mode))
    g = np.array([np.nan, 1.0, 1.0, 1.0, np.inf, 1.0])
    np.testing.assert_array_equal(
        pull(lambda x: mg.ops.pad(x, 1, "edge"), [leaf(np.ones(4))], [g])[1][0], [np.nan, 1, 1, np.inf]
    )


x23 = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mg.ops.pad(x23, -1), ValueError, "pad_width must not be negative: -1"),
        (lambda: mg.ops.pad(x23, ((1, 1),) * 3), ValueError, r"pad\(.*or a pair for each of 2 axes"),
        (lambda: mg.ops.pad(x23, 0.5), TypeError, "pad_width must be of integers, not 0.5"),
        (lambda: mg.ops.pad(np.ones((2, 0)), 1, "wrap"), ValueError, "pad.*'wrap' .* axis 1"),
        (lambda: mg.ops.pad(x23, 1, mode="mean"), ValueError, "mode 'mean' is none of 'constant', 'edge', 'wrap'"),
        (lambda: mg.ops.pad(x23, 1, "edge", 2.0), ValueError, "constant_values are for the mode 'constant', not"),
    ],
)  # fmt: skip
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()

"""Columns of windows: each tap's row holds what the tap sees, plainly and shared, whatever pieces the work is in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.ops.kernels import im2col
from minigrad.ops.kernels.im2col import Columns
from minigrad.ops.kernels.windows import Windows


@st.composite
def cases(draw):
    """Images and how their windows become columns; with stride 1 they may be shared."""
    kernel, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, most))) for most in (3, 2))
    stride, padding = draw(st.tuples(st.integers(1, 2), st.integers(1, 2))), draw(st.tuples(*[st.integers(0, 2)] * 2))
    windows = Windows.of(kernel, stride, padding, dilation)
    size = [max(1, e - 2 * p) + draw(st.integers(0, 4)) for e, p in zip(windows.extent, padding, strict=True)]
    groups = draw(st.integers(1, 2))
    x = np.random.default_rng(0).standard_normal((draw(st.integers(1, 3)), groups * draw(st.integers(1, 2)), *size))
    shared = stride[0] == 1 and draw(st.booleans())
    filters = groups * draw(st.integers(0, 2))
    return x, Columns(windows, windows.output_size(x.shape[2:]), groups, filters, shared)


@given(cases(), st.integers(1, 4), st.sampled_from([1, 50, 2**20]))
def test_columns_hold_what_each_tap_sees(case, threads, largest):
    x, how = case
    n, c = x.shape[:2]
    kh, kw = how.windows.kernel
    expected = how.windows.view(how.windows.pad(x), how.number).reshape(n, how.groups, c // how.groups, kh, kw, -1)
    seen = np.zeros(expected.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "_LARGEST", largest)
        for share in how.shares(x, threads):
            width = how.number[1]
            band = slice(share.rows.start * width, share.rows.stop * width)
            for images, terms in how.blocks(x, share, x.dtype):
                for i, term in enumerate(terms):
                    rows = slice(i, i + 1) if how.shared else slice(None)
                    part = seen[images, :, :, rows, :, band]
                    part += term.reshape(part.shape)  # added, so that nothing may come twice
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize(
    ("shape", "kernel", "filters", "shared", "largest", "sizes"),
    [
        ((7, 2, 6, 4), (3, 2), 0, True, 150, [2, 2, 2, 1]),  # of 4 + 2 rows of 3 windows, with 2 taps of 2 channels: 72
        ((7, 2, 6, 4), (3, 2), 5, True, 400, [2, 2, 2, 1]),  # 5 filters times 2, for products and their sum: 180
        ((7, 2, 6, 4), (3, 2), 0, False, 300, [2, 2, 2, 1]),  # of 4 rows of 3 windows, with all 6 taps: 144
        ((3, 1, 1, 1), (1, 1), 0, False, 2, [2, 1]),
        ((2, 2, 6, 4), (3, 2), 0, True, 1, [1, 1]),  # as small as it can be
    ],
)
def test_a_piece_has_as_many_images_as_memory_allows(shape, kernel, filters, shared, largest, sizes, monkeypatch):
    monkeypatch.setattr(im2col, "_LARGEST", largest)
    x, windows = np.zeros(shape), Windows.of(kernel, 1, 0)
    how = Columns(windows, windows.output_size(shape[2:]), 1, filters, shared)
    whole = im2col.Share(slice(0, len(x)), slice(0, how.number[0]))
    assert [block.stop - block.start for block, _ in how.blocks(x, whole, x.dtype)] == sizes

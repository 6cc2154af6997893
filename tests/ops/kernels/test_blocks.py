"""Products in pieces: they are the product, whatever the pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.kernels import blocks
from minigrad.runtime.matmul_backend import Strategy, using
from tests.strategies import arrays

SIZE = st.integers(0, 12)


THIN = [Strategy(), Strategy(thin="blocks"), Strategy(thin="blocks", most_rows=3)]


@given(st.data(), SIZE, SIZE, SIZE, st.integers(1, 4), st.sampled_from([1, 8, 64, 2**18]), st.sampled_from(THIN))
def test_thin_products(data, n, K, M, parts, multiplications, way):
    a, W = data.draw(arrays((n, K), -2, 2)), data.draw(arrays((K, parts * M), -2, 2))
    back = data.draw(arrays((n, parts * M), -2, 2))
    with pytest.MonkeyPatch.context() as patch, using(way):
        patch.setattr(blocks, "_MULTIPLICATIONS", multiplications)
        forward, backward = np.full((parts, n, M), np.nan), np.full((1, n, K), np.nan)
        blocks.multiplier(W, n, parts)(a, forward)
        blocks.multiplier(W, n, transposed=True)(back, backward)
    np.testing.assert_allclose(forward.swapaxes(0, 1).reshape(n, parts * M), a @ W, atol=1e-12)
    np.testing.assert_allclose(backward[0], back @ W.T, atol=1e-12)


@given(st.data(), SIZE, SIZE, SIZE, st.integers(1, 3), st.booleans())
def test_products_on_threads(data, M, K, N, threads, transposed):
    a, b = data.draw(arrays((M, K), -2, 2)), data.draw(arrays((K, N), -2, 2))
    a, b = (np.asfortranarray(a), np.asfortranarray(b)) if transposed else (a, b)
    before = mg.get_num_threads()
    mg.set_num_threads(threads)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocks, "_WORTH_THREADS", 0)
            one, nothing, other = blocks.products((a, b), None, (b.T, a.T))
            alone = blocks.product(a, b)
    finally:
        mg.set_num_threads(before)
    assert nothing is None
    for found, expected in ((one, a @ b), (alone, a @ b), (other, b.T @ a.T)):
        np.testing.assert_allclose(found, expected, atol=1e-12)

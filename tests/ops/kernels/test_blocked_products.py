"""Products in pieces: they are the product, whatever the pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.kernels import blocked_products
from minigrad.runtime.matmul_backend import Strategy, using
from tests.strategies import arrays

SIZE = st.integers(0, 12)


THIN = [Strategy(), Strategy(thin="blocks"), Strategy(thin="blocks", most_rows=3)]
TILES = Strategy(large="tiles")


@given(st.data(), SIZE, SIZE, SIZE, st.integers(1, 4), st.sampled_from([1, 8, 64, 2**18]), st.sampled_from(THIN))
def test_thin_products(data, n, K, M, parts, multiplications, way):
    a, W = data.draw(arrays((n, K), -2, 2)), data.draw(arrays((K, parts * M), -2, 2))
    back = data.draw(arrays((n, parts * M), -2, 2))
    with pytest.MonkeyPatch.context() as patch, using(way):
        patch.setattr(blocked_products, "_MULTIPLICATIONS", multiplications)
        forward, backward = np.full((parts, n, M), np.nan), np.full((1, n, K), np.nan)
        blocked_products.multiplier(W, n, parts)(a, forward)
        blocked_products.multiplier(W, n, transposed=True)(back, backward)
    np.testing.assert_allclose(forward.swapaxes(0, 1).reshape(n, parts * M), a @ W, atol=1e-12)
    np.testing.assert_allclose(backward[0], back @ W.T, atol=1e-12)


LONG = st.integers(0, 60)


@given(
    st.data(), LONG, SIZE, LONG, st.sampled_from([1, 100, 600, 5000]), st.sampled_from("ab."), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_large_products_in_tiles(data, M, K, N, multiplications, transposed, single, tiles):
    a, b = data.draw(arrays((M, K), -2, 2)), data.draw(arrays((K, N), -2, 2))
    a, b = np.asfortranarray(a) if transposed == "a" else a, np.asfortranarray(b) if transposed == "b" else b
    b = b.astype(np.float32) if single else b
    with pytest.MonkeyPatch.context() as patch, using(TILES if tiles else Strategy()):
        patch.setattr(blocked_products, "_MULTIPLICATIONS", multiplications)
        patch.setattr(blocked_products, "_WIDEST", 4)
        found = blocked_products.product(a, b)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, a @ b, atol=1e-12)


@given(st.data(), st.sampled_from([(), (2,), (2, 3)]), LONG, SIZE, LONG, st.sampled_from([100, 600]), st.booleans())
def test_stacks_in_tiles(data, stack, M, K, N, multiplications, transposed):
    """Of matrices that lie in larger ones, b's stack with an axis that is broadcast."""
    a = data.draw(arrays((*stack, M, K + 1), -2, 2))[..., :-1]
    b = data.draw(arrays((*stack[:-1], 1, N, K + 1) if transposed else (*stack[:-1], 1, K, N + 1), -2, 2))[..., :-1]
    b = b.swapaxes(-1, -2) if transposed else b
    b = b if stack else b[0]
    out = np.full((*stack, M, N + 1), np.nan)
    with pytest.MonkeyPatch.context() as patch, using(TILES):
        patch.setattr(blocked_products, "_MULTIPLICATIONS", multiplications)
        patch.setattr(blocked_products, "_WIDEST", 4)
        blocked_products.product_into(a, b, out[..., :-1])
    np.testing.assert_allclose(out[..., :-1], a @ b, atol=1e-12)
    assert np.isnan(out[..., -1]).all()


@given(st.data(), SIZE, SIZE, SIZE, st.integers(1, 3), st.booleans())
def test_products_on_threads(data, M, K, N, threads, transposed):
    a, b = data.draw(arrays((M, K), -2, 2)), data.draw(arrays((K, N), -2, 2))
    a, b = (np.asfortranarray(a), np.asfortranarray(b)) if transposed else (a, b)
    before = mg.get_num_threads()
    mg.set_num_threads(threads)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocked_products, "_WORTH_THREADS", 0)
            one, nothing, other = blocked_products.products((a, b), None, (b.T, a.T))
            alone = blocked_products.product(a, b)
    finally:
        mg.set_num_threads(before)
    assert nothing is None
    for found, expected in ((one, a @ b), (alone, a @ b), (other, b.T @ a.T)):
        np.testing.assert_allclose(found, expected, atol=1e-12)

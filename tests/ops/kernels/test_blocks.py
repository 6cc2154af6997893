"""Products in pieces: they are the product, whatever the pieces."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.kernels import blocks
from minigrad.runtime import blas
from minigrad.runtime.matmul_backend import Strategy, using
from tests.checks import leaf, pull
from tests.strategies import arrays

SIZE = st.integers(0, 12)


THIN = [Strategy(), Strategy(thin="blocks"), Strategy(thin="blocks", most_rows=3)]
TILES = Strategy(large="tiles")


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


@using(Strategy(thin="blocks"))
def test_blocks_are_small_where_they_can_be():
    W = np.zeros((512, 2048), np.float32)
    for rows in (1, 5, 12, 25, 32):
        for cut in (blocks.column_blocks(W, rows, 4), blocks.row_blocks(W, rows)):
            _, J, K, width = cut.shape
            assert J > 1
            assert rows * K * width <= blocks._MULTIPLICATIONS
    assert np.shares_memory(blocks.row_blocks(W, 25), W)
    assert blocks.column_blocks(np.zeros((512, 509)), 90).shape == (1, 1, 512, 509)  # a prime number has no blocks


def test_blocks_of_many_rows_are_one_product_where_they_do_not_pay():
    W = np.zeros((512, 2048), np.float32)

    def numbers():
        return {n: (blocks.column_blocks(W, n, 4).shape[1], blocks.row_blocks(W, n).shape[1]) for n in (25, 26, 128)}

    with using(Strategy(thin="blocks", most_rows=25)):
        assert min(numbers()[25]) > 1
        assert {n: numbers()[n] for n in (26, 128)} == {26: (1, 1), 128: (1, 1)}
        assert blocks.block_rows(2048) > 10_000  # so a recurrent layer makes one group of all sequences
    with using(Strategy()):
        assert set(numbers().values()) == {(1, 1)}
        assert blocks.block_rows(2048) > 10_000
    with using(Strategy(thin="blocks")):
        assert blocks.block_rows(2048) == 61


@pytest.mark.parametrize("way", [Strategy(thin="blocks"), Strategy(thin="blocks", most_rows=25), Strategy()])
def test_a_recurrent_layer_with_and_without_blocks_of_many_rows(way, monkeypatch):
    """64 sequences: in groups whose products go in blocks, or all at once by plain products."""
    monkeypatch.setattr(blocks, "_MULTIPLICATIONS", 100_000)
    rng = np.random.default_rng(0)
    N, T, D, H = 64, 3, 5, 96
    shapes = [(N, T, D), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,)]
    inputs = [0.3 * rng.standard_normal(shape) for shape in shapes]
    cotangents = [rng.standard_normal((N, T, H)) for _ in range(2)]
    with using(way):
        found = pull(mg.ops.lstm, [leaf(a) for a in inputs], cotangents)
    expected = pull(mg.ops.lstm.primitive.reference, [leaf(a) for a in inputs], cotangents)
    for mine, exact in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
        np.testing.assert_allclose(mine, exact, atol=1e-10)


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
        patch.setattr(blocks, "_MULTIPLICATIONS", multiplications)
        patch.setattr(blocks, "_WIDEST", 4)
        found = blocks.product(a, b)
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
        patch.setattr(blocks, "_MULTIPLICATIONS", multiplications)
        patch.setattr(blocks, "_WIDEST", 4)
        blocks.product_into(a, b, out[..., :-1])
    np.testing.assert_allclose(out[..., :-1], a @ b, atol=1e-12)
    assert np.isnan(out[..., -1]).all()


@using(TILES)
@pytest.mark.parametrize("transposed", [False, True])
def test_tiles_are_used_where_they_go_well(transposed, monkeypatch):
    met = []
    monkeypatch.setattr(blocks, "_MULTIPLICATIONS", 1_000_000)
    matmul = np.matmul
    monkeypatch.setattr(blocks.np, "matmul", lambda a, b, out: met.append((a.shape, b.shape)) or matmul(a, b, out=out))
    a, b = np.ones((290, 512)), np.ones((512, 200))
    out = np.empty((290, 200))
    blocks.product_into(a, np.asfortranarray(b) if transposed else b, out)
    assert (out == 512).all()
    assert all(math.prod(a[-2:]) * b[-1] <= 1_000_000 for a, b in met)
    assert met[0] == (((2, 1, 144, 512), (1, 25, 512, 8)) if transposed else ((12, 1, 24, 512), (1, 3, 512, 64)))
    assert len(met) == (2 if transposed else 4)


@using(Strategy())
def test_without_tiles_a_product_is_one(monkeypatch):
    met = []
    matmul = np.matmul
    monkeypatch.setattr(blocks.np, "matmul", lambda a, b, out: met.append((a.shape, b.shape)) or matmul(a, b, out=out))
    out = np.empty((290, 2000), np.float32)
    blocks.product_into(np.ones((290, 512), np.float32), np.ones((512, 2000), np.float32), out)
    assert (out == 512).all()
    assert met == [((290, 512), (512, 2000))]


def test_thin_tiles_are_not_used(monkeypatch):
    monkeypatch.setattr(blocks, "_MULTIPLICATIONS", 1_000_000)
    heights = {K: blocks._tile(K, transposed=False)[0] for K in (64, 512, 784, 976, 977, 1447, 2900)}
    assert heights == {64: 240, 512: 24, 784: 16, 976: 16, 977: 0, 1447: 0, 2900: 0}
    assert blocks._tile(2917, transposed=True) == (24, 8)


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


@using(Strategy())
def test_a_large_product_is_shared_and_a_small_one_is_not(monkeypatch):
    shared = []
    monkeypatch.setattr(blocks, "run_in_parallel", lambda p, worth: shared.append(len(p)) or [piece() for piece in p])
    monkeypatch.setattr(blocks, "get_num_threads", lambda: 2)
    large = np.ones((300, 600), np.float32), np.ones((600, 100), np.float32)
    blocks.product(*large)
    blocks.product(np.ones((10, 20)), np.ones((20, 10)))
    known = blas.get_threads() is not None
    assert shared == [2 if known else 1, 1]
    monkeypatch.setattr(blas, "_get", None)  # BLAS shares it out itself
    np.testing.assert_array_equal(blocks.product(*large), 600)
    assert shared[-1] == 1

"""Matrix products in blocks that are small enough for BLAS to compute without copying, spread over threads.

Before a product BLAS copies both matrices into the order that its inner loop needs. For a thin product, (n, K) @ (K, M)
with n around ten, that takes longer than the product. OpenBLAS's AVX-512 kernels skip the copy for products of up to a
million multiplications, and one call of ``np.matmul`` computes a stack of such products.

So the product of h (25, 512) and an LSTM's W (512, 2048) is split into 32 small ones. :func:`column_blocks` copies W as
(4, 8, 512, 64): for each of the 4 gates 8 blocks, of 512 rows and 64 columns each. :func:`multiply` computes all
(25, 512) @ (512, 64), and writes each to its columns of its gate, in (4, 25, 512). The gain is:

    GFLOP/s on one core, float32, K = 512, M = 2048           n =   5    12    25    64   128
    h @ W                                                          19    40    56    81    90
    multiply(h, column_blocks(W, n), out)                          94   115   111   110    87
    da @ W.T                                                       14    31    46    74    88
    multiply(da, row_blocks(W, n), out)                            74   103   103   104    46

    a @ b, M = 290:  K = 256, N = 2048                             97, in tiles 111
                     K = 2048, N = 256, b transposed               97, in tiles 108
                     K = 512, N = 1004                            106, in tiles 114

(AMD Zen 4, OpenBLAS 0.3.31, SkylakeX kernel.) Results differ from processor to processor. With the same kernel on an
Intel Xeon with AVX-512, blocks are faster for up to 25 rows and slower for more, and tiles are always slower by a
third:

                                                              n =   8    25    64   128
    h @ W                                                          34    61   126   134
    multiply(h, column_blocks(W, n), out)                          66    85   111    93
    da @ W.T                                                             55         126
    multiply(da, row_blocks(W, n), out)                                  83         126
    a @ b, (290, 512) by (512, 1004)                              155, in tiles 98

:mod:`minigrad.runtime.matmul_backend` decides for each processor which of these to use, or MKL's products instead.
OpenBLAS's other kernels always copy: with them, blocks of thin products take 0.95 to 1.03 times as long as the plain
product, and tiles 1.3 times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...runtime import blas, matmul_backend, mkl
from ...runtime.threads import get_num_threads, run_in_parallel, split
from ...spec import Array

__all__ = ["block_rows", "column_blocks", "multiplier", "multiply", "packs", "product", "product_into", "products",
           "row_blocks"]  # fmt: skip

_MULTIPLICATIONS = 1_000_000  # in a block or a tile: OpenBLAS's AVX-512 kernels compute this many without copying
_WIDEST = 64
_NARROWEST = 4
_WORTH_PACKING = 2**14  # entries of a weight: below this, calling MKL from Python takes as long as the product
_WORTH_MKL = 2**18  # multiplications of a large product: 5 µs
_WORTH_THREADS = 2**24  # multiplications: 300 µs on one thread; less work ends before another thread is awake


# --- thin products ------------------------------------------------------------------------------------


def block_rows(K: int) -> int:
    """Return the most rows that a product over K columns should have; more rows are faster as several products.

    If blocks of many rows are not faster, any number of rows is one plain product.
    """
    in_groups = matmul_backend.chosen.thin == "blocks" and matmul_backend.chosen.most_rows is None
    return max(_MULTIPLICATIONS // (2 * _NARROWEST * max(K, 1)), 1) if in_groups else sys.maxsize


def _width(M: int, K: int, rows: int) -> int:
    """Return the widest block that divides M columns evenly and is small enough; M itself if blocks are not faster."""
    if matmul_backend.chosen.thin != "blocks" or rows > (matmul_backend.chosen.most_rows or rows):
        return M or 1
    most = min(_MULTIPLICATIONS // max(K * rows, 1), _WIDEST, M)
    return next((width for width in range(most, _NARROWEST - 1, -1) if M % width == 0), M) or 1


def multiplier(W: Array, rows: int, parts: int = 1, transposed: bool = False) -> Callable[[Array, Array], None]:
    """Return a function that multiplies a (n, K), of up to ``rows`` rows, by W (K, parts M) into ``out`` (parts, n, M).

    Work that is shared by many products is done only once, here. ``transposed`` multiplies by W' (K, M) of W (M, K).
    All are of one dtype, and the rows of a and out are contiguous.

    >>> times, out = multiplier(np.arange(12.0).reshape(2, 6), rows=1, parts=2), np.empty((2, 1, 3))
    >>> times(np.array([[1.0, 10.0]]), out)
    >>> out
    array([[[ 60.,  71.,  82.]],
           [[ 93., 104., 115.]]])
    """
    if packs(W, W.dtype):
        return mkl.Packed(np.ascontiguousarray(W), rows, parts, transposed)
    blocks = row_blocks(W, rows) if transposed else column_blocks(W, rows, parts)
    return partial(_multiply_by, blocks[:, 0]) if blocks.shape[1] == 1 else partial(multiply, blocks)


def packs(W: Array, dtype: Any) -> bool:
    """Return whether MKL packs W once to multiply by it in this dtype."""
    return matmul_backend.chosen.thin == "mkl" and W.size >= _WORTH_PACKING and dtype in (np.float32, np.float64)


def column_blocks(W: Array, rows: int, parts: int = 1) -> Array:
    """Copy the column blocks of W (K, parts M) to (parts, J, K, M/J), for products with up to ``rows`` rows.

    >>> column_blocks(np.arange(12.0).reshape(2, 6), rows=5, parts=2).shape
    (2, 1, 2, 3)
    """
    K, M = W.shape[0], W.shape[1] // parts
    width = _width(M, K, rows)
    return np.ascontiguousarray(W.reshape(K, parts, M // width, width).transpose(1, 2, 0, 3))


def row_blocks(W: Array, rows: int, parts: int = 1) -> Array:
    """View the blocks of W' for W (parts M, K) as (1, parts J, K, M/J), for products with up to ``rows`` rows."""
    M, K = W.shape
    width = _width(M // parts, K, rows)
    return np.ascontiguousarray(W).reshape(1, M // width, width, K).transpose(0, 1, 3, 2)


def multiply(blocks: Array, a: Array, out: Array) -> None:
    """Multiply a (n, K) by the matrix with these ``blocks`` (parts, J, K, width), into ``out`` (parts, n, J width)."""
    parts, J, _, width = blocks.shape
    np.matmul(a, blocks, out=out.reshape(parts, len(a), J, width).swapaxes(1, 2))


def _multiply_by(matrices: Array, a: Array, out: Array) -> None:
    """Like `multiply`, for matrices (parts, K, M) in one block each."""
    np.matmul(a, matrices, out=out)


# --- large products -----------------------------------------------------------------------------------


def product(a: Array, b: Array) -> Array:
    """Multiply a (M, K) by b (K, N) on all threads.

    >>> product(np.ones((2, 3)), np.ones((3, 1)))
    array([[3.],
           [3.]])
    """
    return products((a, b))[0]  # type: ignore[return-value]


def products(*pairs: tuple[Array, Array] | None) -> list[Array | None]:
    """Compute several products (M, K) times (K, N) at once on all threads; None instead of a pair gives None."""
    multiplications = sum([pair[0].size * pair[1].shape[1] for pair in pairs if pair])
    if multiplications < _WORTH_MKL:  # too few for any strategy; for the fewest, dot takes a third of matmul's time
        return [pair and pair[0].dot(pair[1]) for pair in pairs]
    # As fast as BLAS on its own threads, which would continue to disturb ours.
    can_be_shared = blas.get_threads() is not None or matmul_backend.chosen.large == "mkl"
    threads = get_num_threads() if multiplications >= _WORTH_THREADS and can_be_shared else 1
    results: list[Array | None] = []
    pieces: list[Callable[[], None]] = []
    for pair in pairs:
        out = np.empty((len(pair[0]), pair[1].shape[1]), np.result_type(*pair)) if pair else None
        results.append(out)
        if pair and out is not None:
            pieces += _pieces(*pair, out, threads)
    run_in_parallel(pieces, worth=threads > 1)
    return results


def _pieces(a: Array, b: Array, out: Array, number: int) -> list[Callable[[], None]]:
    """Split a product into this number of pieces, along its rows or its columns, whichever are more."""
    if number == 1:
        return [partial(product_into, a, b, out)]
    parts = split(max(out.shape), number)
    if out.shape[0] >= out.shape[1]:
        return [partial(product_into, a[part], b, out[part]) for part in parts]
    return [partial(product_into, a, b[:, part], out[:, part]) for part in parts]


def product_into(a: Array, b: Array, out: Array) -> None:
    """Multiply stacks a (..., M, K) by b (..., K, N) into ``out``, with the strategy for large products.

    The rows or columns of a and b are contiguous, the rows of out are.
    """
    multiplications = a.shape[-2] * a.shape[-1] * b.shape[-1]
    if matmul_backend.chosen.large == "mkl" and multiplications >= _WORTH_MKL and a.dtype == b.dtype == out.dtype:
        stack = out.shape[:-2]
        a, b = (np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (a, b))
        for place in np.ndindex(*stack):
            if not mkl.gemm(a[place], b[place], out[place]):
                np.matmul(a[place], b[place], out=out[place])
    elif matmul_backend.chosen.large == "tiles" and a.dtype == b.dtype == out.dtype:
        tiled(a, b, out)
    else:
        np.matmul(a, b, out=out)


def tiled(a: Array, b: Array, out: Array) -> None:
    """Like `product_into`, in tiles if they are small enough.

    Each call of ``np.matmul`` gets views with two more axes for the rows and columns of tiles.
    """
    (M, K), N = a.shape[-2:], b.shape[-1]
    rows, columns = _tile(K, transposed=b.strides[-2] < b.strides[-1])
    if not rows or M * K * N <= _MULTIPLICATIONS:
        np.matmul(a, b, out=out)
        return
    for i, height in _divided(M, rows):
        for j, width in _divided(N, columns):
            left, right, target = a[..., i, :], b[..., j], out[..., i, j]
            down, across = target.shape[-2] // height, target.shape[-1] // width
            left = left.reshape(*left.shape[:-2], down, 1, height, K)
            right = right.reshape(*right.shape[:-2], 1, K, across, width).swapaxes(-3, -2)
            np.matmul(left, right, out=target.reshape(*out.shape[:-2], down, height, across, width).swapaxes(-3, -2))


def _tile(K: int, transposed: bool) -> tuple[int, int]:
    """Return the best number of rows and columns of a tile; no rows if no tile over K columns is small enough.

    The inner loop takes 24 rows, or else 8. For a transposed matrix few columns are best, and the kernel for those
    takes 1,200 entries: 240 rows and 8 columns with K = 512 run at 49 GFLOP/s, 144 rows at 109. Otherwise tiles of 8
    rows are too slow: 84 GFLOP/s with K = 1,447, compared with 102 for the plain product. Tiles of 16 rows with K = 784
    reach 109, compared with 96.
    """
    columns = 8 if transposed else _WIDEST
    rows = _MULTIPLICATIONS // max(columns * K, 1)
    if transposed:
        rows = min(rows, 144)
    elif rows < 16:
        return 0, columns
    return rows // 24 * 24 or rows // 8 * 8, columns


def _divided(length: int, step: int) -> list[tuple[slice, int]]:
    """Return the range of whole steps with the step, and the remaining range with its length."""
    whole = length - length % step
    ranges = [(slice(0, whole), step), (slice(whole, length), length - whole)]
    return [(part, size) for part, size in ranges if part.stop > part.start]

"""Products by MKL are correct, and MKL refuses arrays that it cannot take. The package mkl is optional."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.runtime import mkl
from minigrad.runtime.matmul_backend import BLAS
from tests.strategies import arrays

needed = pytest.mark.skipif(bool(mkl.reason_against()), reason=f"no MKL: {mkl.reason_against()}")
SIZE = st.integers(0, 12)
DTYPES = st.sampled_from([np.float32, np.float64])


def close(found, a, b):
    """Assert that `found` is the product up to the rounding of its dtype."""
    exact = a.astype(float) @ b.astype(float)
    size = np.abs(a).astype(float) @ np.abs(b).astype(float)
    assert (np.abs(found - exact) <= 8 * np.finfo(found.dtype).eps * size + 1e-300).all()


@needed
@given(st.data(), SIZE, SIZE, SIZE, DTYPES, st.sampled_from(["", "a", "b", "ab"]), st.booleans())
def test_products_of_any_layout(data, M, K, N, dtype, turned, within):
    a, b = data.draw(arrays((M, K), -2, 2)).astype(dtype), data.draw(arrays((K, N), -2, 2)).astype(dtype)
    a, b = (np.asfortranarray(x) if name in turned else x for name, x in (("a", a), ("b", b)))
    whole = np.full((M, N + 3 * within), np.nan, dtype)
    out = whole[:, :N]
    assert mkl.gemm(a, b, out) is bool(M * K * N)
    if M * K * N:
        close(out, a, b)
    assert np.isnan(whole[:, N:]).all()


A, B = np.ones((4, 6), np.float32), np.ones((6, 5), np.float32)
OUT = np.full((4, 5), 7, np.float32)
READ_ONLY = OUT.copy()
READ_ONLY.setflags(write=False)


@needed
@pytest.mark.parametrize(
    ("a", "b", "out"),
    [
        (A.astype(np.float64), B, OUT),
        (A.astype(np.float16), B.astype(np.float16), OUT.astype(np.float16)),
        (np.ones((4, 12), np.float32)[:, ::2], B, OUT),
        (np.broadcast_to(np.float32(1), (4, 6)), B, OUT),
        (A[::-1], B, OUT),
        (A, B, np.asfortranarray(OUT)),
        (np.frombuffer(bytearray(4 * 24 + 1), np.float32, 24, 1).reshape(4, 6), B, OUT),
        (A, B[:5], OUT),
        (A, B, OUT[:3]),
        (A, B, OUT[:, :4]),
        (A, B, READ_ONLY),
    ],
)
def test_gemm_refuses_what_it_cannot_take(a, b, out):
    assert not mkl.gemm(a, b, out)
    assert (out == 7).all()


@needed
@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), DTYPES)
def test_packed_weights(most, K, M, parts, dtype):
    rng = np.random.default_rng([most, K, M, parts])
    W = rng.standard_normal((K, parts * M)).astype(dtype)
    forwards, back = mkl.Packed(W, most, parts), mkl.Packed(W, most, transposed=True)
    for n in {0, 1, most // 2, most}:
        a, da = rng.standard_normal((n, K)).astype(dtype), rng.standard_normal((n, parts * M)).astype(dtype)
        out, dh = np.full((parts, n, M), np.nan, dtype), np.full((1, n, K), np.nan, dtype)
        forwards(a, out)
        back(da, dh)
        close(out.swapaxes(0, 1).reshape(n, parts * M), a, W)
        close(dh[0], da, W.T)


@needed
def test_a_packed_weight_reads_and_writes_within_its_arrays():
    packed, out = mkl.Packed(np.ones((5, 6), np.float32), 4), np.full((1, 4, 12), 7, np.float32)
    fits = out[:, :, :6]
    for a, into, message in (
        (np.ones((4, 5)), fits, "by a packed"),
        (np.ones((4, 4), np.float32), fits, "by a packed"),
        (np.ones((5, 5), np.float32), np.zeros((1, 5, 6), np.float32), "by a packed"),
        (np.ones((4, 5), np.float32), out[:, :, ::2], "of strides"),
        (np.ones((4, 5), np.float32), out[:, ::-1, :6], "of strides"),
    ):
        with pytest.raises(ValueError, match=message):
            packed(a, into)
    assert (out == 7).all()
    packed(np.broadcast_to(np.float32([1, 2, 3, 4, 5]), (4, 5)), fits)
    assert (fits == 15).all()
    assert (out[:, :, 6:] == 7).all()


@needed
def test_the_same_bits_at_any_address():
    a, b = np.random.default_rng(0).standard_normal((2, 40, 40)).astype(np.float32)
    found = set()
    for shift in range(17):
        x, y, out = (np.empty(1700, np.float32)[shift:][:1600].reshape(40, 40) for _ in range(3))
        x[...], y[...] = a, b
        assert mkl.gemm(x, y, out)
        found.add(out.tobytes())
    assert len(found) == 1


@needed
@pytest.mark.parametrize("layer", [1, 2])  # sequential, TBB
def test_another_package_that_uses_mkl_is_left_alone(layer):
    code = f"""
import ctypes
library = ctypes.CDLL({str(mkl.path())!r})
library.MKL_Set_Threading_Layer({layer})
one, out = (ctypes.c_double * 1)(3.0), (ctypes.c_double * 1)()
library.cblas_dgemm.argtypes = [*[ctypes.c_int] * 6, ctypes.c_double, *[ctypes.c_void_p, ctypes.c_int] * 2,
                                ctypes.c_double, ctypes.c_void_p, ctypes.c_int]
library.cblas_dgemm(101, 111, 111, 1, 1, 1, 1.0, one, 1, one, 1, 0.0, out, 1)
assert out[0] == 9.0
from minigrad.runtime import mkl
print(mkl.reason_against())
"""
    env = os.environ | {BLAS: "numpy"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert "another package in this process" in found.stdout, found.stderr


@needed
def test_the_version_is_that_of_the_package():
    assert metadata.version("mkl").startswith(mkl.version())
    assert re.fullmatch(r"\d{4}\.\d+", mkl.version())


@pytest.mark.parametrize("content", [None, b"no library"])
def test_a_missing_or_broken_library(content, monkeypatch, tmp_path):
    path = tmp_path / "libmkl_rt.so.3"
    if content:
        path.write_bytes(content)
    monkeypatch.setattr(mkl, "path", lambda: path if content else None)
    mkl._opened.cache_clear()
    message = f"{path} cannot be used: " if content else "the package mkl is not installed"
    assert mkl.reason_against().startswith(message)
    mkl._opened.cache_clear()

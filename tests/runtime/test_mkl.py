"""Products by MKL: they are the product, and what MKL cannot take is left to NumPy. Its package may be missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.kernels import blocks
from minigrad.runtime import mkl
from minigrad.runtime.matmul_backend import BLAS, Strategy, using
from tests.checks import leaf, pull
from tests.strategies import arrays

needed = pytest.mark.skipif(bool(mkl.reason_against()), reason=f"no MKL: {mkl.reason_against()}")
SIZE = st.integers(0, 12)
DTYPES = st.sampled_from([np.float32, np.float64])


def close(found, a, b):
    """Whether it is the product, by float64, within the rounding of its own dtype."""
    exact = a.astype(float) @ b.astype(float)
    size = np.abs(a).astype(float) @ np.abs(b).astype(float)
    assert (np.abs(found - exact) <= 8 * np.finfo(found.dtype).eps * size + 1e-300).all()


@needed
@given(st.data(), SIZE, SIZE, SIZE, DTYPES, st.sampled_from(["", "a", "b", "ab"]), st.booleans())
def test_products_of_whatever_layout(data, M, K, N, dtype, turned, within):
    a, b = data.draw(arrays((M, K), -2, 2)).astype(dtype), data.draw(arrays((K, N), -2, 2)).astype(dtype)
    a, b = (np.asfortranarray(x) if name in turned else x for name, x in (("a", a), ("b", b)))
    whole = np.full((M, N + 3 * within), np.nan, dtype)
    out = whole[:, :N]
    assert mkl.gemm(a, b, out) is bool(M * K * N)
    if M * K * N:
        close(out, a, b)
    assert np.isnan(whole[:, N:]).all()


@needed
def test_what_it_cannot_take():
    a, b = np.ones((4, 6), np.float32), np.ones((6, 5), np.float32)
    out = np.full((4, 5), 7, np.float32)
    assert not mkl.gemm(a.astype(np.float64), b, out)
    assert not mkl.gemm(a.astype(np.float16), b.astype(np.float16), out.astype(np.float16))
    assert not mkl.gemm(np.ones((4, 12), np.float32)[:, ::2], b, out)
    assert not mkl.gemm(np.broadcast_to(np.float32(1), (4, 6)), b, out)
    assert not mkl.gemm(a[::-1], b, out)
    assert not mkl.gemm(a, b, np.asfortranarray(out))
    assert not mkl.gemm(np.frombuffer(bytearray(4 * 24 + 1), np.float32, 24, 1).reshape(4, 6), b, out)
    for shapes in (((4, 6), (5, 5), (4, 5)), ((4, 6), (6, 5), (3, 5)), ((4, 6), (6, 5), (4, 4))):  # which do not fit
        assert not mkl.gemm(*(np.ones(shape, np.float32) for shape in shapes))
    frozen = out.copy()
    frozen.setflags(write=False)
    assert not mkl.gemm(a, b, frozen)
    assert (out == 7).all()
    assert (frozen == 7).all()
    assert mkl.gemm(a, b, out)
    assert (out == 6).all()


@needed
@given(st.data(), st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), DTYPES)
@example(None, 40, 64, 33, 4, np.float32)
def test_packed_weights(data, most, K, M, parts, dtype):
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
def test_rows_that_lie_apart():
    rng = np.random.default_rng(0)
    W, wide = rng.standard_normal((5, 6)).astype(np.float32), rng.standard_normal((4, 9)).astype(np.float32)
    out = np.full((1, 4, 8), np.nan, np.float32)
    packed = mkl.Packed(W, 4)
    packed(wide[:, 2:7], out[:, :, :6])
    close(out[0, :, :6], wide[:, 2:7], W)
    assert np.isnan(out[:, :, 6:]).all()
    packed(np.asfortranarray(wide[:, 2:7]), out[:, :, :6])
    close(out[0, :, :6], wide[:, 2:7], W)


@needed
def test_a_packed_weight_reads_and_writes_within_its_arrays():
    packed = mkl.Packed(np.ones((5, 6), np.float32), 4)
    out = np.zeros((1, 4, 6), np.float32)
    packed(np.broadcast_to(np.float32([1, 2, 3, 4, 5]), (4, 5)), out)
    assert (out == 15).all()
    packed(np.ones((4, 5), np.float32)[::-1], out)
    assert (out == 5).all()
    for a, into in (
        (np.ones((4, 5)), out), (np.ones((4, 4), np.float32), out), (np.ones((3, 5), np.float32), out),
        (np.ones((5, 5), np.float32), np.zeros((1, 5, 6), np.float32)), (np.ones((4, 5), np.float32), out[:, :, :5]),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"by a packed float32 matrix \(5, 6\), for up to 4 rows, into"):
            packed(a, into)
    wide = np.full((1, 4, 12), 7, np.float32)
    for into in (wide[:, :, ::2], wide[:, ::-1, :6], np.full((1, 6, 4), 7, np.float32).swapaxes(1, 2)):
        with pytest.raises(ValueError, match="of strides"):
            packed(np.ones((4, 5), np.float32), into)
        assert (into == 7).all()
    packed(np.ones((0, 5), np.float32), out[:, :0])


@needed
def test_what_does_not_fit_is_numpys_error():
    with using(Strategy("mkl", "mkl")), pytest.raises(ValueError, match="mismatch in its core dimension"):
        blocks.product(np.ones((200, 200)), np.ones((100, 200)))


@needed
def test_the_same_bits_wherever_arrays_lie():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((33, 65)).astype(np.float32), rng.standard_normal((65, 47)).astype(np.float32)
    found = set()
    for shift in range(17):
        memory = [np.empty(x.size + 64, np.float32) for x in (a, b, np.empty((33, 47)))]
        x, y, out = (
            m[shift:][: n * k].reshape(n, k) for m, (n, k) in zip(memory, ((33, 65), (65, 47), (33, 47)), strict=True)
        )
        x[...], y[...] = a, b
        assert mkl.gemm(x, y, out)
        found.add(out.tobytes())
    assert len(found) == 1


LAYERS = {"rnn": 1, "lstm": 4, "gru": 3}


@needed
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_recurrent_layers(kind, dtype):
    rng = np.random.default_rng(0)
    N, T, D, H = 9, 6, 40, 80
    shapes = [
        (N, T, D),
        (N, H),
        (D, LAYERS[kind] * H),
        (H, LAYERS[kind] * H),
        *[(LAYERS[kind] * H,)] * (1 + (kind == "gru")),
    ]
    inputs = [(0.3 * rng.standard_normal(shape)).astype(dtype) for shape in shapes]
    cotangents = [rng.standard_normal((N, T, H)).astype(dtype)] * (1 + (kind == "lstm"))
    found = {}
    for way in (Strategy(), Strategy("mkl", "mkl")):
        with using(way):
            found[way] = pull(getattr(mg.ops, kind), [leaf(a) for a in inputs], cotangents)
    for mine, plain in zip(*(outputs + gradients for outputs, gradients in found.values()), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=0, atol=200 * np.finfo(dtype).eps * np.abs(plain).max())


@needed
def test_stacks_of_large_products_and_threads():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((3, 2, 70, 90)), rng.standard_normal((2, 90, 80))
    out = np.empty((3, 2, 70, 80))
    threads = mg.get_num_threads()
    try:
        for number in (1, 2):
            mg.set_num_threads(number)
            with using(Strategy("mkl", "mkl")):
                blocks.product_into(a, b, out)
                np.testing.assert_allclose(out, a @ b, atol=1e-12)
                np.testing.assert_allclose(blocks.product(a[0, 0], b[0]), a[0, 0] @ b[0], atol=1e-12)
    finally:
        mg.set_num_threads(threads)


@needed
def test_another_package_that_uses_it_with_threads_of_its_own_is_left_alone():
    code = f"""
import ctypes
library = ctypes.CDLL({str(mkl.path())!r})
library.MKL_Set_Threading_Layer(2)  # TBB's, and the first product decides
one = (ctypes.c_double * 1)(3.0)
library.cblas_dgemm.argtypes = [*[ctypes.c_int] * 6, ctypes.c_double, *[ctypes.c_void_p, ctypes.c_int] * 2,
                                ctypes.c_double, ctypes.c_void_p, ctypes.c_int]
out = (ctypes.c_double * 1)()
library.cblas_dgemm(101, 111, 111, 1, 1, 1, 1.0, one, 1, one, 1, 0.0, out, 1)
assert out[0] == 9.0
from minigrad.runtime import mkl
print(mkl.reason_against())
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {BLAS: "numpy"}
    )
    assert found.returncode == 0, found.stderr
    assert "another package of this process" in found.stdout


@needed
def test_another_package_that_has_used_it_before_is_left_alone():
    code = f"""
import ctypes
library = ctypes.CDLL({str(mkl.path())!r})
library.MKL_Set_Threading_Layer(1)
one = (ctypes.c_double * 1)(3.0)
library.cblas_dgemm.argtypes = [*[ctypes.c_int] * 6, ctypes.c_double, *[ctypes.c_void_p, ctypes.c_int] * 2,
                                ctypes.c_double, ctypes.c_void_p, ctypes.c_int]
library.cblas_dgemm(101, 111, 111, 1, 1, 1, 1.0, one, 1, one, 1, 0.0, (ctypes.c_double * 1)(), 1)
from minigrad.runtime import mkl
print(mkl.reason_against())
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {BLAS: "numpy"}
    )
    assert found.returncode == 0, found.stderr
    assert "another package of this process has used MKL" in found.stdout


@needed
def test_the_version_is_that_of_the_package():
    assert metadata.version("mkl").startswith(mkl.version())
    assert re.fullmatch(r"\d{4}\.\d+", mkl.version())


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(mkl, "path", lambda: None)
    mkl._opened.cache_clear()
    try:
        assert mkl.version() == ""
        assert mkl.reason_against() == "the package mkl is not installed"
    finally:
        mkl._opened.cache_clear()


def test_a_library_that_is_broken(monkeypatch, tmp_path):
    broken = tmp_path / "libmkl_rt.so.3"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(mkl, "path", lambda: broken)
    mkl._opened.cache_clear()
    try:
        assert mkl.reason_against().startswith(f"{broken} cannot be used: ")
    finally:
        mkl._opened.cache_clear()


def test_where_it_is_looked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "lib").mkdir()
    for version in ("2", "3"):
        (tmp_path / "lib" / f"libmkl_rt.so.{version}").touch()
    assert mkl.path() == tmp_path / "lib" / "libmkl_rt.so.3"

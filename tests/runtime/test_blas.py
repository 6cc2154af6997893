"""What the processor is, and what happens without OpenBLAS; test_threads.py tests threads."""

from __future__ import annotations

import _ctypes
import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from minigrad.runtime import blas, matmul_backend
from minigrad.runtime.matmul_backend import Strategy

ZEN_4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel name\t: EPYC: 9654\n\nprocessor\t: 1\n"


@pytest.mark.parametrize(("text", "expected"), [
    (ZEN_4, ("AuthenticAMD", 25)),
    (ZEN_4.strip(), ("AuthenticAMD", 25)),
    ("processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n\n", ("GenuineIntel", 6)),
    ("processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\n\n", ("", 0)),  # ARM
    ("", ("", 0)),
])  # fmt: skip
def test_the_processor_of_linux(text, expected, tmp_path):
    (tmp_path / "cpuinfo").write_text(text)
    assert blas.processor(str(tmp_path / "cpuinfo")) == expected
    assert blas.processor(str(tmp_path / "nothing")) == ("", 0)


@pytest.mark.parametrize(
    "empty",
    [
        SimpleNamespace(),  # NumPy may write it in Python
        SimpleNamespace(__self__=sys),  # or build its extensions into the interpreter
        SimpleNamespace(__self__=SimpleNamespace(__file__=__file__)),  # this is no library
        SimpleNamespace(__self__=_ctypes),  # a library that is not linked to OpenBLAS
    ],
)
def test_nothing_is_known_if_the_functions_are_missing(monkeypatch, empty):
    spec = importlib.util.spec_from_file_location("another_blas", blas.__file__)
    found = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patch:
        patch.setattr(np, "empty", empty)
        spec.loader.exec_module(found)
    monkeypatch.setattr(found, "np", SimpleNamespace(empty=empty))
    assert (found.get_threads(), found.kernel(), found.MOST_THREADS) == (None, "", 1024)
    assert found.gemm(np.dtype(float)) is None
    found.set_threads(1)
    monkeypatch.delenv(matmul_backend.BLAS, raising=False)
    monkeypatch.setattr(matmul_backend, "measurement", lambda: ({}, "", ""))
    monkeypatch.setattr(matmul_backend, "blas", found)
    assert matmul_backend._decide()[:2] == ("numpy", Strategy())


@pytest.mark.skipif(blas.gemm(np.dtype(float)) is None, reason="another platform: BLAS is not OpenBLAS")
@pytest.mark.parametrize(("config", "integer"), [("OpenBLAS 0.3 USE64BITINT DYNAMIC", "i64"), ("OpenBLAS 0.3", "i32")])
def test_the_integers_of_a_product_are_those_of_the_build(monkeypatch, config, integer):
    monkeypatch.setattr(blas, "_text", lambda name: config)
    address, found = blas.gemm.__wrapped__(np.dtype(np.float32))
    assert (address > 0, found) == (True, integer)

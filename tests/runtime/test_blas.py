"""The BLAS routine axpby against NumPy; test_threads.py tests threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.runtime import blas
from minigrad.runtime.blas import axpby

FEW = blas._WORTH_A_CALL


@given(
    st.sampled_from([0, 1, 7, FEW - 1, FEW, FEW + 1, 3 * FEW + 5]),
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.floats(-2, 2), st.floats(-2, 2), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_axpby_is_two_products_and_a_sum(size, dtype, a, b, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, size)).astype(dtype)
    expected = a * x.astype(np.float64) + b * y.astype(np.float64)
    x.flags.writeable = False
    assert axpby(a, x, b, y) is None
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, atol=8 * np.finfo(dtype).eps * 8)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (0.5, 0.0), (1e-320, 0.5), (1.0, 1e-50), (1e-50, 1e-320)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_zero_times_an_infinite_number_is_nan_at_every_size(a, b, dtype, bad):
    """1e-50 is 0 in float32, and 1e-320 where subnormal numbers are flushed."""
    x, y = np.ones(FEW, dtype), np.ones(FEW, dtype)
    x[0], y[1] = bad, bad
    few = [v[:8].copy() for v in (x, y)]
    with np.errstate(invalid="ignore"):  # NumPy warns of 0 times infinity
        axpby(a, x, b, y)
        axpby(a, few[0], b, few[1])
    np.testing.assert_array_equal(y[:8], few[1])


def unaligned(size):
    return np.zeros(8 * size + 1, np.uint8)[1:].view(np.float64)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.ones(6 * FEW)[::2], np.ones(3 * FEW)),
        (np.ones(3 * FEW), np.ones(6 * FEW)[::2]),
        (np.ones((3, 2 * FEW))[:, ::2], np.ones((3, 2 * FEW))[:, ::2]),
        (unaligned(FEW), unaligned(FEW)),
    ],
)
def test_axpby_of_strided_and_unaligned_arrays(x, y):
    x[...], y[...] = 3, 4
    axpby(2, x, -3, y)
    assert (y == -6).all()
    assert y.base is None or y.base.dtype == np.uint8 or (y.base.ravel()[1::2] == 1).all()  # the gaps stay


def test_axpby_does_not_write_into_read_only_arrays():
    y = np.ones(FEW, np.float32)
    y.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        axpby(1, np.ones(FEW, np.float32), 1, y)
    np.testing.assert_array_equal(y, 1)


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

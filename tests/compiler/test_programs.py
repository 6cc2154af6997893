"""Random functions, compiled: as accurate as in NumPy, and the same for NaN and infinities."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from minigrad.compiler import FUSED, fused
from tests.compiler.programs import arguments, leaves, program, typed_arguments, typed_program

FEW, MANY = 60, 10_000


def run(seed, dtype, special):
    """Return the results of one program: compiled, in NumPy, and in NumPy's widest floats."""
    function, args = program(seed), arguments(seed, dtype, special)
    compiled = fused(function)
    wide = [a.astype(np.longdouble) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    with np.errstate(all="ignore"):
        found = [leaves(compiled(*args)), leaves(function(*args)), leaves(function(*wide))]
    assert len(FUSED.pop(function)) == (args[0].shape[-1] > 1), "nothing was compiled"
    return args, found


def check(seed, dtype):
    args, (found, plain, exact) = run(seed, dtype, special=False)
    assert len(found) == len(plain)
    for i, (f, p, e) in enumerate(zip(found, plain, exact, strict=True)):
        if f is None:
            assert p is None
            continue
        f, p, e = map(np.asarray, (f, p, e))
        where = f"program {seed}, result {i}, {f.shape}, {dtype.__name__}"
        assert (f.shape, f.dtype) == (p.shape, p.dtype), where
        if f.size:
            terms = 30 * float(np.sqrt(args[0].size)) if i == 3 else 1.0  # a sum of terms up to 30, which may cancel
            size = max(float(np.abs(e).max()), terms)
            error, plain_error = (float(np.abs(x - e).max()) / size for x in (f, p))
            assert error <= max(10 * plain_error, 20 * np.finfo(dtype).eps), f"{where}: {error} beside {plain_error}"


def check_special(seed, dtype):
    _, (found, plain, _) = run(seed, dtype, special=True)
    for i, (f, p) in enumerate(zip(found, plain, strict=True)):
        if f is not None:
            size = np.finfo(dtype).eps * max(1.0, float(np.max(np.abs(p), where=np.isfinite(p), initial=0)))
            np.testing.assert_allclose(f, p, rtol=0, atol=2000 * size, err_msg=f"program {seed}, result {i}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [check, check_special])
def test_random_programs(kind, full):
    wrong = []
    for seed in range(MANY if full else FEW):
        try:
            kind(seed, [np.float32, np.float64][seed // 2 % 2])
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong, f"{len(wrong)} wrong, such as {wrong[:3]}"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_and_refusals_do_not_depend_on_the_size(dtype, full, monkeypatch):
    """Programs that mix dtypes and numbers give NumPy's values and dtypes, or are refused, below and above 2,048."""
    monkeypatch.setattr(sys.modules["minigrad.compiler.fused"], "_worth_a_call", lambda: 2048)
    compiled = 0
    for seed in range(MANY if full else 5 * FEW):
        function, refused = typed_program(seed), []
        for rows in (2, 700):
            args, call = typed_arguments(seed, rows, dtype), fused(typed_program(seed))
            try:
                found = call(*args)
            except TypeError:  # Untraceable, or an error of NumPy
                refused.append(rows)
                continue
            expected = function(*args)
            assert len(found) == len(expected)
            for i, (f, e) in enumerate(zip(found, expected, strict=True)):
                where = f"program {seed}, result {i}, {rows} rows, {dtype.__name__}"
                assert (np.shape(f), f.dtype) == (np.shape(e), e.dtype), where
                tolerance = 0 if e.dtype == bool else (20 + rows) * np.finfo(e.dtype).eps * (1 + np.max(np.abs(e)))
                np.testing.assert_allclose(f, e, rtol=0, atol=tolerance, err_msg=where)
        assert len(refused) in (0, 2), f"program {seed} is refused for {refused} rows only"
        compiled += not refused
    assert compiled > FEW, "hardly any program was compiled"

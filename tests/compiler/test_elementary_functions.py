"""exp, expm1, tanh, log and log1p over all magnitudes, beside 30 decimal digits of mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from minigrad.compiler import fused

UNITS = {"exp": 1, "expm1": 3, "tanh": 3, "log": 3, "log1p": 5}
"""The largest errors, in units of the last place."""


def inputs(dtype):
    """Numbers of every magnitude and both signs, more of them where a function is 0 or where a formula begins."""
    rng = np.random.default_rng(0)
    about = np.finfo(dtype)
    lowest, highest = np.log10(float(about.smallest_subnormal)), np.log10(float(about.max))
    with np.errstate(over="ignore", under="ignore"):
        positive = np.concatenate([
            10 ** np.linspace(lowest, highest, 400), rng.uniform(0, 50, 200), rng.uniform(0, 760, 200),
            1 + rng.uniform(-1, 1, 200) * 10 ** rng.uniform(-7, 0, 200),
            [np.log(float(about.max)), -np.log(float(about.smallest_subnormal)), -np.log(float(about.tiny)), 40, 0.5,
             np.sqrt(0.5), np.sqrt(2), np.log(2) / 2, 1, 2, float(about.max), float(about.tiny), np.inf, 0],
        ]).astype(dtype)  # fmt: skip
    return np.concatenate([positive, -positive, [np.nan]]).astype(dtype)


def exactly(name, x):
    """Return a function of x with 30 digits."""
    with mpmath.workdps(30):
        if name in ("log", "log1p"):
            least = -1 if name == "log1p" else 0
            if not x >= least:
                return mpmath.nan
            if x == least:
                return -mpmath.inf
        return getattr(mpmath, name)(mpmath.mpf(float(x)))


def errors(name, x, y):
    """Return the errors of results in units of the last place; infinite where a result is of the wrong kind."""
    about = np.finfo(y.dtype)
    found = np.zeros(len(x))
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        exact = exactly(name, a)
        with np.errstate(over="ignore"):
            rounded = y.dtype.type(float(exact))
        if not np.isfinite(rounded) or not np.isfinite(b):
            close = np.isinf(rounded) and abs(b) == about.max  # an overflow by less than a unit
            found[i] = 0 if close or np.array_equal(rounded, b, equal_nan=True) else np.inf
            found[i] = 1 if found[i] and np.isinf(b) and abs(rounded) == about.max else found[i]
        else:
            found[i] = float(abs(mpmath.mpf(float(b)) - exact)) / float(np.spacing(abs(rounded)))
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", UNITS)
def test_errors_in_units_of_the_last_place(name, dtype):
    x = inputs(dtype)
    y = fused(lambda a: getattr(np, name)(a))(x)
    found = errors(name, x, y)
    worst = int(found.argmax())
    assert found[worst] <= UNITS[name], f"{name}({x[worst]!r}) = {y[worst]!r}: {found[worst]:.2f} units"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["expm1", "tanh", "log1p"])
def test_functions_keep_zeros_with_their_signs(name, dtype):
    y = fused(lambda a: getattr(np, name)(a))(np.array([0.0, -0.0], dtype))
    np.testing.assert_array_equal(y, 0)
    np.testing.assert_array_equal(np.signbit(y), [False, True])

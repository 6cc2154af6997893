"""The error for data sets that cannot be used, and checks of settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from numbers import Real
from typing import Any

import numpy as np

__all__ = ["COUNT", "FINITE", "NATURAL", "NOT_NEGATIVE", "POSITIVE", "SHARE", "UNIT", "Check", "DataError",
           "among", "check_count", "check_values", "int_from", "optional"]  # fmt: skip

Check = tuple[Callable[[Any], bool], str]
"""A function that returns whether a value is valid, and a description of valid values."""


class DataError(ValueError):
    """A data set that cannot be used; the message names the file, the key, the problem and the fix."""


def check_count(name: str, value: int) -> None:
    """Raise a TypeError unless `value` is an int, and a DataError unless it is at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int; got {value!r}")
    if value < 1:
        raise DataError(f"{name} must be at least 1; got {value}")


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # the int is too large for float64
        return False


COUNT: Check = (lambda value: type(value) is int and value >= 1, "an int of at least 1")
NATURAL: Check = (lambda value: type(value) is int and value >= 0, "an int of at least 0")
FINITE: Check = (_is_finite, "a finite number")
POSITIVE: Check = (lambda value: _is_finite(value) and value > 0, "above 0 and finite")
NOT_NEGATIVE: Check = (lambda value: _is_finite(value) and value >= 0, "at least 0 and finite")
SHARE: Check = (lambda value: _is_finite(value) and 0 <= value < 1, "at least 0 and below 1")
FLAG: Check = (lambda value: isinstance(value, bool), "true or false")
UNIT: Check = (lambda value: _is_finite(value) and 0 <= value <= 1, "from 0 to 1")


def int_from(least: int, most: float = math.inf) -> Check:
    """Return the check that a value is an int in a range; NumPy's ints are allowed."""

    def fits(value: Any) -> bool:
        return isinstance(value, int | np.integer) and not isinstance(value, bool) and least <= int(value) <= most

    return fits, f"an int of at least {least}" if most == math.inf else f"an int from {least} to {most}"


def among(choices: Collection[str]) -> Check:
    """Return the check that a value is one of some strings."""
    return lambda value: isinstance(value, str) and value in choices, f"one of {', '.join(map(repr, choices))}"


def optional(check: Check) -> Check:
    """Return the check that a value is None or passes `check`."""
    return lambda value: value is None or check[0](value), check[1]


def check_values(values: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    """Raise a ValueError that names the first invalid value; missing values are ignored.

    >>> check_values({"epochs": 0}, {"epochs": COUNT})
    Traceback (most recent call last):
    ValueError: epochs must be an int of at least 1; got 0
    """
    for name, (fits, wanted) in checks.items():
        if name in values and not fits(values[name]):
            raise ValueError(f"{name} must be {wanted}; got {repr(values[name])[:80]}")

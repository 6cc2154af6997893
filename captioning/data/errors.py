"""The error that is raised when a data set cannot be used."""

from __future__ import annotations

import numpy as np

__all__ = ["DataError", "check_count"]


class DataError(ValueError):
    """A data set that cannot be used; the message names the file, the key, the problem and what fits."""


def check_count(name: str, value: int) -> None:
    """Raise a TypeError unless `value` is an int, and a DataError unless it is at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int; got {value!r}")
    if value < 1:
        raise DataError(f"{name} must be at least 1; got {value}")

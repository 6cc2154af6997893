"""Sizes of a captioner, checked before any weight is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check_sizes"]


def check_sizes(**sizes: Any) -> None:
    """Raise a ValueError that names the first size that is no int of at least 1.

    >>> check_sizes(hidden_size=0)
    Traceback (most recent call last):
    ValueError: hidden_size must be an int of at least 1; got 0
    """
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"{name} must be an int of at least 1; got {size!r}")

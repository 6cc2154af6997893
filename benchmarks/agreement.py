"""Check that rivals computed the same results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOLERANCE", "disagreement"]

TOLERANCE = 1e-5
"""The tolerance relative to the largest entry of each array, in float32."""

Arrays = Mapping[str, NDArray[Any]]


def disagreement(ours: Arrays, theirs: Arrays, share: float = 0.0) -> str:
    """Describe the differences above the tolerance; empty if there are none.

    Floats may differ by `TOLERANCE` of the largest entry, integers in `share` of the rows.

    >>> one, two = {"loss": np.array([1.0])}, {"loss": np.array([1.1])}
    >>> disagreement(one, one), disagreement(one, two)
    ('', 'loss differs by 9.1e-02 of its largest entry')
    """
    if set(ours) != set(theirs):
        one, other = (", ".join(sorted(arrays)) or "nothing" for arrays in (ours, theirs))
        return f"one computed {one}, the other {other}"
    for name, a in ours.items():
        b = theirs[name]
        if a.shape != b.shape:
            return f"{name} has shape {a.shape} and {b.shape}"
        if a.dtype.kind in "iub":
            unequal = float(np.mean((a != b).reshape(len(a), -1).any(axis=1))) if a.size else 0.0
            if unequal > share:
                return f"{name} differs in {unequal:.2%} of its rows"
        elif not (difference := _difference(a, b)) <= TOLERANCE:
            return f"{name} differs by {difference:.1e} of its largest entry"
    return ""


def _difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the relative difference; infinity if an entry is NaN, so that it never passes."""
    if not a.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        difference = float(np.abs(a.astype(np.float64) - b).max())
    scale = float(max(np.abs(a).max(), np.abs(b).max()))
    if not np.isfinite([difference, scale]).all():
        return float("inf")
    return difference / scale if scale else difference

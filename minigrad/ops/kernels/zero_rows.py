"""Find the nonzero rows of a cotangent: zero rows add nothing to gradients, so their products can be skipped.

Such rows are common: positions after a caption's end, which ``cross_entropy`` ignores with ``ignore_index``, and
padding in a batch of sequences. User code need not mark them. (If such a row meets an infinite number, their product,
NaN, is skipped too. In small arrays no rows are skipped.)

>>> g = np.zeros((4, 2**15), np.float32)
>>> g[1, 7] = g[3, 0] = 1
>>> reached_rows(g)
array([1, 3])
>>> g += 1
>>> reached_rows(g) is None  # all of them
True
"""

from __future__ import annotations

import numpy as np

from ...spec import Array

__all__ = ["ENOUGH", "reached_rows", "rows_with_any"]

ENOUGH = 0.1
"""The minimum share of rows to skip, because the remaining rows must be copied first."""

_WORTH = 2**16  # entries of a cotangent: searching fewer costs as much as multiplying them


def reached_rows(g: Array) -> Array | None:
    """Return the indices of the nonzero rows of g (R, C), or None if too few rows are zero to save time."""
    if g.size < _WORTH:
        return None
    places = np.flatnonzero(rows_with_any(g))
    return None if len(places) > (1 - ENOUGH) * len(g) else places


def rows_with_any(g: Array) -> Array:
    """Return for each row of g (R, C) whether any of its entries is not 0 (R,)."""
    found: Array = (g != 0).any(axis=1)
    return found

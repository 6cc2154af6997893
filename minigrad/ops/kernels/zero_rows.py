"""Which rows a cotangent reaches: a row of zeros adds nothing to any gradient, so its products need not be computed.

Such rows are common: the words behind a caption's end, of which ``cross_entropy`` with ``ignore_index`` asks nothing,
and what padding adds to a batch of sequences. Whoever writes such a model by hand need not say so. (Where such a row
meets an infinite number, their product, NaN, is left out with it; of few numbers nothing is left out.)

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
"""The least share of rows that must be spared: those that are left must be copied first."""

_WORTH = 2**16  # numbers of a cotangent: looking through fewer costs as much as a product of them
_LOOKS = 8  # columns that are looked at first


def reached_rows(g: Array) -> Array | None:
    """The places of the rows of g (R, C) that are not zeros, or None if there are too few others to gain by them."""
    if g.size < _WORTH:
        return None
    places = np.flatnonzero(rows_with_any(g))
    return None if len(places) > (1 - ENOUGH) * len(g) else places


def rows_with_any(g: Array) -> Array:
    """For each row of g (R, C) whether any of its entries is not 0 (R,).

    A few columns are looked at first, after which a row of any other numbers is known.
    """
    found: Array = (g[:, :: max(g.shape[1] // _LOOKS, 1)] != 0).any(axis=1)
    if not found.all():
        doubtful = np.flatnonzero(~found)
        found[doubtful] = (g[doubtful] != 0).any(axis=1)
    return found

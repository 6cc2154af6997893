"""Rows of a table by integer index: the indices checked, and the sum of the rows of each index."""

from __future__ import annotations

import numpy as np

from ...spec import Array
from ...summation import block_sum
from .numerics import single

__all__ = ["check_indices", "sum_rows"]


def check_indices(indices: Array, size: int, name: str, keep: Array | None = None) -> None:
    """Raise unless an array holds integers in 0 … size-1; the message names the first wrong one and its place.

    Negative numbers are refused: counting from the end is never meant here. Only the entries where the
    mask ``keep`` is true are looked at, if it is given.
    """
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, not {indices.dtype}")
    wrong = (indices < 0) | (indices >= size)
    if keep is not None:
        wrong &= keep
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        entry = f"{name}{list(place)}" if place else name
        raise IndexError(f"{entry} is {indices[place]}: it must lie in 0 … {size - 1}")


def sum_rows(rows: Array, indices: Array, size: int) -> Array:
    """(size, D) from rows (M, D) and integers (M,) in 0 … size-1: row k is the sum of those with index k.

    Sorted by index, the rows of one index are a slice. Most indices occur once and are copied in one go,
    so the loop runs over the indices that repeat. Half precision is summed in single, and left in it.
    """
    # Measured in µs on 400 rows of 256, float32, captions with V = 1004 and 2917, and on 25,000 rows, V = 10,000:
    #   this                             154, 260,  32,000
    #   sort and np.add.reduceat         309, 388, 158,000
    #   one-hot (K, M) of K words @ rows 301, 405,       -
    #   np.bincount                      461, 1179, 130,000
    #   np.add.at                        678, 752, 108,000
    rows = single(rows)
    total = np.zeros((size, rows.shape[1]), rows.dtype)
    order = np.argsort(indices, kind="stable")
    rows, keys = rows[order], indices[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))  # where each slice starts
    counts = np.diff(first, append=len(keys))
    keys = keys[first]
    total[keys] = rows[first]
    many = counts > 1
    for key, start, count in zip(keys[many].tolist(), first[many].tolist(), counts[many].tolist(), strict=True):
        total[key] = block_sum(rows[start : start + count], 0)
    return total

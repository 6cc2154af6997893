"""Sequences of unlike lengths as rows without gaps: what a sequence primitive computes, and nothing else.

Sorted by length, the sequences that are still alive at a step are the first n of a group, and packed step after
step they are contiguous slices: each step is one product over live rows only, and each weight gradient one product
over all of them. Nothing is approximated: what lies behind a sequence's end has no influence on its states.
Several groups, each packed by itself, can be computed side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...spec import Array
from .rows import check_indices, sum_rows

__all__ = ["Group", "Inputs", "Packing"]


class Group:
    """Some of the sequences, packed: where their rows lie.

    ``first`` is where their initial states are among all in the order of packing. Step t holds the first
    ``alive[t]`` of them in the rows from ``starts[t]`` on; ``steps`` is the number of steps with any.
    """

    __slots__ = ("alive", "first", "starts", "steps")

    def __init__(self, lengths: Array, T: int, first: int, start: int) -> None:
        counts = (lengths[:, None] > np.arange(T)).sum(axis=0)
        self.first = slice(first, first + len(lengths))
        self.alive: list[int] = counts.tolist()
        self.starts: list[int] = (start + np.concatenate([[0], np.cumsum(counts)])).tolist()
        self.steps = int(np.count_nonzero(counts))

    def step(self, t: int) -> slice:
        """The rows of step t."""
        return slice(self.starts[t], self.starts[t + 1])

    def before(self, t: int, first: Array, after: Array) -> Array:
        """Of initial states (N, H) and states after each row (M, H) those that step t starts from (n, H)."""
        at = self.starts[t - 1] if t else self.first.start
        return (after if t else first)[at : at + self.alive[t]]


class Packing:
    """N sequences of up to T steps in groups: ``order`` has them group by group, in each the longest first.

    Packed row m is step ``times[m]`` of sequence ``rows[m]``.
    """

    __slots__ = ("N", "T", "groups", "order", "rows", "steps", "times", "widest")

    def __init__(self, N: int, T: int, lengths: Any = None, groups: int = 1) -> None:
        self.N, self.T = N, T
        lengths = np.full(N, T) if lengths is None else _checked(lengths, N, T)
        longest = np.argsort(-lengths, kind="stable")
        parts = [longest[k::groups] for k in range(groups)]  # dealt like cards: all have about as much to do
        self.order = np.concatenate(parts)
        self.groups: list[Group] = []
        first = start = 0
        for part in parts:
            self.groups.append(Group(lengths[part], T, first, start))
            first, start = first + len(part), self.groups[-1].starts[-1]
        self.steps = max(group.steps for group in self.groups)
        self.widest = max(map(len, parts))  # rows of a step at most
        pairs = list(zip(parts, self.groups, strict=True))
        self.rows = np.concatenate([longest[:0], *(part[:n] for part, group in pairs for n in group.alive)])
        self.times = np.concatenate([np.repeat(np.arange(T), group.alive) for group in self.groups])

    def sort(self, first: Array, dtype: Any) -> Array:
        """Initial states (N, H) in the order of packing, as a copy."""
        result: Array = first[self.order].astype(dtype, copy=False)
        return result

    def unsort(self, first: Array) -> Array:
        """The inverse of :meth:`sort`."""
        result = np.empty_like(first)
        result[self.order] = first
        return result

    def pack(self, x: Array) -> Array:
        """(N, T, …) as contiguous rows (M, …)."""
        result: Array = x[self.rows, self.times]
        return result

    def unpack(self, rows: Array) -> Array:
        """Rows (M, D) as (N, T, D), zero behind the end of each sequence."""
        result = np.zeros((self.N, self.T, rows.shape[1]), rows.dtype)
        result[self.rows, self.times] = rows
        return result

    def states_before(self, first: Array, after: Array) -> Array:
        """Of initial states (N, H) and states after each row (M, H) the one that each row started from (M, H)."""
        result = np.empty_like(after)
        for group in self.groups:
            for t in range(group.steps):
                result[group.step(t)] = group.before(t, first, after)
        return result


class Inputs:
    """Which of the rows that are projected each packed row takes.

    Of x (N, T, D) every packed row has its own. With indices (N, T) the rows of x (U, D) are projected once each,
    however many steps take them: 300 words of captions are about 120 distinct ones.
    """

    __slots__ = ("packing", "which")

    def __init__(self, packing: Packing, indices: Array | None) -> None:
        self.packing, self.which = packing, None if indices is None else packing.pack(indices)

    def rows(self, x: Array) -> Array:
        """The rows to project."""
        return self.packing.pack(x) if self.which is None else x

    def take(self, projected: Array, step: slice) -> Array:
        """Of the projected rows those of a step."""
        return projected[step if self.which is None else self.which[step]]

    def gather(self, cotangent: Array, rows: Array) -> Array:
        """From the cotangents of packed rows (M, G) those of the rows that were projected."""
        return cotangent if self.which is None else sum_rows(cotangent, self.which, len(rows))

    def unpack(self, cotangent: Array) -> Array:
        """From the cotangents of the rows that of x."""
        return self.packing.unpack(cotangent) if self.which is None else cotangent


def check_places(x: Array, indices: Any, N: int) -> Array:
    """Indices (N, T) of rows of x (U, D); raise unless they are that."""
    array = np.asarray(indices)
    if array.ndim != 2 or len(array) != N:
        raise ValueError(f"indices must be (N, T) with N = {N} as in h0, not {array.shape}")
    if x.ndim != 2:
        raise ValueError(f"x must be rows (U, D) if indices are given, not of shape {x.shape}")
    check_indices(array, len(x), "indices")
    return array


def _checked(lengths: Any, N: int, T: int) -> Array:
    array = np.asarray(lengths)
    if array.shape != (N,) or (array.dtype.kind not in "iu" and array.size):
        raise ValueError(f"lengths must be {N} integers, one for each sequence, not {array.dtype} {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() <= T):
        raise ValueError(f"lengths must be from 0 to T = {T}, not from {array.min()} to {array.max()}")
    return array.astype(np.intp, copy=False)

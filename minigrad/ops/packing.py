"""Sequences of unlike lengths as rows without gaps: what a sequence primitive computes, and nothing else.

Sorted by length, the sequences that are still alive at a step are the first n of the batch, and packed step after
step they are contiguous slices: each step is one product over live rows only, and each weight gradient one product
over all of them. Nothing is approximated: what lies behind a sequence's end has no influence on its states.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spec import Array

__all__ = ["Packing"]


class Packing:
    """Where the rows of N sequences with T steps lie when they are packed.

    Step t holds the first ``alive[t]`` sequences of ``order`` in the rows from ``starts[t]`` on; ``steps`` is the
    number of steps with any. Without lengths every sequence is alive at every step, and packing is a transposition.
    States lie in one array of N + rows: the first N are the initial ones, then as packed; :meth:`before` is where
    those that step t starts from begin.
    """

    __slots__ = ("N", "T", "alive", "order", "rows", "starts", "steps", "times", "whole")

    def __init__(self, N: int, T: int, lengths: Any = None) -> None:
        self.N, self.T, self.whole = N, T, lengths is None
        if lengths is None:
            self.alive, self.starts, self.steps = [N] * T, [t * N for t in range(T + 1)], T
            return
        lengths = _checked(lengths, N, T)
        self.order = np.argsort(-lengths, kind="stable")
        counts = (lengths[:, None] > np.arange(T)).sum(axis=0)
        self.steps = int(np.count_nonzero(counts))
        self.alive = counts.tolist()
        self.starts = [0, *np.cumsum(counts).tolist()]
        self.rows = np.concatenate([self.order[:n] for n in self.alive], dtype=np.intp) if T else self.order[:0]
        self.times = np.repeat(np.arange(T), counts)

    def before(self, t: int) -> int:
        """Where, among all states, those that step t starts from begin."""
        return self.N + self.starts[t - 1] if t else 0

    def sort(self, first: Array) -> Array:
        """Initial states (N, H) in the order of packing."""
        return first if self.whole else first[self.order]

    def unsort(self, first: Array) -> Array:
        """The inverse of :meth:`sort`."""
        if self.whole:
            return first
        result = np.empty_like(first)
        result[self.order] = first
        return result

    def pack(self, x: Array) -> Array:
        """(N, T, D) as contiguous rows (M, D)."""
        if self.whole:
            return np.ascontiguousarray(x.transpose(1, 0, 2)).reshape(self.N * self.T, x.shape[2])
        return x[self.rows, self.times]

    def unpack(self, rows: Array) -> Array:
        """Rows (M, D) as (N, T, D), zero behind the end of each sequence."""
        if self.whole:
            return rows.reshape(self.T, self.N, rows.shape[1]).transpose(1, 0, 2)
        result = np.zeros((self.N, self.T, rows.shape[1]), rows.dtype)
        result[self.rows, self.times] = rows
        return result

    def step(self, x: Array, t: int) -> Array:
        """Of (N, T, D) the live rows of step t, in the order of packing."""
        return x[:, t] if self.whole else x[self.order[: self.alive[t]], t]

    def states_before(self, states: Array) -> Array:
        """Of all states (N + M, H) the one that each packed row started from (M, H)."""
        if self.whole:
            return states[: self.N * self.T]
        starts = [np.arange(self.before(t), self.before(t) + n) for t, n in enumerate(self.alive)]
        return states[np.concatenate(starts)] if starts else states[:0]


def _checked(lengths: Any, N: int, T: int) -> Array:
    array = np.asarray(lengths)
    if array.shape != (N,) or (array.dtype.kind not in "iu" and array.size):
        raise ValueError(f"lengths must be {N} integers, one for each sequence, not {array.dtype} {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() <= T):
        raise ValueError(f"lengths must be from 0 to T = {T}, not from {array.min()} to {array.max()}")
    return array.astype(np.intp, copy=False)

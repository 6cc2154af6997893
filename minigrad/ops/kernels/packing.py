"""Pack sequences of different lengths into rows without gaps, so that sequence primitives compute no padding.

A worked example: N = 3 sequences of up to T = 4 steps, with ``lengths`` [1, 4, 2]. With the longest first, they are

    sequence 1   x10  x11  x12  x13
    sequence 2   x20  x21
    sequence 0   x00

and the M = 7 existing steps get the rows 0 … 6, column by column::

    row       0  1  2   3  4   5   6
    sequence  1  2  0   1  2   1   1
    step      0  0  0   1  1   2   3

>>> packing = Packing(N=3, T=4, lengths=[1, 4, 2])
>>> packing.order, packing.rows, packing.times
(array([1, 2, 0]), array([1, 2, 0, 1, 2, 1, 1]), array([0, 0, 0, 1, 1, 2, 3]))

So a step is a slice of rows, one for each sequence that is alive, and the sequences of step t are the first ones of
step t - 1. The initial states of step t are therefore also a slice: the first ``alive[t]`` rows of the previous step.

>>> (group,) = packing.groups
>>> group.alive, [group.step(t) for t in range(4)]
([3, 2, 1, 1], [slice(0, 3, None), slice(3, 5, None), slice(5, 6, None), slice(6, 7, None)])

Each step is one product over live rows only, and each weight gradient one product over all rows. Nothing is
approximated: entries after a sequence's end do not affect its states. Several groups of sequences, packed one after the
other, can be computed in parallel.

Shapes below: N sequences, M rows, H columns of a state; n rows of one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from ...spec import Array, refuse_masked
from .numerics import check_indices, sum_rows

__all__ = ["Group", "Inputs", "Packing", "check_places", "of_step", "of_steps"]

_IN_CACHE = 2**14  # entries of a state


def of_step(kept: Array, step: slice, H: int) -> Array:
    """Return the arrays that a step of n rows keeps, (S, n, H), a view of its rows in ``kept`` (M, S H).

    Each of the S arrays is contiguous, and so are all of them together.
    """
    rows = kept[step]
    return rows.reshape(rows.shape[1] // H, len(rows), H)


def of_steps(kept: Array, rows: slice, n: int, H: int) -> Array:
    """Return the same for consecutive steps of n rows each, (S, steps, n, H); see :meth:`Packing.stretches`."""
    return kept[rows].reshape(-1, kept.shape[1] // H, n, H).swapaxes(0, 1)


class Group:
    """Some of the sequences, packed: the rows of each of their steps.

    Attributes:
        first: the slice of this group's initial states, in the order of packing.
        alive: for each step, the number of sequences that it has: the first ones of the group.
        starts: for each step, its first row.
        steps: the number of steps that have any row.
        bounds: the first row of each of these steps, and the row after the last, as an array.
        places: for each row, its number among the rows of its step.
        previous: for each row after the first step, the same sequence's row in the step before.
    """

    def __init__(self, lengths: Array, T: int, first: int, start: int) -> None:
        counts = (lengths[:, None] > np.arange(T)).sum(axis=0)
        self.first = slice(first, first + len(lengths))
        starts = start + np.concatenate([[0], np.cumsum(counts)])
        self.alive: list[int] = counts.tolist()
        self.starts: list[int] = starts.tolist()
        self.steps = int(np.count_nonzero(counts))
        self.bounds = starts[: self.steps + 1]
        rows = np.arange(start, starts[-1])
        self.places = rows - np.repeat(starts[:-1], counts)
        self.previous = (rows - np.repeat(np.concatenate([[0], counts])[:-1], counts))[counts[:1].sum() :]

    @cached_property
    def _rows(self) -> list[slice]:
        return list(map(slice, self.starts, self.starts[1:]))

    @cached_property
    def _sources(self) -> list[slice]:
        begins = [self.first.start, *self.starts]
        return [slice(begin, begin + n) for begin, n in zip(begins, self.alive, strict=False)]

    def step(self, t: int) -> slice:
        """Return the rows of step t."""
        return self._rows[t]

    def before(self, t: int, first: Array, after: Array) -> Array:
        """Return the initial states of step t (n, H), a view.

        Args:
            first: the initial states (N, H) in the order of packing, from which step 0 starts.
            after: the states after each row (M, H), from which later steps start.
        """
        return (after if t else first)[self._sources[t]]


class Packing:
    """N sequences of up to T steps as rows, in groups.

    Attributes:
        lengths: the number of steps of each sequence (N,).
        order: the sequences group by group, in each the longest first (N,).
        rows, times: row m is step ``times[m]`` of sequence ``rows[m]``, each (M,).
        groups: where each group's rows are.
        steps: the number of steps that have any row.
        widest: no step of a group has more rows.
    """

    def __init__(self, N: int, T: int, lengths: Any = None, groups: int = 1, parts: list[Array] | None = None) -> None:
        lengths = np.full(N, T) if lengths is None else _checked(lengths, N, T)
        if parts is None:
            longest = np.argsort(-lengths, kind="stable")
            parts = [longest[k::groups] for k in range(groups)]  # dealt like cards, so that all have equal work
        self.N, self.T, self.lengths = N, T, lengths
        self.order = np.concatenate(parts)
        self.groups: list[Group] = []
        first = start = 0
        for part in parts:
            self.groups.append(Group(lengths[part], T, first, start))
            first, start = first + len(part), self.groups[-1].starts[-1]
        self.steps = max(group.steps for group in self.groups)
        self.widest = max(map(len, parts))
        self._whole = len(parts) == 1 and bool((lengths == T).all())  # the rows are x (N, T, …) with swapped axes
        pairs = list(zip(parts, self.groups, strict=True))
        self.rows = np.concatenate([part[group.places] for part, group in pairs])
        self.times = np.concatenate([np.repeat(np.arange(T), group.alive) for group in self.groups])

    def repeated(self, R: int) -> Packing:
        """Repeat every sequence R times: n R … n R + R - 1 are copies of n, and m R … m R + R - 1 are rows of row m.

        >>> Packing(N=2, T=2, lengths=[1, 2]).repeated(2).rows
        array([2, 3, 0, 1, 2, 3])
        """
        parts = [(self.order[group.first, None] * R + np.arange(R)).ravel() for group in self.groups]
        return Packing(self.N * R, self.T, np.repeat(self.lengths, R), parts=parts)

    def shortened(self, lengths: Array) -> tuple[Packing, Array]:
        """Shorten the sequences to the given lengths (N,); return the new packing and the old row of each new row.

        >>> shorter, places = Packing(N=3, T=4, lengths=[1, 4, 2]).shortened(np.array([1, 0, 2]))
        >>> shorter.rows, places
        (array([2, 0, 2]), array([1, 2, 4]))
        """
        parts = [self.order[group.first] for group in self.groups]
        parts = [part[np.argsort(-lengths[part], kind="stable")] for part in parts]
        shorter = Packing(self.N, self.T, lengths, parts=parts)
        place = np.empty((self.N, self.T), np.intp)
        place[self.rows, self.times] = np.arange(len(self.rows))
        return shorter, place[shorter.rows, shorter.times]

    def stretches(self, H: int) -> Iterator[tuple[slice, int]]:
        """Return rows of consecutive steps with n rows each, and n; a state (rows, H) stays in the cache.

        >>> list(Packing(N=3, T=4, lengths=[1, 4, 2]).stretches(H=1))
        [(slice(0, 3, None), 3), (slice(3, 5, None), 2), (slice(5, 7, None), 1)]
        """
        for group in self.groups:
            t = 0
            while t < group.steps:
                start, n = group.starts[t], group.alive[t]
                end = t + 1
                while end < group.steps and group.alive[end] == n and (group.starts[end + 1] - start) * H <= _IN_CACHE:
                    end += 1
                yield slice(start, group.starts[end]), n
                t = end

    def moved(self, kept: Array, new: Packing, places: Array, H: int) -> Array:
        """Move the arrays that steps keep (M, S H), see :func:`of_step`, to a packing with these old rows."""
        result = np.empty((len(places), kept.shape[1]), kept.dtype)
        for before, after in zip(self.groups, new.groups, strict=True):
            for t in range(after.steps):
                which = places[after.step(t)] - before.starts[t]
                np.take(of_step(kept, before.step(t), H), which, axis=1, out=of_step(result, after.step(t), H))
        return result

    def sort(self, first: Array, dtype: Any) -> Array:
        """Return initial states (N, H) in the order of packing, a copy."""
        return first[self.order].astype(dtype, order="C", copy=False)  # type: ignore[no-any-return]

    def unsort(self, first: Array) -> Array:
        """Invert :meth:`sort`."""
        result = np.empty_like(first)
        result[self.order] = first
        return result

    def pack(self, x: Array) -> Array:
        """Return values for every step of every sequence, (N, T, …), as contiguous rows (M, …)."""
        if self._whole:  # the same result in two thirds of the time
            return np.array(x.swapaxes(0, 1), order="C").reshape(len(self.rows), *x.shape[2:])
        return x[self.rows, self.times]  # type: ignore[no-any-return]

    def unpack(self, rows: Array) -> Array:
        """Invert :meth:`pack`: return rows (M, D) as (N, T, D), with zeros after the end of each sequence."""
        if self._whole:
            return np.array(rows.reshape(self.T, self.N, rows.shape[1]).swapaxes(0, 1), order="C")
        result = np.zeros((self.N, self.T, rows.shape[1]), rows.dtype)
        result[self.rows, self.times] = rows
        return result

    def states_before(self, first: Array, after: Array) -> Array:
        """Return the initial state of each row (M, H), :meth:`Group.before` of all steps, a copy."""
        result = np.empty_like(after)
        for group, start in self._starting():
            result[start] = first[group.first][: start.stop - start.start]
            later = slice(start.stop, start.stop + len(group.previous))
            np.take(after, group.previous, axis=0, out=result[later], mode="clip")
        return result

    def pull_before(self, g: Array, after: Array) -> Array:
        """The VJP of :meth:`states_before`: cotangents of the initial states (N, H); adds those of ``after`` to it."""
        first = np.zeros((self.N, g.shape[1]), g.dtype)
        for group, start in self._starting():
            first[group.first][: start.stop - start.start] += g[start]
            after[group.previous] += g[start.stop :][: len(group.previous)]
        return self.unsort(first)

    def _starting(self) -> Iterator[tuple[Group, slice]]:
        """Return each group that has steps, and the rows of its first step."""
        return ((group, group.step(0)) for group in self.groups if group.steps)


class Inputs:
    """The row of the inputs that each packed row takes.

    With inputs x (N, T, D), each packed row has its own. With ``indices`` (N, T), step t of sequence n takes row
    indices[n, t] of a table x (U, D). Each row of the table is projected once, even if many steps take it: the 300
    words of a batch of captions are about 120 distinct ones. P is the number of projected rows, M or U.

    Attributes:
        which: the row of the table for each packed row (M,), or None.
    """

    def __init__(self, packing: Packing, indices: Array | None = None) -> None:
        self.packing, self.indices = packing, indices
        self.which = None if indices is None else packing.pack(indices)

    def rows(self, x: Array) -> Array:
        """Return the rows to project (P, D)."""
        return self.packing.pack(x) if self.which is None else x

    def take(self, projected: Array, step: slice) -> Array:
        """Return the projected rows (P, G) that the packed rows of a step take (n, G)."""
        return projected[step if self.which is None else self.which[step]]

    def gather(self, cotangent: Array, size: int) -> Array:
        """The VJP of :meth:`take` for all steps: cotangents (M, G) summed for each of P projected rows (P, G)."""
        return cotangent if self.which is None else sum_rows(cotangent, self.which, size)

    def unpack(self, cotangent: Array) -> Array:
        """The VJP of :meth:`rows`: cotangents (P, D) in the shape of x."""
        return self.packing.unpack(cotangent) if self.which is None else cotangent


def check_places(x: Array, indices: Any, N: int) -> Array:
    """Return indices as an array (N, T); raise unless each of them is the index of a row of x (U, D)."""
    refuse_masked(indices)
    array = np.asarray(indices)
    if array.ndim != 2 or len(array) != N:
        raise ValueError(f"indices must be (N, T) with N = {N} as in h0, not {array.shape}")
    if x.ndim != 2:
        raise ValueError(f"x must be rows (U, D) if indices are given, not of shape {x.shape}")
    check_indices(array, len(x), "indices")
    return array


def _checked(lengths: Any, N: int, T: int) -> Array:
    refuse_masked(lengths)
    array = np.asarray(lengths)
    if array.shape != (N,) or (array.dtype.kind not in "iu" and array.size):
        raise ValueError(f"lengths must be {N} integers, one for each sequence, not {array.dtype} {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() <= T):
        raise ValueError(f"lengths must be from 0 to T = {T}, not from {array.min()} to {array.max()}")
    return array.astype(np.intp)

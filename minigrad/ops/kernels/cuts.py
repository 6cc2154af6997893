"""Packed sequences cut behind the last of their steps that a cotangent reaches.

Going back, a step matters only if a cotangent arrives at it or at one behind it. A worked example: N = 2 sequences of
T = 3 steps, and cotangents that arrive at the first two steps of sequence 0 and at the first of sequence 1. Of six
rows three are left:

>>> packing = Packing(N=2, T=3)
>>> packing.rows, packing.times
(array([0, 1, 0, 1, 0, 1]), array([0, 0, 1, 1, 2, 2]))
>>> cut = Cut(packing, np.array([2, 1]))
>>> cut.packing.rows, cut.packing.times, cut.places
(array([0, 1, 0]), array([0, 0, 1]), array([0, 1, 2]))

What the forward kept of the rows that are left is copied, once, and then all goes on as if nobody had ever asked for
the others; their cotangents are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...observers import current
from ...spec import Array
from .packing import Inputs, Packing
from .reached import ENOUGH, rows_with_any

__all__ = ["Cut", "cut_where_unreached"]

_WORTH = 2**22  # multiplications in all steps: of fewer the copies take as long as what is spared


class Cut:
    """A packing with some of its sequences cut, and what of the old one goes where.

    Attributes:
        packing: the new one.
        places: for each of its rows, which of the old one's rows it is.
    """

    __slots__ = ("old", "packing", "places")

    def __init__(self, old: Packing, lengths: Array) -> None:
        self.old, self.packing = old, old.cut(lengths)
        rows = np.empty((old.N, old.T), np.intp)
        rows[old.rows, old.times] = np.arange(len(old.rows))
        self.places: Array = rows[self.packing.rows, self.packing.times]

    def rows(self, x: Any) -> Any:
        """What there is for each old row (M, …), of the new ones; None stays None."""
        return None if x is None else x[self.places]

    def first(self, states: Array) -> Array:
        """Initial states (N, H), in the old order, in the new one."""
        return self.packing.sort(self.old.unsort(states), states.dtype)

    def steps(self, kept: Array, H: int) -> Array:
        """What :func:`.sequences.run` kept of steps (M, S H), the entries of n rows as (S, n, H), of the new ones."""
        result = np.empty((len(self.places), kept.shape[1]), kept.dtype)
        for before, after in zip(self.old.groups, self.packing.groups, strict=True):
            for t in range(after.steps):
                old, new = kept[before.step(t)], result[after.step(t)]
                which = self.places[after.step(t)] - before.starts[t]
                np.take(old.reshape(-1, len(old), H), which, axis=1, out=new.reshape(-1, len(new), H))
        return result

    def inputs(self, inputs: Inputs, rows: Array) -> tuple[Inputs, Array]:
        """What the new steps take in, and the rows to project (P, D)."""
        if inputs.which is None:
            return Inputs(self.packing, None), self.rows(rows)
        return Inputs(self.packing, which=self.rows(inputs.which)), rows


def cut_where_unreached(packing: Packing, Wh: Array, cotangents: Sequence[Array | None]) -> Cut | None:
    """The cut behind the last step of each sequence that a cotangent (M, H) reaches, or None if it would not pay.

    Nor is anything cut while somebody records the steps one by one, who is to see all of them.
    """
    if len(packing.rows) * prod(Wh.shape) < _WORTH or any(observer.stepwise for observer in current()):
        return None
    reached = np.zeros(len(packing.rows), bool)
    for g in cotangents:
        if g is not None and not reached.all():
            reached |= rows_with_any(g)
    lengths = np.zeros(packing.N, np.intp)
    lengths[packing.rows[reached]] = packing.times[reached] + 1  # a sequence's later rows come later, and stay
    return Cut(packing, lengths) if lengths.sum() <= (1 - ENOUGH) * len(reached) else None

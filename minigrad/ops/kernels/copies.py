"""Every sequence several times: how the loops of recurrent layers take many cotangents at once.

What goes back through the steps is linear, so R cotangents of N sequences are one cotangent of R N sequences, of which
sequence n has the copies n R … n R + R - 1 (:meth:`.packing.Packing.repeated`). Row m of M rows becomes the rows m R …
m R + R - 1, one for each cotangent, and a step of n rows one of n R rows: its products are R times as thick, and as
fast as those of a larger batch. What the steps keep is repeated for it. Gradients of weights are sums over rows, and
taken for each copy by itself.

Below, R cotangents come with an axis in front, *apart*: (R, M, H) of states after each row, (R, N, H) of first states.
*Joined* they are (M R, H) and (N R, H). What a step of n rows keeps as (S, n, H) in the memory of its rows
(:func:`.slopes.of_step`) is joined step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...spec import Array
from ...summation import block_sum
from .numerics import widened
from .packing import Inputs, Packing
from .slopes import steps_of

__all__ = ["Copies", "each", "pull_weights_of_copies"]


class Copies:
    """R copies of the sequences of a packing.

    Attributes:
        R: how many there are of each. packing: of all of them. steps: the rows of the steps of the packing that is
            copied. H: the columns of a state.

    >>> copies = Copies(Packing(N=2, T=2, lengths=[1, 2]), R=3, H=1)
    >>> copies.packing.rows // 3, copies.packing.times
    (array([1, 1, 1, 0, 0, 0, 1, 1, 1]), array([0, 0, 0, 0, 0, 0, 1, 1, 1]))
    """

    __slots__ = ("H", "R", "packing", "steps")

    def __init__(self, packing: Packing, R: int, H: int) -> None:
        self.R, self.H = R, H
        self.packing, self.steps = packing.repeated(R), steps_of(packing)

    def repeat(self, rows: Array) -> Array:
        """Rows (M, D) that are the same for all copies, joined."""
        return np.repeat(rows, self.R, axis=0)

    def join(self, g: Array) -> Array:
        """Cotangents of rows, (R, M, D) as (M R, D)."""
        return g.swapaxes(0, 1).reshape(g.shape[1] * self.R, g.shape[2])

    def part(self, rows: Array) -> Array:
        """The inverse of :meth:`join`."""
        apart = rows.reshape(len(rows) // self.R, self.R, rows.shape[1])
        return np.ascontiguousarray(apart.swapaxes(0, 1))

    def repeat_steps(self, kept: Array) -> Array:
        """What the steps keep (M, S H), the same for all copies, joined."""
        return self.join_steps(np.broadcast_to(kept, (self.R, *kept.shape)))

    def join_steps(self, g: Array) -> Array:
        """Cotangents of what the steps keep, (R, M, S H) as (M R, S H)."""
        joined = np.empty((g.shape[1] * self.R, g.shape[2]), g.dtype)
        for step, into, apart, together in self._layouts(g.shape[2]):
            joined[into].reshape(together)[...] = g[:, step].reshape(apart).transpose(1, 2, 0, 3)
        return joined

    def part_steps(self, joined: Array) -> Array:
        """The inverse of :meth:`join_steps`."""
        g = np.empty((self.R, len(joined) // self.R, joined.shape[1]), joined.dtype)
        for step, of, apart, together in self._layouts(joined.shape[1]):
            values = joined[of].reshape(together).transpose(2, 0, 1, 3)
            g[:, step] = values.reshape(apart).reshape(self.R, step.stop - step.start, joined.shape[1])
        return g

    def _layouts(self, columns: int) -> list[tuple[slice, slice, tuple[int, ...], tuple[int, ...]]]:
        """Of each step its rows, and those of its copies, and the shapes of both: (R, S, n, H) and (S, n, R, H)."""
        S, R, H = columns // self.H, self.R, self.H
        sizes = [(step, step.stop - step.start) for step in self.steps]
        return [(step, slice(step.start * R, step.stop * R), (R, S, n, H), (S, n, R, H)) for step, n in sizes]


def each(function: Callable[[Array], Array], g: Any) -> Any:
    """A function of every one of several cotangents; of None it is None."""
    return None if g is None else np.stack([function(one) for one in g])


def pull_weights_of_copies(
    needs: tuple[bool, ...], da: Array, dp: Array, rows: Array, before: Array, Wx: Array, inputs: Inputs
) -> tuple[Array | None, Array | None, Array | None, Array | None]:
    """As :func:`.sequences.pull_weights`, from da and dp (R, M, gates H): cotangents of x, Wx, Wh and b, R in front.

    Args:
        before: the state that each row started from (M, H).
    """
    gathered = dp if inputs.which is None else each(lambda d: inputs.gather(d, rows), dp)
    return (
        each(inputs.unpack, gathered @ widened(Wx).T) if needs[0] else None,
        widened(rows).T @ gathered if needs[2] else None,
        before.T @ da if needs[3] else None,
        block_sum(gathered, 1) if needs[4] else None,
    )

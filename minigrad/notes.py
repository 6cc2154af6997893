"""What is noted of a node for drawings: numbers of its values and gradients, and the line that called it.

:mod:`minigrad.recording` writes these notes. They hold a few numbers for each array, never the array.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .spec import Array, Spec

__all__ = ["Note", "Stats", "norm_of"]

BINS = 24
"""Bars of a histogram."""


@dataclass(frozen=True, slots=True)
class Stats:
    """An array in a few numbers.

    norm: the Euclidean norm, NaN or infinite if an entry is; mean, std, low, high: of the finite entries; unusual: how
    many entries are NaN or infinite; bars: how many finite entries lie in each of `BINS` equal intervals from low
    to high.
    """

    size: int
    norm: float
    mean: float
    std: float
    low: float
    high: float
    unusual: int
    bars: tuple[int, ...]

    @classmethod
    def of(cls, array: Array) -> Stats:
        """Of any array of numbers.

        >>> Stats.of(np.array([3.0, 4.0])).norm
        5.0
        """
        x = np.asarray(array, np.float64).ravel()
        good = x[np.isfinite(x)]
        unusual = x.size - good.size
        if not good.size:
            return cls(x.size, norm_of(x), 0.0, 0.0, 0.0, 0.0, unusual, (0,) * BINS)
        low, high = float(good.min()), float(good.max())
        scale = max(-low, high) or 1.0  # so that no square and no sum of large entries overflows
        small = good / scale
        mean, std = float(small.mean()) * scale, float(small.std()) * scale
        return cls(x.size, norm_of(x), mean, std, low, high, unusual, _bars(small, low / scale, high / scale))


def norm_of(array: Array) -> float:
    """The Euclidean norm of all entries, computed in float64 and without overflow.

    >>> norm_of(np.array([3e200, 4e200]))
    5e+200
    """
    x = np.asarray(array, np.float64).ravel()
    scale = float(np.abs(x).max(initial=0.0))
    if scale == 0 or not np.isfinite(scale):
        return scale
    return float(np.linalg.norm(x / scale)) * scale


def _bars(x: Array, low: float, high: float) -> tuple[int, ...]:
    """How many entries lie in each interval; all in the middle one if there is nothing between low and high."""
    span = high - low
    if span == 0:
        return tuple(x.size if i == BINS // 2 else 0 for i in range(BINS))
    place = np.minimum(((x - low) / span * BINS).astype(np.int64), BINS - 1)
    return tuple(np.bincount(place, minlength=BINS).tolist())


@dataclass(slots=True)
class Note:
    """What was noted of a node.

    line: file and line of the call. inputs: shape and dtype of each array argument, constants too; None for one that
    was left out. numbers: the value of each constant that is a single number, by its place among the inputs.

    values, gradients: of each output, None where none was seen. flows: the norm of the gradient that went on to each
    argument, by its name.

    Of a sequence primitive, the norm at each time step: value_steps and gradient_steps of each output, where the
    gradient of a state is summed over all later steps; direct_steps of the part of it that came from outside; and
    flow_steps of what went on to an argument that has a time axis.

    forward_time, backward_time: how long the forward and the VJP took in the last profile, in nanoseconds; None if they
    were not profiled.
    """

    line: str = ""
    inputs: tuple[Spec | None, ...] = ()
    numbers: dict[int, float] = field(default_factory=dict)
    values: list[Stats | None] = field(default_factory=list)
    gradients: list[Stats | None] = field(default_factory=list)
    value_steps: dict[int, list[float]] = field(default_factory=dict)
    gradient_steps: dict[int, list[float]] = field(default_factory=dict)
    direct_steps: dict[int, list[float]] = field(default_factory=dict)
    flows: dict[str, float] = field(default_factory=dict)
    flow_steps: dict[str, list[float]] = field(default_factory=dict)
    forward_time: int | None = None
    backward_time: int | None = None

"""Numerical derivatives, by differences of a function's values.

They are taken in float64 by the fourth-order central difference along a displacement v of the inputs,

    D(t) = (8 (f(x + tv) - f(x - tv)) - (f(x + 2tv) - f(x - 2tv))) / 12t,

of every output by itself, so that a constant part of an output vanishes before the outputs are weighted and summed.
Its error is of order t^4 + eps |f| / t. A displacement is 1e-4 of an entry's size, or of 1 if that is larger, but not
more than 1e-2 of the entry, whose function may have a pole at 0. Where that is not good enough, D is taken at
steps of all sizes; two steps that agree best tell the derivative and how well it is known (Ridders, 1982).

Large steps may agree with one another and yet tell nothing: behind a pole, a kink or several periods. A derivative is a
limit, so where three steps in a row agree, they overrule what larger steps tell otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..core import Tensor, no_grad
from ..runtime.contexts import errstate
from ..spec import Array

__all__ = [
    "RESOLUTION", "STEP", "Best", "Estimate", "Points", "Slopes", "entry_moves", "numerical_gradient", "precision_of",
    "steps_of",
]  # fmt: skip

Points = dict[int, Array]
"""Arrays in float64 by the number of the input."""
STEP = 1e-4
"""The usual step, in units of an entry's size or of 1."""
RESOLUTION = 1e-3
"""A derivative that differences tell less well, in units of its size, counts as not known."""
_SMALLEST = -6  # the power of 10 of the smallest step that is tried, in units of the usual one
_AGREE = 1e-3  # by how much of their size the derivatives of two steps may differ and be taken for the limit
_ROUNDING = 8  # units in the last place of each output, in the twelve differences' worst case


class Estimate(NamedTuple):
    """Derivatives of weighted sums of the outputs, an entry for each set of weights."""

    slope: Array
    terms: Array  # the sum of magnitudes of what the slope is a sum of
    noise: Array  # what rounding of the outputs that moved may contribute
    moved: Array  # which outputs did


class Best(NamedTuple):
    """The best known derivatives of weighted sums of the outputs, an entry for each set of weights."""

    slope: Array
    terms: Array  # the sum of magnitudes of what the slope is a sum of
    error: Array  # by how much the two steps that agree best differ, and what rounding may contribute
    jumps: Array  # whether the smallest steps tell derivatives that grow without bound
    constant: Array  # whether nothing moves by the smallest steps, although it would by the slope


@dataclass
class Slopes:
    """Numerical derivatives, at a point, of the outputs' sums with some sets of weights (a row each)."""

    outputs: Callable[[Points], Array]  # all in one float64 vector
    point: Points
    weights: Array
    precision: Array  # of each output, as its dtype has it

    def __post_init__(self) -> None:
        self.sizes = np.abs(self.weights)
        base = self.outputs(self.point)
        with errstate(all="ignore"):
            self.rounding = np.where(np.isfinite(base), _ROUNDING * self.precision * np.abs(base), 0)
        self.base = base

    def _at(self, move: Points, t: float) -> Array:
        """The outputs at the point moved by t; NaN where the function is not defined."""
        moved = {**self.point, **{i: self.point[i] + t * v for i, v in move.items()}}
        try:
            return self.outputs(moved)
        except (ValueError, ArithmeticError):
            return np.full_like(self.base, np.nan)

    def _change(self, move: Points, t: float) -> Array:
        ahead, behind = self._at(move, t), self._at(move, -t)
        return np.where(ahead == behind, 0.0, ahead - behind)  # infinities that stay do not count

    def along(self, move: Points, t: float = 1.0) -> Estimate:
        """The derivative with respect to t, by differences of steps t and 2t."""
        with errstate(all="ignore"):
            near, far = self._change(move, t), self._change(move, 2 * t)
            each = (8 * near - far) / (12 * t)
            moved = (near != 0) | (far != 0)
            noise = self.sizes @ np.where(moved, self.rounding, 0) / t
            return Estimate(self.weights @ each, self.sizes @ np.abs(each), noise, moved)

    def stays(self, move: Points, t: float) -> bool:
        """Whether not a bit of the outputs changes even by a large step."""
        with errstate(all="ignore"):
            return all(np.array_equal(self._at(move, s), self.base, equal_nan=True) for s in (t, -t))

    def best(self, move: Points, largest: float) -> Best:
        """The derivatives of the steps that agree best among powers of 10, for each set of weights."""
        steps = [10.0**k for k in range(_SMALLEST, round(math.log10(largest)) + 1)]
        found = [self.along(move, t) for t in steps]
        moved = np.any([f.moved for f in found], axis=0)
        # Where nothing moves at all, it may move by less than rounding.
        rounding = self.sizes @ np.where(moved, self.rounding, 0) if moved.any() else self.sizes @ self.rounding
        blur = _blur(self.point, move)
        with errstate(all="ignore"):
            doubts = [
                np.abs(here.slope - there.slope) + rounding / t
                for here, there, t in zip(found, found[1:], steps[1:], strict=False)
            ]
            overruled = _overruled(found, doubts, steps, blur)
            slope, terms = np.full_like(rounding, np.nan), np.zeros_like(rounding)
            error = np.full_like(rounding, np.inf)
            for i, doubt in enumerate(doubts):
                here, there = found[i], found[i + 1]
                truncated = rounding / steps[i] <= np.abs(here.slope - there.slope)  # else rounding sets them apart
                better = (doubt < error) & ~overruled[i]
                slope = np.where(better, np.where(truncated, here.slope, there.slope), slope)
                terms = np.where(better, np.where(truncated, here.terms, there.terms), terms)
                error = np.where(better, doubt, error)
            small = [(f.terms, rounding / t) for f, t in zip(found, steps, strict=True) if blur <= 0.01 * t][:3]
            return Best(slope, terms, error, *_breaks(small, terms))


def _breaks(small: list[tuple[Array, Array]], terms: Array) -> tuple[Array, Array]:
    """Whether a function jumps at the point, or is constant near it though not further off, by the smallest steps.

    Of those: the derivative's terms and what rounding may contribute, for each set of weights.
    """
    if len(small) < 3:
        return np.zeros(terms.shape, bool), np.zeros(terms.shape, bool)
    (first, noise), (second, _), (third, _) = small
    jumps = (first > 5 * second) & (second > 5 * third) & (first > 10 * noise)  # a jump's change over ever less
    constant = (first + second + third == 0) & (noise <= RESOLUTION * terms)
    return jumps, constant


def _blur(point: Points, move: Points) -> float:
    """Units in the last place of the inputs that move, in units of their displacement."""
    size = sum(float(np.abs(point[i]).sum(where=v != 0)) for i, v in move.items())
    length = sum(float(np.abs(v).sum()) for v in move.values())
    return 4 * float(np.finfo(np.float64).eps) * size / length if length else 0.0


def _overruled(found: list[Estimate], doubts: list[Array], steps: list[float], blur: float) -> list[Array]:
    """For each two steps in a row, and each set of weights, whether smaller ones agree on another derivative."""
    overruled = [np.zeros(doubt.shape, bool) for doubt in doubts]
    for j in range(len(found) - 2):
        near, far = found[j], found[j + 2]
        agreed = (near.terms > 0) & (doubts[j] <= _AGREE * near.terms)
        agreed &= np.abs(near.slope - far.slope) <= 10 * _AGREE * near.terms
        if agreed.any() and blur <= 1e-5 * steps[j]:  # not by chance, where steps are as small as rounding
            for i in range(j + 1, len(doubts)):
                overruled[i] |= agreed & ~(np.abs(found[i].slope - near.slope) <= doubts[i] + doubts[j])
    return overruled


def steps_of(x: Array) -> Array:
    """How far to move each entry of an array."""
    size = np.abs(x)
    step = np.minimum(STEP * np.maximum(1.0, size), size / 100)
    return np.where(step > 1e-290, step, STEP)


def entry_moves(x: Array) -> Iterator[tuple[tuple[int, ...], float, Array, float]]:
    """For each entry its index, its step, the displacement of the array, and the largest step in units of that."""
    steps = steps_of(x)
    for index in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[index] = step = float(steps[index])
        yield index, step, move, max(1.0, abs(float(x[index]))) / step


def numerical_gradient(f: Callable[..., Any], x: Any, cotangent: Any = None, h: float | None = None) -> Array:
    """The gradient of <cotangent, f(x)> by central differences in float64, entry by entry.

    Args:
        f: a function of one tensor that returns a tensor.
        x: floats of any shape; not changed.
        cotangent: of the output's shape; may be left out if the output is a single number.
        h: a fixed step, in units of the entry's size or 1, whichever is larger. By default it suits the entry, and
            other steps are tried where the first two do not agree to about 1e-8.

    Returns:
        float64 of x's shape. An entry that rounding hides is as good as differences can tell; see :func:`gradcheck`
        for a verdict.

    Raises:
        ValueError: if the output has several entries and no cotangent of its shape is given.

    >>> numerical_gradient(lambda x: (x * x).sum(), [1.0, 2.0]).round(6)
    array([2., 4.])
    """
    point = np.array(x.data if isinstance(x, Tensor) else x, dtype=np.float64)
    weight = None if cotangent is None else np.asarray(cotangent, dtype=np.float64)

    def compute(points: Points) -> Tensor:
        with no_grad():
            return f(Tensor(points[0]))  # type: ignore[no-any-return]

    out = compute({0: point})
    if weight is None and out.size != 1:
        raise ValueError(f"numerical_gradient: an output of shape {out.shape} needs a cotangent of that shape")
    if weight is not None and weight.shape != out.shape:
        raise ValueError(f"numerical_gradient: cotangent {weight.shape} does not fit the output {out.shape}")
    weights = (np.ones(1) if weight is None else weight).reshape(1, -1)
    slopes = Slopes(
        lambda points: np.asarray(compute(points).data, np.float64).reshape(-1),
        {0: point}, weights, np.full(out.size, precision_of(out.dtype))
    )  # fmt: skip
    gradient = np.zeros_like(point)
    for index, step, move, largest in entry_moves(point):
        if h is not None:
            move[index] = step = h * max(1.0, float(abs(point[index])))
        first = slopes.along({0: move})
        slope, apart = first.slope[0], 0.0
        if h is None:
            apart = abs(slope - slopes.along({0: move}, 0.5).slope[0])
            if not apart + first.noise[0] <= 1e-8 * first.terms[0]:
                slope = slopes.best({0: move}, largest).slope[0]
        gradient[index] = slope / step
    return gradient


def precision_of(dtype: Any) -> float:
    """The distance from 1 to the next number of a floating dtype; 0 for any other."""
    return float(np.finfo(dtype).eps) if np.dtype(dtype).kind == "f" else 0.0

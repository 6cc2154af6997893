"""Compute numerical derivatives and their errors, by differences of a function's values.

The derivative along a displacement v of the inputs is the fourth-order central difference, in float64,

    D(t) = (8 (f(x + tv) - f(x - tv)) - (f(x + 2tv) - f(x - 2tv))) / 12t.

It is computed for each output separately, so that constant parts vanish before outputs are weighted and summed. Its
error is of order t^4 + eps |f| / t. An entry x moves by 1e-4 max(1, |x|), but at most by 1e-2 |x|, since the function
may have a pole at 0. If that is not accurate enough, D is computed for steps of many sizes. The two neighbouring steps
that agree best give the derivative and its error (Ridders, 1982).

Two large steps can agree on a wrong slope if both cross a pole, a kink or several periods. So three successive smaller
steps that agree overrule them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..core import Tensor, no_grad
from ..spec import Array

__all__ = ["RESOLUTION", "STEP", "Points", "Slopes", "entry_moves", "numerical_gradient", "precision_of", "steps_of"]

Points = dict[int, Array]
"""Arrays in float64, by the number of the input."""
STEP = 1e-4
"""The usual step, in units of an entry's size or of 1."""
RESOLUTION = 1e-3
"""A derivative with a larger relative error counts as unknown."""
_SMALLEST = -6  # the smallest step is 10 to this power, in units of the usual step
_AGREE = 1e-3  # derivatives of two steps agree up to this relative difference
_ROUNDING = 8  # the worst case of the rounding error, in units in the last place of each output


class Slopes:
    """Numerical derivatives, at a point, of weighted sums of a function's outputs, one for each row of weights.

    Args:
        outputs: the function; returns all outputs at a point in one float64 vector.
        point: the inputs.
        weights: a row for each set of weights.
        precision: the eps of each output's dtype.
    """

    def __init__(self, outputs: Callable[[Points], Array], point: Points, weights: Array, precision: Array) -> None:
        self.outputs, self.point, self.weights, self.sizes = outputs, point, weights, np.abs(weights)
        self.base = outputs(point)
        with np.errstate(all="ignore"):
            self.rounding = np.where(np.isfinite(self.base), _ROUNDING * precision * np.abs(self.base), 0)

    def _at(self, move: Points, t: float) -> Array:
        """Return the outputs at the point moved by t; NaN where the function is not defined."""
        moved = {**self.point, **{i: self.point[i] + t * v for i, v in move.items()}}
        try:
            return self.outputs(moved)
        except (ValueError, ArithmeticError):
            return np.full_like(self.base, np.nan)

    def _change(self, move: Points, t: float) -> Array:
        ahead, behind = self._at(move, t), self._at(move, -t)
        return np.where(ahead == behind, 0.0, ahead - behind)  # infinities that stay the same do not count

    def along(self, move: Points, t: float = 1.0) -> tuple[Array, Array, Array, Array]:
        """The derivatives with respect to t, by differences of steps t and 2t.

        Returns:
            for each set of weights the slope, the sum of the magnitudes of its terms, and the error due to rounding.
            Also which outputs changed; only their rounding counts.
        """
        with np.errstate(all="ignore"):
            near, far = self._change(move, t), self._change(move, 2 * t)
            each = (8 * near - far) / (12 * t)
            moved = (near != 0) | (far != 0)
            lost = np.where(moved, self.rounding, 0) / t
            return self.weights @ each, self.sizes @ np.abs(each), self.sizes @ lost, moved

    def is_constant(self, move: Points, t: float) -> bool:
        """Return whether a step of size t leaves all outputs exactly the same."""
        with np.errstate(all="ignore"):
            return all(np.array_equal(self._at(move, s), self.base, equal_nan=True) for s in (t, -t))

    def best(self, move: Points, largest: float) -> tuple[Array, Array, Array, Array, Array]:
        """The derivatives by the two neighbouring steps, among powers of 10, that agree best.

        Returns:
            for each set of weights the slope; the sum of the magnitudes of its terms; the error, which is the
            difference between the two steps plus the error due to rounding; whether the function jumps at the point,
            so that the slopes of the smallest steps grow without bound; and whether it is constant near the point,
            but larger steps show a slope.
        """
        steps = np.array([10.0**k for k in range(_SMALLEST, round(math.log10(largest)) + 1)])
        slopes, terms, _, moved = map(np.array, zip(*(self.along(move, float(t)) for t in steps), strict=True))
        # Outputs that do not change may change by less than rounding.
        rounding = self.sizes @ np.where(moved.any(axis=0) | ~moved.any(), self.rounding, 0)
        fine = self._smallest_step(move)
        with np.errstate(all="ignore"):
            doubts = np.abs(slopes[:-1] - slopes[1:]) + rounding / steps[1:, None]
            overruled = np.zeros(doubts.shape, bool)
            for j in range(len(steps) - 2):  # if three small steps agree, larger ones must match them
                agreed = (terms[j] > 0) & (doubts[j] <= _AGREE * terms[j]) & (fine <= 1e-5 * steps[j])
                agreed &= np.abs(slopes[j] - slopes[j + 2]) <= 10 * _AGREE * terms[j]
                overruled[j + 1 :] |= agreed & ~(np.abs(slopes[j + 1 : -1] - slopes[j]) <= doubts[j + 1 :] + doubts[j])
            ranked = np.where(overruled | np.isnan(doubts), np.inf, doubts)
            i, sets = np.argmin(ranked, axis=0), np.arange(len(rounding))
            error = ranked[i, sets]
            # If the two steps differ because of rounding, the larger one is better, else the smaller one.
            chosen = i + (rounding / steps[i] > np.abs(slopes[i, sets] - slopes[i + 1, sets]))
            size = np.where(error < np.inf, terms[chosen, sets], 0)
            exact = np.flatnonzero(fine <= 0.01 * steps)[:3]
            jumps = constant = np.zeros(len(rounding), bool)
            if len(exact) == 3:
                (first, second, third), noise = terms[exact], rounding / steps[exact[0]]
                jumps = (first > 5 * second) & (second > 5 * third) & (first > 10 * noise)  # jump / step grows
                constant = (first + second + third == 0) & (noise <= RESOLUTION * size)
        return np.where(error < np.inf, slopes[chosen, sets], np.nan), size, error, jumps, constant

    def _smallest_step(self, move: Points) -> float:
        """Return the step that moves the inputs by about a unit in their last place."""
        size = sum(float(np.abs(self.point[i]).sum(where=v != 0)) for i, v in move.items())
        length = sum(float(np.abs(v).sum()) for v in move.values())
        return 4 * float(np.finfo(np.float64).eps) * size / length if length else 0.0


def steps_of(x: Array) -> Array:
    """Return the step of each entry of an array."""
    size = np.abs(x)
    step = np.minimum(STEP * np.maximum(1.0, size), size / 100)
    return np.where(step > 1e-290, step, STEP)


def entry_moves(x: Array) -> Iterator[tuple[tuple[int, ...], float, Array, float]]:
    """For each entry: its index, its step, the displacement of the array, and the largest factor for it."""
    steps = steps_of(x)
    for index in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[index] = step = float(steps[index])
        yield index, step, move, max(1.0, abs(float(x[index]))) / step


def numerical_gradient(f: Callable[..., Any], x: Any, cotangent: Any = None, h: float | None = None) -> Array:
    """Compute the gradient of <cotangent, f(x)> by central differences in float64, entry by entry.

    Args:
        f: a function of one tensor that returns a tensor.
        x: floats of any shape; not changed.
        cotangent: an array of the output's shape; not needed if the output is a single number.
        h: a fixed step, relative to ``max(1, |x|)`` for an entry x. By default the function chooses a step for each
            entry, and tries others if the first two differ by more than about 1e-8.

    Returns:
        a float64 array of x's shape. If rounding hides an entry, its value is the best estimate, and :func:`gradcheck`
        would raise.

    Raises:
        ValueError: if the output has several entries and no cotangent of its shape is given.

    >>> numerical_gradient(lambda x: (x * x).sum(), [1.0, 2.0]).round(6)
    array([2., 4.])
    """
    point = np.array(x.data if isinstance(x, Tensor) else x, dtype=np.float64)
    compute = no_grad()(f)
    out = compute(Tensor(point))
    if cotangent is None and out.size != 1:
        raise ValueError(f"numerical_gradient: an output of shape {out.shape} needs a cotangent of that shape")
    weight = np.ones(out.shape) if cotangent is None else np.asarray(cotangent, dtype=np.float64)
    if weight.shape != out.shape:
        raise ValueError(f"numerical_gradient: cotangent {weight.shape} does not fit the output {out.shape}")
    slopes = Slopes(
        lambda at: compute(Tensor(at[0])).data.astype(np.float64).reshape(-1),
        {0: point},
        weight.reshape(1, -1),
        np.full(out.size, precision_of(out.dtype)),
    )
    gradient = np.zeros_like(point)
    for index, step, move, largest in entry_moves(point):
        if h is not None:
            move[index] = step = h * max(1.0, float(abs(point[index])))
        (slope,), (terms,), (noise,), _ = slopes.along({0: move})
        if h is None and not abs(slope - slopes.along({0: move}, 0.5)[0][0]) + noise <= 1e-8 * terms:
            slope = slopes.best({0: move}, largest)[0][0]
        gradient[index] = slope / step
    return gradient


def precision_of(dtype: Any) -> float:
    """Return the distance from 1 to the next number of a floating dtype; 0 for any other dtype."""
    return float(np.finfo(dtype).eps) if np.dtype(dtype).kind == "f" else 0.0

"""A step length that satisfies the strong Wolfe conditions (Nocedal and Wright, 2006, algorithms 3.5 and 3.6).

Along a direction d the loss is a function f of the step length t, with slope f'(t) = g . d. A length is good if the
loss has fallen enough, f(t) <= f(0) + C1 t f'(0), and the slope is nearly gone, |f'(t)| <= C2 |f'(0)|.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ..spec import Array

__all__ = ["Trial", "strong_wolfe"]

_C1, _C2 = 1e-4, 0.9  # their choice for quasi-Newton methods
_MARGIN = 0.1  # of a bracket: two trials in a row nearer to an end than this would shrink it too little


class Trial(NamedTuple):
    """A step length that was tried: the loss there, its gradient, and the slope along the direction."""

    t: float
    f: float
    g: Array
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Trial], start: Trial, t: float, longest: float, tolerance: float, limit: int
) -> tuple[Trial, int]:
    """The best step length that was found, and how many were tried.

    First the length grows until a bracket holds a good one (algorithm 3.5), then the bracket shrinks (3.6); the next
    length is where a cubic through both ends has its minimum. The choices that the book leaves open are PyTorch's. A
    loss that is NaN counts as too high.

    Args:
        start: length 0.
        t: the first length to try; with 0 there is nothing to search.
        longest: the largest entry of the direction; a bracket in which no entry moves by ``tolerance`` is not shrunk.
        limit: how many lengths may be tried after the first.
    """
    if t == 0:
        return start, 0
    before, now = start, evaluate(t)
    for tried in range(limit):
        if not _has_fallen(now, start) or (tried > 1 and now.f >= before.f):
            return _zoom(evaluate, start, [before, now], longest, tolerance, tried, limit)
        if _is_flat(now, start):
            return now, tried + 1
        if now.slope >= 0:
            return _zoom(evaluate, start, [before, now], longest, tolerance, tried, limit)
        t = _minimum(before, now, now.t + 0.01 * (now.t - before.t), 10 * now.t)
        before, now = now, evaluate(t)
    return (now if now.f < start.f else start), limit + 1


def _has_fallen(trial: Trial, start: Trial) -> bool:
    return trial.f <= start.f + _C1 * trial.t * start.slope


def _is_flat(trial: Trial, start: Trial) -> bool:
    return abs(trial.slope) <= -_C2 * start.slope


def _zoom(
    evaluate: Callable[[float], Trial],
    start: Trial,
    bracket: list[Trial],
    longest: float,
    tolerance: float,
    tried: int,
    limit: int,
) -> tuple[Trial, int]:
    """Shrink a bracket to a good length; ``tried`` were tried after the first one before."""
    low = 1 if bracket[1].f < bracket[0].f else 0
    near_an_end = False
    while tried < limit:
        left, right = sorted(trial.t for trial in bracket)
        if (right - left) * longest < tolerance:
            break
        t = _minimum(bracket[0], bracket[1], left, right)
        margin = _MARGIN * (right - left)
        if min(right - t, t - left) >= margin:
            near_an_end = False
        elif near_an_end or t >= right or t <= left:
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near_an_end = False
        else:
            near_an_end = True
        new = evaluate(t)
        tried += 1
        if not _has_fallen(new, start) or new.f >= bracket[low].f:
            bracket[1 - low] = new
            low = 1 if bracket[1].f < bracket[0].f else 0
            continue
        if _is_flat(new, start):
            return new, tried + 1
        if new.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = new
    return bracket[low], tried + 1


def _minimum(a: Trial, b: Trial, lowest: float, highest: float) -> float:
    """Where the cubic with the values and slopes of two trials has its minimum (their equation 3.59), within bounds.

    In the middle, if it has none, a trial is not finite, or both are of one length, as rounding makes them.
    """
    if a.t == b.t:
        return (lowest + highest) / 2
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if 0 <= square < math.inf:
        d2 = math.sqrt(square)
        if divisor := b.slope - a.slope + 2 * d2:
            t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / divisor)
            return min(max(t, lowest), highest)
    return (lowest + highest) / 2

"""Check certificates that `theory.checker` has no kind for, with formulas that the search for them does not use.

Each `check_...` raises :class:`theory.Refuted` if a certificate is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, product

from theory.learning.derivatives import Layer
from theory.learning.descent import Range
from theory.refutation import require

__all__ = ["check_attracting", "check_pieces", "check_trap", "evaluate"]


def check_trap(C: Fraction, ranges: Sequence[Range]) -> None:
    """Raise Refuted unless the ranges contain Adam's moments in every period, and a period leads from 1 back to 1.

    The corrected moment after a step is w g^2 + (1 - w) times that before, with 1 - beta <= w <= 1, and w = 1 at step
    1. It is linear in w and in the moment before, so the ends of their ranges suffice. The way back is hardest in the
    first period, where the rate falls fastest.

    >>> check_trap(Fraction(3), [(Fraction(9), Fraction(9)), *[(Fraction(1), Fraction(1))] * 2])
    Traceback (most recent call last):
    theory.refutation.Refuted: step 1 of a period may lead to the moment 41/5
    """
    require(C > 2, f"C = {C} is not above 2, so the average regret may vanish")
    for k, square in enumerate((C**2, Fraction(1), Fraction(1))):
        for before, w in product(ranges[k - 1], (C**2 / (1 + C**2), Fraction(1))):
            moment = w * square + (1 - w) * before
            inside = 0 < ranges[k][0] <= moment <= ranges[k][1]
            require(inside, f"step {k + 1} of a period may lead to the moment {moment}")
    down, up, more = C**2 / ranges[0][0], 1 / (2 * ranges[1][1]), 1 / (3 * ranges[2][1])
    rest = down - up - more  # sqrt(down) <= sqrt(up) + sqrt(more), squared twice
    require(rest <= 0 or rest**2 <= 4 * up * more, "the steps up may be shorter than the step down")


def check_attracting(points: Sequence[Fraction], rate: Fraction) -> None:
    """Raise Refuted unless gradient descent on (a b - 1)^2 / 2 is attracted by a cycle of points (x, x), given by x.

    A turn must shrink small deviations. The Hessian has the eigenvalue 3 x^2 - 1 along (1, 1) and 1 - x^2 along
    (1, -1).

    >>> check_attracting([Fraction(1)], Fraction(3))
    Traceback (most recent call last):
    theory.refutation.Refuted: a turn multiplies a deviation by -5
    """
    for curvatures in ([3 * x**2 - 1 for x in points], [1 - x**2 for x in points]):
        factor = math.prod([1 - rate * curvature for curvature in curvatures], start=Fraction(1))
        require(abs(factor) < 1, f"a turn multiplies a deviation by {factor}")


def evaluate(layers: Sequence[Layer], x: Fraction) -> list[list[Fraction]]:
    """Return the input of each unit of a ReLU network, layer by layer; that of the last layer is the output.

    >>> evaluate(((((1, -1),), (0, 0)), (((1,), (-1,)), (0,))), Fraction(-2))
    [[Fraction(-2, 1), Fraction(2, 1)], [Fraction(-2, 1)]]
    """
    entering, h = [], [x]
    for W, b in layers:
        entering.append([sum((h[i] * W[i][j] for i in range(len(h))), Fraction(b[j])) for j in range(len(b))])
        h = [max(z, Fraction(0)) for z in entering[-1]]
    return entering


def check_pieces(layers: Sequence[Layer], ends: Sequence[Fraction], bound: int) -> list[Fraction]:
    """Return the slope of a ReLU network between adjacent ends; no unit may have opposite signs at them.

    By induction over the layers, the input of a unit is affine on each piece. So it is 0 everywhere or nowhere inside.

    >>> network = ((((1, -1),), (0, 0)), (((1,), (-1,)), (0,)))
    >>> check_pieces(network, (Fraction(-1), Fraction(1)), 1)
    Traceback (most recent call last):
    theory.refutation.Refuted: a unit of layer 0 changes its sign between -1 and 1
    """
    slopes = []
    require(ends[0] == -bound and ends[-1] == bound, f"the pieces do not reach from {-bound} to {bound}")
    for a, b in pairwise(ends):
        require(a < b, f"the ends {a} and {b} are not in order")
        left, right = evaluate(layers, a), evaluate(layers, b)
        for k in range(len(layers) - 1):
            same = all(p * q >= 0 for p, q in zip(left[k], right[k], strict=True))
            require(same, f"a unit of layer {k} changes its sign between {a} and {b}")
        slopes.append((right[-1][0] - left[-1][0]) / (b - a))
    return slopes

"""Runs of minigrad's optimisers, and their exact behaviour: Adam's trap, heavy ball's error, cycles, stability.

`theory.learning.certificates` and `theory.checker` check the trap and the cycles with other formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg

__all__ = [
    "CYCLE", "Cycle", "Derivative", "Loss", "Range", "descend", "envelope", "first_step", "heavy_ball", "is_stable",
    "lessard_loss", "periodic_run", "polyak", "product_loss", "quadratic", "trap", "two_cycle",
]  # fmt: skip

# Maps the parameters (n,) and the number of the step, counted from 1, to a loss.
Loss = Callable[[Any, int], Any]
Range = tuple[Fraction, Fraction]
# The pieces [end, c] of the derivative of a loss: sum of c_i x^i for the first with x < end or no end.
Derivative = tuple[tuple[int | None, tuple[int, ...]], ...]
# A derivative, the points that descent visits in turn, its rate and its momentum.
Cycle = tuple[Derivative, tuple[Fraction, ...], Fraction, Fraction]


def descend(
    loss: Loss, start: ArrayLike, steps: int, optimizer: Callable[[list[Any]], Any], decay: bool = False,
    box: float = math.inf,
) -> NDArray[np.float64]:  # fmt: skip
    """Return the initial parameters and those after each step, (steps + 1, n), in float64.

    start: (n,). optimizer: takes a list of parameters. decay: divide the rate of step t by sqrt(t).
    box: project the parameters onto [-box, box] after each step.

    >>> descend(lambda x, t: (x * x).sum(), [1.0], 2, lambda x: mg.optim.SGD(x, lr=0.25)).ravel()
    array([1.  , 0.5 , 0.25])
    """
    x = mg.tensor(np.array(start, np.float64), requires_grad=True)
    descent = optimizer([x])
    rate, states = descent.lr, [x.data.copy()]
    for t in range(1, steps + 1):
        x.grad = None
        loss(x, t).backward()
        descent.lr = rate / math.sqrt(t) if decay else rate
        descent.step()
        np.clip(x.data, -box, box, out=x.data)
        states.append(x.data.copy())
    return np.array(states)


# Adam --------------------------------------------------------------------------------------------


def trap(C: Fraction) -> tuple[Range, Range, Range]:
    """Return ranges of Adam's corrected second moment on the losses C x, -x, -x, …, after each step of a period.

    The betas are (0, 1 / (1 + C^2)). Source: S. J. Reddi, S. Kale and S. Kumar, On the Convergence of Adam (2018).

    >>> trap(Fraction(3))[1]
    (Fraction(1, 1), Fraction(9, 5))
    """
    b, one = 1 / (1 + C**2), Fraction(1)
    first, second, third = (1 - b) * C**2 + b, (1 - b) + b * C**2, (1 - b) * (1 + 2 * b)
    return (first, C**2), (one, second), (one, third)


def periodic_run(optimizer: Callable[..., Any], C: float, steps: int, **options: Any) -> NDArray[np.float64]:
    """Return x_1, x_2, … on [-1, 1], for the losses C x, -x, -x, … and the rates lr / sqrt(t).

    >>> periodic_run(mg.optim.SGD, 3.0, 3, lr=0.5).round(3)
    array([ 1.   , -0.5  , -0.146,  0.142])
    """

    def loss(x: Any, t: int) -> Any:
        return (C if t % 3 == 1 else -1.0) * x.sum()

    return descend(loss, [1.0], steps, partial(optimizer, **options), decay=True, box=1.0)[:, 0]


def first_step(scale: float, eps: float = 1e-8) -> float:
    """Return Adam's first step on the loss scale x, with the rate 0.1.

    >>> first_step(1e-8)
    -0.05
    """
    adam = partial(mg.optim.Adam, lr=0.1, eps=eps)
    return float(descend(lambda x, t: scale * x.sum(), [0.0], 1, adam)[1, 0])


# Heavy ball --------------------------------------------------------------------------------------


def quadratic(curvatures: ArrayLike) -> Loss:
    """Return the loss sum of curvature x^2 / 2, for parameters of the shape of the curvatures.

    >>> quadratic([1.0, 4.0])(mg.tensor([1.0, 2.0]), 1).item()
    8.5
    """
    return lambda x, t: (np.asarray(curvatures) / 2 * x**2).sum()


def polyak(q: Fraction) -> tuple[Fraction, Fraction]:
    """Return Polyak's rate and momentum for curvatures from 1 to q^2.

    >>> polyak(Fraction(5))
    (Fraction(1, 9), Fraction(4, 9))
    """
    return 4 / (q + 1) ** 2, ((q - 1) / (q + 1)) ** 2


def heavy_ball(loss: Loss, q: Fraction, start: Any, steps: int) -> NDArray[np.float64]:
    """Return the points of mg.optim.SGD with Polyak's rate and momentum for curvatures from 1 to q^2, (steps + 1, n).

    >>> heavy_ball(lessard_loss, Fraction(5), [1.0], 1).round(3).ravel()
    array([ 1.   , -1.778])
    """
    rate, momentum = map(float, polyak(q))
    return descend(loss, start, steps, partial(mg.optim.SGD, lr=rate, momentum=momentum))


def envelope(q: Fraction, k: int) -> Fraction:
    """Return r^k (1 + (1 + r) k), r = (q - 1) / (q + 1): the largest error of heavy ball after k steps from error 1.

    >>> float(max(envelope(Fraction(10), k) for k in range(20)))
    3.7072169685379164
    """
    r = (q - 1) / (q + 1)
    return r**k * (1 + (1 + r) * k)


def lessard_loss(x: Any, t: int = 0) -> Any:
    """Return 25/2 x^2 - 12 relu(x - 1)^2 + 12 relu(x - 2)^2, whose curvature is 1 between 1 and 2, and 25 elsewhere.

    Source: L. Lessard, B. Recht and A. Packard, Analysis and Design of Optimization Algorithms (2016).

    >>> mg.grad(lessard_loss)(mg.tensor([1.5])).item()
    25.5
    """
    return (12.5 * x**2 - 12 * mg.relu(x - 1) ** 2 + 12 * mg.relu(x - 2) ** 2).sum()


# Heavy ball's cycle on `lessard_loss`. Source: Lessard et al. (2016).
CYCLE: Cycle = (
    ((1, (0, 25)), (2, (24, 1)), (None, (-24, 25))),
    tuple(Fraction(p, 1225) for p in (792, -2208, 2592)),
    *polyak(Fraction(5)),
)


# Rates above 2 / curvature ------------------------------------------------------------------------


def is_stable(trace: Fraction, determinant: Fraction) -> bool:
    """Return whether z^2 - trace z + determinant has both roots inside the unit circle.

    Source: E. I. Jury, Theory and Application of the z-Transform Method (1964).

    >>> is_stable(Fraction(0), Fraction(1, 2)), is_stable(Fraction(2), Fraction(1))
    (True, False)
    """
    return abs(determinant) < 1 and abs(trace) < 1 + determinant


def product_loss(x: Any, t: int = 0) -> Any:
    """Return (a b - 1)^2 / 2 for x = (a, b): two linear layers of one unit each, for the input 1 and the target 1.

    >>> mg.hessian(product_loss)(mg.tensor([1.0, 1.0]))
    tensor([[1., 1.],
            [1., 1.]])
    """
    return (x[0] * x[1] - 1) ** 2 / 2


def two_cycle(k: Fraction) -> Cycle:
    """Return a cycle of gradient descent on `product_loss`, at the rate s + 1/s - 1, s = (k^2 - 1) / (2 k - 1), k > 2.

    Its points are (x, x) with x^2 = 1 / (s rate), and (s x, s x). They are rational as s^2 - s + 1 = (k - s)^2. Both
    parts of the gradient at (x, x) are x^3 - x, so the derivative and the points of the cycle are those of one part.

    >>> _, points, rate, _ = two_cycle(Fraction(3))
    >>> rate, points
    (Fraction(49, 40), (Fraction(5, 7), Fraction(8, 7)))
    """
    s = (k**2 - 1) / (2 * k - 1)
    x = 1 / (k - s)
    return ((None, (0, -1, 0, 1)),), (x, s * x), s + 1 / s - 1, Fraction(0)

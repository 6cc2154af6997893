"""The checkers of claims 6-1 to 6-5, one function for each proposition.

A checker whose case is a tuple first gives its parts names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from itertools import pairwise, permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from theory.checker import derivative_at, descent_cycle
from theory.learning import descent
from theory.learning.certificates import check_attracting, check_pieces, check_trap
from theory.learning.derivatives import (
    SMALLEST,
    Edges,
    Layer,
    dense_network,
    eliminate,
    intermediates,
    jacobians,
    multiply_adds,
    pieces,
    skip_network,
    slopes,
)
from theory.learning.domains import BOUND
from theory.refutation import Refuted, accepts, agree, certified, require


def is_refused(check: Callable[..., Any]) -> Callable[[tuple[Any, ...]], None]:
    """Return a checker that requires a check to reject a certificate, given as a tuple of arguments."""

    def refuse(certificate: tuple[Any, ...]) -> None:
        require(not accepts(check, *certificate), "it is accepted")

    return refuse


# 6-1: Adam -----------------------------------------------------------------------------------------


def regret_vanishes(C: Fraction) -> None:
    """Refute it with a trap: in each period the losses of Adam sum to C - 2 or more, those of -1 to 2 - C."""
    check_trap(C, descent.trap(C))
    bound = (2 * C - 4) / 3
    require(bound <= 0, f"it stays at {bound} or above")


def stays_in_the_trap(case: tuple[Fraction, float]) -> None:
    """Certify the trap; compare it with the moments by definition, and these with minigrad's steps."""
    C, rate = case
    ranges, b = descent.trap(C), 1 / (1 + C**2)
    check_trap(C, ranges)
    x = descent.periodic_run(mg.optim.Adam, float(C), 90, lr=rate, betas=(0.0, float(b)), eps=0.0)
    for t in range(1, 10):
        squares = [C**2 if i % 3 == 1 else 1 for i in range(1, t + 1)]
        moment = sum((1 - b) * b ** (t - i) * g for i, g in enumerate(squares, 1)) / (1 - b**t)
        low, high = ranges[(t - 1) % 3]
        require(low <= moment <= high, f"the moment {moment} of step {t} is outside of {low} to {high}")
        step = rate / math.sqrt(t * moment) * (float(C) if t % 3 == 1 else -1.0)
        agree(x[t], np.clip(x[t - 1] - step, -1, 1), f"x after step {t}")
    agree(x[::3], np.ones(31), "x after a period", 0)
    regret = min(np.cumsum(np.resize([float(C), -1, -1], 90) * (x[:-1] + 1)) / np.arange(1, 91))  # against -1
    require(regret >= (2 * float(C) - 4) / 3 - 1e-9, f"the average regret sinks to {regret}")


def scale_is_ignored(scale: float) -> None:
    """Compare the first step with that for the scale 1."""
    scaled, step = descent.first_step(scale), descent.first_step(1.0)
    require(abs(scaled - step) < 1e-9, f"{scaled:.3g} instead of {step:.3g}")


def scale_divides_eps(case: tuple[int, float, int]) -> None:
    """Compare all bits of the four weights of a tanh unit after ten steps on random data."""
    exponent, eps, seed = case
    x, y = np.split(np.random.default_rng(seed).standard_normal((8, 5)), [4], axis=1)

    def trained(scale: float, eps: float) -> NDArray[np.float64]:
        adam = partial(mg.optim.Adam, lr=0.01, eps=eps)
        return descent.descend(lambda w, t: scale * ((mg.tanh(x @ w) - y[:, 0]) ** 2).mean(), np.zeros(4), 10, adam)

    scaled, divided = trained(2.0**exponent, eps), trained(1.0, eps / 2.0**exponent)
    require(np.array_equal(scaled, divided), f"weights differ by up to {np.abs(scaled - divided).max()}")


# 6-2: heavy ball -----------------------------------------------------------------------------------


def converges_from(start: int) -> None:
    """Follow heavy ball for 300 steps."""
    x = descent.heavy_ball(descent.lessard_loss, Fraction(5), [start], 300)[-1, 0]
    require(abs(x) < 1e-6, f"after 300 steps x = {x:.6f}, and the minimum is at 0")


def error_falls(q: Fraction) -> None:
    """Follow heavy ball for 40 steps along the largest curvature."""
    errors = np.abs(descent.heavy_ball(descent.quadratic([float(q**2)]), q, [1.0], 40))[:, 0]
    k = int(errors.argmax())
    require(k == 0, f"it grows {errors[k]:.4g}-fold up to step {k}")


def ends_on_the_cycle(start: float) -> None:
    """Certify the cycle, and follow heavy ball from rest."""
    certified(descent_cycle, *descent.CYCLE)
    derivative, points, _, _ = descent.CYCLE
    places = [*map(float, points), start, start / 2]
    exact = [float(derivative_at(derivative, Fraction(place))) for place in places]
    agree(mg.grad(descent.lessard_loss)(np.array(places)).numpy(), exact, "the gradient of the loss")
    x = descent.heavy_ball(descent.lessard_loss, Fraction(5), [start], 150)[-3:, 0]
    agree(np.sort(x), sorted(places[:3]), "the last three points")


def quadratic_rate(case: tuple[Fraction, list[Fraction]]) -> None:
    """Compare the error with the envelope, which it reaches along the largest curvature."""
    q, places = case
    curvatures = [float(1 + place * (q**2 - 1)) for place in (*places, Fraction(1))]
    errors = np.abs(descent.heavy_ball(descent.quadratic(curvatures), q, np.ones(len(curvatures)), 60))
    bounds = np.array([float(descent.envelope(q, k)) for k in range(61)])
    require(bool((errors <= bounds[:, None] + 1e-9).all()), "an error is above the envelope")
    agree(errors[:, -1], bounds, "the error along the largest curvature")


# 6-3: rates above 2 / curvature ---------------------------------------------------------------------


def diverges(k: Fraction) -> None:
    """Refute it by a cycle, if the rate is above 2 over the largest curvature at the minimum (1, 1)."""
    cycle = descent.two_cycle(k)
    certified(descent_cycle, *cycle)
    _, (x, y), rate, _ = cycle
    curvature = np.linalg.eigvalsh(mg.hessian(descent.product_loss)(mg.tensor([1.0, 1.0])).numpy())[-1]
    if float(rate) > 2 / curvature:
        raise Refuted(f"above {2 / curvature:g}, ({x}, {x}) and ({y}, {y}) alternate for ever")


def follows_the_cycle(k: Fraction) -> None:
    """Certify the cycle and that it attracts, and follow minigrad from a point near it."""
    cycle = descent.two_cycle(k)
    certified(descent_cycle, *cycle)
    derivative, points, rate, _ = cycle
    require(rate > 1, f"the rate {rate} is not above 1")
    check_attracting(points, rate)
    slopes = [2 * [float(derivative_at(derivative, x))] for x in (*points, Fraction(1, 3))]
    exact = np.array([points, points], np.float64).T
    found = [mg.grad(descent.product_loss)(x).numpy() for x in (*exact, np.full(2, 1 / 3))]
    agree(found, slopes, "the gradient of the loss")
    x = descent.descend(descent.product_loss, exact[0] + [0.01, -0.02], 200, partial(mg.optim.SGD, lr=float(rate)))
    agree(x[-2:], exact[::-1], "the last two points", 1e-5)


def threshold(case: tuple[Fraction, bool]) -> None:
    """Compare the threshold with Jury's test, also close to it, and with 200 steps of minigrad farther off."""
    beta, nesterov = case
    limit = (2 + 2 * beta) / (1 + 2 * beta if nesterov else 1)
    for part in (Fraction(1, 5), Fraction(999_999, 10**6), Fraction(1), Fraction(1_000_001, 10**6), Fraction(2)):
        w = 1 - part * limit
        stable = descent.is_stable((1 + beta) * w, beta * w) if nesterov else descent.is_stable(beta + w, beta)
        require(stable == (part < 1), f"Jury's test at {part} of the threshold {limit}")
    parts = np.array([0.2, 0.5, 0.9, 1.1, 1.5])
    optimizer = partial(mg.optim.SGD, lr=float(limit), momentum=float(beta), nesterov=nesterov)
    x = np.abs(descent.descend(descent.quadratic(parts), np.ones(5), 200, optimizer)[-1])
    require(bool((x[:3] < 1e-2).all() and (x[3:] > 1e2).all()), f"after 200 steps x = {x} at {parts} of the threshold")


# 6-4: derivatives of ReLU networks -------------------------------------------------------------------


def matches_where_it_exists(weights: tuple[int, int, int, int]) -> None:
    """Compare backprop with the derivative at 0, if the slopes on both sides are equal."""
    w, v = weights[:2], weights[2:]
    right, left = (sum(b * a for a, b in zip(w, v, strict=True) if a * side > 0) for side in (1, -1))
    if left == right:
        found = slopes((((w,), (0, 0)), (tuple((b,) for b in v), (0,))), [0.0])[0]
        require(found == right, f"the derivative is {right}, backprop gives {found:g}")


def matches_off_the_breakpoints(layers: tuple[Layer, ...]) -> None:
    """Certify the pieces, and compare their slopes with backprop at two points inside each."""
    ends = pieces(layers, BOUND)
    exact = [float(slope) for slope in check_pieces(layers, ends, BOUND)]
    inside = [float(a + (b - a) * part) for part in (Fraction(1, 2), Fraction(1, 7)) for a, b in pairwise(ends)]
    agree(slopes(layers, inside), 2 * exact, "the derivative")


# 6-5: the cost of derivatives --------------------------------------------------------------------------


def reverse_is_cheaper(widths: tuple[int, ...]) -> None:
    """Compare the multiply-adds of the Jacobian in both modes."""
    (_, reverse), (_, forward) = jacobians(widths)
    require(reverse <= forward, f"{reverse} instead of {forward}")


def passes_cost(case: tuple[tuple[int, ...], int]) -> None:
    """Count both Jacobians, an evaluation, and reverse passes to all parameters, with and without the input."""
    widths, N = case
    once, ones = sum(d * m for d, m in pairwise(widths)), np.ones((N, widths[-1]))
    (rows, reverse), (columns, forward) = jacobians(widths)
    agree(rows, columns, "the Jacobian by rows and by columns")
    agree([reverse, forward], [widths[-1] * once, widths[0] * once], "multiply-adds of the Jacobian", 0)
    network, x = dense_network(widths), mg.tensor(np.ones((N, widths[0])))
    _, pull = mg.vjp(lambda network, x: network(x), network, x)
    _, pull_parameters = mg.vjp(lambda network: network(x), network)
    counts = [multiply_adds(run)[1] for run in (lambda: network(x), lambda: pull(ones), lambda: pull_parameters(ones))]
    agree(counts, [N * once, 2 * N * once, 2 * N * once - N * widths[0] * widths[1]], "multiply-adds", 0)


def forward_or_reverse_is_optimal(edges: Edges) -> None:
    """Try all orders. Forward or reverse must be optimal for up to 5 edges, except `SMALLEST`, and for two vertices."""
    vertices = intermediates(edges)
    costs = {order: eliminate(dict.fromkeys(edges, 1), order)[1] for order in permutations(vertices)}
    neither = min(costs.values()) < min(costs[tuple(vertices)], costs[tuple(vertices[::-1])])
    require(neither == (edges == SMALLEST) or len(edges) > len(SMALLEST), f"the costs are {costs}")
    require(not neither or len(vertices) > 2, "neither is optimal for up to two intermediate vertices")


def skip_connection(weights: tuple[float, ...]) -> None:
    """Eliminate in all orders. Each must give minigrad's derivative; three must have the stated costs."""
    x = np.array(0.5)
    partials = {(u, v): w * (1 - skip_network(weights, mg.tensor(x))[v].item() ** 2)
                for (u, v), w in zip(SMALLEST, weights, strict=True)}  # fmt: skip
    derivative = mg.grad(lambda x: skip_network(weights, x)[-1])(x).item()
    found = {order: eliminate(partials, order) for order in permutations(intermediates(SMALLEST))}
    agree([left[0, 4] for left, _ in found.values()], [derivative] * 6, "the derivative in each order")
    agree([found[order][1] for order in ((1, 2, 3), (3, 2, 1), (2, 1, 3))], [4, 4, 3], "multiplications", 0)

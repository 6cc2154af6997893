"""The checkers of claims 4-1 to 4-5, one function for each proposition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from theory.eigenvalues.gradient_flow import cell_jacobians
from theory.eigenvalues.powers import spectral_norm, spectral_radius
from theory.memory.certificates import check_contraction, check_latch, check_vector, exact
from theory.memory.contraction import (
    BIAS,
    NILPOTENT,
    alternating_inputs,
    cell_gradient,
    critical_input,
    gate_bounds,
    latch,
    linear_blocks,
    perron,
    positive_vector,
    residual_jacobian,
    run_rnn,
    shrinking_diagonal,
)  # fmt: skip
from theory.memory.domains import Network, residual_functions
from theory.refutation import accepts, agree, require

SLACK = 1 + 1e-9


def _require_rejected(check: Callable[..., None], wrong: Iterable[Any]) -> None:
    for k, certificate in enumerate(wrong):
        require(not accepts(check, *certificate), f"the wrong certificate {k} is accepted")


# 4-1: the spectral radius of an RNN ---------------------------------------------------------------


def forgets(Wh: list[list[float]]) -> None:
    """Run two states for 100 steps, if the spectral radius of Wh (2, 2) is below 1."""
    if spectral_radius(Wh) < 1:
        ends = [run_rnn(np.zeros((100, 2)), [first, 1], Wh, BIAS)[0][-1] for first in (1, -1)]
        distance = float(np.abs(ends[0] - ends[1]).max())
        require(distance < 1e-3, f"the states from (1, 1) and (-1, 1) are {distance:.3g} apart after 100 steps")


def grows(k: int) -> None:
    """Compare ‖dh_k/dh_0‖ with √2 (3/2)^k, and the square of Wh with 0."""
    agree(np.array(NILPOTENT) @ NILPOTENT, np.zeros((2, 2)), "the square")
    norm = spectral_norm(run_rnn(np.zeros((k, 2)), [0, 1], NILPOTENT, BIAS)[1])
    agree(norm / (math.sqrt(2) * 1.5**k), 1, f"‖dh_k/dh_0‖ over the square root of 2 times 1.5^{k}")
    require(k != 20 or round(norm) == 4_703, f"the norm is {norm}")


def shrinks_by_absolute_values(network: Network) -> None:
    """Certify v > 0 with |Wh| v <= rate v; steps then shrink the 1-norm with the weights v by the rate."""
    v, rate = positive_vector(np.abs(network.Wh))
    check_vector(np.abs(exact(network.Wh)), v, rate)
    _require_shrinking(network, v.astype(np.float64), float(rate), 1)


def _require_shrinking(network: Network, weights: NDArray[np.float64], rate: float, order: int) -> None:
    """Require that t steps shrink Jacobians and distances by rate^t, in the norm of an order of weighted entries."""
    x, starts = network.arrays(12)
    start = float(np.linalg.norm(weights * (starts[0] - starts[1]), order))
    for t in (1, 2, 12):
        (first, J), (second, _) = (run_rnn(x[:t], h0, network.Wh) for h0 in starts)
        norm = float(np.linalg.norm(weights[:, None] * J / weights, order))
        distance = float(np.linalg.norm(weights * (first - second)[-1], order))
        slow = f"{t} steps leave the shares {norm:.6g} and {distance / start:.6g}, above {rate:.6g}^{t}"
        require(norm <= rate**t * SLACK and distance <= rate**t * start * SLACK + 1e-12, slow)


def never_forgets(network: Network) -> None:
    """Start at a small positive eigenvector, below which no state falls, and at 0."""
    radius, u = spectral_radius(network.Wh), perron(network.Wh.T)
    u *= math.sqrt(3 * (1 - 1 / radius)) / (radius * u.max())
    above, zero = (run_rnn(np.zeros((60, network.H)), start, network.Wh)[0] for start in (u, 0 * u))
    require((above >= u - 1e-12).all(), "a state falls to less than its start")
    agree(zero, 0 * zero, "the state from 0")


def rejects_vectors(network: Network) -> None:
    """Reject v that is negative, 0 somewhere or too short, larger and signed matrices, and wrong rates."""
    A = np.abs(exact(network.Wh))
    v, rate = positive_vector(np.abs(network.Wh))
    larger = Fraction(11, 10) / Fraction(network.radius) * A
    _require_rejected(check_vector, [
        (A, -v, rate), (A, [0, *v[1:]], rate), (A, v[1:], rate), (larger, *positive_vector(larger)), (larger, v, rate),
        (A, v, rate - Fraction(1, 2**30)), (A, v, 1 + rate), (-A, v, rate),
        (np.diag([1, 0], 1), np.array([1, 2, 4]), Fraction(3, 4))])  # fmt: skip


# 4-2: the spectral radius of each step ------------------------------------------------------------


def vanishes(case: tuple[list[list[int]], tuple[int, int]]) -> None:
    """Run a tanh RNN of two units; if all 20 Jacobians have spectral radii below 1, the product must be < 1."""
    Wh, units = case
    x, zeros = alternating_inputs(Wh, units, 20), np.zeros(2)
    states, J = run_rnn(x, zeros, Wh)
    if all(spectral_radius(run_rnn(x[t : t + 1], h, Wh)[1]) < 1 for t, h in enumerate([zeros, *states[:-1]])):
        require(spectral_norm(J) < 1, f"‖dh_20/dh_0‖ is {spectral_norm(J):,.0f}")


def shrinks_ellipsoid(network: Network) -> None:
    """Certify P, and a rate below 1 for all D Wh'; each step then shrinks the norm of P by the rate."""
    p, rate = shrinking_diagonal(network.Wh)
    require(rate < 1, f"the rate is {float(rate)}")
    check_contraction(np.diag(exact(p)), np.eye(network.H, dtype=int), exact(network.Wh.T), rate)
    _require_shrinking(network, np.sqrt(p), float(rate), 2)


def joint_radius(case: tuple[list[list[int]], int]) -> None:
    """Two matrices D Wh' have a product with the spectral radius 4; P = I certifies 2 + 2^-40, but not 2."""
    Wh, radius, eye = np.array(case[0]), case[1], np.eye(2, dtype=int)
    first, second = (np.diag(row) @ Wh.T for row in eye)
    radii = [spectral_radius(M) for M in (first, second, first @ second)]
    agree(radii, [0, 0, radius**2], "the radii of two matrices and their product")
    check_contraction(eye, eye, Wh.T, radius + Fraction(1, 2**40))
    _require_rejected(check_contraction, [(eye, eye, Wh.T, Fraction(radius))])


def rejects_ellipsoids(network: Network) -> None:
    """Reject a rate below the radius, P that is asymmetric or not positive, and P that suits Wh' but not all D Wh'."""
    W, (p, rate), N = exact(network.Wh.T), shrinking_diagonal(network.Wh), exact(np.transpose(NILPOTENT))
    P, eye, two = np.diag(exact(p)), np.eye(network.H, dtype=int), np.eye(2, dtype=int)
    _require_rejected(check_contraction, [
        (P, eye, W, Fraction(spectral_radius(network.Wh)) - Fraction(1, 10**6)), (-P, eye, W, rate),
        (0 * P, eye, W, rate), (P + Fraction(1, 2**20) * np.eye(network.H, k=1, dtype=int), eye, W, rate),
        (np.array([[1, 2], [2, 1]]), two, 0 * two, Fraction(1, 2)),
        (two + 4 * N.T @ N, two, N, Fraction(1, 2))])  # P / 4 - N'PN = I / 4, as N^2 = 0  # fmt: skip


# 4-3: forget gates below 1 ------------------------------------------------------------------------


def does_not_explode(w: int) -> None:
    """Run 30 steps with the forget gate 1/2, and the gates i and o at 1."""
    found = cell_gradient([40, 0, 40], w, 30)
    require(abs(found) <= 1, f"dc_30/dc_0 is {found:,.4g}")


def one_cell(case: tuple[float, float, float, float, int]) -> None:
    """Compare with f (f + i o w)^(k-1), both relative to its value for |w|; the example gives 1.7e11."""
    *biases, w, k = case
    i, f, o = (1 / (1 + math.exp(-bias)) for bias in biases)
    found, scale = cell_gradient(biases, w, k), f + i * o * abs(w)
    agree(found / (f * scale ** (k - 1)), ((f + i * o * w) / scale) ** (k - 1), "the share")
    require(biases[0] < 40 or f"{found:.1e}" == "1.7e+11", f"dc_30/dc_0 is {found}")


def bounded_by_gates(network: Network) -> None:
    """Compare with the powers of the matrix M of the gates' maxima, and certify M v < v if its radius is below 1."""
    arrays = network.lstm(6)
    x, h0, c0, Wx, Wh, b = arrays.values()
    h, c = (states.numpy()[0] for states in mg.ops.lstm(x[None], h0[None], Wx, Wh, b, c0[None]))
    M = gate_bounds(x, [h0, *h], [c0, *c], Wx, Wh, b)
    for k, J in enumerate(cell_jacobians(**arrays), 1):
        bound, norm = float(np.linalg.matrix_power(M, k)[0, 0]), spectral_norm(J)
        require(norm <= bound * SLACK, f"‖dc_{k}/dc_0‖ is {norm:.6g}, above {bound:.6g}")
    if spectral_radius(M) < 0.999:
        v, rate = positive_vector(M)
        check_vector(exact(M), v, rate)
        require(bound <= float(rate) ** 6 * SLACK, "the powers of M exceed those of the rate")


# 4-4: a radius above 1 ----------------------------------------------------------------------------


def explodes(case: tuple[float, float]) -> None:
    """Run 50 steps without input."""
    w, h0 = case
    found = abs(float(run_rnn(np.zeros((50, 1)), [h0], [[w]])[1][0, 0]))
    require(found > 1, f"|dh_50/dh_0| is {found:.3g}")


def only_0_explodes(case: tuple[float, float, int]) -> None:
    """Run without input: 9 steps from 0; or 400 from elsewhere, to a slope below 1 and a product near 0."""
    size, h0, sign = case
    states, J = run_rnn(np.zeros((400 if h0 else 9, 1)), [h0], [[sign * size]])
    if h0 == 0:
        agree(J[0, 0] / (sign * size) ** 9, 1, "dh_9/dh_0 over w^9")
    else:
        slope = size * float(1 - states[-1, 0] ** 2)
        require(slope < 1 and abs(float(J[0, 0])) < 1e-6, f"the last slope is {slope}, and dh_400/dh_0 {J}")


def remembers_and_vanishes(case: tuple[float, float, float, bool, int]) -> None:
    """Certify [a, 1] and [b, 1]; then run inputs up to e, and compare with b and with the slope's powers."""
    w, share, place, worst, seed = case
    certificate = latch(w, share * critical_input(w)[0])
    check_latch(*certificate)
    _, e, a, b = map(float, certificate)
    x = np.random.default_rng(seed).choice([-e, -e if worst else e], (50, 1))
    for k in (1, 2, 50):
        states, J = run_rnn(x[:k], [a + place * (1 - a)], [[w]])
        require((states >= b - 1e-12).all(), f"a state falls to {states.min()}, below {b}")
        slope = w * (1 - b * b)
        require(slope < 1 and J[0, 0] <= slope**k * SLACK, f"dh_{k}/dh_0 is {J[0, 0]}, the slope {slope}")


def forgets_above(w: float) -> None:
    """Run inputs of -1.05 e from 1 until the state is negative, and of -e from a, a fixed point with slope 1."""
    e, a = critical_input(w)
    states, _ = run_rnn(np.full((400, 1), -1.05 * e), [1.0], [[w]])
    require(states[-1, 0] < 0, f"after 400 inputs of {-1.05 * e} the state is {states[-1]}")
    states, J = run_rnn(np.full((5, 1), -e), [a], [[w]])
    agree([states[-1, 0], J[0, 0]], [a, 1], "the state and the derivative at the critical input")


def rejects_latches(case: tuple[float, float, float, bool, int]) -> None:
    """Reject inputs above the critical ones, a lower a, a higher b, b below a, and a slope of 1 or more."""
    critical = critical_input(case[0])[0]
    w, e, a, b = latch(case[0], case[1] * critical)
    more, gap = Fraction(1.01 * critical), b - a
    _require_rejected(check_latch, [
        (w, more, a, b), (w, more, a, a), (w, e, a / 2, b), (w, e, a, b + gap / 1000), (w, e, a, a - gap),
        (w, e, a - gap / 10, a - gap / 10), (-w, e, a, b), (w, -e - 1, a, b)])  # fmt: skip


# 4-5: skip connections ----------------------------------------------------------------------------


def keeps(factor: int) -> None:
    """Differentiate 20 blocks."""
    found = linear_blocks(factor, 20)
    require(abs(found) > 1e-3, f"the derivative of 20 blocks x + ({factor} x) is {found:g}")


def between_powers(case: tuple[int, int, float, int, int]) -> None:
    """Certify ‖W2' D W1'‖ < c for all D; compare singular values with (1 - c)^n and (1 + c)^n, without skip c^n."""
    functions, x = residual_functions(case)
    rate, n = Fraction(case[2]) + Fraction(1, 10**9), len(functions)
    for f in functions:
        check_contraction(np.eye(len(x), dtype=int), exact(f[2].weight.data.T), exact(f[0].weight.data.T), rate)
    c, values = float(rate), np.linalg.svd(residual_jacobian(functions, x), compute_uv=False)
    inside = (1 - c) ** n <= values.min() * SLACK and values.max() <= (1 + c) ** n * SLACK
    require(inside, f"the singular values {values} are not from (1 - {c})^{n} to (1 + {c})^{n}")
    plain = spectral_norm(residual_jacobian(functions, x, skip=0.0))
    require(plain <= c**n * SLACK, f"without skip connections the norm is {plain}")


def attained(case: tuple[float, int]) -> None:
    """Compare the derivatives for the layers -c x and c x with the two bounds."""
    c, n = case
    agree([linear_blocks(-c, n) / (1 - c) ** n, linear_blocks(c, n) / (1 + c) ** n], [1, 1], "shares of both ends")


def rejects_bounds(case: tuple[int, int, float, int, int]) -> None:
    """Reject a bound below the norm for some D; the largest of these norms is the example's bound."""
    functions, x = residual_functions(case)
    last, first = (functions[0][k].weight.data.T for k in (2, 0))
    norms = [spectral_norm(last @ np.diag(d) @ first) for d in product((0.0, 1.0), repeat=case[1])]
    agree(max(norms), case[2], "the largest norm")
    eye, matrices = np.eye(len(x), dtype=int), (exact(last), exact(first))
    _require_rejected(
        check_contraction, [(eye, *matrices, Fraction(norm) * (1 - Fraction(1, 10**9))) for norm in norms]
    )

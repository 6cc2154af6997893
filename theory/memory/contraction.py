"""Run and differentiate the networks of claims 4-1 to 4-5, and find in which norms their steps shrink.

The step of a tanh RNN, h_t = tanh(x_t + b + h_{t-1} Wh), has the Jacobian D Wh', where D = diag(1 - h_t^2) and Wh' is
the transpose of Wh.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from theory.eigenvalues.gradient_flow import cell_jacobians
from theory.eigenvalues.powers import spectral_norm
from theory.memory.certificates import exact

__all__ = [
    "BIAS", "NILPOTENT", "alternating_inputs", "cell_gradient", "critical_input", "gate_bounds", "latch",
    "linear_blocks", "perron", "positive_vector", "residual_jacobian", "run_rnn", "shrinking_diagonal",
]  # fmt: skip

Array = NDArray[np.float64]
NILPOTENT, BIAS = [[1.5, 1.5], [-1.5, -1.5]], [1.5, 30.0]
"""Weights whose square is 0, and a bias that saturates the second unit, so the first one has the weight 3/2."""


def run_rnn(x: ArrayLike, h0: ArrayLike, Wh: ArrayLike, b: ArrayLike = 0.0) -> tuple[Array, Array]:
    """Return h_1, …, h_T (T, H) and dh_T/dh_0 (H, H) of a tanh RNN, by `mg.ops.rnn` and `mg.jacobian`.

    x: (T, H), T above 0. h0: (H,). Wh: (H, H). b: (H,) or a number.

    >>> run_rnn([[0.0], [0.0]], [0.0], [[2.0]])
    (array([[0.], [0.]]), array([[4.]]))
    """
    x, h0, Wh, b = (np.asarray(a, dtype=np.float64) for a in (x, h0, Wh, b))

    def run(h: Any) -> Any:
        states = mg.ops.rnn(x[None], mg.reshape(h, (1, -1)), np.eye(len(Wh)), Wh, np.zeros(len(Wh)) + b)[0]
        return states[-1], states

    jacobian, states = mg.jacobian(run, has_aux=True)(mg.tensor(h0))
    return np.array(states.numpy()), np.array(jacobian.numpy())


def positive_vector(A: ArrayLike) -> tuple[NDArray[np.object_], Fraction]:
    """Return v (n,) and the smallest rate with A v <= rate v, for A (n, n) >= 0; all Fractions.

    v solves v = A v + 1. If the spectral radius of A is below 1, v > 0 and the rate is below 1.

    >>> v, rate = positive_vector([[0.0, 0.5], [0.5, 0.0]])
    >>> v.tolist(), rate
    ([Fraction(2, 1), Fraction(2, 1)], Fraction(1, 2))
    """
    A = np.asarray(A, dtype=np.float64)
    v = exact(np.linalg.solve(np.eye(len(A)) - A, np.ones(len(A))))
    return v, max(exact(A) @ v / v)


def perron(A: ArrayLike) -> Array:
    """Return the positive eigenvector (n,) of A (n, n) > 0, with the Euclidean norm 1.

    >>> perron([[3.0, 1.0], [3.0, 1.0]]).round(4)
    array([0.7071, 0.7071])
    """
    values, vectors = np.linalg.eig(np.asarray(A, dtype=np.float64))
    return np.asarray(np.abs(vectors[:, np.argmax(values.real)]))


def shrinking_diagonal(Wh: ArrayLike) -> tuple[Array, Fraction]:
    """Return p (H,) and a rate with Wh P Wh' < rate^2 P, P = diag(p), for Wh (H, H) without zeros.

    If u and v are the positive left and right eigenvectors of the squared entries, p is sqrt(v / u) in multiples
    of 1/4096. This is the best choice for Wh = S Q S^-1, S diagonal and Q orthogonal.

    >>> p, rate = shrinking_diagonal([[0.5, 0.25], [-1.0, 0.5]])
    >>> p, round(float(rate), 4)
    (array([0.25, 1.  ]), 0.7071)
    """
    W = np.asarray(Wh, dtype=np.float64)
    p = np.sqrt(perron(W * W) / perron((W * W).T))
    p = np.ceil(4096 * p / p.max()) / 4096
    return p, Fraction(spectral_norm(W * np.sqrt(p) / np.sqrt(p)[:, None])) + Fraction(1, 10**9)


def alternating_inputs(Wh: ArrayLike, units: tuple[int, int], steps: int) -> Array:
    """Return inputs (steps, 2) of a tanh RNN of two units that hold one unit at 0 and the other at 1, from h_0 = 0.

    Wh: (2, 2), with small integers. units: the unit that is 0 at odd steps, and the one at even steps.

    >>> run_rnn(alternating_inputs([[0, 2], [2, 0]], (0, 1), 3), [0.0, 0.0], [[0, 2], [2, 0]])[0]
    array([[0., 1.], [1., 0.], [0., 1.]])
    """
    sums = np.array([[30.0 * (unit != units[t % 2]) for unit in (0, 1)] for t in range(steps)])
    return np.asarray(sums - np.tanh([[0.0, 0.0], *sums[:-1]]) @ np.asarray(Wh))


def cell_gradient(biases: ArrayLike, w: float, k: int) -> float:
    """Return dc_k/dc_0 of an LSTM of one unit from the state 0, with biases of i, f and o, where only g has a weight.

    >>> round(cell_gradient([40, 0, 40], 2, 3), 9)  # f = 1/2
    3.125
    """
    b, zeros = np.append(np.asarray(biases, dtype=np.float64), 0.0), np.zeros((1, 4))
    return float(cell_jacobians(np.zeros((k, 1)), [0.0], [0.0], zeros, w * np.eye(4)[3:], b)[-1, 0, 0])


def gate_bounds(x: ArrayLike, h: ArrayLike, c: ArrayLike, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike) -> Array:
    """Return M (2, 2), for which the norms (‖dc_t‖, ‖dh_t‖) along an LSTM's run are at most M times those of t - 1.

    x: (T, D). h, c: the states 0 to T, (T + 1, H). Wx: (D, 4H). Wh: (H, 4H). b: (4H,). Gates in the order i, f, o, g.

    >>> gate_bounds([[0]], [[0], [0]], [[0], [0]], np.zeros((1, 4)), [[0, 0, 0, 4]], np.zeros(4)).tolist()
    [[0.5, 2.0], [0.25, 1.0]]
    """
    Wi, Wf, Wo, Wg = (spectral_norm(block) for block in np.split(np.asarray(Wh, dtype=np.float64), 4, axis=1))
    sums = np.asarray(x) @ np.asarray(Wx) + np.asarray(h)[:-1] @ np.asarray(Wh) + np.asarray(b)
    i, f, o, _ = (float(gate.max()) for gate in np.split(mg.sigmoid(sums).numpy(), 4, axis=1))
    B = i * Wg + (np.abs(np.asarray(c)[:-1]).max() * Wf + Wi) / 4
    return np.array([[f, B], [o * f, o * B + Wo / 4]])


def critical_input(w: float) -> tuple[float, float]:
    """Return the largest e = w a - artanh(a) over a in [0, 1), and its a = sqrt(1 - 1 / w); w is above 1.

    >>> [round(q, 4) for q in critical_input(2.0)]
    [0.5328, 0.7071]
    """
    a = math.sqrt(1 - 1 / w)
    return w * a - math.atanh(a), a


def latch(w: float, e: float) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """Return w, e, a and b > a: from h in [a, 1], inputs |x| <= e lead a unit of weight w to [b, 1].

    e is below the critical input. b is below tanh(w a - e) by a millionth of the distance between that and a.

    >>> [round(float(q), 3) for q in latch(2.0, 0.5)]
    [2.0, 0.5, 0.707, 0.723]
    """
    _, a = critical_input(w)
    b = a + (math.tanh(w * a - e) - a) * (1 - 1e-6)
    return Fraction(w), Fraction(e), Fraction(a), Fraction(b)


def residual_jacobian(functions: Sequence[Callable[[Any], Any]], x: ArrayLike, skip: float = 1.0) -> Array:
    """Return the Jacobian (n, n) at x (n,) of the blocks skip x + f(x) for the functions f in turn.

    >>> residual_jacobian([lambda x: -x, lambda x: 2 * x], [1.0])
    array([[0.]])
    """

    def run(h: Any) -> Any:
        for f in functions:
            h = skip * h + f(h)
        return h

    return np.array(mg.jacobian(run)(mg.tensor(np.asarray(x, dtype=np.float64))).numpy())


def linear_blocks(factor: float, blocks: int) -> float:
    """Return the derivative of blocks x + f(x), where f is a linear layer with one weight, the factor.

    >>> linear_blocks(-0.5, 3)
    0.125
    """
    layer = mg.nn.Linear(1, 1, bias=False, dtype=np.float64)
    layer.weight.data[...] = factor
    return float(residual_jacobian([layer] * blocks, [1.0])[0, 0])

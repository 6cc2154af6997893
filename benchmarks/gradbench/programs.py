"""The programs in minigrad. A parameter `mg` lets JAX run them too, with a module of the same names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["PROGRAMS", "force_of_charges", "is_short", "layers_of", "loss_of_predictions", "predict", "runge_kutta"]


def hello(mg: Any, x: Any) -> tuple[Any, ...]:
    """Return the square of x, and its derivative 2 x."""
    return mg.value_and_grad(lambda x: x * x)(x)


def lse(mg: Any, x: Any) -> tuple[Any, ...]:
    """Return the gradient of log sum exp(x)."""

    def log_sum_exp(x: Any) -> Any:
        a = mg.max(x)
        return a + mg.log(mg.sum(mg.exp(x - a)))

    return (mg.grad(log_sum_exp)(x),)


def llsq(mg: Any, x: Any, n: int) -> tuple[Any, ...]:
    """Return the gradient of half the squared error with which a polynomial of coefficients x fits sign(t)."""
    t = np.linspace(-1.0, 1.0, n)

    def half_of_squares(x: Any) -> Any:
        residual = np.sign(t) - np.vander(t, len(x), increasing=True) @ x
        return 0.5 * mg.sum(residual * residual)

    return (mg.grad(half_of_squares)(x),)


def det(mg: Any, A: Any) -> tuple[Any, ...]:
    """Return the gradient of a determinant that is expanded by minors, entry by entry."""

    def expansion(A: Any) -> Any:
        rows = [[A[i, j] for j in range(len(A))] for i in range(len(A))]

        def minor(i: int, columns: tuple[int, ...]) -> Any:
            """Return the determinant of these columns, from row i."""
            if len(columns) == 1:
                return rows[i][columns[0]]
            terms = [rows[i][j] * minor(i + 1, columns[:k] + columns[k + 1 :]) for k, j in enumerate(columns)]
            total = terms[0]
            for k, term in enumerate(terms[1:]):
                total = total + term if k % 2 else total - term
            return total

        return minor(0, tuple(range(len(A))))

    return (mg.grad(expansion)(A),)


def kmeans(mg: Any, points: Any, centroids: Any) -> tuple[Any, ...]:
    """Return the Newton step of the centroids. The Hessian is diagonal, so its product with ones is its diagonal."""

    def cost(centroids: Any) -> Any:
        return mg.sum(mg.min(distances(mg, points, centroids), axis=1))

    gradient, pull = mg.vjp(mg.grad(cost), centroids)
    (diagonal,) = pull(np.ones(centroids.shape))
    return (gradient / diagonal,)


def distances(mg: Any, a: Any, b: Any) -> Any:
    """Return the squared distances of rows, (len(a), len(b))."""
    return mg.sum(a * a, axis=1)[:, None] + mg.sum(b * b, axis=1) - 2.0 * (a @ b.T)


def gmm(mg: Any, x: Any, alphas: Any, means: Any, factors: Any, gamma: float, m: int) -> tuple[Any, ...]:
    """Return the log-posterior of a mixture of Gaussians with a Wishart prior, and its gradient.

    A row of `factors` has the logarithms of the diagonal of Q and, column by column, the entries below it. Q'Q is the
    inverse covariance of a component.
    """
    (n, d), k = x.shape, len(alphas)
    column, row = np.triu_indices(d, 1)
    place = np.zeros((d, d), int)
    place[row, column] = np.arange(d, d * (d + 1) // 2)

    def log_posterior(alphas: Any, means: Any, factors: Any) -> Any:
        logs = factors[:, :d]
        below = factors[:, place] * (place > 0)
        Q = below + mg.exp(logs)[:, :, None] * np.eye(d)
        logs = mg.sum(logs, axis=1)
        z = (x - means[:, None]) @ mg.swapaxes(Q, 1, 2)  # (k, n, d)
        inner = (alphas + logs)[:, None] - 0.5 * mg.sum(z * z, axis=2)
        likelihood = mg.sum(mg.logsumexp(inner, axis=0)) - n * mg.logsumexp(alphas, axis=0)
        prior = 0.5 * gamma**2 * mg.sum(Q * Q) - m * mg.sum(logs)
        return likelihood - 0.5 * n * d * math.log(2 * math.pi) + prior - k * wishart_constant(d, gamma, m)

    value, gradients = mg.value_and_grad(log_posterior, (0, 1, 2))(alphas, means, factors)
    return value, *gradients


def wishart_constant(d: int, gamma: float, m: int) -> float:
    """Return the logarithm of the normalization of a Wishart prior."""
    n = d + m + 1
    log_gamma = d * (d - 1) / 4 * math.log(math.pi) + sum(math.lgamma((n - j) / 2) for j in range(d))
    return n * d * (math.log(gamma) - 0.5 * math.log(2)) - log_gamma


def ba(mg: Any, cameras: Any, points: Any, weights: Any, seen_by: Any, seen: Any, features: Any) -> tuple[Any, ...]:
    """Return the Jacobian (2, N, 11 + 3 + 1) of bundle adjustment: each observation by its camera, point and weight.

    The second result is the Jacobian (N, 1) of the weights' residuals 1 - w². All other entries are 0.
    """

    def residuals(cameras: Any, points: Any, weights: Any) -> Any:
        turn, center, focal = cameras[:, :3], cameras[:, 3:6], cameras[:, 6:7]
        principal, radial1, radial2 = cameras[:, 7:9], cameras[:, 9:10], cameras[:, 10:]
        angle = mg.sqrt(mg.sum(turn * turn, axis=1, keepdims=True))
        axis, x = turn / angle, points - center
        cosine, along = mg.cos(angle), mg.sum(axis * x, axis=1, keepdims=True)
        x = x * cosine + mg.cross(axis, x) * mg.sin(angle) + axis * (along * (1.0 - cosine))
        x = x[:, :2] / x[:, 2:]
        r = mg.sum(x * x, axis=1, keepdims=True)
        x = x * (1.0 + radial1 * r + radial2 * r * r)
        return weights * (x * focal + principal - features)

    _, pull = mg.vjp(residuals, cameras[seen_by], points[seen], weights)
    rows = [mg.concatenate(pull(np.tile(unit, (len(features), 1))), axis=1) for unit in np.eye(2)]
    return mg.stack(rows), mg.grad(lambda w: mg.sum(1.0 - w * w))(weights)


def ht(
    mg: Any, theta: Any, parents: Any, bend: Any, spread: Any, bases: Any, inverses: Any, corners: Any, weights: Any,
    seen: Any, points: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """Return the Jacobian (N, 3, 26) of the distances of observed points from the vertices of a posed hand.

    The hand is that of ADBench: 22 bones turn about their parents, each vertex follows its bones by weights, and
    the whole hand turns and moves. Simplified: each point belongs to a vertex, not to a position in a triangle.
    """

    def matrices(rows: Any) -> Any:
        return mg.stack([mg.stack(row, -1) for row in rows], -2)

    def rotation(turn: Any) -> Any:
        """Return the rotation matrix of a rotation vector."""
        angle = mg.sqrt(mg.sum(turn * turn))
        x, y, z = (turn / angle)[0], (turn / angle)[1], (turn / angle)[2]
        s, c = mg.sin(angle), mg.cos(angle)
        return matrices([
            [x * x + (1.0 - x * x) * c, x * y * (1.0 - c) - z * s, x * z * (1.0 - c) + y * s],
            [x * y * (1.0 - c) + z * s, y * y + (1.0 - y * y) * c, y * z * (1.0 - c) - x * s],
            [x * z * (1.0 - c) - y * s, z * y * (1.0 - c) + x * s, z * z + (1.0 - z * z) * c],
        ])  # fmt: skip

    def residuals(theta: Any) -> Any:
        angles = mg.concatenate([theta, np.zeros(1)])
        sx, cx, sz, cz = mg.sin(angles[bend]), mg.cos(angles[bend]), mg.sin(angles[spread]), mg.cos(angles[spread])
        zero, one = np.zeros(len(bend)), np.ones(len(bend))
        turns = matrices([
            [cz, -sz * cx, sz * sx, zero], [sz, cz * cx, -cz * sx, zero], [zero, sx, cx, zero], [zero, zero, zero, one],
        ])  # fmt: skip
        relatives = bases @ turns
        absolutes: list[Any] = []
        for bone, parent in enumerate(parents):
            absolutes.append(relatives[bone] if parent < 0 else absolutes[parent] @ relatives[bone])
        transforms = (mg.stack(absolutes) @ inverses)[:, :3]  # (22, 3, 4)
        blended = (weights @ transforms.reshape(22, 12)).reshape(-1, 3, 4)
        vertices = mg.sum(blended * corners[:, None], axis=2)
        return points - (vertices @ rotation(theta[:3]).T + theta[3:6])[seen]

    return (mg.jacobian(residuals)(theta),)


def lstm(mg: Any, gates: Any, ends: Any, states: Any, text: Any) -> tuple[Any, ...]:
    """Return the loss of ADBench's LSTM, whose weights are diagonal, and its gradient."""

    def loss(gates: Any, ends: Any) -> Any:
        layers, state = layers_of(gates), [(h, c) for h, c in states]
        predictions = []
        for x in text[:-1]:
            state, predicted = predict(mg, layers, ends, state, x)
            predictions.append(predicted)
        return loss_of_predictions(mg, mg.stack(predictions), text[1:])

    value, gradients = mg.value_and_grad(loss, (0, 1))(gates, ends)
    return value, *gradients


def layers_of(gates: Any) -> Any:
    """Return the weight and the bias of each gate of each layer."""
    return [[(layer[0, k], layer[1, k]) for k in range(4)] for layer in (gates[i] for i in range(len(gates)))]


def predict(mg: Any, layers: Any, ends: Any, state: Any, x: Any) -> Any:
    """Return the states after a character, and the prediction of the next one."""
    x, after = x * ends[0], []
    for (forget, input, output, cell), (h, c) in zip(layers, state, strict=True):
        f = mg.sigmoid(x * forget[0] + forget[1])
        i = mg.sigmoid(h * input[0] + input[1])
        o = mg.sigmoid(x * output[0] + output[1])
        c = c * f + i * mg.tanh(h * cell[0] + cell[1])
        x = o * mg.tanh(c)
        after.append((x, c))
    return after, x * ends[1] + ends[2]


def loss_of_predictions(mg: Any, predicted: Any, text: Any) -> Any:
    """Return the negative mean log-likelihood of the bits. Two more outcomes have the logit 0."""
    normalizer = mg.log(mg.sum(mg.exp(predicted), axis=1, keepdims=True) + 2.0)
    return -mg.mean(text * (predicted - normalizer))


def ode(mg: Any, x: Any, steps: int) -> tuple[Any, ...]:
    """Return the gradient of y_n at t = 2, where y_1' = x_1, y_i' = x_i y_(i-1), and y = 0 at t = 0."""

    def last(x: Any) -> Any:
        y = np.zeros(len(x))
        for _ in range(steps):
            y = runge_kutta(mg, x, y, 2.0 / steps)
        return y[-1]

    return (mg.grad(last)(x),)


def runge_kutta(mg: Any, x: Any, y: Any, h: float) -> Any:
    """Return y after a step of length h."""

    def slope(y: Any) -> Any:
        return mg.concatenate([x[:1], x[1:] * y[:-1]])

    k1 = slope(y)
    k2 = slope(y + h / 2 * k1)
    k3 = slope(y + h / 2 * k2)
    k4 = slope(y + h * k3)
    return y + h / 6 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def particle(mg: Any, w: Any, newton: int, dt: float) -> tuple[Any, ...]:
    """Take Newton steps towards the w with which a charged particle lands at the origin.

    One charge is at (10, 10 - w), the other at (10, 0). The particle starts at (0, 8) with velocity (0.75, 0), and
    lands where it crosses the axis; w minimises the square of that position.
    """

    def miss(w: Any) -> Any:
        force = force_of_charges(mg, w)
        x, v = np.array([0.0, 8.0]), np.array([0.75, 0.0])
        while True:
            ahead = x + dt * v
            if ahead[1] <= 0.0:
                return (x[0] - x[1] / v[1] * v[0]) ** 2
            x, v = ahead, v + dt * force(x)

    for _ in range(newton):
        slope, pull = mg.vjp(mg.grad(miss), w)
        (curvature,) = pull(np.array(1.0))
        w = w - slope / curvature
    return (w,)


def force_of_charges(mg: Any, w: Any) -> Callable[..., Any]:
    """Return the force on a particle, a function of its position: minus the gradient of its potential."""
    charges = np.array([[10.0, 10.0], [10.0, 0.0]]) - w * np.array([[0.0, 1.0], [0.0, 0.0]])

    def potential(x: Any) -> Any:
        d = x - charges
        return mg.sum(1.0 / mg.sqrt(mg.sum(d * d, axis=1)))

    return lambda x: -mg.grad(potential)(x)


def saddle(mg: Any, start: Any, rate: float) -> tuple[Any, ...]:
    """Minimise over x the maximum of f over y, by nested gradient descent; return x and y."""

    def f(x: Any, y: Any) -> Any:
        return mg.sum(x * x) - mg.sum(y * y)

    def highest(x: Any) -> Any:
        return _descend(mg, lambda y: -f(x, y), start, rate)

    x = _descend(mg, lambda x: f(x, highest(x)), start, rate)
    return x, highest(x)


def _descend(mg: Any, f: Callable[..., Any], x: Any, rate: float) -> Any:
    """Descend along gradients. Double the step after ten successes; halve it after a failure."""
    value, slope = mg.value_and_grad(f)(x)
    successes = 0
    while not is_short(np.linalg.norm(slope.numpy()), rate):
        ahead = x - rate * slope
        value_ahead, slope_ahead = mg.value_and_grad(f)(ahead)
        if value_ahead < value:
            x, value, slope, successes = ahead, value_ahead, slope_ahead, successes + 1
        else:
            rate, successes = rate / 2, 0
        if successes == 10:
            rate, successes = 2 * rate, 0
    return x


def is_short(length: Any, rate: Any) -> Any:
    """Return whether a gradient, or the step along it, is short."""
    return (length <= 1e-5) | (rate * length <= 1e-5)


PROGRAMS: dict[str, Callable[..., tuple[Any, ...]]] = {
    program.__name__: program
    for program in (ba, gmm, ht, lstm, kmeans, lse, det, llsq, ode, particle, saddle, hello)
}  # fmt: skip

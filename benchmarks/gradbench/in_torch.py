"""The programs in PyTorch, eager, as its users write them. Inputs are tensors and numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import grad

__all__ = ["PROGRAMS", "as_tensors"]

Results = tuple[Tensor, ...]


def as_tensors(inputs: tuple[Any, ...]) -> list[Any]:
    """Convert the arrays among the inputs; numbers stay."""
    return [torch.tensor(x) if hasattr(x, "shape") else x for x in inputs]


def leaf(x: Tensor) -> Tensor:
    """Return the same numbers as a leaf that requires a gradient."""
    return x.detach().requires_grad_()


def hello(x: Tensor) -> Results:
    x = leaf(x)
    y = x**2
    return y.detach(), *grad(y, x)


def lse(x: Tensor) -> Results:
    x = leaf(x)
    a = x.max()
    return grad(a + (x - a).exp().sum().log(), x)


def llsq(x: Tensor, n: int) -> Results:
    x, t = leaf(x), torch.linspace(-1, 1, n, dtype=x.dtype)
    residual = t.sign() - torch.vander(t, len(x), increasing=True) @ x
    return grad((residual**2).sum() / 2, x)


def det(A: Tensor) -> Results:
    A = leaf(A)

    def minor(rows: list[tuple[Tensor, ...]]) -> Tensor:
        first, *rest = rows
        if not rest:
            return first[0]
        total = first[0] * minor([row[1:] for row in rest])
        for j in range(1, len(first)):
            term = first[j] * minor([row[:j] + row[j + 1 :] for row in rest])
            total = total - term if j % 2 else total + term
        return total

    return grad(minor([row.unbind() for row in A.unbind()]), A)


def kmeans(points: Tensor, centroids: Tensor) -> Results:
    c = leaf(centroids)
    squares = (points**2).sum(1, keepdim=True) + (c**2).sum(1) - 2 * points @ c.T
    (gradient,) = grad(squares.amin(1).sum(), c, create_graph=True)
    (diagonal,) = grad(gradient, c, torch.ones_like(c))
    return ((gradient / diagonal).detach(),)


def gmm(x: Tensor, alphas: Tensor, means: Tensor, factors: Tensor, gamma: float, m: int) -> Results:
    (n, d), k = x.shape, len(alphas)
    variables = alphas, means, factors = leaf(alphas), leaf(means), leaf(factors)
    logs = factors[:, :d]
    columns, rows = torch.triu_indices(d, d, 1)
    Q = torch.diag_embed(logs.exp()).index_put((torch.arange(k)[:, None], rows, columns), factors[:, d:])
    z = torch.einsum("kij,nkj->nki", Q, x[:, None] - means)
    inner = alphas + logs.sum(1) - (z**2).sum(2) / 2
    likelihood = inner.logsumexp(1).sum() - n * alphas.logsumexp(0) - n * d / 2 * math.log(2 * math.pi)
    freedom = d + m + 1
    constant = freedom * d * (math.log(gamma) - math.log(2) / 2)
    constant -= torch.special.multigammaln(torch.tensor(freedom / 2, dtype=x.dtype), d).item()
    value = likelihood + gamma**2 / 2 * (Q**2).sum() - m * logs.sum() - k * constant
    return value.detach(), *grad(value, variables)


def ba(cameras: Tensor, points: Tensor, weights: Tensor, seen_by: Tensor, seen: Tensor, features: Tensor) -> Results:
    variables = cams, X, w = leaf(cameras[seen_by]), leaf(points[seen]), leaf(weights)
    turn, center, focal, principal, radial = torch.split(cams, [3, 3, 1, 2, 2], 1)
    angle = torch.linalg.vector_norm(turn, dim=1, keepdim=True)
    axis, x = turn / angle, X - center
    cosine = angle.cos()
    along = (axis * x).sum(1, keepdim=True)
    x = x * cosine + torch.linalg.cross(axis, x) * angle.sin() + axis * along * (1 - cosine)
    x = x[:, :2] / x[:, 2:]
    r = (x**2).sum(1, keepdim=True)
    x = x * (1 + radial[:, :1] * r + radial[:, 1:] * r**2)
    residuals = w * (x * focal + principal - features)
    units = torch.eye(2, dtype=x.dtype)
    rows = [torch.cat(grad(residuals, variables, u.expand_as(residuals), retain_graph=True), 1) for u in units]
    return torch.stack(rows), *grad((1 - w**2).sum(), w)


def ht(
    theta: Tensor, parents: Tensor, bend: Tensor, spread: Tensor, bases: Tensor, inverses: Tensor, corners: Tensor,
    weights: Tensor, seen: Tensor, points: Tensor, jacobian: Callable[..., Any] = torch.func.jacrev,
) -> Results:  # fmt: skip
    tree = parents.tolist()

    def about(angle: Tensor, i: int, j: int) -> Tensor:
        """Return rotations (22, 4, 4) in the plane of two axes."""
        s, c = angle.sin()[:, None, None], angle.cos()[:, None, None]
        units = torch.eye(4, dtype=theta.dtype)
        plane = torch.outer(units[i], units[i]) + torch.outer(units[j], units[j])
        return units - plane + c * plane + s * (torch.outer(units[j], units[i]) - torch.outer(units[i], units[j]))

    def residuals(theta: Tensor) -> Tensor:
        angles = torch.nn.functional.pad(theta, (0, 1))
        relatives = bases @ about(angles[spread], 0, 1) @ about(angles[bend], 1, 2)
        absolutes: list[Tensor] = []
        for relative, parent in zip(relatives.unbind(), tree, strict=True):
            absolutes.append(relative if parent < 0 else absolutes[parent] @ relative)
        blended = torch.tensordot(weights, torch.stack(absolutes) @ inverses, 1)[:, :3]
        vertices = (blended @ corners[:, :, None])[:, :, 0]
        turn, move = theta[:3], theta[3:6]
        angle = torch.linalg.vector_norm(turn)
        axis = turn / angle
        skew = torch.linalg.cross(axis.expand(3, 3), -torch.eye(3, dtype=theta.dtype))
        R = torch.eye(3, dtype=theta.dtype) + skew * angle.sin() + skew @ skew * (1 - angle.cos())
        distance: Tensor = points - (vertices @ R.T + move)[seen]
        return distance

    return (jacobian(residuals)(theta),)


def lstm(gates: Tensor, ends: Tensor, states: Tensor, text: Tensor) -> Results:
    variables = gates, ends = leaf(gates), leaf(ends)
    enter, leave, offset = ends.unbind()
    layers = [[(*weight.unbind(), *bias.unbind())] for weight, bias in gates.unbind()]
    state = [tuple(s.unbind()) for s in states]
    predictions = []
    for x in text[:-1].unbind():
        x = x * enter
        for k, ((forget, input, output, cell, bf, bi, bo, bc),) in enumerate(layers):
            h, c = state[k]
            c = c * torch.sigmoid(x * forget + bf) + torch.sigmoid(h * input + bi) * torch.tanh(h * cell + bc)
            x = torch.sigmoid(x * output + bo) * torch.tanh(c)
            state[k] = x, c
        predictions.append(x * leave + offset)
    predicted = torch.stack(predictions)
    likelihood = text[1:] * (predicted - (predicted.exp().sum(1, keepdim=True) + 2).log())
    loss = -likelihood.mean()
    return loss.detach(), *grad(loss, variables)


def ode(x: Tensor, steps: int) -> Results:
    x = leaf(x)

    def slope(y: Tensor) -> Tensor:
        return torch.cat([x[:1], x[1:] * y[:-1]])

    y, h = torch.zeros_like(x), 2 / steps
    for _ in range(steps):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return grad(y[-1], x)


def particle(w: Tensor, newton: int, dt: float) -> Results:
    fixed, moves = torch.tensor([[10.0, 10], [10, 0]], dtype=w.dtype), torch.tensor([[0.0, 1], [0, 0]], dtype=w.dtype)
    start, velocity = torch.tensor([0.0, 8.0], dtype=w.dtype), torch.tensor([0.75, 0.0], dtype=w.dtype)
    for _ in range(newton):
        w = leaf(w)
        charges, x, v = fixed - w * moves, leaf(start), velocity
        while (ahead := x + dt * v)[1] > 0:
            potential = (1 / ((x - charges) ** 2).sum(1).sqrt()).sum()
            (gradient,) = grad(potential, x, create_graph=True)
            x, v = ahead, v - dt * gradient
        miss = (x[0] - x[1] / v[1] * v[0]) ** 2
        (slope,) = grad(miss, w, create_graph=True)
        (curvature,) = grad(slope, w)
        w = (w - slope / curvature).detach()
    return (w,)


def saddle(start: Tensor, rate: float) -> Results:
    def f(x: Tensor, y: Tensor) -> Tensor:
        return (x**2).sum() - (y**2).sum()

    def descend(f: Callable[[Tensor], Tensor], x: Tensor, nested: bool = False) -> Tensor:
        """Descend along gradients; with `nested`, within another descent, so that results have a graph."""

        def at(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            x = x if x.requires_grad else x.requires_grad_()
            value = f(x)
            (slope,) = grad(value, x, create_graph=nested)
            return x, value, slope

        successes, step = 0, rate
        x, value, slope = at(x.clone())
        while True:
            length = slope.norm().item()
            if length <= 1e-5 or step * length <= 1e-5:
                return x if nested else x.detach()
            new = at(x - step * slope if nested else (x - step * slope).detach())
            if new[1] < value:
                (x, value, slope), successes = new, successes + 1
            else:
                step, successes = step / 2, 0
            if successes == 10:
                step, successes = 2 * step, 0

    x = descend(lambda x: f(x, descend(lambda y: -f(x, y), start, nested=True)), start)
    return x, descend(lambda y: -f(x, y), start)


PROGRAMS: dict[str, Callable[..., Results]] = {
    program.__name__: program
    for program in (ba, gmm, ht, lstm, kmeans, lse, det, llsq, ode, particle, saddle, hello)
}  # fmt: skip

"""Losses of up to a million entries, 10,000 classes or 400 frames, and an LSTM's cell, against formulas in float64."""

from __future__ import annotations

import numpy as np

import minigrad as mg
from tests.sweeps.enumeration import levels
from tests.sweeps.runs import Array, Family, Results, numbers, run, wide

__all__ = ["FAMILIES"]

ONE = np.float32(1)


def squares_and_logits(i: int) -> Results:
    """mse_loss, and binary_cross_entropy_with_logits of targets in [0, 1]; gradients of both inputs."""
    case = levels(i, {"name": ("mse_loss", "binary_cross_entropy_with_logits"), "scale": (1, 10),
                      "shape": ((1_000_000,), (1000, 1000), (25, 7))})  # fmt: skip
    x = numbers(i)(*case["shape"]) * np.float32(case["scale"])
    t = np.random.default_rng(i).random(case["shape"], np.float32)
    loss, dx, dt = run(getattr(mg.ops, case["name"]), [x, t], ONE)
    X, T = wide(x, t)
    n = X.size
    if case["name"] == "mse_loss":
        terms, slope, other = (X - T) ** 2, 2 * (X - T) / n, -2 * (X - T) / n
        sizes = np.abs(slope), np.abs(other)
    else:
        share = np.exp(-np.logaddexp(0, -X))
        terms, slope, other = np.logaddexp(0, X) - T * X, (share - T) / n, -X / n
        sizes = (share + T) / n, np.abs(other)
    for found, exact, size in ((loss, terms.mean(), np.abs(terms).mean() + np.abs(T * X).mean()),
                               (dx, slope, sizes[0]), (dt, other, sizes[1])):  # fmt: skip
        yield case["name"], found, exact, size


def differences(i: int) -> Results:
    """l1_loss, huber_loss of what lies on both sides of its delta, and kl_div; gradients of both inputs."""
    case = levels(i, {"name": ("l1_loss", "huber_loss", "kl_div"), "scale": (1, 10),
                      "shape": ((1_000_000,), (1000, 1000), (25, 7))})  # fmt: skip
    name, shape = case["name"], case["shape"]
    x = numbers(i)(*shape) * np.float32(case["scale"])
    t = np.random.default_rng(i).random(shape, np.float32)
    loss, dx, dt = run(getattr(mg.ops, name), [x, t], ONE)
    X, T = wide(x, t)
    n, d = X.size, X - T
    if name == "kl_div":
        terms, slope, other = T * (np.log(T) - X), -T / n, (np.log(T) - X + 1) / n
        parts = np.abs(T * np.log(T)) + np.abs(T * X), np.abs(slope), (np.abs(np.log(T)) + np.abs(X) + 1) / n
    else:
        small = name == "huber_loss" and np.abs(d) <= 1
        terms = np.where(small, d * d / 2, np.abs(d) - (0.5 if name == "huber_loss" else 0))
        slope = np.where(small, d, np.sign(d)) / n
        other, parts = -slope, (np.abs(X) + T, np.abs(slope), np.abs(slope))
    for found, exact, size in ((loss, terms.mean(), parts[0].mean()), (dx, slope, parts[1]), (dt, other, parts[2])):
        yield name, found, exact, size


def alignments(i: int) -> Results:
    """ctc_loss of up to 400 frames, each sequence with its own number; by products that are made to sum to 1."""
    case = levels(i, {"T": (50, 150, 400), "C": (10, 500), "S": (5, 20)})
    T, C, S, N = case["T"], case["C"], case["S"], 3
    rng, x = np.random.default_rng(i), numbers(i)(T, N, C)
    y = x - np.log(np.exp(x).sum(-1, keepdims=True))
    targets, frames = rng.integers(1, C, (N, S)), rng.integers(2 * S + 1, T + 1, N)
    loss, dy = run(lambda y: mg.ops.ctc_loss(y, targets, frames, np.full(N, S), reduction="sum"), [y], ONE)
    exact, gradient = 0.0, np.zeros(y.shape)
    for n in range(N):
        p = np.exp(y[: frames[n], n].astype(np.float64))
        total, shares = _aligned(p, targets[n])
        exact, gradient[: frames[n], n] = exact - total, -shares
    yield "ctc_loss", loss, exact, exact
    yield "ctc_loss", dy, gradient, np.abs(gradient)


def _aligned(p: Array, labels: Array) -> tuple[float, Array]:
    """Of one sequence of probabilities (T, C): the logarithm of the sum over all alignments; the shares of classes."""
    states = np.zeros(2 * len(labels) + 1, int)
    states[1::2] = labels
    L, emitted = len(states), p[:, states]
    moves = np.eye(L) + np.eye(L, k=1)
    moves[np.arange(L - 2), np.arange(2, L)] = states[2:] != states[:-2]
    forward, backward, total = np.zeros(emitted.shape), np.zeros(emitted.shape), 0.0
    way = np.eye(L)[0]
    way[1] = 1
    for t, e in enumerate(emitted):
        way = (way if t == 0 else way @ moves) * e
        total += np.log(way.sum())
        forward[t] = way = way / way.sum()
    way = np.zeros(L)
    way[-2:] = 1
    total += np.log((forward[-1] * way).sum())
    for t in reversed(range(len(p))):
        backward[t] = way = way / way.sum()
        way = moves @ (way * emitted[t])
    shares = forward * backward
    return total, shares / shares.sum(1, keepdims=True) @ np.eye(p.shape[1])[states]


def classes(i: int) -> Results:
    """nll_loss, and temporal_softmax_loss with a mask."""
    case = levels(i, {"name": ("nll_loss", "temporal_softmax_loss"), "V": (10, 1004, 10_000),
                      "N": (5, 25), "T": (1, 17)})  # fmt: skip
    N, T, V = case["N"], case["T"], case["V"]
    rng, z = np.random.default_rng(i), numbers(i)(N, T, V)
    targets, mask = rng.integers(0, V, (N, T)), rng.random((N, T)) < 0.7
    Z = z.astype(np.float64)
    hit = (np.arange(V) == targets[..., None]).astype(float)
    if case["name"] == "nll_loss":
        loss, dz = run(lambda z: mg.ops.nll_loss(z, targets), [z], ONE)
        yield "nll_loss", loss, -(hit * Z).sum() / (N * T), np.abs(hit * Z).sum() / (N * T)
        yield "nll_loss", dz, -hit / (N * T), hit / (N * T)
        return
    loss, dz = run(lambda z: mg.ops.temporal_softmax_loss(z, targets, mask), [z], ONE)
    top = Z.max(-1, keepdims=True)
    total = np.log(np.exp(Z - top).sum(-1, keepdims=True))
    logp, used = Z - top - total, hit * mask[..., None]
    p, spread = np.exp(logp), 1 + np.abs(Z - top) + total
    sizes = (used * (np.abs(Z) + np.abs(top) + total)).sum() / N
    yield "temporal_softmax_loss", loss, -(used * logp).sum() / N, sizes
    yield "temporal_softmax_loss", dz, (p - hit) * mask[..., None] / N, (p * spread + hit) * mask[..., None] / N


def cells(i: int) -> Results:
    """lstm_cell: the state h of up to 512 units; gates in the order i, f, o, g."""
    case = levels(i, {"N": (1, 64, 512), "H": (16, 128, 512)})
    N, H = case["N"], case["H"]
    draw = numbers(i)
    a, c, g = draw(N, 4 * H), draw(N, H), draw(N, H)
    h, da, dc = run(lambda a, c: mg.ops.lstm_cell(a, c)[0], [a, c], g)
    A, C, G = wide(a, c, g)
    i_, f, o = (1 / (1 + np.exp(-part)) for part in np.split(A[:, : 3 * H], 3, axis=1))
    n = np.tanh(A[:, 3 * H :])
    y = np.tanh(f * C + i_ * n)
    d = G * o * (1 - y * y)
    slopes = [d * n * i_ * (1 - i_), d * C * f * (1 - f), G * y * o * (1 - o), d * i_ * (1 - n * n)]
    for found, exact in ((h, o * y), (da, np.concatenate(slopes, 1)), (dc, d * f)):
        yield "lstm_cell", found, exact, np.abs(exact).max()


# The function, how many cases, and the bound in units of rounding.
FAMILIES: dict[str, tuple[Family, int, float]] = {
    "losses of two arrays": (squares_and_logits, 24, 8.0),
    "losses of differences": (differences, 36, 8.0),
    "losses of alignments": (alignments, 12, 8.0),
    "losses of classes": (classes, 48, 8.0),
    "cells": (cells, 18, 8.0),
}

"""Random inputs of the programs, as tuples of float64 arrays, integer arrays and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIZES", "draw"]

_NO_PARAMETER = 26  # in `ht`: the index of an angle that is always 0, after those of the hand's 26 parameters

SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ba": ({"cameras": 3, "points": 7, "observations": 12}, {"cameras": 49, "points": 2000, "observations": 10_000}),
    "gmm": ({"n": 9, "d": 3, "k": 4}, {"n": 1000, "d": 10, "k": 25}),
    "ht": ({"vertices": 40, "observations": 6}, {"vertices": 544, "observations": 100}),
    "lstm": ({"layers": 2, "bits": 5, "characters": 7}, {"layers": 2, "bits": 14, "characters": 256}),
    "kmeans": ({"n": 30, "d": 3, "k": 4}, {"n": 10_000, "d": 8, "k": 10}),
    "lse": ({"n": 11}, {"n": 1_000_000}),
    "det": ({"n": 4}, {"n": 6}),
    "llsq": ({"m": 5, "n": 17}, {"m": 32, "n": 16_384}),
    "ode": ({"n": 6, "steps": 5}, {"n": 100, "steps": 100}),
    "particle": ({"newton": 2, "dt": 0.5}, {"newton": 1, "dt": 0.1}),
    "saddle": ({"rate": 0.1}, {"rate": 0.03}),
    "hello": ({}, {}),
}
"""The sizes of each program's inputs: small ones for tests, large ones for timing."""


def draw(program: str, small: bool = False) -> tuple[Any, ...]:
    """Return the inputs of a program, the same ones every time."""
    inputs: tuple[Any, ...] = _INPUTS[program](np.random.default_rng(0), **SIZES[program][0 if small else 1])
    return inputs


def _ba(rng: np.random.Generator, cameras: int, points: int, observations: int) -> tuple[Any, ...]:
    """Draw cameras (C, 11), points (P, 3), weights (N, 1), which camera saw which point (N,), and where (N, 2)."""
    turn, center = 0.1 * rng.normal(size=(cameras, 3)), rng.normal(size=(cameras, 3))
    lens = rng.normal((500.0, 320.0, 240.0), 10.0, (cameras, 3))
    radial = 0.01 * rng.normal(size=(cameras, 2))
    seen_by, seen = rng.integers(cameras, size=observations), rng.integers(points, size=observations)
    places = rng.uniform((-2.0, -2.0, 8.0), (2.0, 2.0, 12.0), (points, 3))
    weights = rng.uniform(0.5, 1.5, (observations, 1))
    cams = np.concatenate([turn, center, lens, radial], 1)
    return cams, places, weights, seen_by, seen, rng.uniform(0.0, 640.0, (observations, 2))


def _gmm(rng: np.random.Generator, n: int, d: int, k: int) -> tuple[Any, ...]:
    """Draw points (n, d), log-weights (k,), means (k, d), inverse covariance factors (k, d (d + 1) / 2), prior."""
    factors = rng.normal(size=(k, d * (d + 1) // 2))
    return rng.normal(size=(n, d)), rng.normal(size=k), rng.uniform(size=(k, d)), factors, 1.0, 0


def _ht(rng: np.random.Generator, vertices: int, observations: int) -> tuple[Any, ...]:
    """Draw parameters (26,), a hand of 22 bones, its vertices (V, 4), weights (V, 22), and observed points (N, 3).

    Bone 0 is the wrist, four bones make a finger, and bone 21 is the forearm. The bases of bones are (22, 4, 4).
    A finger's first bone is stiff, the second bends and spreads, and the others bend.
    """
    parents = np.array([-1, *(b - 1 if b % 4 != 1 else 0 for b in range(1, 21)), 0])
    bend, spread = np.full(22, _NO_PARAMETER), np.full(22, _NO_PARAMETER)
    for finger in range(5):
        bend[4 * finger + 2 : 4 * finger + 5] = 6 + 4 * finger + np.array([0, 2, 3])
        spread[4 * finger + 2] = 7 + 4 * finger
    bases = np.tile(np.eye(4), (22, 1, 1))
    bases[:, :3, :3] = np.linalg.qr(rng.normal(size=(22, 3, 3)))[0]
    bases[:, :3, 3] = rng.normal(size=(22, 3))
    absolutes: list[NDArray[np.float64]] = []
    for base, parent in zip(bases, parents, strict=True):
        absolutes.append(base if parent < 0 else absolutes[parent] @ base)
    corners = np.concatenate([3.0 * rng.normal(size=(vertices, 3)), np.ones((vertices, 1))], 1)
    weights = rng.dirichlet(np.full(22, 0.2), vertices)
    seen, points = rng.integers(vertices, size=observations), rng.normal(size=(observations, 3))
    hand = parents, bend, spread, bases, np.linalg.inv(absolutes), corners, weights
    return 0.5 * rng.normal(size=26), *hand, seen, points


def _lstm(rng: np.random.Generator, layers: int, bits: int, characters: int) -> tuple[Any, ...]:
    """Draw weights and biases of gates (layers, 2, 4, bits) and ends (3, bits), states (layers, 2, bits), text."""
    text = rng.integers(2, size=(characters, bits)).astype(np.float64)
    return rng.normal(size=(layers, 2, 4, bits)), rng.normal(size=(3, bits)), rng.normal(size=(layers, 2, bits)), text


def _kmeans(rng: np.random.Generator, n: int, d: int, k: int) -> tuple[Any, ...]:
    """Draw points (n, d), of which the first k are the centroids, so that no cluster is empty."""
    points = rng.uniform(size=(n, d))
    return points, points[:k].copy()


_INPUTS: dict[str, Any] = {
    "ba": _ba, "gmm": _gmm, "ht": _ht, "lstm": _lstm, "kmeans": _kmeans,
    "lse": lambda rng, n: (rng.uniform(-10.0, 10.0, n),),
    "det": lambda rng, n: (rng.normal(size=(n, n)),),
    "llsq": lambda rng, m, n: (rng.normal(size=m), n),
    "ode": lambda rng, n, steps: (rng.uniform(1.0, 2.0, n), steps),
    "particle": lambda rng, newton, dt: (np.array(0.15), newton, dt),
    "saddle": lambda rng, rate: (np.array([8.0, 5.0]), rate),
    "hello": lambda rng: (np.array(1.5),),
}  # fmt: skip

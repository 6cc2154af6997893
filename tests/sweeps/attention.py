"""Attention at the sizes that transformers and captioners have, against its definition in float64: see runs.

With s = q k' / sqrt(D), p = softmax(s) and dp = g v': ds = p (dp - sum(p dp)). The rounding of a score moves its weight
by so much of itself, and all others of its row: magnitudes of p are p (1 + |q| |k|' / sqrt(D) + the mean of these).
"""

from __future__ import annotations

import numpy as np

import minigrad as mg
from tests.sweeps.enumeration import levels
from tests.sweeps.runs import Array, Family, Results, numbers, run, wide

__all__ = ["FAMILIES"]

# Heads, queries, keys, features of keys and of values.
_SIZES = (
    (8, 128, 128, 32, 32), (2, 512, 512, 64, 64), (1, 1500, 1500, 16, 16), (16, 32, 32, 16, 16), (25, 1, 49, 256, 64),
    (3, 700, 40, 8, 100), (1, 5, 4000, 4, 4), (12, 64, 64, 64, 64), (4, 300, 900, 20, 30), (2, 1, 1, 3, 5),
)  # fmt: skip


def heads(i: int) -> Results:
    """With and without a mask, causal or not, of scores that are small or large."""
    case = levels(i, {"size": _SIZES, "causal": (False, True), "masked": (False, True), "large": (1, 1, 4)})
    B, T, S, D, E = case["size"]
    draw = numbers(i)
    q, k, v, g = draw(B, T, D) * np.float32(case["large"]), draw(B, S, D), draw(B, S, E), draw(B, T, E)
    mask = np.random.default_rng(i).random((B, 1, S)) < 0.7 if case["masked"] else None
    mine = run(lambda q, k, v: mg.ops.attention(q, k, v, mask, case["causal"]), [q, k, v], g)
    allowed = np.ones((B, T, S), bool) if mask is None else np.broadcast_to(mask, (B, T, S))
    if case["causal"]:
        allowed = allowed & np.tri(T, S, dtype=bool)
    for found, (exact, sizes) in zip(mine, _expected(*wide(q, k, v, g), allowed), strict=True):
        yield "attention", found, exact, sizes


def _expected(q: Array, k: Array, v: Array, g: Array, allowed: Array) -> list[tuple[Array, Array]]:
    """Result and gradients of q, k and v, each with its sums of magnitudes."""
    scale, (k_, v_) = 1 / np.sqrt(q.shape[-1]), (k.swapaxes(1, 2), v.swapaxes(1, 2))
    s = np.where(allowed, scale * (q @ k_), -np.inf)
    p = np.exp(s - np.maximum(s.max(-1, keepdims=True), -1e300))
    p /= np.maximum(p.sum(-1, keepdims=True), 1e-300)

    def centred(x: Array, sign: int) -> Array:
        return x + sign * (p * x).sum(-1, keepdims=True)

    p_size = p * (1 + centred(scale * (np.abs(q) @ np.abs(k_)), 1))
    ds = scale * p * centred(g @ v_, -1)
    ds_size = scale * p_size * centred(np.abs(g) @ np.abs(v_), 1)
    return [
        (p @ v, p_size @ np.abs(v)),
        (ds @ k, ds_size @ np.abs(k)),
        (ds.swapaxes(1, 2) @ q, ds_size.swapaxes(1, 2) @ np.abs(q)),
        (p.swapaxes(1, 2) @ g, p_size.swapaxes(1, 2) @ np.abs(g)),
    ]


# The function, how many cases, and the bound in units of rounding.
FAMILIES: dict[str, tuple[Family, int, float]] = {"attention": (heads, 120, 8.0)}

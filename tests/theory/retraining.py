"""The training of claim "3-1 alt" again, in plain NumPy with a backward pass by hand.

Single networks learn something else, since the sums are rounded in another order. The counts differ by a few.
"""

from __future__ import annotations

import math

import numpy as np

STEPS, BATCH, RATE, LONGEST = 1_000, 32, 0.02, 10_000

ROWS = {
    "8 units, 20 bits, every step counts": {},
    "4 units": {"H": 4},
    "16 units": {"H": 16},
    "5 bits": {"lengths": (5,)},
    "40 bits": {"lengths": (40,)},
    "2 bits, then 3, 5, 8, 12, 20": {"lengths": (2, 3, 5, 8, 12, 20)},
    "only the last step counts": {"last_only": True},
    "first weights halved": {"initial": 0.5},
}
"""The rows of the page's tables, and what each changes."""


def train(seed, H=8, lengths=(20,), last_only=False, initial=1.0):
    """Return Wx (H,), Wh (H, H), b (H,), V (H,) and c of a network that was trained by Adam."""
    rng = np.random.default_rng(seed)
    k = math.sqrt(6 / (1 + H))
    Wx = initial * rng.uniform(-k, k, (1, H))[0]
    q, r = np.linalg.qr(rng.normal(size=(H, H)))
    Wh, b = initial * q * np.where(np.diag(r) < 0, -1, 1), np.zeros(H)
    V, c = rng.uniform(-1, 1, H) / math.sqrt(H), rng.uniform(-1, 1, 1) / math.sqrt(H)
    weights = [Wx, Wh, b, V, c]
    means, squares = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    stage = low = 0
    for t in range(1, STEPS + 1):
        T = lengths[stage]
        bits = rng.integers(0, 2, (BATCH, T))
        x, wanted = 2.0 * bits - 1, bits.cumsum(axis=1) % 2
        h = np.zeros((T + 1, BATCH, H))
        for i in range(T):
            h[i + 1] = np.tanh(x[:, i, None] * Wx + h[i] @ Wh + b)
        z = h[1:] @ V + c
        counts = np.zeros((T, 1))
        counts[T - 1 if last_only else 0 :] = 1
        loss = ((np.logaddexp(0, z) - wanted.T * z) * counts).sum() / (counts.sum() * BATCH)
        dz = (1 / (1 + np.exp(-z)) - wanted.T) * counts / (counts.sum() * BATCH)
        dh, da = np.zeros((BATCH, H)), np.empty((T, BATCH, H))
        for i in reversed(range(T)):
            da[i] = (dh + dz[i, :, None] * V) * (1 - h[i + 1] ** 2)
            dh = da[i] @ Wh.T
        gradients = [np.einsum("tnh,nt->h", da, x), np.einsum("tni,tnh->ih", h[:-1], da), da.sum((0, 1)),
                     np.einsum("tnh,tn->h", h[1:], dz), dz.sum(keepdims=True)[0]]  # fmt: skip
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        for w, g, m, v in zip(weights, gradients, means, squares, strict=True):
            g /= max(1.0, norm)
            m += 0.1 * (g - m)
            v += 0.001 * (g**2 - v)
            w -= RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        low = low + 1 if loss < 0.1 else 0
        if low >= 5 and stage + 1 < len(lengths):
            stage, low = stage + 1, 0
    return weights


def first_error(weights, bits, scale=1.0):
    """Return the number of steps without an error on all sequences (N, T)."""
    Wx, Wh, b, V, c = weights
    h, parity = np.zeros((len(bits), len(b))), np.zeros(len(bits), int)
    for t in range(bits.shape[1]):
        x = 2.0 * bits[:, t] - 1
        h = np.tanh(scale * (x[:, None] * Wx + h @ Wh + b))
        parity ^= bits[:, t]
        if ((h @ V + c > 0) != parity).any():
            return t
    return bits.shape[1]


def random_bits():
    """200 sequences of 10,000 random bits."""
    return np.random.default_rng(0).integers(0, 2, (200, LONGEST))


def structured_bits(length=LONGEST):
    """35 sequences: 0 0 … 0, 1 0 … 0, 1 1 … 1, and 8 of each of four densities."""
    rng = np.random.default_rng(1)
    plain = np.zeros((3, length), int)
    plain[1, 0] = plain[2] = 1
    return np.concatenate([plain, *((rng.random((8, length)) < p).astype(int) for p in (0.001, 0.01, 0.99, 0.999))])


def row(name):
    """Train ten networks: the norms of Wh of those without and with an error, the number right on random, scales."""
    right, wrong, on_random, scales = [], [], 0, []
    for seed in range(10):
        weights = train(seed, **ROWS[name])
        random = first_error(weights, random_bits()) == LONGEST
        whole = random and first_error(weights, structured_bits()) == LONGEST
        on_random += random
        (right if whole else wrong).append(float(np.linalg.norm(weights[1], 2)))
        if whole:
            bits = structured_bits(500)
            scales.append(next((p + 2 for p in range(98, 0, -2) if first_error(weights, bits, p / 100) < 500), 2) / 100)
    return right, wrong, on_random, scales

"""Learning parity: train recurrent networks on short sequences, and measure the length up to which each is right.

A network is `mg.nn.RNN` on bits as -1/+1 with a linear readout z of its state, y = [z > 0], trained with Adam on random
bits. Scaling all weights down until it forgets compares it with the tanh network of `theory.parity.gain`.

Source: homework 3-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from theory.parity.units import Bits, parity

__all__ = [
    "BASE", "LIMIT", "SEEDS", "SETTINGS", "Learnt", "Results", "Setting", "Trained", "against_the_others",
    "critical_scale", "differing", "fisher", "holds", "random_sequences", "structured_sequences", "train", "train_all",
]  # fmt: skip

SEEDS = range(10)
LIMIT = 10_000
"""The greatest length that is tried."""
_CHUNK = 500


@dataclass(frozen=True)
class Setting:
    """How to train a network.

    lengths: of the sequences; training moves on to the next one after five losses below 0.1 in a row.
    last_only: whether the loss counts only the last step. initial: a factor of the initial weights.
    """

    name: str
    hidden: int = 8
    lengths: tuple[int, ...] = (20,)
    last_only: bool = False
    initial: float = 1.0
    iterations: int = 1_000
    batch: int = 32
    rate: float = 0.02


BASE = Setting("8 units, 20 bits, every step counts")
SETTINGS = (
    BASE,
    Setting("4 units", hidden=4),
    Setting("16 units", hidden=16),
    Setting("5 bits", lengths=(5,)),
    Setting("40 bits", lengths=(40,)),
    Setting("2 bits, then 3, 5, 8, 12, 20", lengths=(2, 3, 5, 8, 12, 20)),
    Setting("only the last step counts", last_only=True),
    Setting("first weights halved", initial=0.5),
)
"""The base, and one change to it each."""


@dataclass(frozen=True)
class Learnt:
    """The weights of a trained network, Wx (1, H), Wh (H, H), b (H,), readout V (H, 1), c (1,), and its loss."""

    Wx: NDArray[np.float64]
    Wh: NDArray[np.float64]
    b: NDArray[np.float64]
    V: NDArray[np.float64]
    c: NDArray[np.float64]
    loss: float = 0.0

    def scaled(self, factor: float) -> Learnt:
        """Return the network with all weights of its units times a factor, and the same readout."""
        return Learnt(factor * self.Wx, factor * self.Wh, factor * self.b, self.V, self.c)

    def run(self, bits: Bits, h0: Any = None) -> tuple[NDArray[np.float64], Any]:
        """Return readouts z (N, T) for bits (N, T), and the last state (N, H)."""
        start = np.zeros((len(bits), len(self.b))) if h0 is None else h0
        h = mg.ops.rnn(_signs(bits), start, self.Wx, self.Wh, self.b).numpy()
        return (h @ self.V + self.c)[..., 0], h[:, -1]


def _signs(bits: Bits) -> NDArray[np.float64]:
    """Return bits (N, T) as inputs -1 and +1, (N, T, 1)."""
    return (2 * bits[..., None] - 1).astype(np.float64)


def train(setting: Setting, seed: int) -> Learnt:
    """Train a network. The seed determines its initial weights and its bits.

    >>> train(Setting("short", hidden=3, iterations=2), 0).Wh.shape
    (3, 3)
    """
    rng = np.random.default_rng(seed)
    rnn = mg.nn.RNN(1, setting.hidden, dtype=np.float64, rng=rng)
    readout = mg.nn.Linear(setting.hidden, 1, dtype=np.float64, rng=rng)
    for weight in (rnn.Wx, rnn.Wh):
        weight.data *= setting.initial
    parameters = [*rnn.parameters(), *readout.parameters()]
    optimizer = mg.optim.Adam(parameters, lr=setting.rate)
    stage = low = 0
    value = np.inf
    for _ in range(setting.iterations):
        bits = rng.integers(0, 2, (setting.batch, setting.lengths[stage]))
        wanted = parity(bits)[..., None].astype(np.float64)
        first = setting.lengths[stage] - 1 if setting.last_only else 0
        states = rnn(mg.tensor(_signs(bits)))[0][:, first:]
        loss = mg.binary_cross_entropy_with_logits(readout(states), mg.tensor(wanted[:, first:]))
        optimizer.zero_grad()
        loss.backward()
        mg.optim.clip_grad_norm(parameters, 1.0)
        optimizer.step()
        value = float(loss.numpy())
        low = low + 1 if value < 0.1 else 0
        if low >= 5 and stage + 1 < len(setting.lengths):
            stage, low = stage + 1, 0
    Wx, Wh, b, V, c = (parameter.data for parameter in parameters)
    return Learnt(Wx, Wh, b, V, c, value)


def random_sequences(length: int = LIMIT) -> Bits:
    """Return the same 200 sequences of random bits, (200, length)."""
    return np.random.default_rng(0).integers(0, 2, (200, length))


def structured_sequences(length: int = LIMIT) -> Bits:
    """Return 0 0 … 0, 1 0 … 0, 1 1 … 1, and random bits that are rarely 1 or rarely 0, (35, length).

    >>> structured_sequences(4)[:3]
    array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    """
    rng = np.random.default_rng(1)
    rare = [rng.random((8, length)) < density for density in (0.001, 0.01, 0.99, 0.999)]
    plain = np.zeros((3, length), np.int64)
    plain[1, 0] = 1
    plain[2] = 1
    return np.concatenate([plain, *rare])


def holds(learnt: Learnt, bits: Bits) -> int:
    """Return the number of steps up to which a network is right on all sequences (N, T).

    >>> holds(train(Setting("short", hidden=3, iterations=2), 0), random_sequences(50)) < 50
    True
    """
    h, truth = None, parity(bits)
    for start in range(0, bits.shape[1], _CHUNK):
        steps = slice(start, start + _CHUNK)
        z, h = learnt.run(bits[:, steps], h)
        wrong = ((z > 0) != truth[:, steps]).any(axis=0)
        if wrong.any():
            return start + int(wrong.argmax())
    return int(bits.shape[1])


def critical_scale(learnt: Learnt, bits: Bits) -> float:
    """Return the smallest factor of all weights, in steps of 0.02 down from 1, before the network first errs.

    A network that errs at 0.98 has 1.0, even if it also errs itself.

    >>> critical_scale(train(Setting("short", hidden=3, iterations=2), 0), random_sequences(50))
    1.0
    """
    scale = 1.0
    for percent in range(98, 0, -2):
        if holds(learnt.scaled(percent / 100), bits) < bits.shape[1]:
            break
        scale = percent / 100
    return scale


def fisher(a: int, n: int, b: int, m: int) -> float:
    """Return the p of Fisher's two-sided exact test for a successes of n and b of m.

    Given a + b successes among n + m, p is the probability of all outcomes that are at most as likely as this one.

    >>> fisher(3, 4, 1, 4)  # R. A. Fisher's lady tasting tea
    0.4857
    """
    ways = [comb(n, k) * comb(m, a + b - k) for k in range(a + b + 1)]
    return float(sum(way for way in ways if way <= ways[a]) / sum(ways))


# Every setting with every seed ------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """A network, and the lengths up to which it is right on random and structured sequences."""

    network: Learnt
    random: int
    structured: int

    @property
    def never_erred(self) -> bool:
        """Whether the network is right on both up to the limit."""
        return self.random == self.structured == LIMIT


Results = dict[Setting, list[Trained]]


def train_all() -> Results:
    """Train the networks of every setting, one for each seed."""
    random, structured = random_sequences(), structured_sequences()
    results: Results = {}
    for setting in SETTINGS:
        networks = [train(setting, seed) for seed in SEEDS]
        results[setting] = [Trained(n, holds(n, random), holds(n, structured)) for n in networks]
    return results


def against_the_others(setting: Setting, results: Results) -> float:
    """Return the p of Fisher's test of the networks that never erred, a setting against all others together."""
    own = [t.never_erred for t in results[setting]]
    others = [t.never_erred for other, trained in results.items() if other is not setting for t in trained]
    return fisher(sum(own), len(own), sum(others), len(others))


def differing(results: Results) -> list[Setting]:
    """Return the settings that differ from the others at a level of 5 % for all tests (Bonferroni's correction)."""
    return [setting for setting in results if against_the_others(setting, results) < 0.05 / len(results)]

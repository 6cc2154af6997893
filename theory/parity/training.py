"""Learning parity: recurrent networks trained on short sequences, and the length to which each one holds.

A network is `mg.nn.RNN` on bits as -1/+1 and a linear readout z of its state, y = [z > 0], trained with Adam on random
bits. What it has learnt is compared with the tanh network of `theory.parity.gain`: how far all weights can be scaled
down until the memory is lost, as below a critical gain.

Source: homework 3-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from theory.parity.units import Bits, as_bits, parity

__all__ = [
    "BASE", "LIMIT", "SEEDS", "SETTINGS", "Learnt", "Results", "Setting", "Trained", "against_the_others",
    "critical_scale", "differing", "fisher", "holds", "random_sequences", "structured_sequences", "train", "train_all",
]  # fmt: skip

SEEDS = range(10)
LIMIT = 10_000
"""Steps up to which a network is tried."""
_CHUNK = 500


@dataclass(frozen=True)
class Setting:
    """How a network is trained.

    lengths: of the sequences; with several, the next one follows when the loss was below 0.1 five times in a row.
    last_only: the loss counts the last step's parity rather than every step's. initial: a factor of the first weights.
    """

    name: str
    hidden: int = 8
    lengths: tuple[int, ...] = (20,)
    last_only: bool = False
    initial: float = 1.0
    iterations: int = 1_000
    batch: int = 32
    rate: float = 0.02

    def __post_init__(self) -> None:
        sizes = self.hidden, self.iterations, self.batch, *self.lengths
        if not self.lengths or min(sizes) < 1:
            what = "units, lengths, iterations and the batch"
            raise ValueError(f"Setting {self.name}: {what} must be at least 1; got {sizes}")


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
"""The first one, and one change to it each."""


@dataclass(frozen=True)
class Learnt:
    """The weights of a trained network, Wx (1, H), Wh (H, H), b (H,), readout V (H, 1) and c (1,), and its loss."""

    Wx: NDArray[np.float64]
    Wh: NDArray[np.float64]
    b: NDArray[np.float64]
    V: NDArray[np.float64]
    c: NDArray[np.float64]
    loss: float = 0.0

    def scaled(self, factor: float) -> Learnt:
        """The network with all weights of its units times a factor, a gain; the readout is as it was."""
        return Learnt(factor * self.Wx, factor * self.Wh, factor * self.b, self.V, self.c)

    def run(self, bits: Bits, h0: Any = None) -> tuple[NDArray[np.float64], Any]:
        """Readouts z (N, T) for bits (N, T), and the last state (N, H)."""
        start = np.zeros((len(bits), len(self.b))) if h0 is None else h0
        h = mg.ops.rnn(_signs(bits), start, self.Wx, self.Wh, self.b).numpy()
        return (h @ self.V + self.c)[..., 0], h[:, -1]


def _signs(bits: Bits) -> NDArray[np.float64]:
    """Bits (N, T) as inputs -1 and +1, (N, T, 1)."""
    return (2 * bits[..., None] - 1).astype(np.float64)


def train(setting: Setting, seed: int) -> Learnt:
    """Train a network; the seed decides its first weights and the bits that it sees.

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
    """200 sequences of random bits, always the same, (200, length)."""
    return np.random.default_rng(0).integers(0, 2, (200, length))


def structured_sequences(length: int = LIMIT) -> Bits:
    """0 0 … 0, 1 0 … 0, 1 1 … 1, and random bits that are rarely 1 or rarely 0, (35, length).

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
    """To how many steps a network is right on all of some sequences (N, T); T at most.

    Raises:
        ValueError: for what is not bits, or not N sequences of T steps with N and T at least 1.

    >>> holds(train(Setting("short", hidden=3, iterations=2), 0), random_sequences(50)) < 50
    True
    """
    bits = as_bits(bits, "holds")
    if bits.ndim != 2 or not bits.size:
        raise ValueError(f"holds: bits must have shape (N, T) with N and T at least 1, not {bits.shape}")
    h, truth = None, parity(bits)
    for start in range(0, bits.shape[1], _CHUNK):
        steps = slice(start, start + _CHUNK)
        z, h = learnt.run(bits[:, steps], h)
        wrong = ((z > 0) != truth[:, steps]).any(axis=0)
        if wrong.any():
            return start + int(wrong.argmax())
    return int(bits.shape[1])


def critical_scale(learnt: Learnt, bits: Bits) -> float:
    """The smallest factor in steps of 0.02 down from 1 to which all weights can go and the network still holds.

    To hold is to be right on all of the bits (N, T). The walk ends at the first factor that fails; a network that
    fails at 0.98 has 1.0, whether it is right itself or not. Raises as `holds`.

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
    """The p of Fisher's exact test, two-sided: how likely a of n and b of m are as far apart as this, or farther.

    Of a + b successes among n + m, all ways to fall on the two groups are as likely; those that are as likely as
    what was seen, or less, add up to p.

    >>> fisher(3, 4, 1, 4)  # R. A. Fisher's lady tasting tea
    0.4857
    """
    ways = [comb(n, k) * comb(m, a + b - k) for k in range(a + b + 1)]
    return float(sum(way for way in ways if way <= ways[a]) / sum(ways))


# Every setting with every seed ------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """A network, and to how many steps it holds on either kind of sequences."""

    network: Learnt
    random: int
    structured: int

    @property
    def never_erred(self) -> bool:
        """Whether it holds on both, as far as it was tried."""
        return self.random == self.structured == LIMIT


Results = dict[Setting, list[Trained]]


def train_all() -> Results:
    """The networks of every setting, one for each seed."""
    random, structured = random_sequences(), structured_sequences()
    results: Results = {}
    for setting in SETTINGS:
        networks = [train(setting, seed) for seed in SEEDS]
        results[setting] = [Trained(n, holds(n, random), holds(n, structured)) for n in networks]
    return results


def against_the_others(setting: Setting, results: Results) -> float:
    """The p of Fisher's test that a setting's networks never erred as often as those of all the others together."""
    own = [t.never_erred for t in results[setting]]
    others = [t.never_erred for other, trained in results.items() if other is not setting for t in trained]
    return fisher(sum(own), len(own), sum(others), len(others))


def differing(results: Results) -> list[Setting]:
    """The settings that differ from the others, at a level of 5 % for all tests together (Bonferroni's correction)."""
    return [setting for setting in results if against_the_others(setting, results) < 0.05 / len(results)]

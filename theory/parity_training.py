"""Learning parity: recurrent networks trained on short sequences, and the length to which each one holds.

A network is `mg.nn.RNN` on bits as -1/+1 and a linear readout z of its state, y = [z > 0], trained with Adam on random
bits. What it has learnt is compared with the tanh network of `parity_gain`: whether either parity keeps to an interval
of z, and how far all weights can be scaled down until the memory is lost, as below a critical gain.

Source: homework 3-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from theory.parity_units import Bits, parity

__all__ = ["BASE", "LIMIT", "SETTINGS", "Learnt", "Setting", "critical_scale", "holds", "measure_training",
           "readout_extremes", "train"]  # fmt: skip

SEEDS = range(10)
LIMIT = 10_000
"""Steps after which a network that has not erred is said to hold."""
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
    """Train a network; the seed decides its first weights and the bits that it sees."""
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


def holds(learnt: Learnt, limit: int = LIMIT, sequences: int = 200) -> int:
    """To how many steps a network is right on all of some random sequences, always the same; `limit` at most.

    Raises:
        ValueError: for a limit or a number of sequences below 1.
    """
    if min(limit, sequences) < 1:
        raise ValueError(f"holds: limit and sequences must be at least 1; got {limit} and {sequences}")
    rng = np.random.default_rng(0)
    h, odd = None, np.zeros((sequences, 1), np.int64)
    for start in range(0, limit, _CHUNK):
        bits = rng.integers(0, 2, (sequences, min(_CHUNK, limit - start)))
        z, h = learnt.run(bits, h)
        truth = parity(np.concatenate([odd, bits], axis=1))[:, 1:]
        odd = truth[:, -1:]
        wrong = ((z > 0) != truth).any(axis=0)
        if wrong.any():
            return start + int(wrong.argmax())
    return limit


def critical_scale(learnt: Learnt, limit: int = 500) -> float:
    """The smallest factor in steps of 0.02 down from 1 to which all weights can go and the network still holds."""
    scale = 1.0
    for percent in range(98, 0, -2):
        if holds(learnt.scaled(percent / 100), limit) < limit:
            break
        scale = percent / 100
    return scale


def readout_extremes(learnt: Learnt, length: int = 1_000) -> tuple[float, float]:
    """The largest z at parity 0 and the smallest at parity 1 over random bits, and over 0 0 … 0, 1 0 … 0, 1 1 … 1."""
    bits = np.random.default_rng(1).integers(0, 2, (200, length))
    bits[:3] = 0
    bits[1, 0] = 1
    bits[2] = 1
    z, truth = learnt.run(bits)[0], parity(bits)
    return float(z[truth == 0].max()), float(z[truth == 1].min())


# The page --------------------------------------------------------------------------------------------


def measure_training() -> str:
    """Train every setting with every seed, and write what came out as Markdown."""
    learnt = {setting: [train(setting, seed) for seed in SEEDS] for setting in SETTINGS}
    lengths = {setting: [holds(network) for network in networks] for setting, networks in learnt.items()}
    parts = [_INTRODUCTION, _settings_table(lengths), _BETWEEN, _seeds_table(learnt[BASE], lengths[BASE])]
    return "\n\n".join([*parts, _CONCLUSION])


_INTRODUCTION = f"""**Learning it.** An RNN with a linear readout is trained with minigrad on random bits, in
{BASE.iterations:,} steps of Adam (rate {BASE.rate}, batches of {BASE.batch}, gradients clipped to norm 1). For each of
{len(SEEDS)} seeds: the number of steps to which it is right on all of 200 random sequences, up to {LIMIT:,}. The
first row is the base; the others change one thing each."""

_BETWEEN = """The base by seed. The readout z is read as 1 above 0; its extremes are over 1,000 steps of 200 sequences,
among them 0 0 … 0, 1 0 … 0 and 1 1 … 1. The critical scale is the smallest factor of all weights, in steps of 0.02,
with which the network still holds 500 steps: the counterpart of the critical gain."""

_CONCLUSION = """What makes it succeed: above all a loss that counts every step, and sequences too long to be known by
heart. More units or still longer sequences help further; growing lengths and smaller first weights change little. The
recurrent weights grow whether it succeeds or not. A network that holds has what the critical gain is about, an interval
of z for either parity that no bit leaves, and loses it when its weights are scaled down; one that errs early has learnt
the beginnings of the sequences, and its intervals overlap later on."""


def _settings_table(lengths: dict[Setting, list[int]]) -> str:
    rows = ["| training | hold to (seeds 0 to 9) | never erred |", "|---|---|---|"]
    for setting, values in lengths.items():
        held = sum(value == LIMIT for value in values)
        rows.append(f"| {setting.name} | {', '.join(f'{value:,}' for value in values)} | {held} of {len(values)} |")
    return "\n".join(rows)


def _seeds_table(networks: list[Learnt], lengths: list[int]) -> str:
    rows = ["| seed | holds to | last loss | norm of Wh, 1 at first | critical scale | "
            "largest z at 0 | smallest z at 1 |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    for seed, network, length in zip(SEEDS, networks, lengths, strict=True):
        norm = np.linalg.norm(network.Wh, 2)
        scale = f"{critical_scale(network):.2f}" if length == LIMIT else "-"
        zero, one = readout_extremes(network)
        rows.append(f"| {seed} | {length:,} | {network.loss:.4f} | {norm:.2f} | {scale} | {zero:.2f} | {one:.2f} |")
    return "\n".join(rows)

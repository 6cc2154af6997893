"""Summarise rounds: medians, quartiles, ratios per round, and whether they are too noisy to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.job import Aim
from benchmarks.results import Measured, Results, Row

__all__ = [
    "NOISY", "Comparison", "Quartiles", "amdahl", "best_rate", "best_variant", "comparison", "geometric_mean",
    "quartiles", "serial_share",
]  # fmt: skip

NOISY = 0.10
"""An interquartile range above this share of the median is too wide to tell."""


@dataclass(frozen=True)
class Quartiles:
    """The middle half of some figures: from `low` to `high` around `median`.

    >>> quartiles([4.0, 1.0, 2.0, 3.0, 5.0])
    Quartiles(low=2.0, median=3.0, high=4.0)
    """

    low: float
    median: float
    high: float

    @property
    def spread(self) -> float:
        """The interquartile range as a share of the median."""
        return (self.high - self.low) / abs(self.median) if self.median else 0.0


def quartiles(values: Sequence[float]) -> Quartiles:
    """Compute the quartiles of at least one number."""
    return Quartiles(*(float(q) for q in np.percentile(values, [25, 50, 75])))


def geometric_mean(ratios: Sequence[float]) -> float:
    """Compute the mean of ratios: 1 for a half and a double.

    >>> round(geometric_mean([0.5, 2.0]), 9)
    1.0
    """
    return float(np.exp(np.mean(np.log(ratios))))


def serial_share(ratio: float, threads: int) -> float:
    """Return the share of work that only one thread does, if ``threads`` take ``ratio`` times as long as one.

    Source: A. Karp and H. Flatt, Measuring parallel processor performance (1990).

    >>> serial_share(0.5, 2), serial_share(0.75, 2)
    (0.0, 0.5)
    """
    return (ratio - 1 / threads) / (1 - 1 / threads)


def amdahl(share: float, cores: int) -> float:
    """Return how many times as fast as one so many cores are, if a share of the work is serial (Amdahl's law).

    >>> amdahl(0.5, 8).__round__(2)
    1.78
    """
    return 1 / (share + (1 - share) / cores)


def best_variant(variants: Sequence[Measured]) -> Measured | None:
    """Return the variant with the lowest median among those with the most rounds; None if none ran."""
    longest = max((len(v.values) for v in variants), default=0)
    return min(
        (v for v in variants if v.values and len(v.values) == longest and not v.failed),
        key=lambda v: quartiles(v.values).median,
        default=None,
    )


@dataclass(frozen=True)
class Comparison:
    """minigrad compared with a peer's best variant: ratios, round by round.

    noise: measurements that were too noisy; empty if there are none.
    """

    peer: str
    best: Measured
    ours: Quartiles
    theirs: Quartiles
    relation: Quartiles
    aim: Aim | None
    noise: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """The verdict on the aim: "met", "missed", "too noisy to tell", or nothing without an aim."""
        if self.aim is None:
            return ""
        if self.noise:
            return "too noisy to tell"
        return "met" if self.relation.median <= self.aim.most else "missed"


def comparison(row: Row, peer: str) -> Comparison | None:
    """Compare minigrad with a peer; None if one of them has no measurements."""
    best = best_variant(row.variants(peer))
    if best is None or not row.ours.values or row.ours.failed:
        return None
    aim = next((aim for aim in row.aims if aim.peer == peer), None)
    pairs = list(zip(row.ours.values, best.values, strict=False))
    relation = quartiles([a / b for a, b in pairs])
    ours, theirs = quartiles(row.ours.values), quartiles(best.values)
    return Comparison(peer, best, ours, theirs, relation, aim, _noise(row, best))


def _noise(row: Row, best: Measured) -> tuple[str, ...]:
    spreads = {row.ours.name: quartiles(row.ours.values).spread, best.name: quartiles(best.values).spread}
    if row.reference:
        spreads["the reference product"] = quartiles(row.reference).spread
    said = [f"the interquartile range of {name} is {s:.0%}" for name, s in spreads.items() if s > NOISY]
    for v in row.variants(best.peer):
        if v.values and not v.failed and quartiles(v.values).median < quartiles(best.values).median:
            said.append(f"{v.name}, left out after {len(v.values)} rounds, was faster in them")
    return tuple(said)


def best_rate(results: Results, threads: int) -> float | None:
    """Return the best rate (operations a second) of the reference product in this run with this number of threads."""
    seconds = [s for row in results.rows if row.threads == threads for s in row.reference]
    return results.reference_flop / min(seconds) if seconds else None

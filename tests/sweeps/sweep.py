"""The sweeps by name: each a number of cases, a part of which can be run alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.sweeps import families, layers
from tests.sweeps.bounds import Outcome

__all__ = ["PARTS", "SWEEPS", "run"]

PARTS = 8  # of each sweep, for workers side by side
CONVOLUTIONS = 4000


def _layer(i: int) -> float:
    return layers.error(layers.layer(i))


def _known(i: int) -> float:
    return layers.error(list(layers.NETWORKS.values())[i])


# The error of case i, how many cases there are, how many a sample has, and the bound in units of rounding.
SWEEPS: dict[str, tuple[Callable[[int], float], int, int, float]] = {
    "convolutions": (_layer, CONVOLUTIONS, 160, layers.BOUND),
    "layers of known networks": (_known, len(layers.NETWORKS), len(layers.NETWORKS), layers.BOUND),
    **{
        name: (lambda i, name=name: families.error(name, i), number, 16, bound)
        for name, (_, number, bound) in families.FAMILIES.items()
    },
}


def run(name: str, part: int = 0, parts: int = 1, full: bool = True) -> Outcome:
    """Of the first cases (all, or as many as a sample has) every parts-th from ``part`` on."""
    error, number, sample, _ = SWEEPS[name]
    outcome, start = Outcome(), time.process_time()
    for i in range(part, number if full else sample, parts):
        outcome.add(i, error(i))
    outcome.seconds = time.process_time() - start
    return outcome

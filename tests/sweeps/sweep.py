"""The sweeps by name: each a number of cases, a part of which can be run alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from tests.sweeps import families, functions, layers, moves, references
from tests.sweeps.bounds import Found, Outcome
from tests.sweeps.runs import measured

__all__ = ["PARTS", "SWEEPS", "run"]

PARTS = 8  # of each sweep, for workers side by side
# How many cases a sample has: of functions each one, of all else a few.
SAMPLES = {"convolutions": 24, "functions": len(functions.FUNCTIONS), "moves": 8}


def _layer(i: int) -> list[Found]:
    return layers.measured(layers.layer(i))


def _known(i: int) -> list[Found]:
    return layers.measured(list(layers.NETWORKS.values())[i])


FAMILIES = {**families.FAMILIES, **functions.FAMILIES, **moves.FAMILIES, **references.FAMILIES}
# What case i found, how many cases there are, how many a sample has, and the bound in units of rounding.
SWEEPS: dict[str, tuple[Callable[[int], Iterable[Found]], int, int, float]] = {
    "convolutions": (_layer, 4000, SAMPLES["convolutions"], layers.BOUND),
    "layers of known networks": (_known, len(layers.NETWORKS), 3, layers.BOUND),
    **{
        name: (lambda i, family=family: measured(family(i)), number, SAMPLES.get(name, 5), bound)
        for name, (family, number, bound) in FAMILIES.items()
    },
}


def run(name: str, part: int = 0, parts: int = 1, full: bool = True) -> Outcome:
    """Of the first cases (all, or as many as a sample has) every parts-th from ``part`` on."""
    found, number, sample, _ = SWEEPS[name]
    outcome, start = Outcome(), time.process_time()
    for i in range(part, number if full else sample, parts):
        outcome.add(i, found(i))
    outcome.seconds = time.process_time() - start
    return outcome

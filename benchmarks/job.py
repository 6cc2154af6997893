"""What is compared: a job is a module of `benchmarks.jobs` with a function `cases(quick)` that lists its cases.

A case is one row of a table: rivals that do the same work, minigrad the first of them. A rival's `make` runs in a
process of its own and returns `Work`; packages are imported there and not before, so that no process loads another
rival's threads and memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["JOBS", "PACKAGES", "Aim", "Case", "Rival", "Unavailable", "Work", "load"]

JOBS = (
    "captioner", "attention_captioner", "second_order", "decoding", "overhead", "mlp", "convolution",
    "recurrent", "attention", "normalization", "derivatives", "ordering", "memory", "importing",
)  # fmt: skip
"""The jobs in the order in which they run."""
PACKAGES = "benchmarks.jobs"


class Unavailable(Exception):  # noqa: N818  (no error: others run on)
    """Raised by a rival's `make` that cannot run here; the message says why and what would help."""


@dataclass(frozen=True)
class Work:
    """What a rival hands to the worker.

    run: does the work once. outputs: computes the arrays, by name, that all rivals of the case must agree on; it is
    called before `run` or not at all. units: how many iterations a call of `run` does; figures are given for one.
    measured: `run` returns the figure itself, such as a number of bytes, instead of being timed.
    """

    run: Callable[[], Any]
    outputs: Callable[[], Mapping[str, Any]] = dict
    units: int = 1
    measured: bool = False


@dataclass(frozen=True)
class Rival:
    """One side of a comparison.

    peer: whom it belongs to; several rivals of one peer are its variants, and the best of them counts. needs: packages
    without which it cannot run. checkout: the folder that minigrad is imported from, if it is another one; then the
    rival is minigrad's own, the first of its case.
    """

    name: str
    peer: str
    make: Callable[[], Work]
    needs: tuple[str, ...] = ()
    checkout: str = ""


@dataclass(frozen=True)
class Aim:
    """What minigrad should reach: at most `most` times a peer's figure, with several threads `threaded` times."""

    peer: str
    most: float
    threaded: float | None = None

    def on(self, threads: int) -> Aim:
        """The aim with a number of threads.

        >>> Aim("PyTorch", 0.75, 0.8).on(2).most
        0.8
        """
        return self if threads == 1 or self.threaded is None else replace(self, most=self.threaded)


@dataclass(frozen=True)
class Case:
    """One row of a table.

    rivals: minigrad first. flop: floating-point operations in the matrix products that one unit asks for, rows
    that no result depends on left out; None where that has no meaning. threads: the numbers of threads it is measured
    with; None: all that were asked for. fresh: every round needs a new process. share: the part of the rows in which
    integer outputs may differ, for choices between numbers that are equal up to rounding. unit: "s" or "bytes". note:
    what a reader of the table should know, such as where the data is from.
    """

    name: str
    rivals: Sequence[Rival]
    aims: Sequence[Aim] = ()
    flop: float | None = None
    threads: tuple[int, ...] | None = None
    fresh: bool = False
    share: float = 0.0
    unit: str = "s"
    note: str = ""

    def rival(self, name: str) -> Rival:
        """The rival of this name."""
        return next(rival for rival in self.rivals if rival.name == name)


def load(job: str, quick: bool = False) -> list[Case]:
    """The cases of a job: a name of `JOBS`, or the dotted name of any module like them.

    >>> [case.name for case in load("importing")]
    ['import minigrad']
    """
    name = job if "." in job else f"{PACKAGES}.{job}"
    cases: list[Case] = importlib.import_module(name).cases(quick)
    return cases

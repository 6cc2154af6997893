"""Define jobs: a job is a module of `benchmarks.jobs` with a function `cases(quick)` that lists its cases.

A case is one row of a table: rivals that do the same work, minigrad first. A rival's `make` runs in its own process
and returns `Work`; packages are imported only there, so that no process loads another
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
    "recurrent", "kernels", "derivatives", "gradbench", "ordering", "memory", "importing",
)  # fmt: skip
"""The jobs in the order in which they run."""
PACKAGES = "benchmarks.jobs"


class Unavailable(Exception):  # noqa: N818  (no error: others run on)
    """A rival's `make` cannot run here; the message says why and how to fix it."""


@dataclass(frozen=True)
class Work:
    """The work that a rival gives to the worker.

    run: does the work once. outputs: computes the arrays, by name, that all rivals of the case must agree on; it is
    called before `run` or not at all. units: how many iterations a call of `run` does; results are per iteration.
    measured: `run` returns the result itself, such as a number of bytes, instead of being timed.
    """

    run: Callable[[], Any]
    outputs: Callable[[], Mapping[str, Any]] = dict
    units: int = 1
    measured: bool = False


@dataclass(frozen=True)
class Rival:
    """One side of a comparison.

    peer: the library it belongs to; rivals of the same peer are variants, and the best one counts. needs: packages
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
    """What minigrad should reach: at most `most` times a peer's time, or `threaded` times with several threads."""

    peer: str
    most: float
    threaded: float | None = None

    def on(self, threads: int) -> Aim:
        """Return the aim for a number of threads.

        >>> Aim("PyTorch", 0.75, 0.8).on(2).most
        0.8
        """
        return self if threads == 1 or self.threaded is None else replace(self, most=self.threaded)


@dataclass(frozen=True)
class Case:
    """One row of a table.

    rivals: minigrad first. flop: floating-point operations in the matrix products of one unit, without rows that
    no result depends on; None where that has no meaning. threads: the numbers of threads it is measured with; None
    means all requested numbers. fresh: every round needs a new process. share: the part of the rows in which
    integer outputs may differ, for choices between numbers that are equal up to rounding. unit: "s" or "bytes". note:
    what a reader of the table should know, such as where the data is from. group: of many short cases on one thread.
    Those of one group share a process for each rival and have short turns, timed in processor time, which other
    processes disturb less; the table shows the geometric mean of their ratios.
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
    group: str = ""

    def rival(self, name: str) -> Rival:
        """Return the rival of this name."""
        return next(rival for rival in self.rivals if rival.name == name)


def load(job: str, quick: bool = False) -> list[Case]:
    """Return the cases of a job: a name of `JOBS`, or the dotted name of any module like them.

    >>> [case.name for case in load("importing")]
    ['import minigrad']
    """
    name = job if "." in job else f"{PACKAGES}.{job}"
    cases: list[Case] = importlib.import_module(name).cases(quick)
    return cases

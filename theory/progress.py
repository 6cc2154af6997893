"""How far a check is, on standard error: a line for each proposition, and on a terminal a bar of rich's below them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from minigrad.runtime.extras import require
from theory.claims import Claim
from theory.propositions import Result

__all__ = ["telling"]


@contextlib.contextmanager
def telling(claim: Claim, quiet: bool = False) -> Iterator[Callable[[Result], None] | None]:
    """What `claim.check` is to tell of each proposition; None if it is to be quiet."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _with_a_bar(claim) as tell:
            yield tell
    else:
        yield lambda result: print(line(claim, result), file=sys.stderr, flush=True)


@contextlib.contextmanager
def _with_a_bar(claim: Claim) -> Iterator[Callable[[Result], None]]:
    rich, console = require("rich.progress", "theory"), require("rich.console", "theory").Console(stderr=True)
    columns = (rich.SpinnerColumn(), rich.TextColumn("{task.description}", markup=False), rich.BarColumn(24),
               rich.MofNCompleteColumn(), rich.TimeElapsedColumn())  # fmt: skip
    with rich.Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(claim.number, total=len(claim.propositions))

        def tell(result: Result) -> None:
            console.print(line(claim, result), markup=False, highlight=False, soft_wrap=True)
            bar.advance(task)

        yield tell


def line(claim: Claim, result: Result) -> str:
    """What was found of a proposition."""
    mark = "BROKEN" if result.broken else "survived" if result.holds else "refuted"
    mark += "" if result.as_expected else ", which is not expected"
    return f"{claim.number}  {result.proposition.name}: {mark}, {result.cases:,} cases, {result.seconds:.1f} s"

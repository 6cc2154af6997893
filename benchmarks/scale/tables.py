"""What was measured, and what the model says, as tables of Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.scale.runs import OURS, Case, wire_a_step

__all__ = ["Row", "median_of", "rows_of", "table", "table_of_constants", "table_of_messages"]


class Row:
    """Medians of a case: seconds of a step, by the clock and of all ranks' processors, and their shares."""

    def __init__(self, case: Case, alone: Case | None, ours: Case | None) -> None:
        self.case = case
        self.seconds = seconds(case)
        self.apart = _median(case, "apart")
        self.processor = _median(case, "processor")
        self.processor_apart = _median(case, "processor apart")
        self.sent = _median(case, "sent")
        more = case.ranks if case.way == "weak" else 1
        self.speed = more * seconds(alone) / self.seconds if alone else None
        self.efficiency = more * _median(alone, "processor") / self.processor if alone else None
        self.ratio = (seconds(ours) / self.seconds, _median(ours, "processor") / self.processor) if ours else None

    @property
    def share(self) -> float:
        """Of communication in a step by the clock: what the same shards take less without it."""
        return 1 - self.apart / self.seconds if self.case.ranks > 1 else 0.0

    @property
    def waiting(self) -> tuple[float, float]:
        """The shares of the step in buckets within passes and behind them; minigrad's alone."""
        return _median(self.case, "during") / self.seconds, _median(self.case, "after") / self.seconds


def seconds(case: Case) -> float:
    """Of a step by the clock: the median over rounds of medians over steps."""
    return float(statistics.median(statistics.median(found["seconds"]) for found in case.rounds))


def _median(case: Case, name: str) -> float:
    return float(statistics.median(found.get(name, 0.0) for found in case.rounds))


def rows_of(cases: Sequence[Case]) -> Iterator[Row]:
    """Each case beside one rank of the same framework, and PyTorch's beside minigrad's."""

    def other(way: str, framework: str, ranks: int) -> Case | None:
        alike = (c for c in cases if (c.way, c.framework, c.ranks) == (way, framework, ranks))
        return next(alike, None)

    for case in cases:
        ours = other(case.way, OURS, case.ranks) if case.framework != OURS else None
        yield Row(case, other(case.way, case.framework, 1), ours)


_TITLES = (
    "scaling", "ranks", "captions", "framework", "step", "communication", "in buckets, behind the pass", "processors",
    "speed-up", "efficiency", "minigrad/DDP, clock", "processors", "sent", "over the network", "packets lost",
    "forwarder's processor",
)  # fmt: skip


def table(cases: Sequence[Case]) -> Iterator[str]:
    """A line for each case, without columns in which nothing stands."""
    rows = [[*_cells(row), *_wire_cells(row)] for row in rows_of(cases)]
    used = [number for number in range(len(_TITLES)) if any(cells[number] for cells in rows)]
    yield _line([_TITLES[number] for number in used])
    yield "|---|" + "---:|" * (len(used) - 1)
    for cells in rows:
        yield _line([cells[number] for number in used])


def _cells(row: Row) -> list[str]:
    case, together = row.case, row.case.ranks > 1
    buckets = "{:.0%}, {:.0%}".format(*row.waiting) if together and case.framework == OURS else ""
    return [
        case.way, str(case.ranks), str(case.work.captions), case.framework, f"{1e3 * row.seconds:.1f} ms",
        f"{row.share:.0%}" if together else "", buckets, f"{1e3 * row.processor:.1f} ms",
        _number(row.speed), _number(row.efficiency), *([_number(x) for x in row.ratio] if row.ratio else ("", "")),
        f"{row.sent / 1e6:.1f} MB" if together else "",
    ]  # fmt: skip


def _wire_cells(row: Row) -> list[str]:
    """What the network counted in a step, where it counts that."""
    ways = {"bytes": (1e-6, "{:.1f} MB"), "lost": (1.0, "{:.1f}"), "processor": (1e3, "{:.1f} ms")}
    there = [name for name in ways if row.case.ranks > 1 and name in row.case.rounds[0]["wire"]]
    told = {name: ways[name][1].format(ways[name][0] * wire_a_step(row.case, name)) for name in there}
    return [told.get(name, "") for name in ways]


def table_of_messages(messages: Sequence[Sequence[float]]) -> Iterator[str]:
    """What `pingpong` found."""
    yield "| bytes | one way | Gbit/s | both ways at once | Gbit/s each way |"
    yield "|---:|---:|---:|---:|---:|"
    for size, there, both in messages:
        found = [word for t in (there, both) for word in (f"{1e6 * t:.0f} µs", f"{8e-9 * size / t:.2f}")]
        yield _line([f"{size:,}", *found])


def median_of(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of what `constants` found in several rounds.

    >>> median_of([{"compute": [(2, 3.0)], "local": 1.0}, {"compute": [(2, 5.0)], "local": 2.0}])
    {'compute': [(2, 4.0)], 'local': 1.5}
    """
    rows = [rows for rows, _ in rounds[0]["compute"]]
    compute = [(n, statistics.median(found["compute"][i][1] for found in rounds)) for i, n in enumerate(rows)]
    return {"compute": compute, "local": statistics.median(found["local"] for found in rounds)}


def table_of_constants(captions: Sequence[int], found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What `constants` found of so many ranks at once."""
    yield _line(["captions", *(f"step, {copies} at once" for copies in found)])
    yield "|---:|" + "---:|" * len(found)
    for number, rows in enumerate(captions):
        yield _line([str(rows), *(f"{1e3 * one['compute'][number][1]:.1f} ms" for one in found.values())])
    yield _line(["a sum without travel", *(f"{1e3 * one['local']:.1f} ms" for one in found.values())])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

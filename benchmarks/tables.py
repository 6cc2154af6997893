"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Comparison, amdahl, best_rate, comparison, geometric_mean, quartiles, serial_share
from benchmarks.results import Measured, Results, Row

__all__ = ["amount", "markdown", "summary"]

_UNITS = {"s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")), "bytes": ((1e6, "MB"), (1e3, "kB"))}
_HEADER = (
    "", "threads", "minigrad", "beside", "its figure", "ratio", "aim", "verdict", "GFLOP/s", "of the bound",
    "its other variants",
)  # fmt: skip


def amount(value: float, unit: str = "s") -> str:
    """Return a quantity with its unit, to three digits.

    >>> amount(0.01234), amount(2.5e-4), amount(3.2e7, "bytes")
    ('12.3 ms', '250 µs', '32.0 MB')
    """
    scale, name = next((u for u in _UNITS[unit] if abs(value) >= u[0]), _UNITS[unit][-1])
    digits = value / scale
    return f"{digits:.{max(0, 3 - len(str(int(abs(digits)))))}f} {name}"


def markdown(results: Results) -> str:
    """Return a line about the machine, then a table for each job."""
    parts = [", ".join(f"{name} {words}" for name, words in results.machine.items()) + "."]
    rates = {n: best_rate(results, n) for n in sorted({row.threads for row in results.rows})}
    bound = [f"{rate / 1e9:.0f} GFLOP/s with {n} thread{'s' * (n > 1)}" for n, rate in rates.items() if rate]
    if bound:
        parts.append(f"The matrix-product bound: {', '.join(bound)}.")
    for job in dict.fromkeys(row.job for row in results.rows):
        parts.append("\n".join(_job(results, job)))
    return "\n\n".join(parts) + "\n"


def summary(row: Row) -> str:
    """Return one line about a row, for progress."""
    compared = [c for peer in row.peers if (c := comparison(row, peer))]
    words = [f"{_relation(c)} {c.peer} ({c.best.name}){': ' * bool(c.verdict)}{c.verdict}" for c in compared]
    ours = amount(quartiles(row.ours.values).median, row.unit) if row.ours.values else "not measured"
    return "; ".join([f"minigrad {ours}", *words, *_problems(row)])


def _job(results: Results, job: str) -> Iterator[str]:
    rows = [row for row in results.rows if row.job == job]
    table = [cells for row in rows for cells in _lines(results, row)]
    kept = [i for i, name in enumerate(_HEADER) if i < 6 or any(cells[i] for cells in table)]
    yield f"**{job}**\n"
    yield "| " + " | ".join(_HEADER[i] for i in kept) + " |"
    yield "|" + "---|" * len(kept)
    for cells in table:
        yield "| " + " | ".join(cells[i] for i in kept) + " |"
    notes = [row.note for row in rows if row.note]
    notes += _means(rows)
    notes += _scaling(rows)
    notes += [f"{row.case}, {row.threads} thread{'s' * (row.threads > 1)}: {p}" for row in rows for p in _problems(row)]
    notes += [
        f"{row.case}, {row.threads} thread{'s' * (row.threads > 1)}, beside {c.peer}: too noisy to tell: "
        f"{', '.join(c.noise)}"
        for row in rows if not row.group  # the verdicts of many short cases suffice
        for peer in row.peers if (c := comparison(row, peer)) and c.noise
    ]  # fmt: skip
    if notes:
        yield ""
        yield from (f"- {note}" for note in dict.fromkeys(notes))


def _means(rows: list[Row]) -> Iterator[str]:
    """Yield the geometric mean of a group's ratios to each peer."""
    for group in dict.fromkeys(row.group for row in rows if row.group):
        compared = [c for row in rows if row.group == group for peer in row.peers if (c := comparison(row, peer))]
        for peer in dict.fromkeys(c.peer for c in compared):
            ratios = [c.relation.median for c in compared if c.peer == peer]
            if len(ratios) > 1:
                yield f"{group}, geometric mean of {len(ratios)} ratios to {peer}: **{geometric_mean(ratios):.2f}**"


def _scaling(rows: list[Row]) -> Iterator[str]:
    """Yield what other threads gain in each case of this job, and what eight cores would."""
    times = {(row.case, row.threads): quartiles(row.ours.values).median
             for row in rows if row.ours.values and row.unit == "s" and not row.group}  # fmt: skip
    for (case, n), seconds in times.items():
        if n > 1 and (case, 1) in times:
            ratio = seconds / times[case, 1]
            share = max(serial_share(ratio, n), 0)
            gain = f"; by Amdahl's law, 8 cores gain a factor of {amdahl(share, 8):.1f}" if share < 1 else ""
            yield f"{case}: {n} threads take {ratio:.2f} times as long as one: a share of {share:.2f} is serial{gain}"


def _lines(results: Results, row: Row) -> Iterator[list[str]]:
    """Yield a line for each peer; the first has the cells that concern only minigrad."""
    compared = [c for peer in row.peers if (c := comparison(row, peer))]
    for i, c in enumerate(compared):
        first = [row.case, str(row.threads), amount(c.ours.median, row.unit)] if i == 0 else ["", "", ""]
        others = [v for v in row.variants(c.peer) if v is not c.best and v.values]
        yield [
            *first, c.peer if c.best.name == c.peer else f"{c.peer}: {c.best.name}", amount(c.theirs.median, row.unit),
            _relation(c), f"{c.aim.most:g}" if c.aim else "", c.verdict,
            *(_rates(results, row, c.ours.median) if i == 0 else ("", "")), ", ".join(_other(c, v) for v in others),
        ]  # fmt: skip
    if not compared:
        ours = amount(quartiles(row.ours.values).median, row.unit) if row.ours.values else "not measured"
        yield [row.case, str(row.threads), ours, *[""] * (len(_HEADER) - 3)]


def _relation(c: Comparison) -> str:
    """Return the ratio with its quartiles."""
    return f"**{c.relation.median:.2f}** ({c.relation.low:.2f} to {c.relation.high:.2f})"


def _rates(results: Results, row: Row, seconds: float) -> tuple[str, str]:
    """Return GFLOP/s and the share of the bound: the operations' time at the best rate, divided by ours."""
    rate = best_rate(results, row.threads)
    if row.flop is None:
        return "", ""
    reached = row.flop / seconds
    return f"{reached / 1e9:.3g}", f"{reached / rate:.0%}" if rate else ""


def _other(c: Comparison, variant: Measured) -> str:
    """Return the time of a peer's other variant, divided by that of its best."""
    return f"{variant.name} {quartiles(variant.values).median / c.theirs.median:.2f}"


def _problems(row: Row) -> list[str]:
    """List what is missing or failed, with one line for rivals that share a message."""
    said: dict[str, list[str]] = {}
    for rival in row.rivals:
        for kind, words in (("missing", rival.missing), ("FAILED", rival.failed)):
            if words:
                said.setdefault(f"{kind}: {words}", []).append(rival.name)
    return [f"{', '.join(names)} {words}" for words, names in said.items()]

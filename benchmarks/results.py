"""The results as plain data and JSON, with every measurement of every round."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.job import Aim
from minigrad.runtime.files import replacing

__all__ = ["Measured", "Results", "Row"]

_FORMAT = 1


@dataclass
class Measured:
    """One rival of a row: its measurement in each round, for one unit.

    A rival that was clearly slower than another of its peer in the first rounds has fewer figures. units:
    iterations a call does; calls: how many a round timed. missing: why it could not run here; failed: what went
    wrong.
    """

    name: str
    peer: str
    values: list[float] = field(default_factory=list)
    units: int = 1
    calls: int = 1
    missing: str = ""
    failed: str = ""


@dataclass
class Row:
    """A case measured with a number of threads; minigrad is the first rival. reference: the yardstick's seconds."""

    job: str
    case: str
    threads: int
    rivals: list[Measured]
    aims: list[Aim] = field(default_factory=list)
    flop: float | None = None
    unit: str = "s"
    note: str = ""
    group: str = ""
    reference: list[float] = field(default_factory=list)

    @property
    def ours(self) -> Measured:
        """minigrad's figures."""
        return self.rivals[0]

    @property
    def peers(self) -> list[str]:
        """The peers in the order of the rivals, minigrad not among them."""
        return list(dict.fromkeys(rival.peer for rival in self.rivals[1:]))

    def variants(self, peer: str) -> list[Measured]:
        """The rivals of a peer."""
        return [rival for rival in self.rivals[1:] if rival.peer == peer]


@dataclass
class Results:
    """A run. machine: what it ran on, by name; reference_flop: what the yardstick's seconds are for."""

    machine: dict[str, str]
    reference_flop: float
    rows: list[Row] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """What went wrong, a line each: something that died or disagreed, not what was missing."""
        return [
            f"{row.job}, {row.case}, {row.threads} thread{'s' * (row.threads > 1)}, {rival.name}: {rival.failed}"
            for row in self.rows for rival in row.rivals if rival.failed
        ]  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write JSON, into a folder that exists."""
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)
        with replacing(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    @staticmethod
    def load(path: str | Path) -> Results:
        """Read JSON that `save` wrote; a ValueError if it is something else."""
        try:
            data: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            if data.pop("format") != _FORMAT:
                raise ValueError("another format")
            data["rows"] = [_row(row) for row in data["rows"]]
            return Results(**data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{path} is cut, or does not hold results of this version of the benchmarks"
            raise ValueError(f"{message} ({type(error).__name__}: {error})") from error


def _row(data: dict[str, Any]) -> Row:
    return Row(
        **{
            **data,
            "aims": [Aim(**aim) for aim in data["aims"]],
            "rivals": [Measured(**rival) for rival in data["rivals"]],
        }
    )

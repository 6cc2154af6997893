"""The table of a module's parts: a row for each, and sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...spec import Spec
from ...units import byte_text
from ..notation import shape_of

__all__ = ["Row", "Summary"]


@dataclass(slots=True)
class Row:
    """One module. Its numbers are its own, without those of the modules in it, so that each column adds up.

    name: dotted, "" for the whole; key: without its parent's. depth: how many modules it lies in. kind: its class.
    outputs: shape and dtype of each array that its first call gave; calls: how often it was called.
    parameters: entries of its own parameters; one that several modules hold counts in the first. frozen: how many of
    these entries require no gradient. multiply_adds: of the products of all its calls. residual_bytes: memory that
    waits for the backward pass, see :func:`minigrad.render.summary`. same_as: None; or, of a module in its second
    place, the name of the first, which has the numbers.
    """

    name: str
    key: str
    depth: int
    kind: str
    outputs: tuple[Spec, ...] = ()
    calls: int = 0
    parameters: int = 0
    frozen: int = 0
    multiply_adds: int = 0
    residual_bytes: int = 0
    same_as: str | None = None


@dataclass(frozen=True)
class Summary:
    """The rows, parents first, and sums over them; its text is a table.

    parameter_bytes: memory of the parameters. uncounted: names of primitives that were called, whose multiply-adds
    nobody knows because they are not minigrad's own.
    """

    rows: tuple[Row, ...]
    parameter_bytes: int
    uncounted: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Entries of all parameters."""
        return sum(row.parameters for row in self.rows)

    @property
    def frozen(self) -> int:
        """Entries of the parameters that require no gradient."""
        return sum(row.frozen for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the whole call."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def residual_bytes(self) -> int:
        """Bytes that wait for the backward pass."""
        return sum(row.residual_bytes for row in self.rows)

    def __str__(self) -> str:
        cells = [["module", "output", "parameters", "multiply-adds", "residuals"], *map(_cells, self.rows)]
        cells.append(["total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", byte_text(self.residual_bytes)])
        lines = _aligned(cells)
        rule = "─" * max(map(len, lines))
        notes = [f"parameters take {byte_text(self.parameter_bytes)}"]
        if self.frozen:
            notes[0] += f"; {self.frozen:,} of them require no gradient"
        if self.uncounted:
            notes.append(f"multiply-adds are not known, and left out, of: {', '.join(self.uncounted)}")
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], *notes])

    __repr__ = __str__


def _cells(row: Row) -> list[str]:
    title = "  " * row.depth + (f"{row.key}: {row.kind}" if row.key else row.kind)
    if row.same_as is not None:
        return [title, f"the same as {row.same_as or 'the whole'}", "", "", ""]
    outputs = ", ".join(map(shape_of, row.outputs)) if row.calls else "not called"
    if row.calls > 1:
        outputs += f"  ({row.calls:,} calls)"
    numbers = [f"{n:,}" if n else "-" for n in (row.parameters, row.multiply_adds)]
    return [title, outputs, *numbers, byte_text(row.residual_bytes) if row.residual_bytes else "-"]


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines: the first two columns to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        texts = [text.ljust(width) for text, width in zip(row[:2], widths, strict=False)]
        numbers = [text.rjust(width) for text, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join([*texts, *numbers]).rstrip())
    return lines

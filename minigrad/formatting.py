"""Format quantities for display."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["byte_text", "escape", "html_table", "time_text"]


def byte_text(count: int) -> str:
    """Format a number of bytes in powers of 1024.

    >>> byte_text(100), byte_text(2048), byte_text(3 << 20)
    ('100 B', '2.0 KiB', '3.0 MiB')
    """
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 4)
    return f"{count / 1024**power:.1f} {('KiB', 'MiB', 'GiB', 'TiB')[power - 1]}"


def time_text(nanoseconds: float) -> str:
    """Format a time with three significant digits.

    >>> time_text(0), time_text(450), time_text(12_345), time_text(2_500_000_000), time_text(5e12)
    ('0 ns', '450 ns', '12.3 µs', '2.5 s', '5000 s')
    """
    unit, size = next(
        ((unit, size) for unit, size in (("ns", 1), ("µs", 1e3), ("ms", 1e6)) if nanoseconds < 999.5 * size), ("s", 1e9)
    )
    number = nanoseconds / size
    return f"{number:.0f} {unit}" if number >= 1000 else f"{number:.3g} {unit}"


def escape(text: str) -> str:
    """Escape text for HTML. The import waits for the first use: it takes 50 ms in WebAssembly."""
    import html

    return html.escape(text)


def html_table(
    rows: Sequence[Sequence[str]], notes: Iterable[str] = (), *, text_columns: int = 1, header_rows: int = 1
) -> str:
    """Format rows of text as an HTML table for notebooks.

    Args:
        notes: lines below the table.
        text_columns: how many of the first columns are aligned left. The others are numbers, aligned right.
        header_rows: how many of the first rows are headers.

    >>> html_table([["name", "bytes"], ["a<b", "12"]]).count("a&lt;b")
    1
    """
    lines = []
    for k, row in enumerate(rows):
        tag, cells = "th" if k < header_rows else "td", ""
        for column, cell in enumerate(row):
            side = "left" if column < text_columns else "right"
            cells += f'<{tag} style="text-align:{side};white-space:pre;padding:1px 8px">{escape(cell)}</{tag}>'
        lines.append(f"<tr>{cells}</tr>")
    below = "".join(f"<div>{escape(note)}</div>" for note in notes)
    return f"<div><table>{''.join(lines)}</table>{below}</div>"

"""Any text as a DOT string that comes back as it was written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["lines_to_the_left", "quoted"]

_LONGEST = 200
"""Letters of a line that are shown."""
_ENTITY = re.compile(r"&(?=#?\w+;)")  # which a layout program would decode


def quoted(text: str) -> str:
    r"""A DOT string of the text: quotes, backslashes and line breaks escaped, control characters replaced.

    >>> print(quoted('say "hi"'))
    "say \"hi\""
    """
    return '"' + "\\n".join(map(_escaped, text.split("\n"))) + '"'


def lines_to_the_left(lines: Iterable[str]) -> str:
    r"""A DOT string of lines that begin at the left.

    >>> print(lines_to_the_left(["a", "b"]))
    "a\lb\l"
    """
    return '"' + "".join(_escaped(part) + "\\l" for line in lines for part in line.split("\n")) + '"'


def _escaped(line: str) -> str:
    if len(line) > _LONGEST:
        line = line[: _LONGEST - 1] + "…"
    if not (line.isascii() and line.isprintable()):
        line = "".join("\N{REPLACEMENT CHARACTER}" if _is_broken(c) else c for c in line)
    return _ENTITY.sub("&amp;", line.replace("\\", "\\\\").replace('"', '\\"'))


def _is_broken(letter: str) -> bool:
    """Control characters, halves of a pair, and what XML may not hold."""
    return unicodedata.category(letter) in ("Cc", "Cs") or ord(letter) & 0xFFFE == 0xFFFE

"""Names of files as people see them."""

from __future__ import annotations

import os

__all__ = ["shown"]


def shown(path: str | os.PathLike[str]) -> str:
    r"""A path on one line that any terminal can print: a name with odd characters in quotes.

    >>> shown("a b.jpg"), shown("a\nb.jpg")
    ('a b.jpg', "'a\\nb.jpg'")
    """
    text = os.fsdecode(path)
    return text if text.isprintable() else repr(text)

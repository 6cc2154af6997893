"""Numbers as a report writes them."""

from __future__ import annotations

import math

__all__ = ["count_text", "number_text"]


def number_text(value: float, digits: int = 4) -> str:
    """A number for people, of so many significant digits; a whole one with all of its digits.

    >>> [number_text(x) for x in (0.163483, 33.52083, 7200, 2.5e-07, 12345678)]
    ['0.1635', '33.52', '7,200', '2.5e-07', '12,345,678']
    """
    if math.isfinite(value) and value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def count_text(count: int, noun: str) -> str:
    """So many of what a noun names, which has a plural in s.

    >>> count_text(1, "image"), count_text(1000, "image")
    ('1 image', '1,000 images')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

"""Planted errors: edits of the mathematics of a claim, which checking the claim must notice.

Each family lists its errors in its mutants.py.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Edit", "Mutant"]

Edit = tuple[str, str, str]
"""A file in theory/, a text that it contains exactly once, and the text that replaces it."""


@dataclass(frozen=True)
class Mutant:
    """An error to plant in the mathematics of a claim: in `file` the text `old` becomes `new`.

    Args:
        number: the claim that must notice.
        file: in theory/, such as "parity/units.py".
        old: a text that the file contains exactly once.
        new: what replaces it.
        error: what is wrong then.
        example: an expression in the names of the file. Its value, or the error that it raises, changes.
        also: further edits.
    """

    number: str
    file: str
    old: str
    new: str
    error: str
    example: str
    also: tuple[Edit, ...] = ()

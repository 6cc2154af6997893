"""How a judgement is put down, and the reasons that come again and again."""

from __future__ import annotations

ANY = "*"  # every change of the part that survives: for parts whose every value gives the same numbers

GENERAL = "chooses a faster way: the general one gives the same numbers"
CAST = "the engine casts to the input's dtype anyway; here it saves work in a wider one"
SUMS = "the engine sums away an axis of length 1 in front"
PIECES = "decides on the size of pieces, whose results are the same"

ACCEPTED: dict[tuple[str, str, str], str] = {}


def accept(reason: str, function: str, before: str, *afters: str) -> None:
    """Changes of a part of a function from what it is to each of what is given make no difference, for a reason."""
    ACCEPTED.update({(function, before, after): reason for after in afters})

"""What all tries share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tries = dict[str, Callable[[], bool]]
"""For a feature of the page, by its words there: whether it is there, found by a few lines that run."""


def raises(error: type[Exception], call: Callable[[], Any]) -> bool:
    """Whether a call raises an error of this kind."""
    try:
        call()
    except error:
        return True
    return False

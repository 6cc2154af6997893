"""The pictures of 2-1 and 2-2, drawn from what the theorems' functions return."""

from __future__ import annotations

from typing import Any


def draw_removals() -> Any:
    """TODO."""


def draw_contradiction() -> Any:
    """TODO."""

"""docs/comparison.md as words: what it says of each framework."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent.with_name("comparison.md")
PACKAGES = {
    "PyTorch": ("torch",),
    "JAX, Equinox": ("jax", "equinox"),
    "autograd": ("autograd",),
    "MyGrad": ("mygrad",),
    "tinygrad": ("tinygrad",),
}
"""The packages of each framework, by its name on the page."""


def cells(peer: str) -> Iterator[tuple[str, str]]:
    """Each feature of the page with the word that the page says of a framework."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if len(row) == 2 + len(PACKAGES) and row[2:] == list(PACKAGES):
            column = row.index(peer)
        elif len(row) == 2 + len(PACKAGES) and (word := re.match(r"yes|part|no\b", row[column])):
            yield row[0], word[0]

"""Elementwise primitives: one entry of the output depends on one entry of each input."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import primitive
from ..spec import Array

Pair = tuple[Array, tuple[Any, ...]]


@primitive(broadcasts=True)
def add(a: Array, b: Array) -> Pair:
    """a + b, entry by entry, with broadcasting."""
    return np.add(a, b), ()


@add.vjp
def _(g: Array, needs: tuple[bool, ...]) -> Any:
    return g, g


@primitive(broadcasts=True)
def multiply(a: Array, b: Array) -> Pair:
    """a b, entry by entry, with broadcasting."""
    return np.multiply(a, b), (a, b)


@multiply.vjp
def _(g: Array, needs: tuple[bool, ...], a: Array, b: Array) -> Any:
    return g * b if needs[0] else None, g * a if needs[1] else None

"""How a checker says that something is false of an example: it raises :class:`Refuted`, and returns nothing otherwise.

A checker is ordinary code on NumPy and minigrad, so a wrong formula in it is found as a wrong formula
in a model is: by an example. `require` and `agree` are what most checkers need.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Refuted", "Unsound", "agree", "require"]


class Refuted(AssertionError):  # noqa: N818 - the word of the field
    """An example of which a proposition is false; the message says how."""


class Unsound(Exception):  # noqa: N818 - the word of the field
    """A checker's own certificate does not stand: neither does the refutation that it would give."""


def require(condition: object, message: str) -> None:
    """Raise :class:`Refuted` with the message unless the condition is true.

    >>> require(1 + 1 == 2, "arithmetic")
    >>> require(1 + 1 == 3, "one and one is two")
    Traceback (most recent call last):
    theory.refutation.Refuted: one and one is two
    """
    if not condition:
        raise Refuted(message)


def agree(actual: ArrayLike, expected: ArrayLike, what: str, tolerance: float = 1e-9) -> None:
    """Raise :class:`Refuted` unless two arrays of numbers have one shape and entries equal to rounding.

    Equal means |actual - expected| <= tolerance * max(1, the largest finite |expected|): of entries of very unlike
    sizes, compare them apart. An expected infinity or NaN must be met exactly.

    >>> agree([1.0, 2.0], [1.0, 2.5], "the product")
    Traceback (most recent call last):
    theory.refutation.Refuted: the product: entry (1,) is 2, expected 2.5
    """
    a, b = (x.astype(np.int8) if x.dtype == bool else x for x in (np.asarray(actual), np.asarray(expected)))
    require(a.shape == b.shape, f"{what}: the shape is {a.shape}, expected {b.shape}")
    finite = np.isfinite(b)
    scale = max(1.0, float(np.abs(b[finite]).max(initial=0.0)))
    with np.errstate(invalid="ignore"):  # inf - inf, decided exactly
        close = np.where(finite, np.abs(a - b) <= tolerance * scale, (a == b) | (np.isnan(a) & np.isnan(b)))
    if not close.all():
        at = tuple(int(i) for i in np.argwhere(~close)[0])
        raise Refuted(f"{what}: entry {at} is {a[at]:.10g}, expected {b[at]:.10g}")

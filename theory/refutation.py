"""Refuting a proposition: a checker raises :class:`Refuted`, or returns nothing to accept.

Most checkers need only `require` and `agree`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Refuted", "Unsound", "accepts", "agree", "require"]


class Refuted(AssertionError):  # noqa: N818 - the word of the field
    """A proposition is false for an example; the message says how."""


class Unsound(Exception):  # noqa: N818 - the word of the field
    """A checker's own certificate fails, so its refutation means nothing."""


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
    """Raise :class:`Refuted` unless two arrays have the same shape and entries that are equal up to rounding.

    Equal means |actual - expected| <= tolerance * max(1, the largest finite |expected|), so compare entries of very
    different sizes separately. An expected infinity or NaN must match exactly.

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


def accepts(check: Callable[..., Any], *certificate: Any) -> bool:
    """Return whether a check of certificates raises no error.

    >>> accepts(require, 1 + 1 == 3, "")
    False
    """
    try:
        check(*certificate)
    except (Refuted, ValueError, KeyError):  # a KeyError if a certificate names a vertex that its graph lacks
        return False
    return True

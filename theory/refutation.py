"""Refuting a proposition: a checker raises :class:`Refuted`, or returns nothing to accept.

A checker must call `require` or `agree`. If it calls neither for an example, the example does not meet the premise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory.checker import Rejected

__all__ = ["Refuted", "Unsound", "accepts", "agree", "certified", "require", "requirements"]

_requirements = 0


class Refuted(AssertionError):  # noqa: N818 - the word of the field
    """A proposition is false for an example; the message says how."""


class Unsound(Exception):  # noqa: N818 - the word of the field
    """A check is malformed or its own certificate fails, so its refutation means nothing."""


def requirements() -> int:
    """Return how many times `require`, and `agree` with nonempty arrays, were called outside `accepts`.

    >>> before = requirements()
    >>> require(True, "")
    >>> requirements() - before
    1
    """
    return _requirements


def require(condition: bool | np.bool_, message: str) -> None:
    """Raise :class:`Refuted` with the message unless the condition, a bool, is true.

    A condition of another type raises TypeError, since Python counts almost every object as true.

    >>> require(1 + 1 == 2, "arithmetic")
    >>> require(1 + 1 == 3, "one and one is two")
    Traceback (most recent call last):
    theory.refutation.Refuted: one and one is two
    """
    global _requirements
    if not isinstance(condition, (bool, np.bool_)):
        raise TypeError(f"require: the condition must be a bool; got {condition!r}. Write the comparison out")
    _requirements += 1
    if not condition:
        raise Refuted(message)


def agree(
    actual: ArrayLike, expected: ArrayLike, what: str, tolerance: float = 1e-9, *, equal_nan: bool = False
) -> None:
    """Raise :class:`Refuted` unless two arrays of one shape have entries that are equal up to rounding.

    Equal means |actual - expected| <= tolerance * max(1, the largest finite |expected|), so compare entries of very
    different sizes separately. An expected infinity must match exactly. A NaN agrees with nothing, or with a NaN if
    `equal_nan`. Arrays of different shapes raise :class:`Unsound`, since such a check is malformed.

    >>> agree([1.0, 2.0], [1.0, 2.5], "the product")
    Traceback (most recent call last):
    theory.refutation.Refuted: the product: entry (1,) is 2, expected 2.5
    """
    global _requirements
    a, b = (x.astype(np.int8) if x.dtype == bool else x for x in (np.asarray(actual), np.asarray(expected)))
    if a.shape != b.shape:
        raise Unsound(f"{what}: agree compares shapes {a.shape} and {b.shape}. Pass arrays of the same shape")
    finite = np.isfinite(b)
    scale = max(1.0, float(np.abs(b[finite]).max(initial=0.0)))
    with np.errstate(invalid="ignore"):  # inf - inf, decided exactly
        close = np.where(finite, np.abs(a - b) <= tolerance * scale, (a == b) | (equal_nan & np.isnan(a) & np.isnan(b)))
    _requirements += a.size > 0
    if not close.all():
        at = tuple(int(i) for i in np.argwhere(~close)[0])
        raise Refuted(f"{what}: entry {at} is {a[at]:.10g}, expected {b[at]:.10g}")


def certified(check: Callable[..., str], *certificate: Any) -> None:
    """Raise :class:`Refuted` unless a kind of `theory.checker` accepts a certificate.

    >>> from theory.checker import order
    >>> certified(order, {"a": "", "b": "a"}, "ba")
    Traceback (most recent call last):
    theory.refutation.Refuted: the edge 'a' -> 'b' goes backward in the order
    """
    try:
        check(*certificate)
    except Rejected as wrong:
        raise Refuted(str(wrong)) from wrong
    require(True, "")


def accepts(check: Callable[..., Any], *certificate: Any) -> bool:
    """Return whether a check of certificates raises no error.

    >>> accepts(require, 1 + 1 == 3, "")
    False
    """
    global _requirements
    before = _requirements
    try:
        check(*certificate)
    except (Refuted, ValueError, KeyError):  # a KeyError if a certificate names a vertex that its graph lacks
        return False
    finally:
        _requirements = before  # the certificate's, not the checker's
    return True

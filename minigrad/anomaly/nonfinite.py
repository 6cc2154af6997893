"""NaNs and infinities: which of them are new in a result, and in words where they are and what met there.

The badness of a number is 0 if it is finite, 1 if it is infinite, 2 if it is NaN; that of an array is its worst
entry's. What is worse than all that it was made of is new: an infinity of finite numbers, a NaN of what holds none. So
infinities that are passed on, such as those of a mask, are not new, and inf - inf is a new NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..spec import Array, describe

__all__ = ["badness", "badness_of_entries", "first_worst", "met_there", "summary"]


def badness(value: Any) -> int:
    """Of the worst number in a number, an array, or nested tuples, lists and dicts; 0 of anything else.

    >>> badness(np.ones(3)), badness([0.5, -np.inf]), badness({"x": np.array([np.nan, np.inf])}), badness("nan")
    (0, 1, 2, 0)
    """
    worst = 0
    stack = [value]
    while stack and worst < 2:
        value = stack.pop()
        if isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, (tuple, list)):
            stack += value
        elif isinstance(value, (float, np.ndarray, np.floating)):
            x = np.asarray(value)
            if x.dtype.kind == "f" and not np.isfinite(x).all():
                worst = max(worst, 2 if np.isnan(x).any() else 1)
    return worst


def badness_of_entries(value: Any) -> Array:
    """Of each entry of an array or number.

    >>> badness_of_entries(np.array([1.0, -np.inf, np.nan]))
    array([0, 1, 2], dtype=int8)
    """
    x = np.asarray(value)
    if x.dtype.kind != "f":
        return np.zeros(x.shape, np.int8)
    return np.asarray(np.where(np.isnan(x), 2, np.isinf(x)), np.int8)


def first_worst(bad: Array, axis: int | None = None) -> tuple[int, ...]:
    """The index of the first entry that is as bad as the worst one; the first along an axis before all others.

    >>> first_worst(np.array([[0, 0, 2], [2, 1, 0]])), first_worst(np.array([[0, 0, 2], [2, 1, 0]]), axis=1)
    ((0, 2), (1, 0))
    """
    places = np.argwhere(bad == bad.max())
    place = places[0 if axis is None else np.argmin(places[:, axis])]
    return tuple(int(i) for i in place)


def at(index: Sequence[int]) -> str:
    return f"[{', '.join(map(str, index))}]"


def summary(value: Any) -> str:
    """An array in words: dtype, shape, range of its finite entries, and how many others there are.

    >>> summary(np.array([0.5, np.nan, 2.0]))
    'float64 (3,), 1 of 3 entries NaN or infinite, the others from 0.5 to 2.0'
    >>> summary(np.arange(3.0))
    'float64 (3,) from 0.0 to 2.0'
    """
    if not isinstance(value, np.ndarray) or not value.size or value.dtype.kind not in "fiub":
        return describe(value) if isinstance(value, np.ndarray) else str(value)
    finite = value[np.isfinite(value)]
    unusual = value.size - finite.size
    span = f"from {finite.min()} to {finite.max()}" if finite.size else ""
    if not unusual:
        return f"{describe(value)} {span}"
    entries = f"{unusual} of {value.size} entries NaN or infinite"
    return f"{describe(value)}, {entries}{f', the others {span}' if span else ''}"


def met_there(named: Sequence[tuple[str, Any]], shape: tuple[int, ...], index: tuple[int, ...] | None) -> str:
    """Named inputs in words: their values at an index of what they broadcast to, if one is given; else summaries.

    >>> met_there([("a", np.array([1.0, 0.0])), ("b", 2.0)], (2,), (1,))
    'a = 0.0, b = 2.0'
    >>> met_there([("x", np.array([[1.0, 0.0]])), ("mask", None)], (2,), None)
    'x: float64 (1, 2) from 0.0 to 1.0'
    """
    given = [(name, value) for name, value in named if value is not None]
    if index is not None:
        return ", ".join(f"{name} = {np.broadcast_to(np.asarray(value), shape)[index]}" for name, value in given)
    return "; ".join(f"{name}: {summary(value)}" for name, value in given)

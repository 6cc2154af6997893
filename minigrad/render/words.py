"""Shapes, options and indices in a few words, as listings and drawings say them."""

from __future__ import annotations

from collections.abc import Mapping
from types import EllipsisType
from typing import Any

import numpy as np

from ..spec import Spec

__all__ = ["index_text", "option_text", "option_words", "shape_of"]

_LONGEST = 32
"""Letters of an option that are shown."""
_ITEMS = 8
"""Items of a list that are shown."""


def shape_of(spec: Spec) -> str:
    """A shape and, where it is not float32, the dtype.

    >>> shape_of(((2, 3), np.dtype("float64")))
    '2×3 float64'
    """
    shape, dtype = spec
    text = "×".join(map(str, shape)) if shape else "scalar"
    return text if dtype == np.float32 else f"{text} {dtype}"


def option_text(options: Mapping[str, Any]) -> str:
    """Options in a few words; what is None or False goes without saying.

    >>> option_text({"axis": 1, "keepdims": False})
    'axis=1'
    """
    words = option_words({name: value for name, value in options.items() if value is not False})
    return ", ".join(text if name == "index" else f"{name}={text}" for name, text in words.items())


def option_words(options: Mapping[str, Any], most: int = _LONGEST) -> dict[str, str]:
    """The value of each option in at most so many letters, of an index between its brackets; None goes without saying.

    >>> option_words({"index": (slice(None), 0), "axis": None})
    {'index': '[:, 0]'}
    """
    said = {name: value for name, value in options.items() if value is not None}
    return {
        name: f"[{_cut(index_text(value), most)}]" if name == "index" else _cut(_value_text(value), most)
        for name, value in said.items()
    }


def index_text(index: Any) -> str:
    """An index as it is typed between brackets.

    >>> index_text((slice(None), slice(2, None), -1, ...))
    ':, 2:, -1, …'
    """
    if isinstance(index, tuple):
        return ", ".join(map(index_text, index)) or "()"
    if isinstance(index, slice):
        ends = ["" if end is None else str(end) for end in (index.start, index.stop, index.step)]
        return ":".join(ends if ends[2] else ends[:2])
    return "…" if isinstance(index, EllipsisType) else _value_text(index)


def _value_text(value: Any) -> str:
    """A value without anything that differs from run to run, such as an address."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array {'×'.join(map(str, value.shape))}"
    if isinstance(value, (tuple, list)):
        items = [_value_text(item) for item in value[:_ITEMS]] + ["…"] * (len(value) > _ITEMS)
        return f"({', '.join(items)})"
    if value is None or isinstance(value, (bool, int, float, str, np.generic, np.dtype)):
        return str(value)
    return value.__name__ if isinstance(value, type) else type(value).__name__


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

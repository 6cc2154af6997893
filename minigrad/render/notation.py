"""Shapes, options and indices in a few words, as listings and drawings say them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import EllipsisType
from typing import Any

import numpy as np

from ..spec import Spec

__all__ = ["STEP", "alike", "index_text", "number_text", "option_span", "option_text", "option_words", "shape_of",
           "span"]  # fmt: skip

STEP = re.compile(r"(?:step|time|t)[ _=]?\d+")
"""The name of a scope that is a step of a loop."""
_LONGEST = 32
"""Letters of an option that are shown."""
_ITEMS = 8
"""Items of a list that are shown."""
_NUMBER = re.compile(r"\d{1,18}")
"""A number, or a part of one that is longer: `int` takes no text of any length."""


def shape_of(spec: Spec) -> str:
    """A shape and, where it is not float32, the dtype.

    >>> shape_of(((2, 3), np.dtype("float64")))
    '2×3 float64'
    """
    shape, dtype = spec
    text = "×".join(map(str, shape)) if shape else "scalar"
    return text if dtype == np.float32 else f"{text} {dtype}"


def number_text(number: float) -> str:
    """A single number, in as many digits as one reads.

    >>> number_text(2.0), number_text(0.1234567), number_text(10**6), number_text(True)
    ('2', '0.123457', '1000000', 'True')
    """
    return f"{number:.6g}" if isinstance(number, float) else _cut(str(number), _LONGEST)


def option_text(options: Mapping[str, Any]) -> str:
    """Options in a few words; what is None or False goes without saying, and so does what has no value that one reads.

    >>> option_text({"axis": 1, "keepdims": False, "key": object()})
    'axis=1'
    """
    if not options:
        return ""
    words = option_words({name: value for name, value in options.items() if value is not False and _is_read(value)})
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


def alike(text: str, mark: str = "#") -> str:
    """A text with every number in it as a mark.

    >>> alike("step 12") == alike("step 3")
    True
    """
    return _NUMBER.sub(mark, text)


def span(texts: Sequence[str]) -> str:
    """One text for those of a loop: what all say, or the first and the last if their numbers move evenly; else nothing.

    >>> span(["h", "h"]), span(["step 1", "step 2", "step 3"]), span(["0", "3", "1"])
    ('h', 'step 1 … step 3', '')
    """
    if len(set(texts)) == 1:
        return texts[0]
    if len(set(map(alike, texts))) > 1:
        return ""
    columns = zip(*[map(int, _NUMBER.findall(text)) for text in texts], strict=True)
    even = all(len({b - a for a, b in pairwise(column)}) == 1 for column in columns)
    return f"{texts[0]} … {texts[-1]}" if even else ""


def option_span(several: Sequence[Mapping[str, Any]]) -> str:
    """The options of a loop's operations, which differ at most in their index; one that moves unevenly is `[…]`.

    >>> option_span([{"index": (slice(None), k)} for k in range(1, 8)])
    '[:, 1 … 7]'
    """
    texts = [option_text(options) for options in several]
    if len(set(texts)) == 1:
        return texts[0]
    items = [[*map(index_text, i)] if isinstance(i := o["index"], tuple) else [index_text(i)] for o in several]
    even = len(set(map(len, items))) == 1
    spans = [span(texts) for texts in zip(*items, strict=True)] if even else [""]
    text = ", ".join(spans) if all(spans) else "…"
    rest = option_text({name: value for name, value in several[0].items() if name != "index"})
    return ", ".join(filter(None, [f"[{text}]", rest]))


def _is_read(value: Any) -> bool:
    """Whether a value says more than its class; a list does if an item does."""
    if isinstance(value, list):
        return any(map(_is_read, value))
    return isinstance(value, (tuple, slice, EllipsisType)) or _value_text(value) != type(value).__name__


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

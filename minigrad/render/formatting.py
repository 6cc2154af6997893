"""Shapes, numbers, options and indices as short text."""

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

STEP = re.compile(r"(?:step|time|t)[ _=]?\d+")  # the name of a scope that is a step of a loop
_LONGEST = 32  # characters of an option
_ITEMS = 8  # items of a list
_NUMBER = re.compile(r"\d{1,18}")  # or a part of a longer one, for which `int` may raise


def shape_of(spec: Spec) -> str:
    """A shape, followed by the dtype unless that is float32.

    >>> shape_of(((2, 3), np.dtype("float64")))
    '2×3 float64'
    """
    shape, dtype = spec
    text = "×".join(map(str, shape)) if shape else "scalar"
    return text if dtype == np.float32 else f"{text} {dtype}"


def number_text(number: float) -> str:
    """A single number with at most six significant digits.

    >>> number_text(2.0), number_text(0.1234567), number_text(10**6), number_text(True)
    ('2', '0.123457', '1000000', 'True')
    """
    return f"{number:.6g}" if isinstance(number, float) else _cut(str(number), _LONGEST)


def option_text(options: Mapping[str, Any]) -> str:
    """Options as text, without those that are None or False and without objects that have no readable value.

    >>> option_text({"axis": 1, "keepdims": False, "key": object()})
    'axis=1'
    """
    words = option_words({name: value for name, value in options.items() if value is not False and _is_readable(value)})
    return ", ".join(text if name == "index" else f"{name}={text}" for name, text in words.items())


def option_words(options: Mapping[str, Any], most: int = _LONGEST) -> dict[str, str]:
    """The value of each option that is not None, cut to so many characters; an index stands in brackets.

    >>> option_words({"index": (slice(None), 0), "axis": None})
    {'index': '[:, 0]'}
    """
    return {
        name: f"[{_cut(index_text(value), most)}]" if name == "index" else _cut(_value_text(value), most)
        for name, value in options.items()
        if value is not None
    }


def index_text(index: Any) -> str:
    """An index as you type it between brackets.

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
    """A text with every number replaced by a mark.

    >>> alike("step 12") == alike("step 3")
    True
    """
    return _NUMBER.sub(mark, text)


def span(texts: Sequence[str]) -> str:
    """One text for those of all steps: the common one, or the first and last if their numbers move evenly, or nothing.

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
    """The options of a loop's operations, which differ only in their index; `[…]` is one that moves unevenly.

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


def _is_readable(value: Any) -> bool:
    """Whether the text of a value says more than its class."""
    if isinstance(value, list):
        return any(map(_is_readable, value))
    return isinstance(value, (tuple, slice, EllipsisType)) or _value_text(value) != type(value).__name__


def _value_text(value: Any) -> str:
    """A value as text without anything that differs from run to run, such as an address."""
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

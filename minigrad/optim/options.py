"""The options of optimisers: what each may be, and how a file keeps it, as one array of float64.

An option is a number unless its name is in one of the lists here: a pair, a flag, a whole number or a choice.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor
from ..spec import Array, describe

__all__ = ["as_array_of_floats", "as_number", "as_option", "as_whole", "option_in"]

_PAIRS = ("betas",)
_FLAGS = ("nesterov",)
_WHOLE = ("history_size", "max_eval", "max_iter")  # from 1
_CHOICES: dict[str, tuple[str | None, ...]] = {"line_search_fn": (None, "strong_wolfe")}
_BELOW_ONE = ("alpha", "betas", "momentum")  # decay rates of averages


def as_number(caller: str, name: str, value: Any) -> float:
    """A float of a number, or of a 0-d array or tensor; too large an integer becomes infinite.

    Raises:
        TypeError: if it is none: text is not read as a number.
    """
    single = isinstance(value, (np.ndarray, Tensor)) and value.ndim == 0 and value.dtype.kind in "biuf"
    if not (single or isinstance(value, (bool, int, float, np.number))) or isinstance(value, np.complexfloating):
        raise TypeError(f"{caller}: {name} must be a number, not {describe(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_whole(caller: str, name: str, value: Any, least: int = 1) -> int:
    """An integer of at least 1, or another least one."""
    if isinstance(value, bool) or not (isinstance(value, (int, np.integer)) and value >= least):
        kind = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise ValueError(f"{caller}: {name} must be {kind}, not {value!r}")
    return int(value)


def as_option(caller: str, name: str, value: Any) -> Any:
    """An option in its own type: a float that is finite and not negative, or what its name says.

    Raises:
        TypeError: if a number is none.
        ValueError: if it is of no use: a rate below 0, a decay rate of 1 or more, an unknown choice.
    """
    if name in _FLAGS:
        return bool(value)
    if name in _WHOLE:
        return as_whole(caller, name, value)
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ValueError(f"{caller}: {name} must be one of {', '.join(map(repr, _CHOICES[name]))}, not {value!r}")
        return value
    if name in _PAIRS:
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise ValueError(f"{caller}: {name} must be two numbers, not {value!r}")
        first, second = value
        return _in_range(caller, name, first, (first, second)), _in_range(caller, name, second, (first, second))
    return _in_range(caller, name, value, value)


def _in_range(caller: str, name: str, value: Any, whole: Any) -> float:
    number = as_number(caller, name, value)
    below_one = name in _BELOW_ONE
    if not 0 <= number < (1 if below_one else math.inf):
        kind = "in [0, 1)" if below_one else "finite and at least 0"
        raise ValueError(f"{caller}: {name} must be {kind}, not {whole}")
    return number


def as_array_of_floats(name: str, value: Any) -> Array:
    """An option as a file keeps it: a choice by its place among the choices."""
    return np.array(_CHOICES[name].index(value) if name in _CHOICES else value, np.float64)


def option_in(caller: str, name: str, array: Array) -> Any:
    """An option read from its array.

    Raises:
        ValueError: if no option can be read from it.
    """
    if name in _PAIRS:
        return as_option(caller, name, tuple(array.tolist()))
    if name in _FLAGS or name in _CHOICES:
        if array not in (0, 1):
            raise ValueError(f"{caller}: {name} must be 0 or 1, not {array}")
        return bool(array) if name in _FLAGS else _CHOICES[name][int(array)]
    whole = name in _WHOLE and float(array).is_integer()
    return as_option(caller, name, int(array) if whole else float(array))

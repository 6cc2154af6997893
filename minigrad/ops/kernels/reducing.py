"""What losses share: one number of all entries' losses, or one each; and shapes that must be the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import plain
from ...spec import Array, as_array, describe
from .cross_entropy import scaled_sum

__all__ = ["against", "non_negative", "reduced", "reduction_scale", "same_shape"]

_REDUCTIONS = ("mean", "sum", "none")


def reduction_scale(reduction: str, count: float) -> float:
    """What each entry's loss counts in the result: of a mean 1 / count, of their number or the sum of their weights.

    It is 1 where nothing counts, so that a mean of nothing is 0.
    """
    if not isinstance(reduction, str):  # PyTorch's third argument is the weight
        raise TypeError(
            f"reduction must be 'mean', 'sum' or 'none', not {describe(reduction)}; weights, where a loss takes them, "
            "are given by name, weight=…"
        )
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
    return 1.0 / (float(count) or 1.0) if reduction == "mean" else 1.0


def reduced(losses: Any, reduction: str, scale: float) -> Any:
    """One number, ``scale`` times the sum, or one an entry for "none"."""
    return losses if reduction == "none" else scaled_sum(losses, scale)


def same_shape(name: str, first: Array, second_name: str, second: Array) -> None:
    """Raise unless two arrays have the same shape."""
    if first.shape != second.shape:
        raise ValueError(
            f"{name} {first.shape} and {second_name} {second.shape} must have the same shape: losses do not broadcast"
        )


def against(g: Array, entries: Array) -> Array:
    """A batch of cotangents so that it broadcasts against the entries, of which a loss is one number or one each."""
    return g if g.ndim > entries.ndim else g.reshape(len(g), *(1,) * entries.ndim)


def non_negative(weight: Any, name: str, dtype: Any, *shapes: tuple[int, ...]) -> Array | None:
    """Weights that were given as an option, in a dtype; None if they were not.

    Raises:
        ValueError: unless their shape is one of those that fit, and all are finite and at least 0.
    """
    if weight is None:
        return None
    array = as_array(plain(weight), rounded=False)
    if array.shape not in shapes:
        wanted = " or ".join(map(str, dict.fromkeys(shapes)))
        raise ValueError(f"{name} must have the shape {wanted}, not {array.shape}: losses do not broadcast")
    wrong = ~((array >= 0) & np.isfinite(array))
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        raise ValueError(f"{name}{list(place) if place else ''} is {array[place]}: it must be finite and at least 0")
    return array.astype(dtype)

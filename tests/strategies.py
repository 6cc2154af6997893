"""Hypothesis strategies for arrays of many shapes, layouts and values.

Values come from a seeded generator rather than from Hypothesis entry by entry: a failing example
is still reproduced by its seed, and drawing is fast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

LAYOUTS = ("C", "F", "reversed", "strided", "broadcast")


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 4) -> st.SearchStrategy[Any]:
    """Shapes, empty ones included unless min_side says otherwise."""
    return hnp.array_shapes(min_dims=max(min_dims, 1), max_dims=max_dims, min_side=min_side, max_side=max_side) | (
        st.just(()) if min_dims == 0 else st.nothing()
    )


def with_layout(array: np.ndarray, layout: str) -> np.ndarray:
    """The same values in another memory layout ("broadcast" repeats the first slice with stride 0)."""
    if layout == "F":
        return np.asfortranarray(array).reshape(array.shape)  # it would give a 0-d array an axis
    if layout == "reversed" and array.ndim:
        return array[::-1].copy()[::-1]
    if layout == "strided" and array.ndim:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "broadcast" and array.ndim and array.shape[0]:
        return np.broadcast_to(array[:1].copy(), array.shape)
    return array


@st.composite
def arrays(
    draw: Any,
    shape: Any,
    low: float = -2.0,
    high: float = 2.0,
    dtype: Any = np.float64,
    layouts: tuple[str, ...] = LAYOUTS,
    away_from: tuple[float, ...] = (),
    distinct: bool = False,
) -> np.ndarray:
    """Random arrays in [low, high]; ``shape`` is a shape or a strategy of shapes.

    ``away_from`` keeps entries at least 0.01 from points where a function has a kink; ``distinct``
    keeps entries at least 0.01 from each other (for max and min), and then layouts do not repeat values.
    """
    if isinstance(shape, st.SearchStrategy):
        shape = draw(shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = int(np.prod(shape))
    if distinct:
        values = low + (high - low) * (rng.permutation(size) + 0.5) / max(size, 1)
        layouts = tuple(layout for layout in layouts if layout != "broadcast")
    else:
        values = rng.uniform(low, high, size)
    for point in away_from:
        near = np.abs(values - point) < 0.01
        values = np.where(near, point + np.where(values < point, -0.02, 0.02), values)
    return with_layout(values.reshape(shape).astype(dtype), draw(st.sampled_from(layouts)))


@st.composite
def broadcastable(draw: Any, count: int = 2, max_dims: int = 3, **options: Any) -> list[np.ndarray]:
    """Arrays whose shapes broadcast together."""
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=max_dims, min_side=0, max_side=4))
    return [draw(arrays(shape, **options)) for shape in drawn.input_shapes]

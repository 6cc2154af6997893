"""Hypothesis strategies for well-conditioned matrices: general, symmetric or positive definite."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.strategies import LAYOUTS, shapes, with_layout


@st.composite
def matrices(
    draw: Any, rows: Any = None, columns: Any = None, stack: Any = None, kind: str = "general", max_side: int = 4
) -> np.ndarray:
    """Random stacks of matrices (…, M, N) that are far from singular, all of them of spread singular values.

    ``kind`` is "general", "symmetric" (eigenvalues of both signs) or "positive" (definite). Rows and columns are drawn,
    the columns of square matrices as many as rows, if they are not given; so is the stack's shape.
    """
    rows = draw(st.integers(0, max_side)) if rows is None else rows
    columns = rows if columns is None else columns
    stack = draw(shapes(max_dims=2, max_side=2)) if stack is None else stack
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    left, right = (np.linalg.qr(rng.standard_normal((*stack, n, n)))[0] for n in (rows, columns))
    count = min(rows, columns)
    values = 0.6 + (np.arange(count) + rng.uniform(-0.2, 0.2, (*stack, count))) * 0.8
    if kind == "symmetric":
        values *= np.where(np.arange(count) % 2, -1, 1)
    right = left if kind != "general" else right
    product = (left[..., :count] * values[..., None, :]) @ np.swapaxes(right, -1, -2)[..., :count, :]
    if kind != "general":
        product = (product + np.swapaxes(product, -1, -2)) / 2
    layouts = LAYOUTS if stack else LAYOUTS[:-1]  # of a single matrix "broadcast" repeats a row
    return with_layout(product, draw(st.sampled_from(layouts)))

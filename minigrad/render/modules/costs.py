"""Multiply-adds of a primitive's forward, from the shapes that met.

A multiply-add is one product added to a sum, the work of a matrix product's inner loop. Only products of arrays are
counted, as primitives declare it; whatever costs a few operations for each entry (activations, biases, gates, losses,
pools, look-ups) is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...primitives import Primitive, Shape, Shapes

__all__ = ["is_counted", "multiply_adds"]


def multiply_adds(primitive: Primitive, inputs: Shapes, output: Shape, options: Mapping[str, Any]) -> int:
    """The multiply-adds of one call.

    Args:
        inputs: the shape of each array argument, None for one that was left out.
        output: the shape of the first output.
        options: those of the call.

    >>> import minigrad as mg
    >>> multiply_adds(mg.ops.matmul.primitive, [(2, 3), (3, 5)], (2, 5), {})
    30
    """
    return 0 if primitive.cost is None else primitive.cost(inputs, output, options)


def is_counted(primitive: Primitive) -> bool:
    """Whether the cost of a primitive is known: of minigrad's own it is, of a user's if it declares one.

    >>> import minigrad as mg
    >>> is_counted(mg.ops.tanh.primitive)
    True
    """
    return primitive.cost is not None or primitive.module.startswith("minigrad.ops.")

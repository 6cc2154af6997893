"""Multiply-adds of a primitive's forward, from the shapes that met.

A multiply-add is one product added to a sum, the work of a matrix product's inner loop. Only products of arrays are
counted: whatever costs a few operations for each entry (activations, biases, gates, losses, pools, look-ups) is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...ops.products import explicit_subscripts
from ...primitives import Primitive

__all__ = ["is_counted", "multiply_adds"]

Shape = tuple[int, ...]
Shapes = Sequence[Shape | None]
Rule = Callable[[Shapes, Shape, Mapping[str, Any]], int]


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
    rule = _RULES.get(primitive.name) if is_counted(primitive) else None
    return 0 if rule is None else rule(inputs, output, options)


def is_counted(primitive: Primitive) -> bool:
    """Whether the cost of a primitive is known: of minigrad's own it is, of a user's it is not.

    >>> import minigrad as mg
    >>> is_counted(mg.ops.tanh.primitive)
    True
    """
    return primitive.module.startswith("minigrad.ops.")


def _matmul(inputs: Shapes, output: Shape, options: Mapping[str, Any]) -> int:
    return math.prod(output) * _given(inputs[0])[-1]


def _temporal_affine(inputs: Shapes, output: Shape, options: Mapping[str, Any]) -> int:
    return math.prod(output) * _given(inputs[0])[-1]


def _convolution(inputs: Shapes, output: Shape, options: Mapping[str, Any]) -> int:
    """Each entry of the output meets one filter; padding counts as entries."""
    return math.prod(output) * math.prod(_given(inputs[1])[1:])


def _transposed_convolution(inputs: Shapes, output: Shape, options: Mapping[str, Any]) -> int:
    """Each entry of the input is spread by one filter."""
    return math.prod(_given(inputs[0])) * math.prod(_given(inputs[1])[1:])


def _recurrent(weights: slice) -> Rule:
    """Each row of the input meets the input's weights, each state, of each step if there are steps, the state's."""

    def rule(inputs: Shapes, output: Shape, options: Mapping[str, Any]) -> int:
        Wx, Wh = (math.prod(_given(shape)) for shape in inputs[weights])
        return math.prod(_given(inputs[0])[:-1]) * Wx + math.prod(output[:-1]) * Wh

    return rule


def _einsum(inputs: Shapes, output: Shape, options: Mapping[str, Any]) -> int:
    """Two operands at a time, in the order that NumPy plans: a multiply-add for each combination of their indices."""
    # arrays of the right shapes without memory of their own: NumPy plans by shapes alone
    arrays = [np.broadcast_to(np.float32(0), _given(shape)) for shape in inputs]
    terms, result = explicit_subscripts(options["subscripts"], arrays)
    size: dict[str, int] = {}
    for term, array in zip(terms, arrays, strict=True):
        for letter, length in zip(term, array.shape, strict=True):
            size[letter] = max(size.get(letter, 1), length)
    plan = np.einsum_path(f"{','.join(terms)}->{result}", *arrays, optimize="greedy")[0][1:]
    total = 0
    for places in plan:
        met = [terms.pop(place) for place in sorted(places, reverse=True)]
        indices = set().union(*met)
        total += (len(met) - 1) * math.prod(size[letter] for letter in indices)
        needed = set(result).union(*terms)
        terms.append("".join(sorted(indices & needed)))
    return total


def _given(shape: Shape | None) -> Shape:
    assert shape is not None  # these arguments have no default
    return shape


_RULES: dict[str, Rule] = {
    "matmul": _matmul,
    "einsum": _einsum,
    "temporal_affine": _temporal_affine,
    "conv2d": _convolution,
    "conv_transpose2d": _transposed_convolution,
    "rnn_step": _recurrent(slice(2, 4)),
    "rnn": _recurrent(slice(2, 4)),
    "lstm_step": _recurrent(slice(3, 5)),
    "lstm": _recurrent(slice(2, 4)),
}

"""The table of writers, and how an entry is declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..graphs import GraphWriter
from ..tracing import Call

__all__ = ["WRITERS", "Writer", "axes_of", "refuse", "writes"]

Writer = Callable[..., Any]
F = TypeVar("F", bound=Writer)

WRITERS: dict[str, Callable[[GraphWriter, Call], tuple[str, ...]]] = {}
"""By the primitive's name: a function of the graph and a call, which adds operators and names the outputs."""


def writes(*primitives: str, promoted: bool = True) -> Callable[[F], F]:
    """Declare the writer of primitives: ``(graph, call, *names of the inputs) -> name`` (or a tuple) of the outputs.

    promoted: the inputs are cast to the first output's dtype, since ONNX promotes nothing; else they come as they are.
    An input that was left out has the empty name, which ONNX takes for that.
    """

    def declare(writer: F) -> F:
        def write(graph: GraphWriter, call: Call) -> tuple[str, ...]:
            dtype = call.outputs[0].dtype if promoted else None
            names = ("" if x is None else graph.value(x, dtype) for x in call.inputs)
            result = writer(graph, call, *names)
            return result if isinstance(result, tuple) else (result,)

        WRITERS.update(dict.fromkeys(primitives, write))
        return writer

    return declare


def axes_of(call: Call) -> tuple[int, ...]:
    """The axes that a call's option ``axis`` means, not negative; None means all."""
    axis, ndim = call.option("axis"), np.ndim(call.inputs[0])
    axes = range(ndim) if axis is None else (axis if isinstance(axis, (tuple, list)) else (axis,))
    return tuple(int(i) % ndim for i in axes)


def refuse(what: str) -> NotImplementedError:
    """The error of a call that has no counterpart."""
    return NotImplementedError(f"{what} cannot be written as ONNX")

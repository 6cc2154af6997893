"""The tables of exported primitives and imported operators, and how to declare an entry."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .... import ops
from ....core import untracked
from ....spec import Array
from ..graph_writer import Call, GraphWriter, trace

__all__ = ["READERS", "WRITERS", "axes_of", "bounds", "compose", "composed", "integers", "keywords_of",
           "like", "refuse", "same", "write", "write_calls"]  # fmt: skip

WRITERS: dict[str, Callable[[GraphWriter, Call], tuple[str, ...]]] = {}
"""By the primitive's name: a function of the graph and a call, which adds operators and names the outputs."""
READERS: dict[str, Callable[..., Any]] = {}
"""By the operator's name in ONNX: a function of its inputs as tensors, with None for an omitted input.

It returns the output or a tuple of outputs. Keywords are the supported attributes, and ``count`` is the number of
outputs that are needed.
"""


def same(primitives: Mapping[str, str], cast: str = "output") -> None:
    """Declare that primitives and operators of ONNX do the same."""
    write({name: lambda graph, _, *x, kind=kind: graph.op(kind, *x) for name, kind in primitives.items()}, cast)
    READERS.update({kind: getattr(ops, name) for name, kind in primitives.items()})


# --- writing ------------------------------------------------------------------------------------------


def write(functions: Mapping[str, Callable[..., Any]], cast: str = "output") -> None:
    """Declare writers: ``(graph, call, *names of the inputs) -> name`` (or a tuple) of the outputs, by the primitive.

    An omitted input has the empty name, as in ONNX.

    Args:
        cast: "output" casts the inputs to the first output's dtype, because ONNX does not promote; "inputs" casts them
            to the common dtype of the inputs, and "" does not cast them.
    """

    def run(function: Callable[..., Any], graph: GraphWriter, call: Call) -> tuple[str, ...]:
        dtype = np.result_type(*call.inputs) if cast == "inputs" else call.dtype if cast else None
        result = function(graph, call, *("" if x is None else graph.value(x, dtype) for x in call.inputs))
        return result if isinstance(result, tuple) else (result,)

    WRITERS.update({name: partial(run, function) for name, function in functions.items()})


def compose(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Declare functions that compute the same as primitives; export writes the primitives that they call."""
    WRITERS.update({name: partial(composed, function=function) for name, function in functions.items()})


def composed(graph: GraphWriter, call: Call, function: Callable[..., Any] | None) -> tuple[str, ...]:
    """Write a call as the primitives of a function that computes the same."""
    if function is None:
        raise refuse(f"the primitive {call.name}")
    dtype = np.result_type(*(x for x in call.inputs if x is not None))
    tensors = [
        None if x is None else untracked(x if isinstance(x, np.ndarray) else np.asarray(x, dtype)) for x in call.inputs
    ]

    def run() -> list[Array]:
        result = function(*tensors, **call.options)
        return [y.data for y in (result if isinstance(result, tuple) else (result,))[: len(call.outputs)]]

    steps, results = trace(run)
    steps = [step._replace(scope=call.scope) for step in steps]
    write_calls(graph, steps, results)
    return tuple(graph.value(x, y.dtype) for x, y in zip(results, call.outputs, strict=True))


def write_calls(graph: GraphWriter, calls: Iterable[Call], results: Iterable[Array]) -> None:
    """Write calls of primitives; those without an entry in the table as their references.

    Raises:
        NotImplementedError: if a call has no counterpart; ``graph.call`` is this call.
    """
    graph.kept.append((calls, results))
    outer = graph.call
    for call in calls:
        if not all(id(output) in graph.names for output in call.outputs):
            graph.call = call
            names = WRITERS.get(call.name, partial(composed, function=call.primitive.reference))(graph, call)
            graph.names.update({id(y): name for y, name in zip(call.outputs, names, strict=True) if name})
    graph.call = outer


def axes_of(call: Call) -> tuple[int, ...]:
    """Return the axes of a call's option ``axis``, not negative; None means all."""
    axis, ndim = call.option("axis"), len(call.shape)
    axes = range(ndim) if axis is None else (axis if isinstance(axis, (tuple, list)) else (axis,))
    return tuple(int(i) % ndim for i in axes)


def refuse(what: str) -> NotImplementedError:
    """Return the error for a call without a counterpart."""
    return NotImplementedError(f"{what} cannot be written in ONNX's operators")


# --- reading ------------------------------------------------------------------------------------------


def keywords_of(operator: str) -> set[str]:
    """Return the attributes that a reader takes, and possibly ``count``."""
    parameters = inspect.signature(READERS[operator]).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


def integers(x: Any) -> list[int]:
    """Return the integers in a tensor, such as axes or a shape."""
    if x.dtype.kind not in "iu":
        raise TypeError(f"expected integers, not {x.dtype}")
    return [int(i) for i in x.data.ravel()]


def like(y: Any, x: Any) -> Any:
    """Return y in x's dtype, because ONNX does not promote."""
    return y if y.dtype == x.dtype else ops.astype(y, x.dtype)


def bounds(dtype: Any) -> tuple[Any, Any]:
    """Return the least and the greatest number of a dtype."""
    if dtype.kind in "fb":
        return (-np.inf, np.inf) if dtype.kind == "f" else (False, True)
    return np.iinfo(dtype).min, np.iinfo(dtype).max

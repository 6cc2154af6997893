"""The tables of primitives that are written and of operators that are read, and how to declare an entry."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .... import ops
from ....core import Tensor, untracked
from ....spec import Array
from ..graphs import GraphWriter
from ..tracing import Call, trace

__all__ = ["READERS", "WRITERS", "Reader", "axes_of", "bounds", "composed", "constant", "integers", "like", "read_as",
           "reads", "refuse", "same", "write_as", "write_calls", "writes",
           "written_as"]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


class Reader(NamedTuple):
    """How an operator is run.

    Attributes:
        run: a function of the inputs as tensors, None for one that was left out, and of the attributes as keywords, to
            the output or a tuple of outputs.
        attributes: the keywords that it takes, which are those of ONNX that are supported.
        counts: whether it takes ``count`` too, the number of outputs that are wanted.
    """

    run: Callable[..., Any]
    attributes: frozenset[str]
    counts: bool = False


WRITERS: dict[str, Callable[[GraphWriter, Call], tuple[str, ...]]] = {}
"""By the primitive's name: a function of the graph and a call, which adds operators and names the outputs."""
READERS: dict[str, Reader] = {}
"""By the operator's name in ONNX."""


def same(primitive: str, operator: str, cast: str = "output", **attributes: tuple[str, type]) -> None:
    """Declare that a primitive and an operator do the same.

    attributes: the option of the primitive and its type for each of ONNX's attributes.
    """
    written_as(primitive, operator, cast, **attributes)
    function = getattr(ops, primitive)

    def run(*inputs: Any, **given: Any) -> Any:
        return function(*inputs, **{attributes[theirs][0]: value for theirs, value in given.items()})

    READERS[operator] = Reader(run, frozenset(attributes))


# --- writing ------------------------------------------------------------------------------------------


def written_as(primitive: str, operator: str, cast: str = "output", **attributes: tuple[str, type]) -> None:
    """As :func:`same`, where the operator does more than the primitive."""

    @writes(primitive, cast=cast)
    def _(graph: GraphWriter, call: Call, *x: str) -> str:
        return graph.op(
            operator, *x, **{name: kind(call.option(option)) for name, (option, kind) in attributes.items()}
        )


def writes(*primitives: str, cast: str = "output") -> Callable[[F], F]:
    """Declare the writer of primitives: ``(graph, call, *names of the inputs) -> name`` (or a tuple) of the outputs.

    An input that was left out has the empty name, which ONNX takes for that.

    Args:
        cast: "output" casts the inputs to the first output's dtype, since ONNX promotes nothing, "inputs" to the common
            dtype of the inputs, and "" leaves them as they are.
    """

    def declare(writer: F) -> F:
        def write(graph: GraphWriter, call: Call) -> tuple[str, ...]:
            dtype = np.result_type(*call.inputs) if cast == "inputs" else call.dtype if cast else None
            result = writer(graph, call, *("" if x is None else graph.value(x, dtype) for x in call.inputs))
            return result if isinstance(result, tuple) else (result,)

        WRITERS.update(dict.fromkeys(primitives, write))
        return writer

    return declare


def composed(graph: GraphWriter, call: Call, function: Callable[..., Any] | None = None) -> tuple[str, ...]:
    """Write a call as the primitives of a function that computes the same, by default the primitive's reference."""
    given = function or call.primitive.reference
    if given is None:
        raise refuse(f"the primitive {call.name}")
    dtype = np.result_type(*(x for x in call.inputs if x is not None))
    arrays = [x if x is None or isinstance(x, np.ndarray) else np.asarray(x, dtype) for x in call.inputs]
    tensors = [None if x is None else untracked(x) for x in arrays]

    def run() -> list[Array]:
        result = given(*tensors, **call.options)
        return [y.data for y in (result if isinstance(result, tuple) else (result,))[: len(call.outputs)]]

    steps, results = trace(run)
    steps = [step._replace(scope=call.scope) for step in steps]
    write_calls(graph, steps, results)
    return tuple(graph.value(x, y.dtype) for x, y in zip(results, call.outputs, strict=True))


def write_as(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Declare primitives that are written as functions of simpler ones."""
    for name, function in functions.items():
        WRITERS[name] = lambda graph, call, function=function: composed(graph, call, function)  # type: ignore[misc]


def write_calls(graph: GraphWriter, calls: Iterable[Call], results: Iterable[Array]) -> None:
    """Write calls of primitives; those without an entry in the table as their references.

    Raises:
        NotImplementedError: if a call has no counterpart; ``graph.call`` is this call.
    """
    graph.kept.append((calls, results))
    for call in calls:
        for x in call.inputs:
            graph.uses.setdefault(id(x), []).append(call)
    for array in results:
        graph.uses.setdefault(id(array), []).append(None)
    outer = graph.call
    for call in calls:
        if not all(id(output) in graph.names for output in call.outputs):
            graph.call = call
            names = WRITERS.get(call.name, composed)(graph, call)
            graph.names.update({id(y): name for y, name in zip(call.outputs, names, strict=True) if name})
    graph.call = outer


def axes_of(call: Call) -> tuple[int, ...]:
    """The axes that a call's option ``axis`` means, not negative; None means all."""
    axis, ndim = call.option("axis"), len(call.shape)
    axes = range(ndim) if axis is None else (axis if isinstance(axis, (tuple, list)) else (axis,))
    return tuple(int(i) % ndim for i in axes)


def refuse(what: str) -> NotImplementedError:
    """The error of a call that has no counterpart."""
    return NotImplementedError(f"{what} cannot be written in ONNX's operators")


# --- reading ------------------------------------------------------------------------------------------


def reads(*operators: str) -> Callable[[F], F]:
    """Declare the reader of operators; one of several operators takes the name of its own as the keyword ``kind``."""

    def declare(function: F) -> F:
        keywords = inspect.signature(function).parameters.values()
        names = {p.name for p in keywords if p.kind is inspect.Parameter.KEYWORD_ONLY}
        for operator in operators:
            run = partial(function, kind=operator) if "kind" in names else function
            READERS[operator] = Reader(run, frozenset(names - {"count", "kind"}), "count" in names)
        return function

    return declare


def read_as(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Declare the readers of operators, by name."""
    for operator, function in functions.items():
        reads(operator)(function)


def integers(x: Any) -> list[int]:
    """What a tensor of integers holds, such as axes or a shape."""
    if x.dtype.kind not in "iu":
        raise TypeError(f"expected integers, not {x.dtype}")
    return [int(i) for i in x.data.ravel()]


def like(y: Any, x: Any) -> Any:
    """y in x's dtype: ONNX promotes nothing."""
    return y if y.dtype == x.dtype else ops.astype(y, x.dtype)


def bounds(dtype: Any) -> tuple[Any, Any]:
    """The least and the greatest number of a dtype."""
    if dtype.kind in "fb":
        return (-np.inf, np.inf) if dtype.kind == "f" else (False, True)
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def constant(array: Array) -> Tensor:
    """A tensor that holds this array."""
    return Tensor(np.asarray(array))

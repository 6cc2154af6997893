"""Which primitives a function applies, in order, with the arrays that go in and come out.

A recorder is told of every call. An array that came out of one and goes into another is known by its identity, so all
arrays are kept until the trace is thrown away. Taking a Python number out of a tensor that depends on an input raises
an error, since the file would hold that number, or the branch chosen by it, for all inputs. NumPy's calls on an input's
array are not seen and would give constants too: :func:`fingerprint` of two traces, of different values, tells.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from ... import writes
from ...core import Node, Tensor, current_scope, number_check, plain, untracked
from ...observers import Observer, location_text, observing
from ...primitives import Primitive
from ...recording import user_line
from ...spec import Array

__all__ = ["Call", "fingerprint", "trace"]


class Call(NamedTuple):
    """One application of a primitive.

    primitive: which one; None says that the outputs are the inputs. inputs: an array or a Python number each, None for
    one that was left out. options: as they were given, arrays among them too. scope: the path of modules.
    """

    primitive: Primitive | None
    options: dict[str, Any]
    inputs: tuple[Any, ...]
    outputs: tuple[Array, ...]
    scope: tuple[str, ...]

    @property
    def name(self) -> str:
        return "" if self.primitive is None else self.primitive.name

    def option(self, name: str) -> Any:
        """An option, the forward's default if it was not given."""
        assert self.primitive is not None
        default = self.primitive.signature.parameters[name].default
        return self.options.get(name, default)


class _Tracer(Observer):
    """Keeps every call. dependent: the ids of the variables, and of all arrays that are computed from them."""

    def __init__(self, variables: Iterable[Array] = ()) -> None:
        self.calls: list[Call] = []
        self.dependent = set(map(id, variables))

    def call(
        self,
        primitive: Primitive,
        params: Mapping[str, Any],
        inputs: Sequence[Any],
        outputs: Sequence[Array],
        node: Node | None,
    ) -> None:
        self.calls.append(Call(primitive, dict(params), tuple(inputs), tuple(outputs), current_scope() or ()))
        if not self.dependent.isdisjoint(map(id, _arrays([*inputs, *params.values()]))):
            self.dependent.update(map(id, outputs))

    def refuse_number(self, x: Tensor) -> None:
        if id(x.data) in self.dependent:
            raise ValueError(
                "a Python number is taken out of a tensor that depends on an input"
                f"{location_text(user_line(), current_scope() or ())}, and the file would hold that number for all "
                "inputs. "
                "Choose by mg.where and compute with tensors, or compute the number outside of the module"
            )


def trace(
    function: Callable[[], list[Array]], variables: Iterable[Array], written: Container[str]
) -> tuple[list[Call], list[Array]]:
    """The calls that a function's results depend on, and these results.

    Others are left out, and so are those that a primitive's forward makes itself, whose arrays no other call has seen.

    A call of a primitive that is not among those `written`, by name, is replaced by those of its reference, if it has
    one. Raises ValueError if an array was written into meanwhile, since then one array stood for several values, and if
    a Python number is taken out of a tensor that depends on the variables.
    """
    tracer, clock = _Tracer(variables), writes.clock
    outside = number_check.set(tracer.refuse_number)
    try:
        with observing(tracer):
            results = function()
    finally:
        number_check.reset(outside)
    calls = list(_expanded(tracer.calls, written))
    if writes.clock != clock:
        raise ValueError("the call writes into a tensor, and ONNX has no such operation")
    return _needed(calls, results), results


def _needed(calls: list[Call], results: list[Array]) -> list[Call]:
    wanted, kept = set(map(id, results)), []
    for call in reversed(calls):
        if wanted.isdisjoint(map(id, call.outputs)):
            continue
        kept.append(call)
        wanted.difference_update(map(id, call.outputs))
        wanted.update(map(id, _arrays([*call.inputs, *call.options.values()])))
    return kept[::-1]


def _arrays(values: Iterable[Any]) -> Iterator[Array]:
    """The arrays among inputs and options, in lists and tuples too."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _arrays(value)
        elif isinstance(array := plain(value), np.ndarray):
            yield array


def _expanded(calls: Iterable[Call], written: Container[str]) -> Iterable[Call]:
    known: set[int] = set()  # what came out so far: a primitive that calls others, as a checkpoint, gives it once more
    for call in calls:
        if all(id(output) in known for output in call.outputs):
            continue
        known.update(map(id, call.outputs))
        reference = None if call.primitive is None or call.name in written else call.primitive.reference
        if reference is None:
            yield call
            continue
        tensors = [None if x is None else untracked(np.asarray(x)) for x in call.inputs]
        steps = _Tracer()
        with observing(steps):
            result = reference(*tensors, **call.options)
        yield from (step._replace(scope=call.scope) for step in _expanded(steps.calls, written))
        several = result if isinstance(result, tuple) else (result,)
        ends = tuple(end.data for end in several[: len(call.outputs)])
        yield Call(None, {}, ends, call.outputs, call.scope)


def fingerprint(calls: Iterable[Call], variables: Iterable[Array]) -> list[tuple[Any, ...]]:
    """What a trace depends on besides the values of some arrays: two traces that agree in it do the same with these."""
    numbers = {id(array): number for number, array in enumerate(variables)}
    prints = []
    for call in calls:
        given = [_print(value, numbers) for value in (*call.inputs, *call.options.items())]
        prints.append((call.name, call.scope, *given, *(array.shape for array in call.outputs)))
        numbers.update({id(array): len(numbers) + i for i, array in enumerate(call.outputs)})
    return prints


def _print(value: Any, numbers: dict[int, int]) -> Any:
    value = value.data if isinstance(value, Tensor) else value
    if isinstance(value, np.ndarray):
        if id(value) in numbers:
            return ("value", numbers[id(value)])
        return (value.shape, value.dtype.str, blake2b(np.ascontiguousarray(value).tobytes()).digest())
    if isinstance(value, (list, tuple)):
        return tuple(_print(part, numbers) for part in value)
    if isinstance(value, slice):
        return ("slice", *(_print(part, numbers) for part in (value.start, value.stop, value.step)))
    return value if isinstance(value, (bool, int, float, str, np.generic, type(None))) else str(type(value))

"""Record which primitives a function applies, in order, with the arrays that go in and come out.

An array that came out of one call and goes into another is known by its identity, so all arrays are kept until the
trace is thrown away. Taking a Python number out of a tensor that depends on an input raises an error, since the file
would hold that number, or the branch chosen by it, for all inputs. NumPy's calls on an input's array are not recorded
and would give constants too: compare what is written of two traces with different values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import writes
from ...core import Node, Tensor, current_scope, number_check, plain
from ...observers import Observer, location_text, observing
from ...primitives import Primitive
from ...recording import user_line
from ...spec import Array

__all__ = ["Call", "trace"]


class Call(NamedTuple):
    """One application of a primitive.

    Attributes:
        options: as they were given, arrays among them too.
        inputs: arrays or Python numbers; None for one that was left out.
        scope: the path of modules.
    """

    primitive: Primitive
    options: dict[str, Any]
    inputs: tuple[Any, ...]
    outputs: tuple[Array, ...]
    scope: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.primitive.name

    @property
    def dtype(self) -> Any:
        """The dtype of the first output."""
        return self.outputs[0].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first input."""
        return np.shape(self.inputs[0])

    def __str__(self) -> str:
        return f"{self.name} (in {'/'.join(self.scope)})" if self.scope else self.name

    def option(self, name: str) -> Any:
        """An option, the forward's default if it was not given."""
        return self.options.get(name, self.primitive.signature.parameters[name].default)


class _Tracer(Observer):
    """Keeps every call. dependent: the ids of the variables, and of all arrays that are computed from them."""

    def __init__(self, variables: Iterable[Array]) -> None:
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


def trace(function: Callable[[], list[Array]], variables: Iterable[Array] = ()) -> tuple[list[Call], list[Array]]:
    """The calls that a function's results depend on, and these results.

    Calls within a primitive's forward are left out, unless the primitive returns their arrays, as a checkpoint does.
    Then it is left out itself.

    Raises:
        ValueError: if an array was written into meanwhile, since then one array stood for several values, or if a
            Python number is taken out of a tensor that depends on the variables.
    """
    tracer, clock = _Tracer(variables), writes.clock
    outside = number_check.set(tracer.refuse_number)
    try:
        with observing(tracer):
            results = function()
    finally:
        number_check.reset(outside)
    if writes.clock != clock:
        raise ValueError("the call writes into a tensor, and ONNX has no such operation")
    first = {id(output): call for call in reversed(tracer.calls) for output in call.outputs}
    wanted, needed = set(map(id, results)), []
    for call in reversed(tracer.calls):
        made = {id(output) for output in call.outputs if first[id(output)] is call}
        if made & wanted:
            needed.append(call)
            wanted.update(map(id, _arrays([*call.inputs, *call.options.values()])))
    return needed[::-1], results


def _arrays(values: Iterable[Any]) -> Iterator[Array]:
    """The arrays among inputs and options, in lists and tuples too."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _arrays(value)
        elif isinstance(array := plain(value), np.ndarray):
            yield array

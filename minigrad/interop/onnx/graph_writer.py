"""Graphs: the primitives that a function calls, and the ONNX operators in which they are written.

An array that is the output of one call and the input of another is recognised by its identity, so all arrays are kept
as long as the trace. Taking a Python number out of a tensor that depends on an input raises an error, because the file
would contain that number, or the branch chosen by it, for all inputs. NumPy's calls on an input's array are not
recorded and would also give constants: compare two traces with different values to detect them.
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
from ...runtime.extras import require
from ...spec import Array

__all__ = ["OPSET", "Call", "GraphWriter", "trace"]

OPSET = 18  # the version of the ONNX operators in exported files (December 2022)

# --- calls --------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """One application of a primitive.

    Attributes:
        options: as given, including arrays.
        inputs: arrays or Python numbers; None for an omitted input.
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
        self.calls.append(Call(primitive, dict(params), tuple(inputs), tuple(outputs), current_scope()))
        if not self.dependent.isdisjoint(map(id, _arrays([*inputs, *params.values()]))):
            self.dependent.update(map(id, outputs))

    def refuse_number(self, x: Tensor) -> None:
        if id(x.data) in self.dependent:
            raise ValueError(
                "the module takes a Python number out of a tensor that depends on an input"
                f"{location_text(user_line(), current_scope())}, and the file would hold that number for all "
                "inputs. "
                "Use mg.where and compute with tensors, or compute the number outside the module"
            )


def trace(function: Callable[[], list[Array]], variables: Iterable[Array] = ()) -> tuple[list[Call], list[Array]]:
    """The calls that a function's results depend on, and these results.

    Calls within a primitive's forward are omitted, unless the primitive returns their arrays, as a checkpoint does.
    Then the primitive itself is omitted.

    Raises:
        ValueError: if an array was written into in the meantime, because one array then stood for several values, or if
            a Python number is taken out of a tensor that depends on the variables.
    """
    tracer, before = _Tracer(variables), writes.last_write
    outside = number_check.set(tracer.refuse_number)
    try:
        with observing(tracer):
            results = function()
    finally:
        number_check.reset(outside)
    if writes.last_write != before:
        raise ValueError("the call writes into a tensor, but ONNX has no such operation")
    first = {id(output): call for call in reversed(tracer.calls) for output in call.outputs}
    wanted, needed = set(map(id, results)), []
    for call in reversed(tracer.calls):
        made = {id(output) for output in call.outputs if first[id(output)] is call}
        if made & wanted:
            needed.append(call)
            wanted.update(map(id, _arrays([*call.inputs, *call.options.values()])))
    return needed[::-1], results


def _arrays(values: Iterable[Any]) -> Iterator[Array]:
    """Return the arrays among inputs and options, also in lists and tuples."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _arrays(value)
        elif isinstance(array := plain(value), np.ndarray):
            yield array


# --- operators ----------------------------------------------------------------------------------------


class GraphWriter:
    """A graph of ONNX operators while it is written: names, weights, constants, and nodes in order.

    Attributes:
        names: the names of arrays by their identity: inputs, weights and results.
        weights: initializers by name.
        nodes: NodeProtos.
        inputs, outputs: those of the whole graph, by name.
        cells: by the name of an LSTM's cell states, which ONNX does not return for all steps: the last ones and the
            call.
        kept: objects that must stay alive, so that identities are not reused.
        call: the call that is being written; its scope begins the names of nodes.
        origins: the calls that nodes come from, as texts by the nodes' names.
    """

    def __init__(self) -> None:
        self.helper, self.numpy_helper = require("onnx.helper", "onnx"), require("onnx.numpy_helper", "onnx")
        self.names: dict[int, str] = {}
        self.weights: dict[str, Array] = {}
        self.nodes: list[Any] = []
        self.inputs: dict[str, Array] = {}
        self.outputs: dict[str, Array] = {}
        self.cells: dict[str, tuple[str, Call]] = {}
        self.kept: list[Any] = []
        self.call: Call | None = None
        self.origins: dict[str, str] = {}
        self._taken: set[str] = set()

    def unique(self, name: str) -> str:
        """Return the name, with a number appended if it is taken."""
        found, number = name, 0
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found)
        return found

    def declare(self, array: Array, name: str) -> str:
        """Name an array that comes from outside."""
        self.names[id(array)] = name = self.unique(name)
        return name

    def known(self, x: Any) -> bool:
        """Return whether it is an array of the graph, not a constant."""
        return id(plain(x)) in self.names

    def value(self, x: Any, dtype: Any = None) -> str:
        """Return the name of an array of the graph, or of a new constant; in another dtype if wanted."""
        x = plain(x)
        if id(x) not in self.names:
            return self.constant(x, dtype)
        name = self.names[id(x)]
        return name if dtype is None else self.cast(name, x.dtype, dtype)

    def constant(self, x: Any, dtype: Any = None) -> str:
        """Add a constant node, outside all scopes."""
        array = np.asarray(x, dtype)
        tensor = self.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape))
        return self.op("Constant", value=tensor)

    def ints(self, *numbers: int) -> str:
        """A constant vector of integers, as axes and shapes are given."""
        return self.constant(np.array(numbers, np.int64))

    def cast(self, name: str, have: Any, want: Any) -> str:
        """A value in another dtype."""
        if np.dtype(have) == np.dtype(want):
            return name
        return self.op("Cast", name, to=self.helper.np_dtype_to_tensor_dtype(np.dtype(want)))

    def reshape(self, x: str, shape: tuple[int, ...]) -> str:
        # 0 stands for an axis of the input unless allowzero is set.
        return self.op("Reshape", x, self.ints(*shape), **({"allowzero": 1} if 0 in shape else {}))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output and return its name."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: str, **attributes: Any) -> tuple[str, ...]:
        """Add an operator with several outputs and return their names; the empty name stands for an omitted input."""
        if self.cells.keys() & set(inputs):
            raise NotImplementedError(
                "the cell states of an LSTM at all steps (those after the last one can be written)"
            )
        scope = self.call.scope if self.call and kind != "Constant" else ()
        name = self.unique("/".join((*scope, kind)))
        results = (name, *(self.unique(f"{name}.{number}") for number in range(1, outputs)))
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        self.origins[name] = str(self.call or "an output")
        self.nodes.append(self.helper.make_node(kind, list(inputs), list(results), name=name, **attributes))
        return results

"""A graph of ONNX operators while it is written: names, weights, constants, and nodes in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import plain
from ...runtime.extras import require
from ...spec import Array
from .tracing import Call

__all__ = ["OPSET", "GraphWriter"]

OPSET = 18
"""The version of ONNX's operators that is written (December 2022)."""


class GraphWriter:
    """The graph so far.

    Attributes:
        names: the names of arrays by their identity: inputs, weights and results.
        weights: initializers by name.
        nodes: NodeProtos.
        inputs, outputs: those of the whole graph, by name.
        cells: by the name of an LSTM's cell states, which ONNX does not have at all steps, the last ones and the call.
        kept: what must stay alive, so that identities are not used twice.
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
        """The name, or with a number behind it if it is taken."""
        found, number = name, 0
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found)
        return found

    def declare(self, array: Array, name: str) -> str:
        """Give a name to an array that comes from outside."""
        self.names[id(array)] = name = self.unique(name)
        return name

    def known(self, x: Any) -> bool:
        """Whether it is an array of the graph, no constant."""
        return id(plain(x)) in self.names

    def value(self, x: Any, dtype: Any = None) -> str:
        """The name of an array of the graph, or of a new constant; in another dtype if wanted."""
        x = plain(x)
        if id(x) not in self.names:
            return self.constant(x, dtype)
        name = self.names[id(x)]
        return name if dtype is None else self.cast(name, x.dtype, dtype)

    def constant(self, x: Any, dtype: Any = None) -> str:
        """A constant node, outside of all scopes."""
        array = np.asarray(x, dtype)
        tensor = self.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape))
        return self._add("Constant", 1, (), {"value": tensor})[0]

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
        """Add an operator with several outputs and return their names; an input that is left out is the empty name."""
        scope = self.call.scope if self.call else ()
        return self._add("/".join((*scope, kind)), outputs, inputs, attributes)

    def _add(self, name: str, outputs: int, inputs: tuple[str, ...], attributes: dict[str, Any]) -> tuple[str, ...]:
        if self.cells.keys() & set(inputs):
            raise NotImplementedError(
                "the cell states of an LSTM at all steps (those after the last one can be written)"
            )
        kind, name = name.rpartition("/")[2], self.unique(name)
        results = (name, *(self.unique(f"{name}.{number}") for number in range(1, outputs)))
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        self.origins[name] = str(self.call or "an output")
        self.nodes.append(self.helper.make_node(kind, list(inputs), list(results), name=name, **attributes))
        return results

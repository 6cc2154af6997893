"""A module that runs an ONNX graph, operator by operator."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from ...core import Tensor, scope, untracked
from ...nn import Buffer, Module, Parameter
from ...spec import Array, as_array
from .readers import READERS

__all__ = ["Operator", "OnnxNetwork", "Program", "ValueInfo"]


class ValueInfo(NamedTuple):
    """What a file says of an input: its name, dtype, and shape, None for an axis of any length; None if of any rank."""

    name: str
    dtype: Any
    shape: tuple[int | None, ...] | None


class Operator(NamedTuple):
    """One node of a graph: the operator's name, the node's, its inputs and outputs by name, and its attributes."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    @property
    def scope(self) -> list[str]:
        """The path of modules that the name begins with, as minigrad and PyTorch write it."""
        return [part for part in self.name.split("/")[:-1] if part]

    @property
    def described(self) -> str:
        return f"{self.kind} of node {self.name or ', '.join(self.outputs)!r}"


class Program:
    """What a network runs. constants: untrained values by name. weights: which attribute holds an initializer."""

    def __init__(
        self, inputs: Sequence[ValueInfo], outputs: Sequence[str], operators: Sequence[Operator],
        constants: dict[str, Array],
    ) -> None:  # fmt: skip
        self.inputs, self.outputs, self.operators = list(inputs), list(outputs), list(operators)
        self.constants = constants
        self.weights: dict[str, str] = {}
        last = {name: i for i, operator in enumerate(operators) for name in operator.inputs}
        self.ends: list[list[str]] = [[] for _ in operators]  # what no later operator needs
        for name, i in last.items():
            if name not in self.outputs:
                self.ends[i].append(name)


class OnnxNetwork(Module):
    """A network from an ONNX file, made by :func:`minigrad.import_onnx`.

    Called with the inputs in the file's order, or by name, it returns the output, or a tuple of several. Floating
    initializers are its parameters, under the names that they have in the file.
    """

    def __init__(self, program: Program, parameters: dict[str, Array], buffers: dict[str, Array]) -> None:
        self.program = program
        for kind, entries in ((Parameter, parameters), (Buffer, buffers)):
            for name, array in entries.items():
                attribute = name
                while hasattr(self, attribute):
                    attribute += "_"
                setattr(self, attribute, kind(array))
                program.weights[name] = attribute

    @property
    def input_names(self) -> list[str]:
        """The names of the file's inputs, in order."""
        return [info.name for info in self.program.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the file's outputs, in order."""
        return self.program.outputs

    def forward(self, *inputs: Any, **named: Any) -> Any:
        values = self._given(inputs, named)
        values.update({name: getattr(self, attribute) for name, attribute in self.program.weights.items()})
        values.update({name: Tensor(array) for name, array in self.program.constants.items()})
        for operator, ends in zip(self.program.operators, self.program.ends, strict=True):
            values.update(zip(operator.outputs, _run(operator, values), strict=False))
            for name in ends:
                values.pop(name, None)
        outputs = tuple(values[name] for name in self.program.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _given(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        """The inputs by name, seen to be of the dtypes and shapes that the file says."""
        wanted, names = self.program.inputs, self.input_names
        given = dict(zip(names, inputs, strict=False)) | named
        if len(inputs) + len(named) != len(names) or given.keys() != set(names):
            have = ", ".join([f"{len(inputs)} by position", *named])
            raise TypeError(f"OnnxNetwork: expected the inputs {', '.join(names)}, got {have}")
        tensors = {name: x if isinstance(x, Tensor) else untracked(as_array(x)) for name, x in given.items()}
        for info in wanted:
            x = tensors[info.name]
            if x.dtype != info.dtype:
                raise TypeError(f"OnnxNetwork: the input {info.name} must be {info.dtype}, not {x.dtype}")
            fits = info.shape is None or (
                len(info.shape) == x.ndim and all(n in (None, m) for n, m in zip(info.shape, x.shape, strict=True))
            )
            if not fits:
                shape = "(" + ", ".join("any" if n is None else str(n) for n in info.shape or ()) + ")"
                raise ValueError(f"OnnxNetwork: the input {info.name} must have the shape {shape}, not {x.shape}")
        return tensors

    def extra_repr(self) -> str:
        names = f"{', '.join(self.input_names)} -> {', '.join(self.output_names)}"
        return f"{names}; {len(self.program.operators)} operators"


def _run(operator: Operator, values: dict[str, Any]) -> tuple[Any, ...]:
    """The outputs of one operator; an error says which one it was."""
    reader = READERS[operator.kind]
    count = {"count": len(operator.outputs)} if reader.counts else {}
    try:
        with ExitStack() as stack:
            for part in operator.scope:
                stack.enter_context(scope(part))
            inputs = [values[name] if name else None for name in operator.inputs]
            result = reader.run(*inputs, **operator.attributes, **count)
    except (ValueError, TypeError, IndexError, NotImplementedError) as error:
        error.add_note(f"OnnxNetwork: in {operator.described}")
        raise
    results = result if isinstance(result, tuple) else (result,)
    if len(results) < len([name for name in operator.outputs if name]):
        raise NotImplementedError(
            f"OnnxNetwork: {operator.described} has {len(operator.outputs)} outputs, known are {len(results)}"
        )
    return tuple(y if isinstance(y, Tensor) else Tensor(np.asarray(y)) for y in results)

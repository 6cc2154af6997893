"""Read an ONNX file as a module, which runs the graph operator by operator."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from ...core import Tensor, scope, untracked
from ...io import must_be_regular
from ...nn import Buffer, Module, Parameter
from ...runtime.extras import require
from ...spec import Array, as_array
from .operators import READERS, keywords_of

__all__ = ["OnnxNetwork", "import_onnx"]

OLDEST = 13  # the first supported version of the ONNX operators (2020), or older ones that did not change
_DOMAINS = ("", "ai.onnx")
# The types that NumPy has itself.
_TYPES = ("FLOAT", "DOUBLE", "FLOAT16", "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32",
          "UINT64")  # fmt: skip


def import_onnx(path: str | os.PathLike[str]) -> OnnxNetwork:
    """Read an ONNX file as a module, which you can run, train and draw like any other. Needs the package `onnx`.

    Floating initializers become parameters under their names in the file, except that running averages of
    normalisations, and buffers that minigrad wrote, become buffers. All other initializers are constants. The inputs
    and outputs are those of the graph, in its order and under its names (``input_names``, ``output_names``). Versions
    13 and later of the operators are supported, in their form for inference; the names of nodes become scopes.

    Args:
        path: the file. Weights in other files (external data) are not supported.

    Returns:
        the module; called with arrays or tensors, in order or by name, it returns the output, or a tuple of several.

    Raises:
        NotImplementedError: if an operator or one of its attributes is not supported; names it and its node. Also for
            functions, graphs within nodes, sparse tensors, sequences and types that NumPy lacks.
        ValueError: if it is not an ONNX file, is damaged or invalid, or has external data.
        TypeError: if the path is neither a str nor a Path.
        OSError: if it cannot be read, or is a folder, a pipe or a device.
        ModuleNotFoundError: says how to install `onnx`.

    >>> import pathlib, tempfile, minigrad as mg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.onnx")
    ...     mg.export_onnx(mg.nn.Sequential(mg.nn.Linear(3, 2), mg.nn.ReLU()), np.ones((1, 3), np.float32), path)
    ...     model = mg.import_onnx(path)
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias']
    """
    onnx = require("onnx", "onnx")
    where = must_be_regular("import_onnx", path)
    with open(where, "rb") as file:
        content = file.read()
    try:
        return _network(onnx, _checked(onnx, content))
    except NotImplementedError as error:
        raise NotImplementedError(f"import_onnx: {where!r}: {error}") from None
    except (onnx.checker.ValidationError, ValueError, TypeError) as error:  # a damaged name is a UnicodeDecodeError
        raise ValueError(f"import_onnx: {where!r} is not a valid ONNX file: {error}") from None


# --- the file -----------------------------------------------------------------------------------------


def _checked(onnx: Any, content: bytes) -> Any:
    """Parse a file and raise if anything in it is not supported, before any part of it is used."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError, which has no public home in all its versions
        raise ValueError(f"it is not an ONNX file, or is truncated: {error}") from None
    if not model.HasField("graph") or not model.opset_import:
        raise ValueError("it is not an ONNX file, or is truncated: it has no graph")
    if model.functions:
        raise NotImplementedError(f"the file defines its own functions: {model.functions[0].name}")
    if model.graph.sparse_initializer:
        raise NotImplementedError("sparse initializers")
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    for tensor in (*model.graph.initializer, *(a.t for a in attributes if a.HasField("t"))):
        if tensor.data_location == tensor.EXTERNAL or tensor.external_data:  # a malicious file could name any other
            raise ValueError(
                f"{tensor.name or 'a tensor'} is stored in another file (external data). Export the model with its "
                "weights inside; in PyTorch, use torch.onnx.export(…, external_data=False)."
            )
    version = min((entry.version for entry in model.opset_import if entry.domain in _DOMAINS), default=OLDEST)
    for node in model.graph.node:
        where = f"node {node.name or ', '.join(node.output)!r}"
        if node.domain not in _DOMAINS or node.op_type not in READERS:
            kind = f"{node.domain}.{node.op_type}".lstrip(".")
            raise NotImplementedError(f"the operator {kind} of {where} is not supported")
        if not _is_current(onnx, node.op_type, version):
            raise NotImplementedError(
                f"{node.op_type} of {where} has version {version}; only versions from {OLDEST} on are supported"
            )
        if unknown := {attribute.name for attribute in node.attribute} - (keywords_of(node.op_type) - {"count"}):
            raise NotImplementedError(
                f"{node.op_type} of {where}: the attribute {', '.join(sorted(unknown))} is not supported"
            )
    onnx.checker.check_model(model)
    return model


def _is_current(onnx: Any, kind: str, version: int) -> bool:
    """Return whether an operator of this version has the same meaning as in a supported version."""
    if version >= OLDEST:
        return True
    try:
        first, second = (onnx.defs.get_schema(kind, number).since_version for number in (version, OLDEST))
    except onnx.defs.SchemaError:  # there was none yet
        return False
    return bool(first == second)


def _network(onnx: Any, model: Any) -> OnnxNetwork:
    graph = model.graph
    initializers = {tensor.name: _array(onnx, tensor) for tensor in graph.initializer}
    others = [node.input[:3] if node.op_type == "BatchNormalization" else node.input for node in graph.node]
    averages = {name for node in graph.node if node.op_type == "BatchNormalization" for name in node.input[3:]}
    written = [json.loads(entry.value) for entry in model.metadata_props if entry.key == "minigrad.buffers"]
    buffers = {name for names in written for name in names} | averages.difference(*others)
    constants = {name: array for name, array in initializers.items() if array.dtype.kind != "f"}
    inputs = [_input(onnx, value) for value in graph.input if value.name not in initializers]
    outputs = [value.name for value in graph.output]
    operators: list[Operator] = []
    needed = set(outputs)
    for node in reversed(graph.node):
        operators.append(_operator(onnx, node, set(node.input) - needed))
        needed.update(node.input)
    weights = {
        name: Buffer(array) if name in buffers else Parameter(array)
        for name, array in initializers.items()
        if name not in constants
    }
    return OnnxNetwork(inputs, outputs, operators[::-1], constants, weights)


def _dtype(onnx: Any, number: int) -> Any:
    """Return the dtype of a type by its number; raise if NumPy itself has none."""
    name = onnx.TensorProto.DataType.Name(number) if number in onnx.TensorProto.DataType.values() else str(number)
    if name not in _TYPES:
        raise NotImplementedError(f"NumPy has no type {name}")
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))


def _array(onnx: Any, tensor: Any) -> Array:
    _dtype(onnx, tensor.data_type)
    return np.array(onnx.numpy_helper.to_array(tensor))


def _input(onnx: Any, value: Any) -> Input:
    if not value.type.HasField("tensor_type"):
        raise NotImplementedError(f"the input {value.name} is not a tensor")
    kind = value.type.tensor_type
    axes = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    return value.name, _dtype(onnx, kind.elem_type), axes if kind.HasField("shape") else None


def _operator(onnx: Any, node: Any, ends: set[str]) -> Operator:
    attributes = {attribute.name: _attribute(onnx, node, attribute) for attribute in node.attribute}
    if node.op_type == "Cast":
        attributes["to"] = _dtype(onnx, attributes["to"])
    if "count" in keywords_of(node.op_type):
        attributes["count"] = max(i for i, name in enumerate(node.output, 1) if name)
    return Operator(node.op_type, node.name, tuple(node.input), tuple(node.output), attributes, ends)


def _attribute(onnx: Any, node: Any, attribute: Any) -> Any:
    if attribute.type in (attribute.GRAPH, attribute.GRAPHS):
        raise NotImplementedError(f"{node.op_type} {node.name!r} has a graph within it")
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.type == attribute.TENSOR:
        return _array(onnx, value)
    if attribute.type == attribute.STRINGS:
        return [text.decode() for text in value]
    return value.decode() if isinstance(value, bytes) else value


# --- the network --------------------------------------------------------------------------------------


# The name, dtype and shape of an input: None for an axis of any length, or instead of a shape of any rank.
Input = tuple[str, Any, tuple[int | None, ...] | None]


class Operator(NamedTuple):
    """One node of a graph. kind: the name of its operator. ends: inputs that no later operator needs."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    ends: set[str]

    def __str__(self) -> str:
        return f"{self.kind} of node {self.name or ', '.join(self.outputs)!r}"


class OnnxNetwork(Module):
    """A network from an ONNX file, created by :func:`minigrad.import_onnx`.

    Called with the inputs in the file's order, or by name, it returns the output, or a tuple of several. Floating
    initializers are its parameters, under their names in the file.

    Attributes:
        input_names, output_names: the names of the file's inputs and outputs, in order.
    """

    def __init__(
        self, inputs: list[Input], outputs: list[str], operators: list[Operator], constants: dict[str, Array],
        weights: dict[str, Parameter | Buffer],
    ) -> None:  # fmt: skip
        self.input_names, self.output_names = [name for name, _, _ in inputs], outputs
        self._inputs, self._operators, self._constants = inputs, operators, constants
        self._weights: dict[str, str] = {}  # the attributes that hold initializers
        for name, weight in weights.items():
            attribute = name
            while hasattr(self, attribute):  # an attribute of all modules
                attribute += "_"
            setattr(self, attribute, weight)
            self._weights[name] = attribute

    def forward(self, *inputs: Any, **named: Any) -> Any:
        values = self._given(inputs, named)
        values.update({name: getattr(self, attribute) for name, attribute in self._weights.items()})
        values.update({name: Tensor(array) for name, array in self._constants.items()})
        for operator in self._operators:
            values.update(zip(operator.outputs, _run(operator, values), strict=False))
            for name in operator.ends:
                values.pop(name, None)
        outputs = tuple(values[name] for name in self.output_names)
        return outputs[0] if len(outputs) == 1 else outputs

    def _given(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        """Return the inputs by name; raise unless they have the dtypes and shapes of the file."""
        names = self.input_names
        given = dict(zip(names, inputs, strict=False)) | named
        if len(inputs) + len(named) != len(names) or given.keys() != set(names):
            have = ", ".join([f"{len(inputs)} by position", *named])
            raise TypeError(f"OnnxNetwork: expected the inputs {', '.join(names)}, got {have}")
        tensors = {name: x if isinstance(x, Tensor) else untracked(as_array(x)) for name, x in given.items()}
        for name, dtype, shape in self._inputs:
            x = tensors[name]
            if x.dtype != dtype:
                raise TypeError(f"OnnxNetwork: the input {name} must be {dtype}, not {x.dtype}")
            pairs = zip(shape or (), x.shape, strict=False)
            if shape is not None and (len(shape) != x.ndim or not all(n in (None, m) for n, m in pairs)):
                wanted = ", ".join("any" if n is None else str(n) for n in shape)
                raise ValueError(f"OnnxNetwork: the input {name} must have the shape ({wanted}), not {x.shape}")
        return tensors

    def extra_repr(self) -> str:
        names = f"{', '.join(self.input_names)} -> {', '.join(self.output_names)}"
        return f"{names}; {len(self._operators)} operators"


def _run(operator: Operator, values: dict[str, Any]) -> tuple[Any, ...]:
    """Return the outputs of one operator; an error names it."""
    try:
        with ExitStack() as stack:
            for part in filter(None, operator.name.split("/")[:-1]):  # the path of modules, as PyTorch writes it too
                stack.enter_context(scope(part))
            inputs = [values[name] if name else None for name in operator.inputs]
            result = READERS[operator.kind](*inputs, **operator.attributes)
    except (ValueError, TypeError, IndexError, NotImplementedError) as error:
        error.add_note(f"OnnxNetwork: in {operator}")
        raise
    results = result if isinstance(result, tuple) else (result,)
    if len(results) < len([name for name in operator.outputs if name]):
        raise NotImplementedError(
            f"OnnxNetwork: {operator} has {len(operator.outputs)} outputs, but only {len(results)} are supported"
        )
    return tuple(y if isinstance(y, Tensor) else Tensor(np.asarray(y)) for y in results)

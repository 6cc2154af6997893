"""Reading an ONNX file: whether it is one, whether all of it is known, and what it holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...io import must_be_regular, path_as_text
from ...runtime.extras import require
from ...spec import Array
from .networks import OnnxNetwork, Operator, Program, ValueInfo
from .readers import READERS

__all__ = ["import_onnx"]

OLDEST = 13
"""The first version of ONNX's operators that is read (2020); of an earlier one those that are the same in this."""
_DOMAINS = ("", "ai.onnx")


def import_onnx(path: str | os.PathLike[str]) -> OnnxNetwork:
    """Read an ONNX file as a module, which runs, trains and is drawn as any other. Needs the package `onnx`.

    Floating initializers become parameters under their names in the file, but those that only normalise by running
    averages, and what minigrad wrote as a buffer, become buffers; all others are constants. The inputs and outputs are
    those of the graph, in its order and under its names (``input_names``, ``output_names``). Operators' versions 13 and
    later are read, in their form for inference; the names of nodes become scopes.

    Args:
        path: the file. Weights in files beside it (external data) are not read.

    Returns:
        the module; called with arrays or tensors, in order or by name, it returns the output, or a tuple of several.

    Raises:
        NotImplementedError: names an operator, or an attribute of one, that is not supported, and its node; for
            functions, graphs within nodes, sparse tensors, sequences and types that NumPy lacks.
        ValueError: if it is no ONNX file, is damaged or invalid, or has external data.
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
    where = path_as_text("import_onnx", path)
    must_be_regular("import_onnx", where)
    model = _parsed(onnx, where)
    try:
        _refuse_unknown(onnx, model)
        onnx.checker.check_model(model)
        return _network(onnx, model.graph, _buffers(model))
    except (onnx.checker.ValidationError, UnicodeDecodeError) as error:  # a damaged name
        raise ValueError(f"import_onnx: {where!r} is no valid ONNX file: {error}") from None


def _parsed(onnx: Any, where: str) -> Any:
    with open(where, "rb") as file:
        content = file.read()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError, which has no public home in all its versions
        raise ValueError(f"import_onnx: {where!r} is no ONNX file, or a part of one: {error}") from None
    if not model.HasField("graph") or not model.opset_import:
        raise ValueError(f"import_onnx: {where!r} is no ONNX file, or a part of one: it has no graph")
    return model


def _refuse_unknown(onnx: Any, model: Any) -> None:
    """Raise if a file has anything that is not supported, before any of it is used."""
    if model.functions:
        raise NotImplementedError(f"import_onnx: the file has functions of its own: {model.functions[0].name}")
    if model.graph.sparse_initializer:
        raise NotImplementedError("import_onnx: sparse initializers")
    for tensor in _tensors(model.graph):  # before the checker, which looks for the files
        _refuse_external(tensor)
    version = min((entry.version for entry in model.opset_import if entry.domain in _DOMAINS), default=OLDEST)
    for node in model.graph.node:
        where = f"node {node.name or ', '.join(node.output)!r}"
        if node.domain not in _DOMAINS or node.op_type not in READERS:
            kind = f"{node.domain}.{node.op_type}" if node.domain not in _DOMAINS else node.op_type
            raise NotImplementedError(f"import_onnx: the operator {kind} of {where} is not supported")
        if not _is_current(onnx, node.op_type, version):
            raise NotImplementedError(
                f"import_onnx: {node.op_type} of {where} is that of version {version}, read are those from {OLDEST} on"
            )
        unknown = {attribute.name for attribute in node.attribute} - READERS[node.op_type].attributes
        if unknown:
            raise NotImplementedError(
                f"import_onnx: {node.op_type} of {where}: the attribute {', '.join(sorted(unknown))} is not supported"
            )


def _tensors(graph: Any) -> Iterator[Any]:
    """The tensors of a graph: its initializers, and those of its nodes' attributes."""
    yield from graph.initializer
    for node in graph.node:
        yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))


def _refuse_external(tensor: Any) -> None:
    """Raise if a tensor's entries lie in another file, which a file from a stranger could choose."""
    if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
        raise ValueError(
            f"import_onnx: {tensor.name or 'a tensor'} lies in another file (external data). Write the model with its "
            "weights inside, in PyTorch by torch.onnx.export(…, external_data=False)."
        )


def _is_current(onnx: Any, kind: str, version: int) -> bool:
    """Whether an operator of a version means what it means in the oldest that is read, or later."""
    if version >= OLDEST:
        return True
    try:
        schemas = [onnx.defs.get_schema(kind, number) for number in (version, OLDEST)]
    except onnx.defs.SchemaError:  # there was none yet
        return False
    return bool(schemas[0].since_version == schemas[1].since_version)


def _buffers(model: Any) -> set[str]:
    """The names of what minigrad wrote as buffers."""
    for entry in model.metadata_props:
        if entry.key == "minigrad.buffers":
            try:
                return set(json.loads(entry.value))
            except (ValueError, TypeError):
                return set()
    return set()


def _network(onnx: Any, graph: Any, buffers: set[str]) -> OnnxNetwork:
    initializers = {tensor.name: _array(onnx, tensor) for tensor in graph.initializer}
    operators = [_operator(onnx, node) for node in graph.node]
    uses: dict[str, set[bool]] = {}
    for operator in operators:
        for i, name in enumerate(operator.inputs):
            uses.setdefault(name, set()).add(operator.kind == "BatchNormalization" and i > 2)
    buffers |= {name for name, averages in uses.items() if averages == {True}}
    floating = {name: array for name, array in initializers.items() if array.dtype.kind == "f"}
    constants = {name: array for name, array in initializers.items() if name not in floating}
    inputs = [_info(onnx, value) for value in graph.input if value.name not in initializers]
    program = Program(inputs, [value.name for value in graph.output], operators, constants)
    trained = {name: array for name, array in floating.items() if name not in buffers}
    kept = {name: array for name, array in floating.items() if name in buffers}
    return OnnxNetwork(program, trained, kept)


def _dtype(onnx: Any, number: int) -> Any:
    """The dtype of a type by its number; raise if NumPy itself has none."""
    name = onnx.TensorProto.DataType.Name(number) if number in onnx.TensorProto.DataType.values() else str(number)
    known = name in ("FLOAT", "DOUBLE", "FLOAT16", "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16",
                     "UINT32", "UINT64")  # fmt: skip
    if not known:
        raise NotImplementedError(f"import_onnx: NumPy has no type {name}")
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))


def _array(onnx: Any, tensor: Any) -> Array:
    _refuse_external(tensor)
    _dtype(onnx, tensor.data_type)
    try:
        return np.array(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError) as error:
        raise ValueError(f"import_onnx: the tensor {tensor.name!r} is damaged: {error}") from None


def _info(onnx: Any, value: Any) -> ValueInfo:
    if not value.type.HasField("tensor_type"):
        raise NotImplementedError(f"import_onnx: the input {value.name} is no tensor")
    kind = value.type.tensor_type
    axes = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    return ValueInfo(value.name, _dtype(onnx, kind.elem_type), axes if kind.HasField("shape") else None)


def _operator(onnx: Any, node: Any) -> Operator:
    attributes = {a.name: _attribute(onnx, node, a) for a in node.attribute}
    if node.op_type == "Cast":
        attributes["to"] = _dtype(onnx, attributes["to"])
    inputs, outputs = list(node.input), list(node.output)
    while outputs and not outputs[-1]:
        outputs.pop()
    return Operator(node.op_type, node.name, tuple(inputs), tuple(outputs), attributes)


def _attribute(onnx: Any, node: Any, attribute: Any) -> Any:
    if attribute.type in (attribute.GRAPH, attribute.GRAPHS):
        raise NotImplementedError(f"import_onnx: {node.op_type} {node.name!r} has a graph within it")
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if attribute.type == attribute.TENSOR:
        return _array(onnx, value)
    if attribute.type == attribute.STRINGS:
        return [text.decode() for text in value]
    return list(value) if attribute.type in (attribute.INTS, attribute.FLOATS) else value

"""Write a module as an ONNX file."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np

from ...core import Tensor, plain, untracked
from ...nn import Module
from ...runtime.extras import require
from ...runtime.files import replacing
from ...spec import Array
from .dynamic_axes import DynamicAxes, merge
from .graph_writer import OPSET, GraphWriter, trace
from .importing import OnnxNetwork
from .operators import write_calls

__all__ = ["export_onnx"]

_LARGEST = 2**31 - 1  # bytes of a file of protocol buffers
Change = Callable[[int, Array], Array]  # returns another array for an input, from its number and the example


def export_onnx(
    module: Module, inputs: Any, path: str | os.PathLike[str], *,
    input_names: Sequence[str] | None = None, output_names: Sequence[str] | None = None,
    dynamic_axes: Mapping[str, Sequence[int]] | None = None,
) -> None:  # fmt: skip
    """Write the computation of a module as an ONNX file, for other runtimes. Needs the package `onnx`.

    The module is called in evaluation mode, and the primitives that it applies are written in operators of version 18;
    a primitive without a counterpart is written as its reference. Shapes are those of the examples, except for the axes
    in ``dynamic_axes``; `if` and `for` are fixed to the path taken. Weights keep their names from `state_dict` and the
    order of their axes; the names of nodes contain the scopes. Dtypes are kept, even if a runtime lacks an operator for
    them, as onnxruntime does for float64 convolutions.

    Args:
        module: the module to export.
        inputs: example arguments: a tuple, or a single argument. Tensors and ndarrays, also within tuples and lists,
            reach the module as tensors, and are inputs of the file under the names of ``forward``'s parameters; numbers
            and None are constants.
        path: the file; it is written completely or not at all.
        input_names, output_names: other names, in order. Outputs are called ``output``, or ``output_0`` and so on; an
            imported network keeps the names of its file.
        dynamic_axes: axes of variable length, by input name, such as ``{"x": [0]}`` for a batch. All share one length,
            in the examples too. The module is called at three lengths: n, n + 1, and the larger of 2n + 1 and 17.

    Raises:
        NotImplementedError: if a primitive (or a use of one) cannot be written, or not for every length of the dynamic
            axes; names it and the module that applies it.
        ValueError: if the module takes a Python number out of a tensor that depends on an input (``.item()``, ``bool``,
            ``float`` …; the message names the line), computes with an input outside of primitives, or does not use it;
            if it writes into a tensor or fails at another length of the dynamic axes; or if names, axes or weights do
            not fit.
        TypeError: if module is not a Module, returns anything but tensors, or axes are not a list.
        ModuleNotFoundError: says how to install `onnx`.

    >>> import pathlib, tempfile, minigrad as mg
    >>> layer, x = mg.nn.Linear(3, 2), np.ones((1, 3), np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "linear.onnx")
    ...     mg.export_onnx(layer, x, path, dynamic_axes={"x": [0]})
    ...     again = mg.import_onnx(path)
    >>> batch = np.ones((5, 3), np.float32)
    >>> np.allclose(again(batch).data, layer(batch).data)
    True
    """
    if not isinstance(module, Module):
        raise TypeError(f"export_onnx: the module must be an nn.Module, not {type(module).__name__}")
    onnx, kind = require("onnx", "onnx"), type(module).__name__
    arguments = _named(module, inputs if isinstance(inputs, tuple) else (inputs,))
    examples = _with_arrays(arguments, lambda i, array: array)[1]
    names = _names("input_names", input_names, list(examples))
    write = partial(_graph, module, arguments, names, output_names)
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        dynamic = DynamicAxes.of(dynamic_axes or {}, dict(zip(names, examples.values(), strict=True)))
        failure = "dynamic_axes: the module fails with the size {} of {}" if dynamic.axes else ""
        graphs = [write(partial(dynamic.resized, n), failure.format(n, dynamic)) for n in dynamic.sizes]
        _refuse_constants_of_inputs(write, graphs[0])
    except ValueError as error:
        raise ValueError(f"export_onnx: {kind}: {error}") from error
    finally:
        for part, training in modes:
            part.training = training
    model = _model(onnx, module, graphs, dynamic)
    onnx.checker.check_model(model, full_check=True)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


# --- the call -----------------------------------------------------------------------------------------


def _graph(
    module: Module, arguments: dict[str, Any], names: list[str], output_names: Sequence[str] | None, change: Change,
    failure: str,
) -> GraphWriter:  # fmt: skip
    """Write the call of a module on changed arguments in ONNX's operators. failure: prefixes an error of the call."""
    given, variables = _with_arrays(arguments, change)
    try:
        calls, results = trace(lambda: _results(module, module(*given)), variables.values())
    except Exception as error:
        if not failure:
            raise
        raise ValueError(f"{failure}: {error}") from error
    graph = GraphWriter()
    graph.inputs = dict(zip(names, variables.values(), strict=True))
    for name, array in graph.inputs.items():
        graph.declare(array, name)
    usual = ["output"] if len(results) == 1 else [f"output_{i}" for i in range(len(results))]
    usual = module.output_names if isinstance(module, OnnxNetwork) else usual
    weights = (*module.named_parameters(), *module.named_buffers())
    graph.weights = {graph.declare(weight.data, name): weight.data for name, weight in weights}
    try:
        write_calls(graph, calls, results)
        outputs = _name_outputs(graph, results, _names("output_names", output_names, usual))
    except NotImplementedError as error:
        raise NotImplementedError(f"export_onnx: {graph.call or 'an output'}: {error}") from None
    graph.outputs = dict(zip(outputs, results, strict=True))
    return graph


def _with_arrays(arguments: dict[str, Any], change: Change) -> tuple[list[Any], dict[str, Array]]:
    """Return the arguments with tensors for all arrays, each a changed copy by its number, and these copies by name."""
    variables: dict[str, Array] = {}

    def replace(name: str, value: Any) -> Any:
        if isinstance(value, (Tensor, np.ndarray)):
            variables[name] = np.array(change(len(variables), plain(value)))
            return untracked(variables[name])
        if isinstance(value, (list, tuple)):
            parts = [replace(f"{name}_{i}", part) for i, part in enumerate(value)]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        return value

    return [replace(name, value) for name, value in arguments.items()], variables


def _results(module: Module, result: Any) -> list[Array]:
    """Return the arrays that a module returns, one tensor or several in tuples, lists and dicts."""
    if isinstance(result, Tensor):
        return [result.data]
    if isinstance(result, (list, tuple)):
        return [array for part in result for array in _results(module, part)]
    if isinstance(result, dict):
        return _results(module, list(result.values()))
    raise TypeError(f"export_onnx: {type(module).__name__} must return tensors, not {type(result).__name__}")


# --- constants that depend on inputs ------------------------------------------------------------------


def _refuse_constants_of_inputs(write: Callable[[Change, str], GraphWriter], graph: GraphWriter) -> None:
    """Raise unless other inputs give the same graph, with the same constants.

    All inputs are changed at once. If this fails, they are changed one by one, so that the error names the input.
    """
    every = range(len(graph.inputs))
    try:
        _refuse_constants_of(every, write, graph)
    except ValueError:
        for i in every:
            _refuse_constants_of([i], write, graph)
        raise


def _refuse_constants_of(
    changed: Sequence[int], write: Callable[[Change, str], GraphWriter], graph: GraphWriter
) -> None:  # fmt: skip
    which = f"the input{'s' * (len(changed) > 1)} {', '.join(list(graph.inputs)[i] for i in changed)}"
    arrays = list(graph.inputs.values())
    failure = f"it depends on the values of {which}: with others it fails (if these are invalid, pass other examples)"
    other = write(lambda i, _: _changed(arrays[i]) if i in changed else arrays[i], failure)
    for pair in zip_longest(graph.nodes, other.nodes):
        if pair[0] != pair[1]:
            if {node.op_type for node in pair if node} == {"Constant"}:
                raise ValueError(
                    f"{graph.origins[pair[0].name]} gets a constant that is computed from {which} outside of minigrad, "
                    "by NumPy or as a number: use primitives, or do not make it an input"
                )
            raise ValueError(f"the calls depend on the values of {which}, but a file contains only one branch")


def _changed(array: Array) -> Array:
    """Return other numbers that keep the properties of the examples, such as that an index is in range.

    The order, the sum and the largest entry change, because a constant may depend on any of them. Each float shrinks by
    its own factor, and zeros become small numbers. The largest integers become the smallest; equal integers become
    their neighbour towards 0, or 1.
    """
    turned = np.array(array.ravel()[::-1].reshape(array.shape))
    if not array.size:
        return turned
    if array.dtype.kind == "f":
        factors = np.linspace(0.5, 0.9, array.size, dtype=array.dtype).reshape(array.shape)
        return np.where(turned == 0, factors / 1024, turned * factors)
    if array.dtype.kind == "b":
        turned.flat[0] ^= True
        return turned
    if array.min() == array.max():
        return np.where(turned > 0, turned - 1, turned + 1)
    return np.where(turned == turned.max(), turned.min(), turned)


# --- names --------------------------------------------------------------------------------------------


def _names(what: str, wanted: Sequence[str] | None, usual: list[str]) -> list[str]:
    names = usual if wanted is None else list(wanted)
    if not all(isinstance(name, str) and name for name in names) or not len(set(names)) == len(names) == len(usual):
        raise ValueError(f"export_onnx: {what} must be {len(usual)} different names, not {names}")
    return names


def _named(module: Module, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Return the arguments by the names of an imported network's inputs, or else of forward's parameters."""
    if isinstance(module, OnnxNetwork) and len(arguments) == len(module.input_names):
        return dict(zip(module.input_names, arguments, strict=True))
    signature, named = inspect.signature(module.forward), {}
    for name, value in signature.bind(*arguments).arguments.items():
        if signature.parameters[name].kind is not inspect.Parameter.VAR_POSITIONAL:
            named[name] = value
        else:
            named.update({f"{name}_{i}" if len(value) > 1 else name: part for i, part in enumerate(value)})
    return named


def _name_outputs(graph: GraphWriter, results: list[Array], names: list[str]) -> list[str]:
    """Name the outputs. An input, weight, constant or repeated result gets an Identity."""
    produced = {output for node in graph.nodes if node.op_type != "Constant" for output in node.output}
    found = [graph.unique(name) for name in names]
    renamed: dict[str, str] = {}
    for array, name in zip(results, found, strict=True):
        value = graph.value(array)
        if value not in produced or value in renamed:
            value = graph.op("Identity", value)
        renamed[value] = name
    for node in graph.nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    return found


# --- the file -----------------------------------------------------------------------------------------


def _model(onnx: Any, module: Module, graphs: list[GraphWriter], dynamic: DynamicAxes) -> Any:
    graph = merge(graphs, dynamic)
    helper, name = graph.helper, type(module).__name__
    used, nodes = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if used.intersection(node.output):
            nodes.append(node)
            used.update(node.input)
    if unused := [input for input in graph.inputs if input not in used]:
        raise ValueError(
            f"export_onnx: {name}: the outputs do not depend on {', '.join(unused)} through minigrad's primitives. "
            "Leave out unused inputs, and do not copy inputs with mg.tensor or np.array: copies are not traced."
        )
    weights = {key: np.ascontiguousarray(x).reshape(x.shape) for key, x in graph.weights.items() if key in used}
    if (size := sum(array.nbytes for array in weights.values())) > _LARGEST:
        raise ValueError(f"export_onnx: {name}: the weights have {size} bytes, but a file can have at most 2 GB")

    def described(*cases: dict[str, Array]) -> list[Any]:
        """Declare the inputs or outputs of all graphs, whose axes may differ."""
        infos = []
        for key, array in cases[0].items():
            axes = [dynamic.declared_length(*axis) for axis in zip(*(case[key].shape for case in cases), strict=True)]
            infos.append(helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(array.dtype), axes))
        return infos

    inputs, outputs = described(*(g.inputs for g in graphs)), described(*(g.outputs for g in graphs))
    tensors = [graph.numpy_helper.from_array(array, key) for key, array in weights.items()]
    proto = helper.make_graph(nodes[::-1], name, inputs, outputs, tensors)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    model.producer_name = "minigrad"
    buffers = [key for key, _ in module.named_buffers() if key in weights]
    helper.set_model_props(model, {"minigrad.buffers": json.dumps(buffers)} if buffers else {})
    return model

"""Writing a module as an ONNX file."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from ...core import Tensor, untracked
from ...nn import Module
from ...runtime.extras import require
from ...runtime.files import replacing
from ...spec import Array
from .dynamic_axes import DynamicAxes, merge
from .graphs import OPSET, GraphWriter
from .networks import OnnxNetwork
from .tracing import Call, fingerprint, trace
from .writers import WRITERS

__all__ = ["export_onnx"]

_LARGEST = 2**31 - 1  # bytes of a file of protocol buffers


def export_onnx(
    module: Module, inputs: Any, path: str | os.PathLike[str], *,
    input_names: Sequence[str] | None = None, output_names: Sequence[str] | None = None,
    dynamic_axes: Mapping[str, Sequence[int]] | None = None,
) -> None:  # fmt: skip
    """Write what a module computes as an ONNX file, for other runtimes. Needs the package `onnx`.

    The module is called in evaluation mode, and the primitives that it applies are written in operators of version 18;
    one that has no counterpart is written as its reference. The file has the shapes of the examples, but for the axes
    in ``dynamic_axes``, and `if` and `for` are fixed to the path taken. Weights have their names from `state_dict` and
    the order of their axes; drawings of scopes stay in the names of nodes. dtypes are kept, also where a runtime lacks
    an operator of them, as onnxruntime does of float64 convolutions.

    Args:
        module: what is written.
        inputs: an example of what it is called with: a tuple of arguments, or one alone. Tensors and ndarrays, also
            within tuples and lists, reach the module as tensors, and are inputs of the file under the names of
            ``forward``'s parameters; numbers and None are constants.
        path: the file; it is written whole or not at all.
        input_names, output_names: other names, in order. Outputs are called ``output``, or ``output_0`` and so on; an
            imported network keeps the names of its file.
        dynamic_axes: axes of variable length, by input name, such as ``{"x": [0]}`` for a batch. All share one length,
            in the examples too. The module is called at three lengths: n, n + 1, and the larger of 2n + 1 and 17.

    Raises:
        NotImplementedError: names a primitive (or a use of one) that cannot be written, or not for every length of the
            dynamic axes, and the module that applies it.
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
    onnx = require("onnx", "onnx")
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    names = _names("input_names", input_names, list(_input_names(module, arguments)))
    with _evaluating(module):
        try:
            dynamic = DynamicAxes.of(dynamic_axes or {}, dict(zip(names, _copied(arguments)[1], strict=True)))
            traces = [_trace_at(module, arguments, names, dynamic, size) for size in dynamic.sizes]
            _refuse_hidden_uses(module, traces[0], _weights(module), names)
        except ValueError as error:
            raise ValueError(f"export_onnx: {type(module).__name__}: {error}") from error
    graphs = [_graph(module, traced, names, output_names) for traced in traces]
    model = _model(onnx, module, graphs, dynamic)
    onnx.checker.check_model(model, full_check=True)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


# --- the call -----------------------------------------------------------------------------------------


@contextmanager
def _evaluating(module: Module) -> Iterator[None]:
    """Switch a module and its parts to evaluation mode within this context."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for part, mode in modes:
            part.training = mode


class _Trace(NamedTuple):
    """A call: its arguments, the arrays among them, the primitives that were applied, and the results."""

    arguments: Any
    variables: list[Array]
    calls: list[Call]
    ends: list[Array]


def _trace_at(module: Module, arguments: Any, names: list[str], dynamic: DynamicAxes, size: int) -> _Trace:
    """Call a module on the examples, whose dynamic axes get a size."""
    name = iter(names)
    given, variables = _copied(arguments, lambda array: dynamic.resized(array, next(name), size))
    try:
        return _Trace(given, variables, *trace(lambda: _results(module, module(*given)), variables, WRITERS))
    except Exception as error:
        if [x.shape for x in variables] == [x.shape for x in _copied(arguments)[1]]:
            raise
        raise ValueError(f"dynamic_axes: the module fails with the size {size} of {dynamic}: {error}") from error


def _copied(arguments: Any, change: Callable[[Array], Array] = np.array) -> tuple[Any, list[Array]]:
    """The arguments with copies of all arrays, and these arrays in order."""
    variables: list[Array] = []

    def copy(value: Any) -> Any:
        if isinstance(value, (Tensor, np.ndarray)):
            array = value.data if isinstance(value, Tensor) else value
            variables.append(change(array))
            return untracked(variables[-1])
        if isinstance(value, (list, tuple)):
            parts = [copy(part) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        return value

    return copy(arguments), variables


def _turned(array: Array) -> Array:
    """Other numbers, of which still holds what the first were chosen for, such as that an index is in range.

    In another order, since a constant may come from single places; and with another sum and another largest entry:
    floats become smaller, each by a factor of its own, and zeros small; of integers the largest become the smallest,
    and where all are equal their neighbour towards 0, or 1.
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
    if _is_uniform(array):
        return np.full_like(turned, turned.flat[0] + 1 if turned.flat[0] <= 0 else turned.flat[0] - 1)
    return np.where(turned == turned.max(), turned.min(), turned)


def _is_uniform(array: Array) -> bool:
    """Whether an array is of integers that are all equal."""
    return array.dtype.kind in "iu" and array.size > 0 and bool(array.min() == array.max())


def _refuse_hidden_uses(module: Module, traced: _Trace, weights: dict[str, Array], names: list[str]) -> None:
    """Raise unless the same primitives are applied to other inputs, with the same constants.

    All inputs are other ones; only where that is refused, one alone after the other, so that the error names it.
    """
    arguments, first = traced.arguments, fingerprint(traced.calls, [*traced.variables, *weights.values()])
    every, uniform = range(len(names)), any(map(_is_uniform, traced.variables))
    advice = ", perhaps since equal integers became others: give examples that differ" if uniform else ""
    try:
        _refuse_hidden_use(module, _partly_turned(arguments, every), first, weights, names, advice)
    except ValueError:
        for i in every:
            _refuse_hidden_use(module, _partly_turned(arguments, [i]), first, weights, [names[i]], advice)
        raise


def _partly_turned(arguments: Any, turned: Sequence[int]) -> tuple[Any, list[Array]]:
    """Copies of the arguments, in which some arrays, by number, have other entries; and the arrays."""
    number = count()
    return _copied(arguments, lambda array: _turned(array) if next(number) in turned else np.array(array))


def _refuse_hidden_use(
    module: Module, others: tuple[Any, list[Array]], first: list[Any], weights: dict[str, Array],
    names: list[str], advice: str,
) -> None:  # fmt: skip
    which = f"the input{'s' * (len(names) > 1)} {', '.join(names)}"
    given, variables = others
    try:
        calls, _ = trace(lambda: _results(module, module(*given)), variables, WRITERS)
    except Exception as error:
        raise ValueError(f"it depends on the values of {which}: with others it fails{advice}") from error
    second = fingerprint(calls, [*variables, *weights.values()])
    if len(first) != len(second):
        raise ValueError(f"the number of calls depends on the values of {which}, and a file has one way to go")
    for one, other in zip(first, second, strict=True):
        if one != other:
            raise ValueError(
                f"{one[0] or 'a reference'} (in {'/'.join(one[1])}) gets a constant that is computed from {which} "
                "outside of minigrad, by NumPy or as a number: use primitives, or make it no input"
            )


def _weights(module: Module) -> dict[str, Array]:
    return {name: part.data for name, part in (*module.named_parameters(), *module.named_buffers())}


# --- names --------------------------------------------------------------------------------------------


def _names(what: str, wanted: Sequence[str] | None, usual: list[str]) -> list[str]:
    names = usual if wanted is None else list(wanted)
    texts = all(isinstance(name, str) and name for name in names)
    if not texts or len(names) != len(usual) or len(set(names)) < len(names):
        raise ValueError(f"export_onnx: {what} must be {len(usual)} different names, not {names}")
    return names


def _input_names(module: Module, arguments: tuple[Any, ...]) -> Iterator[str]:
    """Yield the names of the inputs: an imported network's own, else those of forward's parameters."""
    if isinstance(module, OnnxNetwork) and len(arguments) == len(module.input_names):
        yield from module.input_names
        return

    def within(name: str, value: Any) -> Iterator[str]:
        if isinstance(value, (Tensor, np.ndarray)):
            yield name
        elif isinstance(value, (list, tuple)):
            for i, part in enumerate(value):
                yield from within(f"{name}_{i}", part)

    for name, value in inspect.signature(module.forward).bind(*arguments).arguments.items():
        variadic = inspect.signature(module.forward).parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        yield from within(name, value[0] if variadic and len(value) == 1 else value)


def _results(module: Module, result: Any) -> list[Array]:
    """The arrays that a module returns, one tensor or several in tuples, lists and dicts."""
    if isinstance(result, Tensor):
        return [result.data]
    if isinstance(result, (list, tuple)):
        return [array for part in result for array in _results(module, part)]
    if isinstance(result, dict):
        return _results(module, list(result.values()))
    raise TypeError(f"export_onnx: {type(module).__name__} must return tensors, not {type(result).__name__}")


def _name_outputs(graph: GraphWriter, ends: list[Array], names: list[str]) -> list[str]:
    """Name the outputs. An input, weight, constant or repeated result gets an Identity."""
    produced = {output for node in graph.nodes if node.op_type != "Constant" for output in node.output}
    renamed: dict[str, str] = {}
    graph.scope = ()
    found = [graph.unique(name) for name in names]
    for array, name in zip(ends, found, strict=True):
        value = graph.value(array)
        if value in produced and value not in renamed:
            renamed[value] = name
        else:
            node = graph.helper.make_node("Identity", [value], [name], name=graph.unique("Identity"))
            graph.nodes.append(node)
    for node in graph.nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    return found


# --- the graph ----------------------------------------------------------------------------------------


def _graph(module: Module, traced: _Trace, names: list[str], output_names: Sequence[str] | None) -> GraphWriter:
    """What was traced in ONNX's operators."""
    graph, ends = GraphWriter(), traced.ends
    graph.inputs = dict(zip(names, traced.variables, strict=True))
    for name, array in graph.inputs.items():
        graph.declare(array, name)
    for name, array in _weights(module).items():
        graph.add_weight(array, name)
    _write_calls(graph, traced.calls, ends)
    usual = ["output"] if len(ends) == 1 else [f"output_{i}" for i in range(len(ends))]
    usual = module.output_names if isinstance(module, OnnxNetwork) else usual
    outputs = _name_outputs(graph, ends, _names("output_names", output_names, usual))
    graph.outputs = dict(zip(outputs, ends, strict=True))
    return graph


def _write_calls(graph: GraphWriter, calls: list[Call], ends: list[Array]) -> None:
    for call in calls:
        for array in call.inputs:
            graph.uses.setdefault(id(array), []).append(call)
    for array in ends:
        graph.uses.setdefault(id(array), []).append(None)
    for call in calls:
        if all(id(output) in graph.names for output in call.outputs):
            continue
        graph.scope = call.scope
        graph.where = f"{call.name} (in {'/'.join(call.scope)})" if call.scope else call.name
        if call.primitive is None:
            results = tuple(graph.value(x, y.dtype) for x, y in zip(call.inputs, call.outputs, strict=True))
        else:
            results = _written(graph, call)
        graph.names.update({id(y): name for y, name in zip(call.outputs, results, strict=True) if name})


def _written(graph: GraphWriter, call: Call) -> tuple[str, ...]:
    where = graph.where
    if call.name not in WRITERS:
        raise NotImplementedError(f"export_onnx: the primitive {where} has no counterpart in ONNX's operators")
    try:
        return WRITERS[call.name](graph, call)
    except NotImplementedError as error:
        raise NotImplementedError(f"export_onnx: {where}: {error}") from None


def _needed(graph: GraphWriter, outputs: Sequence[str]) -> tuple[list[Any], set[str]]:
    """The nodes that results depend on, and all names that these use."""
    used, nodes = set(outputs), []
    for node in reversed(graph.nodes):
        if used.intersection(node.output):
            nodes.append(node)
            used.update(node.input)
    return nodes[::-1], used


def _model(onnx: Any, module: Module, graphs: list[GraphWriter], dynamic: DynamicAxes) -> Any:
    graph = merge(graphs, dynamic)
    helper, name = graph.helper, type(module).__name__
    nodes, used = _needed(graph, list(graph.outputs))
    if unused := [input for input in graph.inputs if input not in used]:
        raise ValueError(
            f"export_onnx: {name}: the outputs do not depend on {', '.join(unused)} by way of minigrad's primitives. "
            "Leave out unused inputs, and do not copy inputs with mg.tensor or np.array: copies are not traced."
        )
    weights = {name: array for name, array in graph.weights.items() if name in used}
    if (size := sum(array.nbytes for array in weights.values())) > _LARGEST:
        raise ValueError(f"export_onnx: {name}: weights of {size} bytes, and a file has 2 GB at most")

    def described(*values: dict[str, Array]) -> list[Any]:
        """The inputs or outputs of all graphs, whose axes may differ."""
        shapes = {key: zip(*(cases[key].shape for cases in values), strict=True) for key in values[0]}
        return [
            helper.make_tensor_value_info(
                key,
                helper.np_dtype_to_tensor_dtype(array.dtype),
                [dynamic.declared_length(*axis) for axis in shapes[key]],
            )
            for key, array in values[0].items()
        ]

    tensors = [
        graph.numpy_helper.from_array(np.ascontiguousarray(x).reshape(x.shape), key) for key, x in weights.items()
    ]
    proto = helper.make_graph(
        nodes, name, described(*(g.inputs for g in graphs)), described(*(g.outputs for g in graphs)), tensors
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    model.producer_name = "minigrad"
    buffers = [key for key, _ in module.named_buffers() if key in weights]
    helper.set_model_props(model, {"minigrad.buffers": json.dumps(buffers)} if buffers else {})
    return model

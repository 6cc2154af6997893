"""Call a primitive on tensors: run its forward on their arrays and, if an input is tracked, make a node.

`source_of` writes a function for each primitive's signature, as the standard library's dataclasses write ``__init__``;
the first call compiles it. It does ordinary calls itself: of tensors, ndarrays and numbers, with options that are plain
or ndarrays, while no observer is active. It leaves everything else to `_call`, which can do every call.
``print(source_of(mg.tanh.primitive))`` shows such a function.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable, Sequence
from functools import cache, partial
from keyword import iskeyword
from string import Template
from types import FunctionType
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from .core import Node, Tensor, current_scope, grad_enabled, number_check, plain, set_outputs, untracked
from .observers import Observer, active, current
from .spec import Array, as_array, get_default_dtype, refuse_masked
from .writes import arrays_in, clock, compact_copy, owner, private

if TYPE_CHECKING:
    from .primitives import Primitive

__all__ = ["caller", "source_of"]

_ndarray = np.ndarray
_bool, _float32, _float64 = map(np.dtype, ("bool", "float32", "float64"))
_NUMBERS = frozenset((int, float))
_PLAIN = frozenset((bool, int, float, str, slice, type(None), type(Ellipsis)))
"""Types of options that need no conversion, and that the caller cannot change later (but for arrays in a slice)."""
# The errors that NumPy and our own checks raise for a user's mistake.
_MISUSE = (ValueError, TypeError, IndexError, OverflowError, AttributeError)

_OPTION = Template("""
    if _type(${option}) is _ndarray:
        ${option} = _compact_copy(${option})  # the caller may overwrite it
    elif not (_type(${option}) in _PLAIN or _type(${option}) is _tuple and _PLAIN.issuperset(_map(_type, ${option}))):
        return _general(${inputs}, ${options})""")

_INPUT = Template("""
    _node_${x} = None
    if _isinstance(${x}, _Tensor):
        _data_${x}, _node_${x} = ${x}._array, ${x}.node
    elif ${constant}:
        _data_${x} = ${x}
    else:
        return _general(${inputs}, ${options})""")

_VARIADIC_INPUT = Template("""
    _data_${x}, _nodes = [], []
    for _x in ${x}:
        if _isinstance(_x, _Tensor):
            _data_${x}.append(_x._array)
            _nodes.append(_x.node)
        elif _type(_x) is _ndarray and _x.dtype.kind in 'biuf':
            _data_${x}.append(_x)
            _nodes.append(None)
        else:
            return _general(${inputs}, ${options})""")

_FORWARD = Template("""
    try:
        _result = _forward(${arguments})
    except _MISUSE as _error:
        raise _failed(${inputs}, _error) from _error
""")

_OUTPUT = Template("""\
    if _type(_result) is not _tuple or _len(_result) != 2:
        ${finish}
    _output, _residuals = _result
    if _type(_output) is not _ndarray and _isinstance(_output, _generic):
        _output = _asarray(_output)  # NumPy returns scalars from 0-d operations
    if _type(_output) is not _ndarray or _type(_residuals) is not _tuple${views}:
        ${finish}
    _dtype = _output.dtype
    if _dtype is not _float32 and _dtype.kind not in "biu" and not (${float64}):
        ${finish}
    _tensor = _new(_Tensor)
    _tensor._array = _output
    _tensor.index = 0
""")

_CONSTANT = """\
    _tensor.node = None
    return _tensor
"""

_NODE = Template("""\
    if ${untracked} or not _grad_enabled() or _dtype.kind != "f":
        _tensor.node = None
        return _tensor
    _tensor.node = _node = _Node()
    _node.primitive = _primitive
    _node.params = ${options}${constants}
    _node.parents, _node.edges = ${edges}
    _node.shape = _output.shape
    _node.dtype = _dtype
    _node.later_outputs = ()
    _node.residuals = _residuals
    _node.scope = _current_scope()
    _node.born = _next(_clock)
    ${other_outputs}_node.edges = _with_indices(_node.edges, ${inputs})
    if _residuals and ${keeps}:
        _keep(_node, ${inputs}, ${data})
    return _tensor
""")


def source_of(primitive: Primitive) -> str:
    """Return the source code of the function that calls a primitive.

    >>> import minigrad as mg
    >>> print(source_of(mg.tanh.primitive)[:98])
    def tanh(x, **_unknown):
        if _active or _unknown:
            return _general((x,), {}, _unknown)
    """
    inputs, options = primitive.arguments, primitive.options
    parameters = list(primitive.signature.parameters.values())
    unknown = inspect.Parameter("_unknown", inspect.Parameter.VAR_KEYWORD)  # for a better message
    signature = inspect.Signature([*map(_bare, parameters), unknown])
    promotes = primitive.broadcasts and len(inputs) > 1
    last = inputs[-1] if primitive.variadic else None
    data = [f"*_data_{x}" if x == last else f"_data_{x}" for x in inputs]
    nodes = [f"_node_{x}" for x in inputs]
    values = {
        "inputs": f"({', '.join(f'*{x}' if x == last else x for x in inputs)},)",
        "data": f"({', '.join(data)},)",
        "options": f"{{{', '.join(f'{name!r}: {name}' for name in options)}}}",
        "arguments": ", ".join([*data, *(f"{name}={name}" for name in options)]),
        # A Python float beside only bools gives float64, which `_finish` converts to the default dtype.
        "float64": "_dtype is _float64"
        + (f" and _float not in (_type({'), _type('.join(inputs)}))" if promotes and not last else ""),
    } | ({
        "views": f" or _ndarray in _map(_type, {last})",  # perhaps a view of an ndarray
        "untracked": "not _any(_nodes)",
        "edges": "_edges_of(_nodes)",
        "other_outputs": "",
        "given": "",
        "constants": "\n    if None in _nodes:"
        f"\n        _node.constants = _constants_of(_nodes, ({', '.join(data)},))",
    } if last else {
        "views": "".join(
            f" or _type({x}) is _ndarray and (_output.base is not None or _output is {x})" for x in inputs
        ),
        "untracked": f"({' and '.join(f'{node} is None' for node in nodes)})",
        "edges": _EDGES_OF[len(inputs)].format(*nodes) if len(inputs) < 3 else f"_edges_of(({', '.join(nodes)}))",
        "other_outputs": f"if {' or '.join(f'_node_{x} is not None and {x}.index' for x in inputs)}:\n        ",
        "given": "".join(f"_type({x}) is _ndarray or " for x in inputs),
        "constants": "" if len(inputs) < 2 else f"\n    if {' or '.join(f'{node} is None' for node in nodes)}:"
        "\n        _node.constants = "
        f"({', '.join(f'_seen(_data_{x}) if _node_{x} is None else None' for x in inputs)})",
    })  # fmt: skip
    values["finish"] = f"return _finish({values['inputs']}, {values['data']}, {values['options']}, _result)"
    values["keeps"] = "_primitive.keeps_inputs"
    if len(inputs) == 1 and not last:  # a node shows that the input is a tensor
        values["other_outputs"] = f"if {inputs[0]}.index:\n        "
    else:
        values["keeps"] = f"({values['given']}{values['keeps']})"
    valid = primitive.name.isidentifier() and not iskeyword(primitive.name)
    text = f"def {primitive.name if valid else 'call'}{signature}:\n    "
    general = f"return _general({values['inputs']}, {values['options']}, _unknown)"
    if last and len(inputs) > 1:
        return f"{text}{general}\n"
    text += f"if _active or _unknown:\n        {general}"
    text += "".join(_OPTION.substitute(values, option=option) for option in options)
    for x, before in zip(inputs, (None, *inputs), strict=False):
        constant = f"_type({x}) is _ndarray and {x}.dtype.kind in 'biuf'"
        if promotes:  # a number, if the input before it is a tensor; otherwise all inputs might be numbers
            constant += f" or _type({x}) in _NUMBERS" + (f" and _data_{before} is not {before}" if before else "")
        if primitive.signature.parameters[x].default is None:
            constant += f" or {x} is None"
        text += (_VARIADIC_INPUT if x == last else _INPUT).substitute(values, x=x, constant=constant)
    text += _FORWARD.substitute(values)
    if primitive.first_hidden not in (None, 1):  # several outputs
        return f"{text}    {values['finish']}\n"
    return text + _OUTPUT.substitute(values) + (_NODE.substitute(values) if primitive.differentiable else _CONSTANT)


def _bare(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter without its annotation. Refer to a default by name unless its repr is valid source."""
    default = parameter.default
    if default is not parameter.empty and type(default) not in (bool, int, str, type(None)):
        default = _Name(f"_defaults[{parameter.name!r}]")
    return parameter.replace(annotation=parameter.empty, default=default)


class _Name(str):
    """A string whose repr has no quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def caller(primitive: Primitive) -> Callable[..., Any]:
    """Return the function on tensors that calls a primitive. The first call compiles it, in about 1 ms."""
    namespace = {
        "_active": active, "_primitive": primitive, "_PLAIN": _PLAIN,
        "_NUMBERS": _NUMBERS, "_MISUSE": _MISUSE, "_ONE": _ONE, "_LEFT": _LEFT, "_RIGHT": _RIGHT, "_BOTH": _BOTH,
        "_Tensor": Tensor, "_Node": Node, "_clock": clock, "_new": object.__new__, "_ndarray": np.ndarray,
        "_generic": np.generic, "_asarray": np.asarray, "_float32": _float32, "_float64": _float64,
        "_forward": primitive.forward, "_failed": primitive.failed, "_current_scope": current_scope,
        "_grad_enabled": grad_enabled, "_edges_of": _edges_of, "_with_indices": _with_indices, "_keep": _keep,
        "_compact_copy": compact_copy, "_seen": _seen, "_constants_of": _constants_of,
        "_general": partial(_call, primitive),
        "_finish": partial(_finish, primitive), "_compile_this": partial(_compile, primitive), "_type": type,
        "_isinstance": isinstance, "_len": len, "_any": any, "_next": next, "_map": map, "_tuple": tuple,
        "_float": float,
    }  # fmt: skip
    namespace["_function"] = function = FunctionType(_compile_and_call.__code__, namespace)
    return function


def _compile_and_call(*args: Any, **kwargs: Any) -> Any:
    """Compile this function, then call it. `_compile_this` and `_function` are its globals, see `caller`."""
    _compile_this(_function)  # type: ignore[name-defined]  # noqa: F821
    return _function(*args, **kwargs)  # type: ignore[name-defined]  # noqa: F821


def _compile(primitive: Primitive, function: FunctionType) -> None:
    """Give a function the code that calls a primitive."""
    source = source_of(primitive)
    file = f"{__file__}:{primitive.name}"  # within this package, so that messages name the user's line
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    names: dict[str, Any] = {"_defaults": {p.name: p.default for p in primitive.signature.parameters.values()}}
    exec(compile(source, file, "exec"), names)
    made = next(reversed(names.values()))  # exec adds __builtins__ first and the function last
    function.__defaults__, function.__kwdefaults__ = made.__defaults__, made.__kwdefaults__
    function.__code__ = made.__code__


# The edges of nodes of one or two inputs, for each choice of tracked ones (see Node.edges).
_ONE, _BOTH = ((0,), (True,), (0,)), ((0, 1), (True, True), (0, 0))
_LEFT, _RIGHT = ((0,), (True, False), (0,)), ((1,), (False, True), (0,))
_EDGES_OF = {
    1: "({},), _ONE",
    2: "(({0},), _LEFT) if {1} is None else (({1},), _RIGHT) if {0} is None else (({0}, {1}), _BOTH)",
}


def _edges_of(nodes: Sequence[Node | None]) -> tuple[tuple[Node, ...], Any]:
    """Return the parents and the edges of a node, of inputs that are first outputs."""
    return tuple(filter(None, nodes)), _edges(tuple(map(bool, nodes)))


@cache
def _edges(needs: tuple[bool, ...]) -> Any:
    return tuple(i for i, need in enumerate(needs) if need), needs, (0,) * sum(needs)


def _with_indices(edges: Any, inputs: Sequence[Any]) -> Any:
    return (*edges[:2], tuple([inputs[i].index for i in edges[0]]))


def _seen(constant: Any) -> Any:
    """Return what a node tells drawings about an untracked input: a number, or a reference, shape and dtype.

    The reference shows which calls took the same array, but is weak, so that it does not keep the array alive.
    """
    if not isinstance(constant, (np.ndarray, np.generic)):
        return constant  # a number, or None for an input that was left out
    return constant.item() if constant.size == 1 else (ref(constant), constant.shape, constant.dtype)


def _constants_of(nodes: Sequence[Node | None], arrays: Sequence[Any]) -> tuple[Any, ...]:
    return tuple([None if node else _seen(array) for node, array in zip(nodes, arrays, strict=True)])


def _keep(node: Node, inputs: Sequence[Any], arrays: Sequence[Any]) -> None:
    """Keep the inputs of a node if its reference may need them, and copy what it keeps of the caller's ndarrays."""
    node.inputs = tuple(arrays) if node.primitive.keeps_inputs else ()
    if number_check.get() is None and (given := _given(inputs, arrays)):  # the arrays of a rule are the engine's own
        if node.inputs:
            node.residuals, node.inputs = private((node.residuals, node.inputs), given)
        else:  # almost always, and faster
            node.residuals = private(node.residuals, given)


def _given(inputs: Sequence[Any], arrays: Sequence[Any]) -> list[Array]:
    """Return the arrays of the inputs that are not tensors."""
    return [x for x, t in zip(arrays, inputs, strict=True) if type(x) is _ndarray and not isinstance(t, Tensor)]


def _constant(value: Any, weak: bool) -> Any:
    """Convert an input that is not a tensor to an ndarray; if ``weak``, numbers stay as they are."""
    if type(value) is _ndarray and value.dtype.kind in "biuf":
        return value
    if value is None or (weak and isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating))):
        return value
    return as_array(value)


def _real_array(output: Any) -> Array:
    """Convert a forward's output to an ndarray; raise unless it holds real numbers."""
    refuse_masked(output)
    array: Array = np.asarray(output)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"the forward must return real numbers, not {array.dtype}")
    return array


def is_plain(option: Any) -> bool:
    """Return whether an option needs no conversion, and the caller cannot change it later."""
    return type(option) in _PLAIN or (type(option) is tuple and _PLAIN.issuperset(map(type, option)))


def _holds_tracked(option: Any) -> bool:
    """Return whether an option is a tensor with a node, or a tuple, list or dict with one."""
    if isinstance(option, (tuple, list, dict)):
        return any(map(_holds_tracked, option.values() if isinstance(option, dict) else option))
    return isinstance(option, Tensor) and option.node is not None


def _call(primitive: Primitive, inputs: tuple[Any, ...], options: dict[str, Any], unknown: Any = ()) -> Any:
    """Call a primitive on any inputs and options, also while observers watch; refuse unknown options."""
    if unknown:
        error = TypeError(f"got an unexpected keyword argument {next(iter(unknown))!r}")
        raise primitive.failed(inputs, error)
    observers, params = current(), {name: plain(option) for name, option in options.items()}
    if not _PLAIN.issuperset(map(type, params.values())) and number_check.get() is None:
        params = private(params, arrays_in(options))  # before the forward, so that residuals may share the copies
    try:
        weak = primitive.broadcasts and len(inputs) > 1 and not all(isinstance(x, (bool, int, float)) for x in inputs)
        arrays = [t._array if isinstance(t, Tensor) else _constant(t, weak) for t in inputs]
        forward = primitive.forward
        for observer in observers:
            forward = observer.around(primitive, forward)
        result = forward(*arrays, **params)
    except _MISUSE as error:
        raise primitive.failed(inputs, error) from error
    for name, option in options.items():
        if _holds_tracked(option) and grad_enabled():
            raise TypeError(
                f"{primitive.name}: the option {name} is not differentiable, so a tracked tensor would lose "
                "its gradient. Pass .detach(), or use primitives that take it as an input."
            )
    return _finish(primitive, inputs, arrays, params, result, observers)


def _finish(
    primitive: Primitive,
    inputs: Sequence[Any],
    arrays: Sequence[Any],
    params: dict[str, Any],
    result: Any,
    observers: Sequence[Observer] = (),
) -> Any:
    """Turn what a forward returned into tensors, and make a node if an input is tracked."""
    try:
        if not (type(result) is tuple and len(result) == 2 and type(result[1]) is tuple):
            raise TypeError("the forward must return (output, tuple of residuals)")
        output, residuals = result
        several = type(output) is tuple
        outputs = [
            y if type(y) is _ndarray and y.dtype.kind == "f" else _real_array(y)
            for y in (output if several else (output,))
        ]
        # Python floats beside only booleans and numbers decide the dtype.
        plain_numbers = all(getattr(x, "dtype", _bool) == _bool for x in inputs)
        if primitive.broadcasts and len(inputs) > 1 and plain_numbers and float in map(type, inputs):
            outputs = [y.astype(get_default_dtype()) if y.dtype == _float64 else y for y in outputs]
        if primitive.first_hidden not in (None, len(outputs)):
            raise TypeError(f"the first hidden output must be declared as 'hidden {len(outputs)}'")
    except _MISUSE as error:
        raise primitive.failed(inputs, error) from error
    if given := _given(inputs, arrays):  # a view of an input would change when the caller writes into that input
        owners = {id(owner(x)) for x in given}
        outputs = [y.copy("K") if id(owner(y)) in owners else y for y in outputs]
    results = [untracked(array) for array in outputs]
    nodes = tuple([t.node if isinstance(t, Tensor) else None for t in inputs])
    node = None
    if any(nodes) and grad_enabled() and primitive.differentiable:
        node = Node()
        node.primitive, node.params, node.residuals = primitive, params, residuals
        node.constants = _constants_of(nodes, arrays)
        node.parents, edges = _edges_of(nodes)
        node.edges = _with_indices(edges, inputs)
        node.scope = current_scope()
        node.born = next(clock)
        _keep(node, inputs, arrays)
        set_outputs(node, results)
    for observer in observers:
        observer.call(primitive, params, arrays, outputs, node)
    return tuple(results) if several else results[0]

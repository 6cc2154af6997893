"""Call a primitive on tensors: run its forward on their arrays and, if an input is tracked, make a node.

`_call` can handle every call. `_call_unary` and `_call_binary` are short paths for broadcasting primitives without
options whose inputs are named ``x``, or ``a`` and ``b``. They leave observed calls, and anything unusual, to `_call`.
On a short path, making a node costs as much as two or three small NumPy calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .core import Node, Tensor, current_scope, number_check, plain, set_outputs, untracked
from .observers import active, current
from .spec import Array, as_array, get_default_dtype, refuse_masked
from .writes import arrays_in, clock, owner, private

if TYPE_CHECKING:
    from .primitives import Primitive

__all__ = ["caller"]

_new = object.__new__
_ndarray, _generic, _asarray = np.ndarray, np.generic, np.asarray  # looking up a function in np takes 50 ns
_bool, _float32, _float64 = map(np.dtype, ("bool", "float32", "float64"))

# Edges that the nodes of the short paths share (see Node). They apply if each input is the first output of its node.
_UNARY = ((0,), (True,), (0,))
_LEFT, _RIGHT = ((0,), (True, False), (0,)), ((1,), (False, True), (0,))
_BOTH = ((0, 1), (True, True), (0, 0))
_NO_PARAMS: dict[str, Any] = {}
_MALFORMED = "the forward must return (output, tuple of residuals)"
# The errors that NumPy and our own checks raise for a user's mistake.
_MISUSE = (ValueError, TypeError, IndexError, OverflowError, AttributeError)


def caller(primitive: Primitive) -> Callable[..., Any]:
    """Return the function on tensors that calls a primitive."""
    simple = not primitive.variadic and not primitive.options and primitive.first_hidden is None
    short = primitive.differentiable and primitive.broadcasts and simple
    # The names matter since a call may pass inputs by keyword: the short paths' parameters are x, or a and b.
    short_path: Any = {("x",): _call_unary, ("a", "b"): _call_binary}.get(primitive.arguments) if short else None
    general = _call(primitive)
    return short_path(primitive, general) if short_path else general


def _constant(value: Any, weak: bool) -> Any:
    """Convert an input that is not a tensor to an ndarray; if ``weak``, numbers stay as they are."""
    if type(value) is _ndarray and value.dtype.kind in "biuf":
        return value
    if value is None or (weak and isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating))):
        return value
    return as_array(value)


def _takes_default(inputs: Any) -> bool:
    """Return whether Python floats decide the dtype of a result: there is one, beside only booleans and numbers."""
    return any(type(x) is float for x in inputs) and all(getattr(x, "dtype", _bool) == _bool for x in inputs)


def _real_array(output: Any) -> Array:
    """Convert a forward's output to an ndarray; raise unless it holds real numbers."""
    refuse_masked(output)
    array: Array = _asarray(output)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"the forward must return real numbers, not {array.dtype}")
    return array


def _call_unary(primitive: Primitive, general: Callable[..., Tensor]) -> Callable[[Any], Tensor]:
    """The short path for one array and no options."""
    forward = primitive.forward

    def call(x: Any) -> Tensor:
        if active or not isinstance(x, Tensor):
            return general(x)
        parent, array = x.node, x._data
        try:
            result = forward(array)
        except _MISUSE as error:
            raise primitive.failed((x,), error) from error
        try:
            output, residuals = result
        except (TypeError, ValueError):
            return general(x)  # raises
        if type(output) is not _ndarray or type(residuals) is not tuple:
            if not isinstance(output, _generic) or type(residuals) is not tuple:
                return general(x)  # raises, or converts Python numbers
            output = _asarray(output)  # NumPy returns scalars from 0-d operations
        dtype = output.dtype
        if dtype is not _float32 and dtype.kind != "f":
            if dtype.kind not in "biu":
                return general(x)  # raises
            parent = None  # integers carry no gradient
        tensor: Tensor = _new(Tensor)  # `untracked` inlined: calling it would take 5 % longer
        tensor._data = output
        tensor.index = 0
        path = current_scope()
        if parent is None or path is None:
            tensor.node = None
            return tensor
        tensor.node = node = Node()
        node.primitive = primitive
        node.params = _NO_PARAMS
        node.parents = (parent,)
        node.edges = (*_UNARY[:2], (x.index,)) if x.index else _UNARY
        node.shape = output.shape
        node.dtype = dtype
        node.later_outputs = ()
        node.residuals = residuals
        node.scope = path
        node.born = next(clock)
        if residuals and primitive.keeps_inputs:  # a VJP without residuals needs no reference
            node.inputs = (array,)
        return tensor

    return call


def _call_binary(primitive: Primitive, general: Callable[..., Tensor]) -> Callable[[Any, Any], Tensor]:
    """The short path for two arrays and no options."""
    forward = primitive.forward

    def call(a: Any, b: Any) -> Tensor:
        if active:
            return general(a, b)
        left = right = None
        try:
            # The cheapest checks come first; isinstance is for subclasses of Tensor.
            kind = type(a)
            if kind is Tensor:
                left, x = a.node, a._data
            elif kind is _ndarray and a.dtype is _float32:
                x = a
            elif isinstance(a, Tensor):
                left, x = a.node, a._data
            else:
                x = _constant(a, True)
            kind = type(b)
            if kind is Tensor:
                right, y = b.node, b._data
            elif kind is _ndarray and b.dtype is _float32:
                y = b
            elif isinstance(b, Tensor):
                right, y = b.node, b._data
            else:
                y = _constant(b, True)
            result = forward(x, y)
        except _MISUSE as error:
            raise primitive.failed((a, b), error) from error
        try:
            output, residuals = result
        except (TypeError, ValueError):
            return general(a, b)  # raises
        if type(output) is not _ndarray or type(residuals) is not tuple:
            if not isinstance(output, _generic) or type(residuals) is not tuple:
                return general(a, b)  # raises, or converts Python numbers
            output = _asarray(output)  # NumPy returns scalars from 0-d operations
        dtype = output.dtype
        if dtype is not _float32 and dtype.kind != "f":
            if dtype.kind not in "biu":
                return general(a, b)  # raises
            left = right = None  # integers carry no gradient
        tensor: Tensor = _new(Tensor)  # `untracked` inlined
        tensor._data = output
        tensor.index = 0
        path = current_scope()
        if path is None or (left is None and right is None):
            if dtype is _float64 and _takes_default((a, b)):
                tensor._data = output.astype(get_default_dtype())
            tensor.node = None
            return tensor
        tensor.node = node = Node()
        first: Node = left if left is not None else right  # type: ignore[assignment]
        if right is None:
            node.parents = (first,)
            node.edges = (*_LEFT[:2], (a.index,)) if a.index else _LEFT
        elif left is None:
            node.parents = (right,)
            node.edges = (*_RIGHT[:2], (b.index,)) if b.index else _RIGHT
        else:
            if left.shape is not right.shape and left.shape == right.shape:
                right.shape = left.shape  # one tuple, so that the reverse pass can compare shapes by identity
            node.parents = (left, right)
            node.edges = (*_BOTH[:2], (a.index, b.index)) if a.index or b.index else _BOTH
        node.primitive = primitive
        node.params = _NO_PARAMS
        shape = output.shape
        node.shape = first.shape if shape == first.shape else shape  # one tuple again
        node.dtype = dtype
        node.later_outputs = ()
        node.scope = path
        node.born = next(clock)
        if residuals:  # a VJP without residuals needs no reference
            inputs = (x, y) if primitive.keeps_inputs else ()
            if (left is None or right is None) and number_check.get() is None:
                given = [array for array, value in ((x, a), (y, b)) if not isinstance(value, Tensor)]
                residuals, inputs = private((residuals, inputs), given)
            if inputs:
                node.inputs = inputs
        node.residuals = residuals
        return tensor

    return call


def _call(primitive: Primitive) -> Callable[..., Any]:
    """The path for any number of arrays, options and outputs, and for observed calls."""

    def call(*args: Any, **kwargs: Any) -> Any:
        inputs, options = _sort_arguments(primitive, args, kwargs)
        observers, path = current(), current_scope()
        tracked = [(i, t) for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.node is not None]
        makes_node = bool(tracked) and path is not None and primitive.differentiable
        params = {name: plain(option) for name, option in options.items()}
        copies = makes_node and number_check.get() is None  # what a rule passes is private already
        if copies and options:  # before the forward, so that residuals may share the copies
            params = private(params, arrays_in(options))
        try:
            promotes = primitive.broadcasts and len(inputs) > 1
            weak = promotes and not all(isinstance(x, (bool, int, float)) for x in inputs)
            arrays = [t._data if isinstance(t, Tensor) else _constant(t, weak) for t in inputs]
            forward = primitive.forward
            for observer in observers:
                forward = observer.around(primitive, forward)
            result = forward(*arrays, **params)
            if not (type(result) is tuple and len(result) == 2 and type(result[1]) is tuple):
                raise TypeError(_MALFORMED)
            output, residuals = result
            several = type(output) is tuple
            outputs = [
                y if type(y) is _ndarray and y.dtype.kind == "f" else _real_array(y)
                for y in (output if several else (output,))
            ]
            if promotes and _takes_default(inputs):
                outputs = [y.astype(get_default_dtype()) if y.dtype == _float64 else y for y in outputs]
            if primitive.first_hidden not in (None, len(outputs)):
                raise TypeError(f"the first hidden output must be declared as 'hidden {len(outputs)}'")
        except _MISUSE as error:
            raise primitive.failed(inputs, error) from error
        if path is not None:
            for name, option in options.items():
                if isinstance(option, Tensor) and option.node is not None:
                    raise TypeError(
                        f"{primitive.name}: the option {name} is not differentiable, so a tracked tensor would lose "
                        "its gradient. Pass .detach(), or use primitives that take it as an input."
                    )
        given = [
            x for x, t in zip(arrays, inputs, strict=True) if isinstance(x, _ndarray) and not isinstance(t, Tensor)
        ]
        if given:  # a view of an input would change when the caller writes into that input
            owners = {id(owner(x)) for x in given}
            outputs = [array.copy("K") if id(owner(array)) in owners else array for array in outputs]
        results = [untracked(array) for array in outputs]
        node = None
        if makes_node:
            kept = (residuals, tuple(arrays) if primitive.keeps_inputs else ())
            node = Node()
            node.primitive = primitive
            node.params = params
            node.parents = tuple(t.node for _, t in tracked)  # type: ignore[misc]
            argnums = tuple(i for i, _ in tracked)
            node.edges = (argnums, tuple(i in argnums for i in range(len(inputs))), tuple(t.index for _, t in tracked))
            node.residuals, node.inputs = private(kept, given) if given and copies else kept
            node.scope = path
            node.born = next(clock)
            set_outputs(node, results)
        for observer in observers:
            observer.call(primitive, params, arrays, outputs, node)
        return tuple(results) if several else results[0]

    return call


def _sort_arguments(
    primitive: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Split a call's arguments into inputs (None for an omitted optional input) and options."""
    if primitive.variadic:
        return list(args), kwargs
    if not kwargs and len(args) == len(primitive.arguments):
        return list(args), {}
    names = primitive.arguments + primitive.options
    given = dict(zip(names, args, strict=False))
    surplus = len(args) > primitive.positional or given.keys() & kwargs.keys()
    given.update(kwargs)
    inputs = [given.pop(name, None) for name in primitive.arguments]
    if surplus or any(
        x is None and primitive.signature.parameters[name].default is not None
        for x, name in zip(inputs, names, strict=False)
    ):
        try:
            primitive.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{primitive.name}: {error}") from None
    return inputs, given

"""Primitives: functions on ndarrays with hand-written vector-Jacobian products (VJPs), and how they are called.

Calling a primitive on tensors runs its forward on their arrays and, if a gradient can be wanted, leaves a
:class:`~minigrad.core.Node`. A node costs about as much as two or three small NumPy calls, because calls with
one array x or two, a and b, and no options take a short path (`_call_unary`, `_call_binary`); all others
take `_call`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast, overload

import numpy as np

from . import overwrites, recording
from .anomaly.fingerprints import guard_residuals
from .core import Node, Tensor, current_scope, set_outputs, untracked
from .graph_levels import CALLS, Kept, level, needs_inputs
from .overwrites import owner
from .profiling.exchange import clocked, declared_forward, remembered
from .rules import PRIMITIVES, ForwardResult, Primitive, Steps
from .spec import Array, DType, as_array, describe, refuse_masked

__all__ = ["PRIMITIVES", "ForwardResult", "Primitive", "PrimitiveFunction", "Steps", "primitive"]

_new = object.__new__
_ndarray, _generic, _asarray = np.ndarray, np.generic, np.asarray  # finding a function in np costs 50 ns
_float32 = np.dtype(np.float32)


class PrimitiveFunction(Protocol):
    """A primitive as its users see it: a function on tensors that carries its record."""

    __name__: str
    primitive: Primitive

    def __call__(self, *args: Any, **options: Any) -> Any: ...
    def vjp(self, rule: Callable[..., Any]) -> Callable[..., Any]: ...
    def vjp_on_tensors(self, rule: Callable[..., Any]) -> Callable[..., Any]: ...
    def batched_vjp(self, rule: Callable[..., Any]) -> Callable[..., Any]: ...
    def reference(self, rule: Callable[..., Any]) -> Callable[..., Any]: ...
    def cost(self, rule: Callable[..., int]) -> Callable[..., int]: ...


@overload
def primitive(forward: Callable[..., Any], /) -> PrimitiveFunction: ...
@overload
def primitive(
    *,
    broadcasts: bool = False,
    differentiable: bool = True,
    commutative: bool = False,
    steps: Steps | None = None,
    residuals: Sequence[str] | None = None,
    entrywise: bool = False,
) -> Callable[[Callable[..., Any]], PrimitiveFunction]: ...
def primitive(
    forward: Callable[..., Any] | None = None,
    /,
    *,
    broadcasts: bool = False,
    differentiable: bool = True,
    commutative: bool = False,
    steps: Steps | None = None,
    residuals: Sequence[str] | None = None,
    entrywise: bool = False,
) -> Any:
    """Declare a primitive from its forward on ndarrays; its VJP (and reference and cost) follow as decorators.

    The forward returns the output (or a tuple of outputs) and a tuple of residuals, which are arrays or
    plain values that the VJP needs. Parameters annotated as arrays (``np.ndarray``, ``NDArray``, ``Array``;
    optional ones too), and those with neither annotation nor default, are array inputs; all others are options.

    The VJP takes ``(g, needs, *residuals)``: the cotangent of the output (for several outputs a tuple,
    with None for one that nobody used), and for each input whether its cotangent is wanted. It returns
    one entry for each input, None where none is wanted. It must not write into arrays that it was given, nor keep
    those that it returns, since the reverse pass may add to them. A rule named ``_`` takes the primitive's name
    in tracebacks and profiles. The reference takes the same arguments as the forward, as tensors, and composes other
    primitives. The cost, for primitives that multiply arrays with arrays, takes ``(shapes of the inputs, shape of the
    first output, options)`` and returns the number of multiply-adds.

    Args:
        broadcasts: the engine sums a cotangent back to the shape of a broadcast input, and Python
            numbers stay weakly typed. Without it a cotangent of another shape is an error.
        entrywise: each entry of the output depends on one entry of each input alone, in the VJP too.
        differentiable: false for functions whose outputs are constants, such as ``argmax``.
        commutative: it gives the same when its inputs change places; drawings then do not say which is which.
        steps: of a primitive over a whole sequence (N, T, …), how it is made of steps, which drawings can then show.
        residuals: what each residual is, in order, so that derivatives can be differentiated: the name of an input,
            "output" ("output 1" for the second), "constant", or "derived" for anything else that depends on inputs.
            The VJP is then run on tensors, or of derived ones the reference. For "hidden 1" see :class:`Primitive`.

    >>> import numpy as np, minigrad as mg
    >>> @mg.primitive(residuals=("x",))
    ... def cube(x):
    ...     return x**3, (x,)
    >>> @cube.vjp
    ... def _(g, needs, x):
    ...     return (3 * x**2 * g,)
    >>> mg.gradcheck(cube, [np.array([1.0, -2.0])])
    True
    >>> mg.grad(mg.grad(cube))(2.0)
    tensor(12.)
    """

    def declare(forward: Callable[..., Any]) -> PrimitiveFunction:
        return _declare(Primitive(forward, broadcasts, differentiable, commutative, steps, residuals, entrywise))

    return declare if forward is None else declare(forward)


def _declare(record: Primitive) -> PrimitiveFunction:
    short = not clocked() and record.differentiable and record.broadcasts and not record.variadic and not record.options
    # By the names of the inputs: a call may give them as keywords, and the short paths' parameters are x, or a and b.
    maker = {("x",): _call_unary, ("a", "b"): _call_binary}.get(record.arguments, _call) if short else _call
    function: Any = remembered(functools.update_wrapper(cast(Any, maker(record)), declared_forward(record)))

    def decorator(attribute: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def declare(rule: Callable[..., Any]) -> Callable[..., Any]:
            setattr(record, attribute, _named(rule, f"{record.name}_{attribute}"))
            return rule

        return declare

    function.primitive = record
    for attribute in ("vjp", "vjp_on_tensors", "batched_vjp", "reference", "cost"):
        setattr(function, attribute, decorator(attribute))
    PRIMITIVES[f"{record.module}.{record.name}"] = record
    return function  # type: ignore[no-any-return]


def _named(rule: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The rule; if it is called ``_``, with a name that says in tracebacks and profiles which primitive's it is."""
    if getattr(rule, "__name__", "") == "_" and hasattr(rule, "__code__"):
        rule.__name__ = rule.__qualname__ = name
        rule.__code__ = rule.__code__.replace(co_name=name, co_qualname=name)
    return rule


# --- calling a primitive ---------------------------------------------------------------------------

# The edges that nodes of the short paths share (see Node) where each input is a first output, as almost all are.
_UNARY = ((0,), (True,), (0,))
_LEFT, _RIGHT = ((0,), (True, False), (0,)), ((1,), (False, True), (0,))
_BOTH = ((0, 1), (True, True), (0, 0))
_NO_PARAMS: dict[str, Any] = {}
_MALFORMED = "the forward must return (output, tuple of residuals)"
# What NumPy and our own checks raise for a user's mistake.
_MISUSE = (ValueError, TypeError, IndexError, OverflowError, AttributeError)


def _constant(value: Any, weak: bool) -> Any:
    """An input that is no tensor, as the forward wants it: an ndarray, or a weakly typed number."""
    if type(value) is _ndarray and value.dtype.kind in "fiub":
        return value
    if value is None or (weak and isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating))):
        return value
    return as_array(value)


def _array_of(data: Any) -> Array:
    """What a tensor holds, if nothing else was assigned to its ``data``."""
    refuse_masked(data)
    if not isinstance(data, _ndarray):
        raise TypeError(f"a tensor's .data must be an ndarray, not {describe(data)}")
    return data


def _plain(record: Primitive, output: Any, inputs: Any) -> Array:
    """What a forward gave that is neither ndarray nor NumPy's scalar, as an ndarray; masked arrays are refused."""
    try:
        refuse_masked(output)
    except TypeError as error:
        raise record.failed(inputs, error) from None
    return _asarray(output)


def _unreal(dtype: DType) -> TypeError:
    return TypeError(f"the forward must return real numbers, not {dtype}")


def _call_unary(record: Primitive) -> Callable[[Any], Tensor]:
    """The short path for one array and no options."""
    forward = record.forward

    def call(x: Any) -> Tensor:
        parent = None
        try:
            if isinstance(x, Tensor):
                parent, array = x.node, x.data
            else:
                array = _constant(x, False)
            result = forward(array)
        except _MISUSE as error:
            raise record.failed((x,), error) from error
        try:
            output, residuals = result
        except (TypeError, ValueError):
            raise record.failed((x,), TypeError(_MALFORMED)) from None
        if type(output) is not _ndarray:  # NumPy returns scalars from 0-d operations
            output = _asarray(output) if isinstance(output, _generic) else _plain(record, output, (x,))
            if type(residuals) is not tuple:
                raise record.failed((x,), TypeError(_MALFORMED))
        dtype = output.dtype
        if dtype is not _float32 and dtype.kind != "f":
            if dtype.kind not in "iub":
                raise record.failed((x,), _unreal(dtype))
            parent = None  # integers carry no gradient
        tensor: Tensor = _new(Tensor)  # `untracked`, written out: its call would cost 5 % of the whole
        tensor.data = output
        tensor.index = 0
        path = current_scope()
        if parent is None or path is None:
            tensor.node = None
            if recording.active:
                _note_untracked(record, _NO_PARAMS, (x,), (output,))
            return tensor
        tensor.node = node = Node()
        node.primitive = record
        node.params = _NO_PARAMS
        node.parents = (parent,)
        node.edges = (*_UNARY[:2], (x.index,)) if x.index else _UNARY
        node.shape = output.shape
        node.dtype = dtype
        node.later_outputs = ()
        node.residuals = residuals
        node.scope = path
        node.born = overwrites.clock
        if recording.active:
            _note(node, (x,), (output,))
        return tensor

    return call


def _call_binary(record: Primitive) -> Callable[[Any, Any], Tensor]:
    """The short path for two arrays and no options."""
    forward = record.forward

    def call(a: Any, b: Any) -> Tensor:
        left = right = None
        try:
            # The cheapest questions first; isinstance is for Tensor's subclasses.
            kind = type(a)
            if kind is Tensor:
                left, x = a.node, a.data
            elif kind is _ndarray and a.dtype is _float32:
                x = a
            elif isinstance(a, Tensor):
                left, x = a.node, _array_of(a.data)
            else:
                x = _constant(a, True)
            kind = type(b)
            if kind is Tensor:
                right, y = b.node, b.data
            elif kind is _ndarray and b.dtype is _float32:
                y = b
            elif isinstance(b, Tensor):
                right, y = b.node, _array_of(b.data)
            else:
                y = _constant(b, True)
            result = forward(x, y)
        except _MISUSE as error:
            raise record.failed((a, b), error) from error
        try:
            output, residuals = result
        except (TypeError, ValueError):
            raise record.failed((a, b), TypeError(_MALFORMED)) from None
        if type(output) is not _ndarray:
            output = _asarray(output) if isinstance(output, _generic) else _plain(record, output, (a, b))
            if type(residuals) is not tuple:
                raise record.failed((a, b), TypeError(_MALFORMED))
        dtype = output.dtype
        if dtype is not _float32 and dtype.kind != "f":
            if dtype.kind not in "iub":
                raise record.failed((a, b), _unreal(dtype))
            left = right = None  # integers carry no gradient
        tensor: Tensor = _new(Tensor)  # `untracked`, written out
        tensor.data = output
        tensor.index = 0
        path = current_scope()
        if path is None or (left is None and right is None):
            tensor.node = None
            if recording.active:
                _note_untracked(record, _NO_PARAMS, (a, b), (output,))
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
                right.shape = left.shape  # the same tuple, see below
            node.parents = (left, right)
            node.edges = (*_BOTH[:2], (a.index, b.index)) if a.index or b.index else _BOTH
        node.primitive = record
        node.params = _NO_PARAMS
        shape = output.shape
        node.shape = first.shape if shape == first.shape else shape  # shared tuples spare the reverse pass a comparison
        node.dtype = dtype
        node.later_outputs = ()
        node.residuals = residuals
        node.scope = path
        node.born = overwrites.clock
        if recording.active:
            _note(node, (a, b), (output,))
        if residuals and (left is None or right is None):
            guard_residuals(node, [array for array, given in ((x, a), (y, b)) if not isinstance(given, Tensor)])
        return tensor

    return call


def _call(record: Primitive) -> Callable[..., Any]:
    """The path for any number of arrays, options and outputs."""

    def call(*args: Any, **kwargs: Any) -> Any:
        inputs, params = _sort_arguments(record, args, kwargs)
        try:
            weak = record.broadcasts
            arrays = [_array_of(t.data) if isinstance(t, Tensor) else _constant(t, weak) for t in inputs]
            result = record.forward(*arrays, **params)
            if not (type(result) is tuple and len(result) == 2 and type(result[1]) is tuple):
                raise TypeError(_MALFORMED)
            output, residuals = result
            several = type(output) is tuple
            outputs = [_asarray(array) for array in (output if several else (output,))]
            for array in outputs:
                if array.dtype.kind not in "fiub":
                    raise _unreal(array.dtype)
        except _MISUSE as error:
            raise record.failed(inputs, error) from error
        path = current_scope()
        if path is not None:
            for name, option in params.items():
                if isinstance(option, Tensor) and option.node is not None:
                    raise TypeError(
                        f"{record.name}: the option {name} is not differentiated, and a tracked tensor would lose its "
                        "gradient there: pass .detach(), or compose it of primitives that take it as an input"
                    )
        given = [
            x for x, t in zip(arrays, inputs, strict=True) if isinstance(x, _ndarray) and not isinstance(t, Tensor)
        ]
        if given:  # a view of one would change when its owner writes into it
            owners = {id(owner(x)) for x in given}
            outputs = [array.copy("K") if id(owner(array)) in owners else array for array in outputs]
        results = [untracked(array) for array in outputs]
        tracked = [(i, t) for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.node is not None]
        if tracked and path is not None and record.differentiable:
            node = Node()
            node.primitive = record
            node.params = params
            node.parents = tuple(t.node for _, t in tracked)  # type: ignore[misc]
            argnums = tuple(i for i, _ in tracked)
            node.edges = (argnums, tuple(i in argnums for i in range(len(inputs))), tuple(t.index for _, t in tracked))
            node.residuals = residuals
            node.scope = path
            node.born = overwrites.clock
            set_outputs(node, results)
            if recording.active:
                _note(node, inputs, outputs)
            if residuals and (given or params):
                guard_residuals(node, [*given, *params.values()])
        elif recording.active:
            _note_untracked(record, params, inputs, outputs)
        return tuple(results) if several else results[0]

    return call


def _note(node: Node, inputs: Any, outputs: Any) -> None:
    """Keep the inputs of a call, if a derivative of its derivative needs them; tell the current recorder of it."""
    arrays = [x.data if isinstance(x, Tensor) else x for x in inputs]
    record, residuals = node.primitive, node.residuals
    if level() == CALLS and record is not None and type(residuals) is tuple and needs_inputs(record, residuals):
        held = (x.data if isinstance(x, Tensor) else _constant(x, record.broadcasts) for x in inputs)
        node.residuals = Kept.of(residuals, tuple(held))
    recorder = recording.recorder()
    if recorder is not None:
        recorder.call(node, arrays, outputs)


def _note_untracked(record: Primitive, params: dict[str, Any], inputs: Any, outputs: Any) -> None:
    """The same of a call that has left no node."""
    recorder = recording.recorder()
    if recorder is not None:
        recorder.untracked(record, params, [x.data if isinstance(x, Tensor) else x for x in inputs], outputs)


def _sort_arguments(
    record: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Split a call's arguments into inputs (None for an optional one left out) and options."""
    if record.variadic:
        return list(args), kwargs
    if not kwargs and len(args) == len(record.arguments):
        for value in args:
            if value is None:
                break
        else:
            return list(args), {}
    names = record.arguments + record.options
    given = dict(zip(names, args, strict=False))
    surplus = len(args) > record.positional or given.keys() & kwargs.keys()
    given.update(kwargs)
    inputs = [given.pop(name, None) for name in record.arguments]
    if surplus or any(value is None for value in inputs):
        try:
            record.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{record.name}: {error}") from None
    return inputs, given

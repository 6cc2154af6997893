"""The trace: tensors, the nodes behind them, and the primitives that make them.

A *primitive* is a function on ndarrays with a hand-written vector-Jacobian product (VJP). Calling it
on tensors runs its forward on their arrays and, if a gradient can be wanted, leaves a *node*: which
primitive, from which nodes, with which residuals. The nodes form a DAG that :mod:`minigrad.backward`
walks in reverse.

A node costs about as much as two or three small NumPy calls, because calls with one or two arrays
and no options take a short path (`_call_unary`, `_call_binary`); everything else takes `_call`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, cast, overload

import numpy as np

from .spec import Array, DType, Spec, as_array, explain, get_default_dtype

__all__ = ["PRIMITIVES", "Leaf", "Node", "Primitive", "PrimitiveFunction", "Tensor", "no_grad", "primitive",
           "scope", "tensor"]  # fmt: skip

# What the current thread (or task) records: None under no_grad, else the path of scopes.
_trace: ContextVar[tuple[str, ...] | None] = ContextVar("minigrad_trace", default=())
_current_scope = _trace.get
_new = object.__new__
_ndarray = np.ndarray


@contextmanager
def no_grad() -> Iterator[None]:
    """Within this context (or a function decorated with ``@no_grad()``) nothing is recorded.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0], requires_grad=True)
    >>> with mg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """
    token = _trace.set(None)
    try:
        yield
    finally:
        _trace.reset(token)


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Nodes made within this context carry ``name`` in their scope path, for drawings and messages.

    >>> import minigrad as mg
    >>> with mg.scope("encoder"), mg.scope("layer 1"):
    ...     y = mg.tensor([1.0], requires_grad=True) * 2
    >>> y.node.scope
    ('encoder', 'layer 1')
    """
    path = _current_scope()
    token = _trace.set(None if path is None else (*path, name))
    try:
        yield
    finally:
        _trace.reset(token)


class Node:
    """One application of a primitive: a vertex of the graph.

    Attributes:
        primitive: what was applied; None for a leaf.
        params: the options it was called with.
        parents: the nodes of those inputs that are tracked, in the order of the inputs.
        slots: for each parent, which of its outputs is the input.
        route: ``(argnums, needs)``: for each parent the number of the input it feeds, and for each
            input whether it is tracked.
        outputs: ``(shape, dtype)`` of each output.
        residuals: what the VJP needs; None once a backward pass has freed it.
        scope: the path of :func:`scope` names.
    """

    __slots__ = ("outputs", "params", "parents", "primitive", "residuals", "route", "scope", "slots")
    primitive: Primitive | None
    params: dict[str, Any]
    parents: tuple[Node, ...]
    slots: tuple[int, ...]
    route: tuple[tuple[int, ...], tuple[bool, ...]]
    outputs: tuple[Spec, ...]
    residuals: tuple[Any, ...] | None
    scope: tuple[str, ...]

    def __repr__(self) -> str:
        name = self.primitive.name if self.primitive else "leaf"
        return f"<{name} {', '.join(f'{dtype} {shape}' for shape, dtype in self.outputs)}>"


class Leaf(Node):
    """A tensor made by the user that requires a gradient, and the gradient so far (an ndarray or None)."""

    __slots__ = ("grad",)
    grad: Array | None

    def __init__(self, array: Array) -> None:
        if array.dtype.kind != "f":
            raise TypeError(f"only tensors of a floating dtype can require a gradient, not {array.dtype}")
        self.primitive = None
        self.params = {}
        self.parents = self.slots = ()
        self.route = ((), ())
        self.outputs = ((array.shape, array.dtype),)
        self.residuals = ()
        self.scope = _current_scope() or ()
        self.grad = None


class Tensor:
    """An ndarray and, if it is tracked, the node that made it.

    ``data`` is the array, ``node`` the node (None if untracked), ``index`` which output of the node.
    Arithmetic, comparison, indexing and ``@`` follow NumPy's broadcasting and dtype promotion, also
    with an ndarray on the left. ``a += b`` rebinds ``a``. Make tensors with :func:`tensor`.
    """

    __slots__ = ("__weakref__", "data", "index", "node")
    __array_ufunc__ = None  # lets `ndarray + tensor` reach Tensor.__radd__
    data: Array
    node: Node | None
    index: int

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        array = data.data if isinstance(data, Tensor) else as_array(data)
        self.data = np.array(array, dtype=dtype)
        if dtype is not None and self.data.dtype.kind not in "biuf":
            raise TypeError(f"tensor: dtype must be bool, integer or a real float, not {self.data.dtype}")
        self.node = Leaf(self.data) if requires_grad else None
        self.index = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    @property
    def dtype(self) -> DType:
        dtype: DType = self.data.dtype
        return dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows through this tensor; may be set on leaves."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.node is not None and type(self.node) is not Leaf:
            raise ValueError("requires_grad can only be set on leaves; use .detach() for a constant")
        if bool(value) != self.requires_grad:
            self.node = Leaf(self.data) if value else None

    @property
    def grad(self) -> Array | None:
        """The gradient that backward passes have summed here: an ndarray, or None (also if no leaf)."""
        return self.node.grad if isinstance(self.node, Leaf) else None

    @grad.setter
    def grad(self, value: Array | Tensor | None) -> None:
        if not isinstance(self.node, Leaf):
            raise ValueError("grad can only be set on a leaf that requires a gradient")
        array = value.data if isinstance(value, Tensor) else value
        if array is not None and (array.shape != self.shape or array.dtype != self.dtype):
            raise ValueError(f"grad must be {self.dtype} {self.shape} as its tensor, not {array.dtype} {array.shape}")
        self.node.grad = array

    def zero_grad(self) -> None:
        """Forget the gradient summed so far."""
        if isinstance(self.node, Leaf):
            self.node.grad = None

    def numpy(self) -> Array:
        """The array itself, not a copy; writing into that of a tracked tensor is the caller's risk."""
        return self.data

    def item(self) -> Any:
        """The only entry as a Python number; ValueError if there are several."""
        if self.data.size != 1:
            raise ValueError(f"item: a tensor of shape {self.shape} has {self.size} entries, not one")
        return self.data.item()

    def detach(self) -> Tensor:
        """The same array as a constant."""
        return _untracked(self.data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.node is not None:
            raise TypeError("NumPy would lose this tensor's gradient: call .detach() first, or use mg.ops")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.node is not None and type(self.node) is not Leaf:
            raise TypeError("deepcopy of a tensor inside a graph is ambiguous: copy tensor.detach()")
        twin = Tensor(self.data, requires_grad=self.requires_grad)
        if isinstance(self.node, Leaf) and isinstance(twin.node, Leaf) and self.node.grad is not None:
            twin.node.grad = self.node.grad.copy()
        memo[id(self)] = twin
        return twin

    def __repr__(self) -> str:
        text = np.array2string(self.data, separator=", ", prefix="tensor(")
        if self.dtype not in (get_default_dtype(), np.dtype(np.int64), np.dtype(bool)):
            text += f", dtype={self.dtype}"
        if self.node is not None and self.node.primitive is not None:
            text += f", primitive={self.node.primitive.name}"
        elif self.node is not None:
            text += ", requires_grad=True"
        return f"tensor({text})"

    def __len__(self) -> int:
        if not self.data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return self.data.__index__()

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.node is not None:
            raise TypeError(
                "a tracked tensor cannot be written in place: use mg.ops.put(x, index, value), "
                "or write into x.data if no gradient needs the old values"
            )
        plain = tuple(map(_plain, index)) if isinstance(index, tuple) else _plain(index)
        self.data[plain] = _plain(value)

    __hash__ = object.__hash__

    if TYPE_CHECKING:  # attached by minigrad.ops and minigrad.backward when they are imported
        T: Tensor

        def backward(self, gradient: Any = None, retain_graph: bool = False) -> None: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def max(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def min(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def transpose(self, *axes: Any) -> Tensor: ...
        def astype(self, dtype: Any) -> Tensor: ...


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor that holds a copy of ``data``.

    Args:
        data: a number, nested lists, an ndarray or a tensor of real numbers, of any shape. Arrays keep
            their dtype; Python floats take :func:`get_default_dtype` (float32), integers int64.
        dtype: another dtype to convert to.
        requires_grad: whether backward passes should sum a gradient into ``.grad``.

    Raises:
        TypeError: if the data are not real numbers, or a gradient is required of integers.

    >>> x = tensor([[1.0, 2.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([[2., 4.]], dtype=float32)
    """
    return Tensor(data, dtype, requires_grad)


def _untracked(array: Array) -> Tensor:
    result: Tensor = _new(Tensor)
    result.data = array
    result.node = None
    result.index = 0
    return result


def _plain(value: Any) -> Any:
    """What lies in a tensor; anything else as it is."""
    return value.data if isinstance(value, Tensor) else value


class PrimitiveFunction(Protocol):
    """A primitive as its users see it: a function on tensors that carries its record."""

    __name__: str
    primitive: Primitive

    def __call__(self, *args: Any, **options: Any) -> Any: ...
    def vjp(self, rule: Callable[..., Any]) -> Callable[..., Any]: ...
    def reference(self, rule: Callable[..., Any]) -> Callable[..., Any]: ...


class Primitive:
    """The record of a primitive: its forward, its VJP and, for fused ones, its reference.

    Attributes:
        name: the function's name.
        forward: on ndarrays; returns ``(output or tuple of outputs, tuple of residuals)``.
        backward: the VJP, ``(cotangent, needs, *residuals) -> one entry an input``.
        expand: the reference, a composition of simpler primitives; or None.
        arguments: names of the array inputs in order; variadic ones share the last name.
        options: names of the other parameters, which follow the inputs.
        broadcasts: whether cotangents may be summed back to the shape of a broadcast input.
        differentiable: whether outputs are tracked at all.
    """

    __slots__ = ("arguments", "backward", "broadcasts", "differentiable", "expand", "forward", "module", "name",
                 "options", "signature", "variadic")  # fmt: skip

    def __init__(self, forward: Callable[..., Any], broadcasts: bool, differentiable: bool) -> None:
        self.forward = forward
        self.name = forward.__name__.lstrip("_")
        self.module = forward.__module__
        self.broadcasts = broadcasts
        self.differentiable = differentiable
        self.backward: Callable[..., Any] = self._no_vjp
        self.expand: Callable[..., Any] | None = None
        self.signature = inspect.signature(forward)
        parameters = list(self.signature.parameters.values())
        inputs = [p for p in parameters if _is_input(p)]
        if inputs != parameters[: len(inputs)]:
            raise TypeError(f"primitive {self.name}: array inputs must come before options")
        self.arguments = tuple(p.name for p in inputs)
        self.options = tuple(p.name for p in parameters[len(inputs) :])
        self.variadic = bool(inputs) and inputs[-1].kind is inspect.Parameter.VAR_POSITIONAL

    def _no_vjp(self, *_: Any) -> Any:
        raise TypeError(f"primitive {self.name} has no VJP: declare one with @{self.name}.vjp")

    def input_name(self, number: int) -> str:
        """The name of an input by its number, such as ``x`` or ``arrays[2]``."""
        last = len(self.arguments) - 1
        if self.variadic and number >= last:
            return f"{self.arguments[last]}[{number - last}]"
        return self.arguments[number]

    def failed(self, inputs: Any, error: Exception) -> Exception:
        """An error of the forward, with the primitive's name and the shapes and dtypes that met."""
        return explain(self.name, [(self.input_name(i), value) for i, value in enumerate(inputs)], error)

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join(self.arguments)})>"


PRIMITIVES: dict[str, Primitive] = {}  # the registry: every primitive declared, by module and name


def _is_input(parameter: inspect.Parameter) -> bool:
    """Arrays are annotated as ``Array``, or carry neither an annotation nor a default."""
    if parameter.annotation is not inspect.Parameter.empty:
        return str(parameter.annotation).startswith("Array") or parameter.annotation is Array
    return parameter.default is inspect.Parameter.empty


@overload
def primitive(forward: Callable[..., Any], /) -> PrimitiveFunction: ...
@overload
def primitive(
    *, broadcasts: bool = False, differentiable: bool = True
) -> Callable[[Callable[..., Any]], PrimitiveFunction]: ...
def primitive(
    forward: Callable[..., Any] | None = None, /, *, broadcasts: bool = False, differentiable: bool = True
) -> Any:
    """Declare a primitive from its forward on ndarrays; its VJP (and reference) follow as decorators.

    The forward returns the output (or a tuple of outputs) and a tuple of residuals, which are arrays or
    plain values that the VJP needs. Parameters annotated ``Array``, and those with neither annotation
    nor default, are array inputs; all others are options.

    The VJP takes ``(g, needs, *residuals)``: the cotangent of the output (for several outputs a tuple,
    with None for one that nobody used), and for each input whether its cotangent is wanted. It returns
    one entry for each input (None where not wanted), and never writes into an array that it did not
    make. The reference takes the same arguments as the forward, as tensors, and composes other
    primitives.

    Args:
        broadcasts: the engine sums a cotangent back to the shape of a broadcast input, and Python
            numbers stay weakly typed. Without it a cotangent of another shape is an error.
        differentiable: false for functions whose outputs are constants, such as ``argmax``.

    >>> import numpy as np, minigrad as mg
    >>> @mg.primitive
    ... def cube(x):
    ...     return x**3, (x,)
    >>> @cube.vjp
    ... def _(g, needs, x):
    ...     return (3 * x**2 * g,)
    >>> mg.gradcheck(cube, [np.array([1.0, -2.0])])
    True
    """
    if forward is None:
        return functools.partial(_declare, broadcasts=broadcasts, differentiable=differentiable)
    return _declare(forward, broadcasts, differentiable)


def _declare(forward: Callable[..., Any], broadcasts: bool, differentiable: bool) -> PrimitiveFunction:
    record = Primitive(forward, broadcasts, differentiable)
    short = differentiable and broadcasts and not record.variadic and not record.options
    maker = {1: _call_unary, 2: _call_binary}.get(len(record.arguments), _call) if short else _call
    function: Any = functools.update_wrapper(cast(Any, maker(record)), forward)

    def vjp(rule: Callable[..., Any]) -> Callable[..., Any]:
        record.backward = rule
        return rule

    def reference(rule: Callable[..., Any]) -> Callable[..., Any]:
        record.expand = rule
        return rule

    function.primitive, function.vjp, function.reference = record, vjp, reference
    PRIMITIVES[f"{record.module}.{record.name}"] = record
    return function  # type: ignore[no-any-return]


# --- calling a primitive ---------------------------------------------------------------------------

_FIRST, _FIRSTS = (0,), (0, 0)  # shared slots: almost every input is a first output
_UNARY = ((0,), (True,))
_LEFT, _RIGHT, _BOTH = ((0,), (True, False)), ((1,), (False, True)), ((0, 1), (True, True))
_NO_PARAMS: dict[str, Any] = {}
_MISUSE = (ValueError, TypeError, IndexError)  # what NumPy and our own checks raise for a user's mistake


def _constant(value: Any, weak: bool) -> Any:
    """An input that is no tensor, as the forward wants it: an ndarray, or a weakly typed number."""
    if type(value) is _ndarray and value.dtype.kind in "fiub":
        return value
    if value is None or (weak and isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating))):
        return value
    return as_array(value)


def _call_unary(record: Primitive) -> Callable[[Any], Tensor]:
    """The short path for one array and no options."""
    forward = record.forward

    def call(x: Any) -> Tensor:
        parent = x.node if isinstance(x, Tensor) else None
        try:
            output, residuals = forward(x.data if isinstance(x, Tensor) else _constant(x, False))
        except _MISUSE as error:
            raise record.failed((x,), error) from error
        if type(output) is not _ndarray:  # NumPy returns scalars from 0-d operations
            output = np.asarray(output)
        result: Tensor = _new(Tensor)
        result.data = output
        result.index = 0
        path = _current_scope()
        if parent is None or path is None:
            result.node = None
            return result
        result.node = node = Node()
        node.primitive = record
        node.params = _NO_PARAMS
        node.parents = (parent,)
        node.slots = (x.index,) if x.index else _FIRST
        node.route = _UNARY
        node.outputs = ((output.shape, output.dtype),)
        node.residuals = residuals
        node.scope = path
        return result

    return call


def _call_binary(record: Primitive) -> Callable[[Any, Any], Tensor]:
    """The short path for two arrays and no options."""
    forward = record.forward

    def call(a: Any, b: Any) -> Tensor:
        left = right = None
        try:
            if isinstance(a, Tensor):
                left, x = a.node, a.data
            else:
                x = a if type(a) is _ndarray and a.dtype.kind in "fiub" else _constant(a, True)
            if isinstance(b, Tensor):
                right, y = b.node, b.data
            else:
                y = b if type(b) is _ndarray and b.dtype.kind in "fiub" else _constant(b, True)
            output, residuals = forward(x, y)
        except _MISUSE as error:
            raise record.failed((a, b), error) from error
        if type(output) is not _ndarray:
            output = np.asarray(output)
        result: Tensor = _new(Tensor)
        result.data = output
        result.index = 0
        path = _current_scope()
        if path is None or (left is None and right is None):
            result.node = None
            return result
        result.node = node = Node()
        if right is None:
            node.parents, node.route = (left,), _LEFT  # type: ignore[assignment]
            node.slots = (a.index,) if a.index else _FIRST
        elif left is None:
            node.parents, node.route = (right,), _RIGHT
            node.slots = (b.index,) if b.index else _FIRST
        else:
            node.parents, node.route = (left, right), _BOTH
            node.slots = (a.index, b.index) if a.index or b.index else _FIRSTS
        node.primitive = record
        node.params = _NO_PARAMS
        node.outputs = ((output.shape, output.dtype),)
        node.residuals = residuals
        node.scope = path
        return result

    return call


def _call(record: Primitive) -> Callable[..., Any]:
    """The path for any number of arrays, options and outputs."""

    def call(*args: Any, **kwargs: Any) -> Any:
        inputs, params = _sort_arguments(record, args, kwargs)
        try:
            arrays = [t.data if isinstance(t, Tensor) else _constant(t, record.broadcasts) for t in inputs]
            output, residuals = record.forward(*arrays, **params)
        except _MISUSE as error:
            raise record.failed(inputs, error) from error
        several = type(output) is tuple
        results = [_untracked(np.asarray(array)) for array in (output if several else (output,))]
        tracked = [(i, t) for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.node is not None]
        path = _current_scope()
        if tracked and path is not None and record.differentiable:
            node = Node()
            node.primitive = record
            node.params = params
            node.parents = tuple(t.node for _, t in tracked)  # type: ignore[misc]
            node.slots = tuple(t.index for _, t in tracked)
            argnums = tuple(i for i, _ in tracked)
            node.route = (argnums, tuple(i in argnums for i in range(len(inputs))))
            node.outputs = tuple((t.shape, t.dtype) for t in results)
            node.residuals = residuals
            node.scope = path
            for index, result in enumerate(results):
                if result.data.dtype.kind == "f":  # integers cannot carry a gradient
                    result.node, result.index = node, index
        return tuple(results) if several else results[0]

    return call


def _sort_arguments(
    record: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Split a call's arguments into inputs (None for an optional one left out) and options."""
    if record.variadic:
        return list(args), kwargs
    names = record.arguments + record.options
    given = dict(zip(names, args, strict=False))
    if len(args) > len(names) or given.keys() & kwargs.keys():
        record.signature.bind(*args, **kwargs)  # raises Python's own TypeError
    given.update(kwargs)
    inputs = [given.pop(name, None) for name in record.arguments]
    if any(value is None for value in inputs):
        record.signature.bind(*args, **kwargs)
    return inputs, given

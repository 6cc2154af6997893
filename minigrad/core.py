"""Tensors and nodes: the arrays of a computation, and the graph that a gradient needs.

A :class:`Tensor` holds an ndarray. A tracked tensor also has a :class:`Node`, which is a leaf or the call that made the
tensor. A node holds a primitive, its parents and its residuals. The nodes form a directed acyclic graph, which
:mod:`minigrad.backward` walks in reverse. Calling a primitive creates a node (:mod:`minigrad.calls`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from copy import copy
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from .observers import current, setting
from .spec import Array, DType, Spec, as_array, describe, get_default_dtype, holds_numpy, refuse_masked
from .writes import clock, written

if TYPE_CHECKING:
    from .gradients import GradientMethods
    from .hooks import HookMethods
    from .ops.methods import TensorMethods

    class Extensions(TensorMethods, GradientMethods, HookMethods):
        """The methods that other modules add with :func:`extend_tensor`."""
else:
    Extensions = object

__all__ = ["Boundary", "Leaf", "Node", "Tensor", "extend_tensor", "no_grad", "scope", "tensor"]


_enabled: ContextVar[bool] = ContextVar("minigrad_grad_enabled", default=True)
_scope: ContextVar[tuple[str, ...]] = ContextVar("minigrad_scope", default=())
grad_enabled = _enabled.get  # whether calls of this thread or task build a graph
current_scope, set_scope = _scope.get, _scope.set
number_check: ContextVar[Callable[[Tensor], None] | None] = ContextVar("minigrad_number_check", default=None)
"""A function that is called before entries of a tensor become plain numbers, and may raise; or None."""
in_transform: ContextVar[bool] = ContextVar("minigrad_in_transform", default=False)
"""Whether a function runs that a transform differentiates. In it, `float` of a tracked tensor raises an error."""
_new = object.__new__


def no_grad(*function: Any) -> setting[bool]:
    """Build no graph within a ``with`` block, or in a function decorated with ``@no_grad()``.

    It applies to the thread or task that enters it. Do not ``yield`` inside: until the generator continues, its caller
    would not build a graph either. Do not decorate generators or coroutines: their bodies run later.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0], requires_grad=True)
    >>> with mg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """
    if function:
        raise TypeError("no_grad takes no arguments: decorate a function with @mg.no_grad(), with parentheses")
    return setting(_enabled, lambda _: False)


def enable_grad() -> setting[bool]:
    """Build a graph even inside :func:`no_grad`; transforms need it."""
    return setting(_enabled, lambda _: True)


def scope(name: str) -> setting[tuple[str, ...]]:
    """Add a name to the scope of all nodes made in a ``with`` block, for drawings and messages.

    >>> import minigrad as mg
    >>> with mg.scope("encoder"), mg.scope("layer 1"):
    ...     y = mg.tensor([1.0], requires_grad=True) * 2
    >>> y.node.scope
    ('encoder', 'layer 1')
    """
    if not isinstance(name, str):
        raise TypeError(f"scope: the name must be a string, not {name!r}")
    return setting(_scope, lambda path: (*path, name))


class Node:
    """A vertex of the graph: one application of a primitive, or a leaf.

    Attributes:
        primitive: the :class:`.Primitive` that was applied; None for a leaf.
        params: the options of the call.
        parents: the nodes of the tracked inputs, in the order of the inputs.
        edges: ``(argnums, needs, indices)``. For each parent, ``argnums`` has the number of the input that it feeds,
            and ``indices`` has the index of the parent's output that feeds it. For each input, ``needs`` is true if the
            input is tracked and so needs a cotangent: ``needs[i] == (i in argnums)``. Example: in ``where(c, x, h)`` c
            is a constant and h is the second output of an LSTM. The edges are
            ``((1, 2), (False, True, True), (0, 1))``.
        shape, dtype: of the first output; `later_outputs` has ``(shape, dtype)`` of each other output.
        residuals: what the VJP needs; None once a backward pass has freed it.
        born: its number; a node made later, or a later write, has a larger one (:mod:`minigrad.writes`).
        scope: the path of :func:`scope` names.

    Most nodes do not set these:

        constants: for each input, what drawings show if it is untracked: its number, or a weak reference to its array,
            the shape and the dtype. None for inputs that are tracked or were left out.
        inputs: the inputs of the call without their nodes, if the reference may need them (:class:`.Primitive`).
        checksums, hooks, note: data of :mod:`minigrad.anomaly`, :mod:`minigrad.hooks` and :mod:`minigrad.recording`.
    """

    # A node consists of few objects, since each one that the garbage collector tracks costs time.
    __slots__ = (
        "born", "checksums", "constants", "dtype", "edges", "hooks", "inputs", "later_outputs", "note", "params",
        "parents", "primitive", "residuals", "scope", "shape",
    )  # fmt: skip
    primitive: Any
    params: dict[str, Any]
    parents: tuple[Node, ...]
    edges: tuple[tuple[int, ...], tuple[bool, ...], tuple[int, ...]]
    shape: tuple[int, ...]
    dtype: DType
    later_outputs: tuple[Spec, ...]
    residuals: Any
    scope: tuple[str, ...]
    born: int
    constants: tuple[Any, ...]
    inputs: tuple[Any, ...]
    checksums: Any
    hooks: Any
    note: Any

    @property
    def outputs(self) -> tuple[Spec, ...]:
        """``(shape, dtype)`` of each output."""
        return ((self.shape, self.dtype), *self.later_outputs)

    def __repr__(self) -> str:
        name = self.primitive.name if self.primitive else "leaf"
        return f"<{name} {', '.join(f'{dtype} {shape}' for shape, dtype in self.outputs)}>"


class Leaf(Node):
    """The node of a tensor that the user created with ``requires_grad=True``.

    Attributes:
        grad: the gradient so far: an ndarray, a tensor or None.
        name: the module's attribute that holds the tensor, for drawings.
        owner: the name of that module.
    """

    __slots__ = ("grad", "name", "owner")
    grad: Array | Tensor | None
    name: str
    owner: str

    def __init__(self, array: Array) -> None:
        if array.dtype.kind != "f":
            raise TypeError(
                f"only tensors of a floating dtype can require a gradient, not {array.dtype}. Pass floats, or a dtype."
            )
        self.primitive = None
        self.params = {}
        self.parents = ()
        self.edges = ((), (), ())
        self.shape, self.dtype, self.later_outputs = array.shape, array.dtype, ()
        self.residuals = ()
        self.scope = current_scope()
        self.born = next(clock)
        self.grad = None
        self.name = self.owner = ""

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        """Restore a pickled leaf, with a number of this process, whose clock may be behind."""
        for name, value in state[1].items():
            setattr(self, name, value)
        self.born = next(clock)


class Boundary(Leaf):
    """A leaf at which a transform cuts the graph: one of its variables, or a result that it computes without a graph.

    A variable is closed when the transform returns without a graph. In `vjp` and `linearize`, variables of constants
    stay open, since nothing is behind them. A pass that would go through a closed boundary raises an error, because
    tensors behind it would get no gradient. Apart from that, you can read its tensor like a constant.
    """

    __slots__ = ("closed",)

    def __init__(self, array: Array, closed: bool = False) -> None:
        super().__init__(array)
        self.closed = closed


class Tensor(Extensions):
    """An ndarray and, if it is tracked, its node.

    ``data`` is the array, ``node`` is the node (None if untracked), and ``index`` says which of its outputs this is.
    Arithmetic, comparison, indexing and ``@`` follow NumPy's broadcasting and dtype promotion, also with an ndarray on
    the left. ``a += b`` rebinds ``a``. Create tensors with :func:`tensor`.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> y.item(), x.grad
    (25.0, array([6., 8.], dtype=float32))
    """

    __slots__ = ("__weakref__", "_array", "index", "node")  # np.ma would read an attribute _data
    _array: Array
    node: Node | None
    index: int

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        array = data._array if isinstance(data, Tensor) else as_array(data, rounded=dtype is None)
        if dtype is not None and np.dtype(dtype).kind not in "biuf":
            raise TypeError(f"tensor: dtype must be bool, integer or a real float, not {np.dtype(dtype)}")
        try:  # converts Python numbers in one step, so that NumPy raises if they do not fit
            self._array = np.array(array if holds_numpy(data) else data, dtype=array.dtype if dtype is None else dtype)
        except OverflowError as error:
            raise ValueError(f"tensor: {error}") from None
        self.node = Leaf(self._array) if requires_grad else None
        self.index = 0

    def _replace_data(self, array: Array) -> None:
        refuse_masked(array)
        if not isinstance(array, np.ndarray):
            raise TypeError(f"a tensor's .data must be an ndarray, not {describe(array)}")
        if self.node is not None and (array.shape, array.dtype) != (self._array.shape, self._array.dtype):
            raise ValueError(
                f".data of a tensor that requires a gradient is {describe(self._array)}, not {describe(array)}: create "
                "a new tensor instead"
            )
        self._array = np.asarray(array)  # of a subclass such as np.matrix, whose * is no elementwise product

    # attrgetter is implemented in C: a function here would take twice as long.
    data: Array = property(attrgetter("_array"), _replace_data, doc="The array.")  # type: ignore[assignment]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, a tuple of integers."""
        return self._array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> DType:
        """The dtype of the array."""
        return self._array.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._array.size

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow through this tensor; settable on leaves.

        Also true for a result of a transform that depends on outer tensors: a pass through it raises an error, although
        its entries can be read like those of a constant.
        """
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.node is not None and type(self.node) is not Leaf:
            raise ValueError("requires_grad can only be set on leaves: use .detach() to get a constant")
        if bool(value) != self.requires_grad:
            self.node = leaf = Leaf(self._array) if value else None
            if leaf is not None:  # parameters of modules have a name
                leaf.name, leaf.owner = getattr(self, "name", ""), getattr(self, "owner", "")

    def _holder(self) -> Any:
        """The object that holds ``.grad``: a leaf, or the hooks of an inner tensor, or None."""
        return self.node if isinstance(self.node, Leaf) else getattr(self.node, "hooks", {}).get(self.index)

    @property
    def grad(self) -> Any:
        """The sum of the gradients of all backward passes, an ndarray or None.

        It is a tensor if the last pass left a graph (:func:`minigrad.create_graph`), or if you assigned a tracked one.
        An inner tensor has a gradient only after :meth:`retain_grad`.
        """
        holder = self._holder()
        return None if holder is None else holder.grad

    @grad.setter
    def grad(self, value: Array | Tensor | None) -> None:
        if value is None:
            return self.zero_grad()
        if not isinstance(self.node, Leaf):
            raise ValueError("grad can only be set on a leaf that requires a gradient")
        array = value._array if isinstance(value, Tensor) else value
        refuse_masked(array)
        if isinstance(array, (np.generic, np.ndarray)):  # a number such as `x.grad / 2` in 0-d, or an np.matrix
            array = np.asarray(array)
        if not isinstance(array, np.ndarray):
            raise TypeError(f"grad must be an ndarray, a tensor or None, not {type(value).__name__}")
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError(f"grad must be {self.dtype} {self.shape} like its tensor, not {array.dtype} {array.shape}")
        self.node.grad = value if isinstance(value, Tensor) and value.node is not None else array

    def zero_grad(self) -> None:
        """Set ``.grad`` to None."""
        holder = self._holder()
        if holder is not None:
            holder.grad = None

    def numpy(self) -> Array:
        """Return the array itself, not a copy. If the tensor is tracked, do not write into the array."""
        return self._read(".numpy()")

    def _read(self, how: str) -> Array:
        for observer in current():
            observer.number(self, how)
        return self._array

    def entries(self, how: str) -> Array:
        """Return the array whose entries become numbers by ``how``; raise if a gradient would get lost unnoticed."""
        if (check := number_check.get()) is not None:
            check(self)
        if how in ("float()", "int()", "bool()") and in_transform.get() and needs_gradient(self):
            raise TypeError(
                f"{how} would lose the gradient of a tensor in a function that a transform differentiates; NumPy and "
                "math call it, too. Compute with tensors: mg.tanh(x) instead of math.tanh(x), mg.stack or mg.put "
                "instead of array[i] = x. For a plain number, call .item()."
            )
        return self._read(how)

    def _only_entry(self, how: str) -> Any:
        array = self.entries(how)
        if array.size != 1:
            raise ValueError(f"{how} of a tensor of shape {self.shape}: it has {self.size} entries, not one")
        return array.item()

    def item(self) -> Any:
        """Return the only entry as a Python number, without its gradient; raise a ValueError if there are several."""
        return self._only_entry(".item()")

    def tolist(self) -> Any:
        """Return the entries as Python numbers in nested lists, without their gradient; a 0-d tensor gives a number."""
        return self.entries(".tolist()").tolist()

    def detach(self) -> Tensor:
        """Return a constant that shares this tensor's array."""
        return untracked(self._array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if needs_gradient(self):
            raise TypeError(
                "NumPy would lose this tensor's gradient. Join a list of tensors with mg.stack or mg.concatenate, call "
                "minigrad's functions, or pass .detach() as a constant."
            )
        return np.array(self._array, dtype=dtype, copy=copy)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if needs_gradient(self) and type(self.node) is not Leaf:
            raise TypeError("deepcopy of a tensor inside a graph is ambiguous: copy tensor.detach()")
        memo[id(self)] = twin = copy(self)
        twin._array, twin.node = np.array(self._array), None
        if needs_gradient(self):
            twin.requires_grad = True  # makes a new leaf
            twin.grad = None if self.grad is None else np.array(plain(self.grad))
        return twin

    def __reduce_ex__(self, protocol: Any) -> Any:
        if needs_gradient(self) and type(self.node) is not Leaf:
            raise TypeError(
                "copying or pickling a tensor inside a graph would take the graph with it: use tensor.detach()"
            )
        if isinstance(self.node, Boundary):
            return self.detach().__reduce_ex__(protocol)
        return super().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        text = np.array2string(self._array, separator=", ", prefix="tensor(")
        if self.dtype not in (get_default_dtype(), np.dtype(np.int64), np.dtype(int), np.dtype(bool)):
            text += f", dtype={self.dtype}"
        if self.node is not None and self.node.primitive is not None:
            text += f", primitive={self.node.primitive.name}"
        elif needs_gradient(self):
            text += ", requires_grad=True"
        return f"tensor({text})"

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if self.ndim:
            raise TypeError(f"a tensor of shape {self.shape} cannot be formatted with {spec!r}: only a 0-d tensor can")
        return format(self._array.item(), spec)

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self._array)

    def __bool__(self) -> bool:
        if self._array.size > 1:
            raise ValueError(f"a tensor of shape {self.shape} has no single truth value: use mg.any or mg.all")
        return bool(self.entries("bool()"))

    def __float__(self) -> float:
        """Return the only entry, without its gradient. NumPy calls this too, as in ``array[0] = x[0]``."""
        return float(self._only_entry("float()"))

    def __int__(self) -> int:
        return int(self._only_entry("int()"))

    def __index__(self) -> int:
        return self.entries("int()").__index__()

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __setitem__(self, index: Any, value: Any) -> None:
        if needs_gradient(self):
            raise TypeError(
                "a tracked tensor cannot be written in place: use mg.put(x, index, value), "
                "or write into x.data if no gradient needs the old values"
            )
        if isinstance(value, Tensor):
            if needs_gradient(value) and grad_enabled():
                raise TypeError(
                    "writing a tracked tensor into a constant would lose its gradient: "
                    "use mg.put(x, index, value), or write value.detach()"
                )
            value = value._array
        written(self._array)  # announce the write first, so that an interrupt cannot hide it
        self._array[plain(index)] = value

    __hash__ = object.__hash__


def extend_tensor(methods: Mapping[str, Any]) -> None:
    """Add methods and properties to `Tensor` by name, from modules that import this one.

    `minigrad.gradients`, `minigrad.hooks` and `minigrad.ops.methods` call it. `Extensions` shows the signatures to type
    checkers.
    """
    for name, method in methods.items():
        setattr(Tensor, name, method)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Create a tensor that holds a copy of ``data``.

    Args:
        data: a number, nested lists, an ndarray or a tensor of real numbers, of any shape. Arrays keep their dtype,
            Python floats take :func:`get_default_dtype` (float32), and Python integers become int64.
        dtype: another dtype to convert to.
        requires_grad: whether backward passes add this tensor's gradient to ``.grad``.

    Raises:
        TypeError: if the data are not real numbers, or are integers that should require a gradient.

    >>> x = tensor([[1.0, 2.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([[2., 4.]], dtype=float32)
    """
    return Tensor(data, dtype, requires_grad)


def needs_gradient(x: Tensor) -> bool:
    """Return whether the tensor depends on a leaf or an open boundary, so that reading its entries loses a gradient."""
    stack = [] if x.node is None else [x.node]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node.primitive is None and not (type(node) is Boundary and node.closed):
            return True
        stack += (new := [parent for parent in node.parents if parent not in seen])
        seen.update(new)
    return False


def untracked(array: Array) -> Tensor:
    """Return a constant that holds the array itself: no checks and no copy, unlike :func:`tensor`."""
    result: Tensor = _new(Tensor)
    result._array, result.node, result.index = array, None, 0
    return result


def set_outputs(node: Node, outputs: Sequence[Tensor]) -> None:
    """Turn constants into the outputs of a node. Integers carry no gradient and stay constants."""
    (node.shape, node.dtype), *later = [(y._array.shape, y._array.dtype) for y in outputs]
    node.later_outputs = tuple(later)
    for index, y in enumerate(outputs):
        if y._array.dtype.kind == "f":
            y.node, y.index = node, index


def plain(value: Any) -> Any:
    """Replace a tensor, or each tensor in a tuple (an index), by its array; return anything else as it is."""
    if type(value) is tuple:
        return tuple(map(plain, value))
    return value._array if isinstance(value, Tensor) else value

"""Modules: objects that hold parameters, buffers and other modules, and know them by name.

There is no separate registry. A module's parameters and submodules are those in its attributes, directly or in nested
lists, tuples and dicts. Assigning any other container that holds parameters or modules raises an error, because they
would be neither trained nor saved. Walks over a tree of modules use a stack instead of recursion.
"""

from __future__ import annotations

from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from itertools import count
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ..core import Leaf, Tensor, current_scope, grad_enabled, plain, set_scope
from ..hooks import Callbacks, Handle
from ..ops.methods import Missing
from ..runtime import keep_memory
from ..spec import Array, as_array, describe
from ..trees import register_tree
from ..writes import written

__all__ = ["Buffer", "LoadReport", "Module", "Parameter"]

M = TypeVar("M", bound="Module")

_SEARCHED = (dict, list, tuple)
_HIDING = (set, frozenset, deque, MappingView, UserList)
_HIDING_BY_NAME = (MappingProxyType, UserDict, ChainMap)
_PLAIN = {bool, int, float, str, type(None)}  # common types of attributes that hold nothing else

_in_call: ContextVar[bool] = ContextVar("minigrad_in_call", default=False)  # whether a module's forward is running


def _drawn(slot: str, doc: str) -> Any:
    """Return a property of a parameter that its leaf in the graph mirrors, for drawings."""

    def write(self: Parameter, value: str) -> None:
        setattr(self, slot, value)
        if isinstance(self.node, Leaf):
            setattr(self.node, slot[1:], value)

    return property(lambda self: getattr(self, slot), write, doc=doc)


def _refusing(symbol: str) -> Any:
    """Return an in-place operator that raises under no_grad, where users mean to change the parameter itself."""

    def refuse(self: Parameter, other: Any) -> Any:
        if not grad_enabled():
            raise TypeError(
                f"p {symbol}= ... would not change the parameter (here {self.name}), but bind p to a new tensor. "
                f"Write p.data {symbol}= ..., or p = p {symbol} ... for a new tensor."
            )
        return NotImplemented  # Python then tries the ordinary operator

    return refuse


class Parameter(Tensor):
    """A tensor that a module owns and an optimiser trains: it requires a gradient from the start.

    Args:
        data: floating numbers as for :func:`minigrad.tensor`, of any shape; copied.
        dtype: another dtype to convert to.

    Raises:
        TypeError: if the data are not real floats, or a tensor whose gradient would be lost. Under
            :func:`minigrad.no_grad`, in-place operators such as ``p *= 2`` also raise, because they would bind the
            name to a new tensor. To change a parameter, write into its ``.data``.

    >>> p = Parameter([1.0, 2.0])
    >>> p.data *= 2
    >>> p
    Parameter(tensor([2., 4.], requires_grad=True))
    """

    __slots__ = ("_name", "_owner")

    def __init__(self, data: Any, dtype: Any = None) -> None:
        if isinstance(data, Tensor) and data.node is not None and type(data.node) is not Leaf:
            raise TypeError(
                "a parameter is a leaf, so a computed tensor would lose its gradient. Pass tensor.detach()."
            )
        keep_memory()  # the arrays of a training loop, for its next iteration
        super().__init__(data, dtype, requires_grad=True)
        self.name = "parameter"  # until a module holds it
        self.owner = ""

    name = _drawn("_name", 'The attribute of the module that holds it, or "parameter"; used in drawings.')
    owner = _drawn("_owner", "The name or class of the module that holds it; empty without one.")
    __iadd__, __isub__, __imul__, __itruediv__, __ipow__, __imatmul__ = map(_refusing, ("+", "-", "*", "/", "**", "@"))

    def __repr__(self) -> str:
        return f"Parameter({super().__repr__()})"


class Buffer(Tensor):
    """A tensor that belongs to a module's state and is not trained, such as a running mean.

    It is in ``state_dict`` but not among ``parameters()``. An untracked tensor that you assign to the same attribute
    becomes the new buffer.

    Args:
        data: real numbers as for :func:`minigrad.tensor`, integers too, of any shape; copied.
        dtype: another dtype to convert to.
        persistent: whether it is saved. If false, it is not in ``state_dict``; use this for values that can be
            recomputed.

    Raises:
        TypeError: if the data are not real numbers, or a tensor whose gradient would be lost.

    >>> from minigrad import nn
    >>> class Counter(nn.Module):
    ...     def __init__(self):
    ...         self.calls = nn.Buffer(0)
    ...     def forward(self, x):
    ...         self.calls = self.calls + 1
    ...         return x
    >>> counter = Counter()
    >>> _ = counter(1.0)
    >>> counter.calls, counter.state_dict(), list(counter.parameters())
    (Buffer(tensor(1)), {'calls': array(1)}, [])
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any, dtype: Any = None, persistent: bool = True) -> None:
        if isinstance(data, Tensor) and data.node is not None:
            raise TypeError("a buffer has no gradient, so a tracked tensor would lose its own. Pass tensor.detach().")
        super().__init__(data, dtype)
        self.persistent = persistent

    @property
    def requires_grad(self) -> bool:
        """False, because only a :class:`Parameter` is trained."""
        return False

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value:
            raise ValueError("a buffer cannot require a gradient. Make it an nn.Parameter.")

    def __repr__(self) -> str:
        return f"Buffer({super().__repr__()})"


class LoadReport(NamedTuple):
    """The names that :meth:`Module.load_state_dict` skipped: missing in the state, or unexpected there."""

    missing: list[str]
    unexpected: list[str]


def _hidden(value: Any) -> Iterable[Any]:
    """Return the contents of a container that modules do not search; nothing for other values."""
    if isinstance(value, _HIDING_BY_NAME):
        return value.values()
    if isinstance(value, _HIDING):
        return value  # type: ignore[return-value]
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype == object else ()
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in fields(value)]
    return vars(value).values() if isinstance(value, SimpleNamespace) else ()


def walk(name: str, value: Any, into_modules: bool = False) -> Iterator[tuple[str, Any, Any]]:
    """Yield a value and its contents, each with its name and the container that hides it from modules (or None).

    Modules do not search such a container. Parents come first. Plain values such as numbers are left out.
    ``into_modules`` also yields the contents of modules.
    """
    seen: set[int] = set()
    stack: list[tuple[str, Any, Any]] = [(name, value, None)]
    while stack:
        name, value, hiding = stack.pop()
        if type(value) in _PLAIN:
            continue
        yield name, value, hiding
        if isinstance(value, Tensor) or (isinstance(value, Module) and not into_modules) or id(value) in seen:
            continue
        if isinstance(value, (Module, *_SEARCHED)):
            named = vars(value) if isinstance(value, Module) else value
            pairs = named.items() if isinstance(named, dict) else enumerate(named)
            prefix = f"{name}." if name else ""
            inside = [(f"{prefix}{key}" if hiding is None else name, entry, hiding) for key, entry in pairs]
        else:
            inside = [(name, entry, value if hiding is None else hiding) for entry in _hidden(value)]
        if inside:
            seen.add(id(value))
            stack += reversed(inside)


def _lost(value: Any, hiding: Any) -> str:
    """Return why a module would neither train nor save a value, and the fix; empty if there is no problem."""
    tracked = isinstance(value, Tensor) and isinstance(value.node, Leaf)
    if hiding is not None and (tracked or isinstance(value, (Module, Parameter, Buffer))):
        what = "tensor" if isinstance(value, Tensor) else "module"
        return f"modules do not search a {type(hiding).__name__}, and would lose its {what}. Use a list, tuple or dict."
    if hiding is None and tracked and not isinstance(value, Parameter):
        return (
            "a tensor that requires a gradient is trained only as an nn.Parameter. Wrap it in one; "
            "if it is a constant, assign its .data."
        )
    return ""


def _undeclared(value: Any, hiding: Any) -> str:
    """Return why a value must not be assigned outside of a call; empty if it may."""
    # itertools.count never runs out and holds no parameters.
    if issubclass(kind := type(value), Iterator) and kind.__module__ in ("builtins", "itertools") and kind is not count:
        return f"an iterator ({kind.__name__}) can be read only once. Make a list of it."
    # A call may store its results. Under no_grad so may any code, because results computed from parameters are
    # untracked there.
    constant = isinstance(value, Tensor) and value.node is None and not isinstance(value, (Parameter, Buffer))
    if constant and hiding is None and not _in_call.get() and grad_enabled():
        return (
            "this tensor would be neither trained nor saved. Declare it as an nn.Parameter or an nn.Buffer; "
            "if it is a constant, assign its .data."
        )
    return ""


class ModuleCall(str):
    """The name of a module in the scope of one call. The nodes that the call makes share this object."""

    __slots__ = ("module",)
    module: Module


class Module:
    """The base class of everything that holds parameters.

    A subclass assigns parameters and submodules to attributes and defines ``forward``. Calling the module calls
    ``forward`` within a :func:`minigrad.scope` of the module's name, so that drawings of the graph are grouped by
    module. A parameter or module that is reached twice counts once, under its first name. (An ``__init__`` need not
    call ``super().__init__()``.)

    A module searches its attributes, and nested lists, tuples and dicts in them, whenever they were filled. Declare
    state that is not trained as a :class:`Buffer`; constants may be ndarrays. An assignment raises a TypeError if the
    value would silently be neither trained nor saved:

    - a tensor that requires a gradient but is not a :class:`Parameter`;
    - parameters and modules on the class, in a set, or in another container that is not searched;
    - an undeclared tensor (but a call may store its results, and so may code inside :func:`minigrad.no_grad`);
    - a generator or another iterator of Python, which can be read only once.

    A class with ``__slots__`` raises a TypeError too, because modules search only their ``__dict__``.
    ``parameters()`` and ``state_dict()`` raise if a value of the first two kinds was added to a list or dict later.

    >>> import minigrad as mg
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Parameter(2.0)
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> scale = Scale()
    >>> y = scale(mg.tensor(3.0))
    >>> y.item(), y.node.scope
    (6.0, ('Scale',))
    >>> [name for name, _ in scale.named_parameters()]
    ['factor']
    """

    training: bool = True
    _name: str = ""  # the attribute under which a parent holds this module
    _forward_hooks: Callbacks | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        path, within = current_scope(), _in_call.get()
        try:  # like `scope`, without the cost of a context manager
            _in_call.set(True)
            call = ModuleCall(self._name or type(self).__name__)
            call.module = self
            set_scope((*path, call))
            output = self.forward(*args, **kwargs)
            if self._forward_hooks is not None:
                for hook in self._forward_hooks:
                    result = hook(self, args, kwargs, output)
                    output = output if result is None else result
            return output
        finally:
            set_scope(path)
            _in_call.set(within)

    def register_forward_hook(self, hook: Callable[..., Any], *, with_kwargs: bool = False) -> Handle:
        """Call a function after each successful call of this module, within its scope.

        Hooks run in the order of registration; each gets the output of the previous one. Copies (`copy.deepcopy`,
        pickles) have no hooks. An exception in a hook propagates. Calling ``forward`` directly skips the hooks.

        Args:
            hook: ``hook(module, args, output)`` with the positional arguments of the call as a tuple. Its result
                replaces the output; None keeps the output.
            with_kwargs: whether to call ``hook(module, args, kwargs, output)`` instead, with the keyword arguments of
                the call as a dict.

        Returns:
            a handle, whose ``remove()`` removes the hook.

        Raises:
            TypeError: if the hook is not callable.

        >>> import minigrad as mg
        >>> relu = mg.nn.ReLU()
        >>> handle = relu.register_forward_hook(lambda module, args, output: output * 10)
        >>> relu(mg.tensor([-1.0, 2.0]))
        tensor([ 0., 20.])
        >>> handle.remove()
        >>> relu(mg.tensor([-1.0, 2.0]))
        tensor([0., 2.])
        """
        hooks: Callbacks = vars(self).setdefault("_forward_hooks", Callbacks())  # bypass __setattr__: not content
        if with_kwargs or not callable(hook):
            return hooks.add(hook)
        return hooks.add(lambda module, args, kwargs, output: hook(module, args, output))

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if any(vars(base).get("__slots__") for base in cls.__mro__):
            raise TypeError(
                f"{cls.__name__}: modules do not search __slots__, and would lose the parameters in them. Delete "
                "__slots__, or slots=True of a dataclass."
            )
        for name, entry, _ in walk("", dict(vars(cls))):
            if isinstance(entry, (Module, Parameter, Buffer)) or _lost(entry, None):
                raise TypeError(
                    f"{cls.__name__}.{name}: modules do not search their class, and this is a "
                    f"{type(entry).__name__}. Assign it to self, in __init__."
                )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; refuse values, also in containers, that would silently be neither trained nor saved.

        Raises:
            TypeError: if ``value`` replaces a parameter but is neither a parameter nor None, or replaces a buffer but
                is neither an untracked tensor nor None. Also if it is or contains a tensor that requires a gradient but
                is not a :class:`Parameter`, an undeclared tensor outside of calls (see :class:`Module`), an iterator,
                or a container that hides parameters or modules.
        """
        held = vars(self).get(name)
        if isinstance(held, Buffer) and value is not None and not isinstance(value, (Parameter, Buffer)):
            if not isinstance(value, Tensor) or value.node is not None:
                raise TypeError(
                    f"{type(self).__name__}.{name} is a buffer and cannot become {describe(value)}. Assign an "
                    f"untracked tensor, such as tensor.detach(), or None, or write into .{name}.data."
                )
            buffer = Buffer(0, persistent=held.persistent)
            buffer.data, value = value.data, buffer
        if value is not None and not isinstance(value, Parameter) and isinstance(held, Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter and cannot become {describe(value)}. Assign an "
                f"nn.Parameter or None, or write into .{name}.data."
            )
        found = list(walk(name, value))
        for key, entry, hiding in found:
            if reason := _lost(entry, hiding) or _undeclared(entry, hiding):
                raise TypeError(f"{type(self).__name__}.{key}: {reason}")
        object.__setattr__(self, name, value)
        for key, entry, _ in found:
            if isinstance(entry, Module):
                entry._rename(key)
            elif isinstance(entry, Parameter):
                entry.name, entry.owner = key, self._name or type(self).__name__

    def _rename(self, name: str) -> None:
        """Store the name that the parent module uses; the parameters record it for drawings."""
        object.__setattr__(self, "_name", name)
        for _, entry, _ in walk("", vars(self)):
            if isinstance(entry, Parameter):
                entry.owner = name

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Declare a tensor or array as untrained state, like ``self.name = nn.Buffer(tensor)``.

        Args:
            tensor: the state; a :class:`Buffer` keeps its own settings.
            persistent: whether it is in ``state_dict``, and so saved and loaded.

        Raises:
            ValueError: if the name is not an identifier, or belongs to another attribute.
            TypeError: if it is not a tensor or array of numbers.

        >>> module = Module()
        >>> module.register_buffer("mean", np.zeros(2))
        >>> module.mean
        Buffer(tensor([0., 0.], dtype=float64))
        """
        if not name.isidentifier():
            raise ValueError(f"{type(self).__name__}.register_buffer: {name!r} is not a valid attribute name")
        if hasattr(self, name) and not isinstance(getattr(self, name), Buffer):
            raise ValueError(f"{type(self).__name__}.register_buffer: {name} is already another attribute")
        setattr(self, name, tensor if isinstance(tensor, Buffer) else Buffer(tensor, persistent=persistent))

    # --- walks -----------------------------------------------------------------------------------

    def _walk(self, strict: bool = False) -> Iterator[tuple[str, Any]]:
        """Yield every module, parameter and buffer in the tree with its name, once each, parents first.

        ``strict`` raises for values that would be lost, such as a tensor that was appended to an assigned list.
        """
        seen: set[int] = set()
        for name, value, hiding in walk("", self, into_modules=True):
            if hiding is None and isinstance(value, (Module, Parameter, Buffer)):
                if id(value) not in seen:
                    seen.add(id(value))
                    yield name, value
            elif strict and (reason := _lost(value, hiding)):
                raise TypeError(f"{type(self).__name__}.{name}: {reason}")

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this module (under the name "") and all modules in it, parents first, each once."""
        return ((name, value) for name, value in self._walk() if isinstance(value, Module))

    def modules(self) -> Iterator[Module]:
        """Yield this module and all modules in it, parents first, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters of this module and all modules in it with their dotted names, each once."""
        return ((name, value) for name, value in self._walk(strict=True) if isinstance(value, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """Yield the parameters of this module and all modules in it, each once, for an optimiser."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Yield the buffers of this module and all modules in it with their dotted names, each once."""
        return ((name, value) for name, value in self._walk(strict=True) if isinstance(value, Buffer))

    def buffers(self) -> Iterator[Buffer]:
        """Yield the buffers of this module and all modules in it, each once."""
        return (buffer for _, buffer in self.named_buffers())

    def train(self: M, mode: bool = True) -> M:
        """Put this module and all modules in it into training mode (dropout is active), and return it."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Put this module and all modules in it into evaluation mode, and return it."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for parameter in self.parameters():
            parameter.zero_grad()

    # --- state -----------------------------------------------------------------------------------

    def _named(self) -> dict[str, Parameter | Buffer]:
        named: dict[str, Parameter | Buffer] = {}
        for name, value in self._walk(strict=True):
            if isinstance(value, Module) or not getattr(value, "persistent", True):
                continue
            if name in named:  # only possible if keys of a dict contain dots, or both 1 and "1"
                raise ValueError(f"{type(self).__name__}: two parameters have the name {name}")
            named[name] = value
        return named

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters and persistent buffers by name, for :func:`minigrad.save`.

        Raises:
            ValueError: if two of them have the same name.
            TypeError: if there is a tensor that requires a gradient but is not a parameter (see :class:`Module`).

        >>> from minigrad import nn
        >>> {name: array.shape for name, array in nn.Linear(2, 3).state_dict().items()}
        {'weight': (2, 3), 'bias': (3,)}
        """
        return {name: tensor.data.copy() for name, tensor in self._named().items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadReport:
        """Write arrays into the parameters and buffers of the same names, in place; on an error, nothing changes.

        Args:
            state: arrays, tensors or numbers by name, each with the shape and dtype of the parameter or buffer.
            strict: also refuse missing and unexpected names; wrong shapes and dtypes are always refused.

        Returns:
            the skipped names, as ``(missing, unexpected)``; both empty if ``strict``.

        Raises:
            ValueError: if entries are missing, unexpected, or have another shape or dtype; the message lists them all.
            TypeError: if the state is not a mapping, or contains PyTorch tensors, whose layouts differ.

        >>> from minigrad import nn
        >>> nn.Linear(2, 3).load_state_dict({"weight": np.zeros((3, 2), np.float32)})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: Linear.load_state_dict: nothing was loaded:
          bias is missing
          weight is float32 (2, 3) here, float32 (3, 2) in the state: its transpose fits. Load PyTorch's weights ...
        """
        caller, named = f"{type(self).__name__}.load_state_dict", self._named()
        for name, value in state.items() if isinstance(state, Mapping) else ():
            if any(kind.__module__.partition(".")[0] == "torch" for kind in type(value).__mro__):
                raise TypeError(f"{caller}: {name} is a PyTorch tensor. Use mg.interop.load_torch(module, state).")
        arrays = matching_arrays(caller, {name: tensor.data for name, tensor in named.items()}, state, strict)
        for name, array in arrays.items():
            written(named[name].data)
            named[name].data[...] = array
        return LoadReport([name for name in named if name not in state], [name for name in state if name not in named])

    # --- drawing as text -------------------------------------------------------------------------

    if TYPE_CHECKING:  # attached by minigrad.notebooks

        def _repr_html_(self) -> str: ...

    def extra_repr(self) -> str:
        """The text that ``repr`` shows between the parentheses of a module without submodules."""
        return ""

    def __repr__(self) -> str:
        """Return the tree of modules as text, one line per module."""
        lines: list[str] = []
        shown: set[int] = set()
        stack: list[Any] = [("", "", self)]  # the indent, label and module of a line, or a line that closes a module
        while stack:
            line = stack.pop()
            if isinstance(line, tuple):
                indent, label, module = line
                children = list(submodules(module))
                opened = children and id(module) not in shown  # else shared, or a reference back to a parent
                line = f"{indent}{label}{type(module).__name__}("
                line += "" if opened else f"{'...' if children else module.extra_repr()})"
                if opened:
                    shown.add(id(module))
                    stack.append(f"{indent})")
                    stack += [(f"{indent}  ", f"({name}): ", child) for name, child in reversed(children)]
            lines.append(line)
        return "\n".join(lines)


def matching_arrays(
    caller: str, expected: Mapping[str, Array], state: Mapping[str, Any], strict: bool = True
) -> dict[str, Array]:
    """Return copies of a state's arrays in native byte order, by name; one error lists all entries that do not fit.

    Args:
        caller: the method that takes the state, for the message.
        expected: an array of the right shape and dtype for each name.
        state: arrays, tensors or numbers by name.
        strict: also refuse missing and unexpected names.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"{caller}: the state must map names to arrays, not be {describe(state)}")
    complaints = [f"{name} is missing" for name in expected if strict and name not in state]
    complaints += [f"{name} is unexpected" for name in state if strict and name not in expected]
    arrays: dict[str, Array] = {}
    for name in [name for name in expected if name in state]:
        here = expected[name]
        try:  # a copy, because the state may hold the arrays that will be overwritten
            array = np.array(as_array(plain(state[name]), rounded=here.dtype != np.float64))
        except (TypeError, ValueError) as error:
            complaints.append(f"{name}: {error}")
            continue
        arrays[name] = array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.shape != here.shape or array.dtype != here.dtype:
            turned = array.ndim > 1 and array.T.shape == here.shape != array.shape
            hint = ": its transpose fits. Load PyTorch's weights with mg.interop.load_torch." if turned else ""
            complaints.append(f"{name} is {describe(here)} here, {describe(array)} in the state{hint}")
        elif not here.flags.writeable:
            complaints.append(f"{name} is read-only here")
    if complaints:
        raise ValueError("\n  ".join([f"{caller}: nothing was loaded:", *complaints]))
    return arrays


def submodules(module: Module) -> Iterator[tuple[str, Module]]:
    """Yield the modules that a module holds directly or in nested containers, including repeated ones."""
    for name, entry, hiding in walk("", vars(module)):
        if isinstance(entry, Module) and hiding is None:
            yield name, entry


def _trained(module: Module) -> dict[str, Any]:
    """Return the parameters that require a gradient, by name."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


register_tree(Module, _trained)
for _name in ("cpu", "cuda", "to"):
    setattr(Module, _name, Missing(_name))

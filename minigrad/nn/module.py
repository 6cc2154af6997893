"""Modules: objects that hold parameters, buffers and other modules, and know them by name.

There is no registry beside the object: a module's parameters and submodules are what its attributes hold, directly or
in lists, tuples and dicts of any depth. Other containers are not searched: a set has no order, so names would change
from run to run; the contents of the rest have no names, or can be read only once. Parameters and modules in them would
silently go untrained and unsaved, so assigning such a container raises an error. Walks over a tree of modules keep a
stack, never recurse.
"""

from __future__ import annotations

from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView
from dataclasses import fields, is_dataclass
from types import GeneratorType, MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ..core import Leaf, Tensor, current_scope, plain, set_scope
from ..hooks import Callbacks, Handle
from ..spec import Array, as_array, describe
from ..trees import register_tree
from ..writes import written

__all__ = ["Buffer", "LoadReport", "Module", "Parameter"]

M = TypeVar("M", bound="Module")

_SEARCHED = (dict, list, tuple)
_HIDING = (set, frozenset, deque, MappingView, UserList)
_HIDING_BY_NAME = (MappingProxyType, UserDict, ChainMap)
_ITERATORS = (GeneratorType, map, filter, zip, reversed)
_PLAIN = {bool, int, float, str, type(None)}  # what most attributes are, and what holds nothing


def _drawn(slot: str, doc: str) -> Any:
    """A property of a parameter that its leaf in the graph has as well, for drawings."""

    def write(self: Parameter, value: str) -> None:
        setattr(self, slot, value)
        if isinstance(self.node, Leaf):
            setattr(self.node, slot[1:], value)

    return property(lambda self: getattr(self, slot), write, doc=doc)


def _refusing(symbol: str) -> Any:
    """An in-place operator that raises where nothing is recorded: there the parameter itself must have been meant."""

    def refuse(self: Parameter, other: Any) -> Any:
        if current_scope() is None:
            raise TypeError(
                f"p {symbol}= ... would not change a parameter (here {self.name}), only give its name to a new tensor. "
                f"Write p.data {symbol}= ..., or p = p {symbol} ... for a new one."
            )
        return NotImplemented  # Python goes on to the ordinary operator

    return refuse


class Parameter(Tensor):
    """A tensor that a module owns and an optimiser trains: it requires a gradient from the start.

    Args:
        data: floating numbers as for :func:`minigrad.tensor`, of any shape; copied.
        dtype: another dtype to convert to.

    Raises:
        TypeError: if the data are not real floats; under :func:`minigrad.no_grad` also by ``p *= 2`` and its like,
            which would only give the name to a new tensor. To change a parameter write into its ``.data``.

    >>> p = Parameter([1.0, 2.0])
    >>> p.data *= 2
    >>> p
    Parameter(tensor([2., 4.], requires_grad=True))
    """

    __slots__ = ("_name", "_owner")

    def __init__(self, data: Any, dtype: Any = None) -> None:
        super().__init__(data, dtype, requires_grad=True)
        self.name = "parameter"  # until a module holds it
        self.owner = ""

    name = _drawn("_name", 'The attribute under which a module holds it, else "parameter"; drawings use it.')
    owner = _drawn("_owner", "The name of the module that holds it, or its class; empty if none does.")
    __iadd__, __isub__, __imul__, __itruediv__, __ipow__, __imatmul__ = map(_refusing, ("+", "-", "*", "/", "**", "@"))

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        twin = Parameter(self.data)
        twin.name, twin.owner = self.name, self.owner
        if self.grad is not None:
            twin.grad = np.array(plain(self.grad))
        twin.requires_grad = self.requires_grad  # false for a frozen one
        memo[id(self)] = twin
        return twin

    def __repr__(self) -> str:
        return f"Parameter({super().__repr__()})"


class Buffer(Tensor):
    """A tensor that belongs to a module's state and is not trained, such as a running mean.

    It is in ``state_dict`` and not among ``parameters()``. Assigning an untracked tensor to the attribute that holds it
    makes that one the buffer.

    Args:
        data: real numbers as for :func:`minigrad.tensor`, integers too, of any shape; copied.
        dtype: another dtype to convert to.
        persistent: whether it is saved; without, it is not in ``state_dict``, as what can be made anew.

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
            raise TypeError("a buffer is not differentiated, a tracked tensor would lose its gradient: .detach() it")
        super().__init__(data, dtype)
        self.persistent = persistent

    @property
    def requires_grad(self) -> bool:
        """False: what is trained is a :class:`Parameter`."""
        return False

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value:
            raise ValueError("a buffer cannot require a gradient: make it an nn.Parameter")

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer:
        memo[id(self)] = twin = Buffer(self.data, persistent=self.persistent)
        return twin

    def __repr__(self) -> str:
        return f"Buffer({super().__repr__()})"


class LoadReport(NamedTuple):
    """What :meth:`Module.load_state_dict` left out: names without an entry, entries without a name."""

    missing: list[str]
    unexpected: list[str]


def _hidden(value: Any) -> Iterable[Any]:
    """The contents of a container that modules do not search; nothing of anything else."""
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
    """A value and all that lies in it, each with its name and the container (or None) that hides it from modules.

    Parents come first. Plain values such as numbers are left out. Modules are opened if ``into_modules``.
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
    """Why a module would neither train nor save a value, and what to do; empty if all is well."""
    tracked = isinstance(value, Tensor) and isinstance(value.node, Leaf)
    if hiding is not None and (tracked or isinstance(value, (Module, Parameter, Buffer))):
        what = f"a {type(hiding).__name__}, and a {'tensor' if isinstance(value, Tensor) else 'module'} lies in it"
        return f"modules do not search {what}: use a list, tuple or dict"
    if hiding is None and tracked and not isinstance(value, Parameter):
        return (
            "a tensor that requires a gradient is trained only as an nn.Parameter: wrap it in one; "
            "if it is a constant, assign its .data"
        )
    return ""


def _undeclared(value: Any, hiding: Any) -> str:
    """Why a value must not be assigned outside of a call; empty if it may."""
    if isinstance(value, _ITERATORS):
        return f"a {type(value).__name__} can be read only once: make a list of it"
    # Within a call the scope has a name, and under no_grad there is none at all: results are not tracked there.
    constant = isinstance(value, Tensor) and value.node is None and not isinstance(value, (Parameter, Buffer))
    if constant and hiding is None and current_scope() == ():
        return (
            "a tensor that would be neither trained nor saved: declare it, as an nn.Parameter or an nn.Buffer; "
            "a constant may be an ndarray, its .data"
        )
    return ""


class Module:
    """The base of everything that holds parameters.

    A subclass assigns parameters and submodules to attributes and defines ``forward``; calling the
    module calls ``forward`` within a :func:`minigrad.scope` of the module's name, so that drawings of
    the graph are grouped by module. A parameter or module reached twice counts once, under its first
    name. (An ``__init__`` need not call the base's: there is nothing to set up.)

    Attributes are searched, and lists, tuples and dicts in them, of any depth and whenever they were filled. State
    that is not trained is declared as a :class:`Buffer`, constants may be ndarrays. What would silently be neither
    trained nor saved is a TypeError where it is assigned: a tensor that requires a gradient and is no
    :class:`Parameter`; parameters and modules in a set or another container that is not searched, or on the class;
    a tensor that is not declared (but a call may keep its results, and so may who is within :func:`minigrad.no_grad`
    or a scope). What is added to a container later is refused by ``parameters()`` and ``state_dict()``.

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
        """What the module computes; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        path = current_scope()
        try:  # as `scope`, without what a context manager costs
            if path is not None:
                set_scope((*path, self._name or type(self).__name__))
            output = self.forward(*args, **kwargs)
            if self._forward_hooks is not None:
                for hook in self._forward_hooks:
                    result = hook(self, args, kwargs, output)
                    output = output if result is None else result
            return output
        finally:
            set_scope(path)

    def register_forward_hook(self, hook: Callable[..., Any], *, with_kwargs: bool = False) -> Handle:
        """Let a function be called after each call of this module, within its scope; not if ``forward`` fails.

        Several hooks are called in the order in which they were registered, each with what the one before left. Hooks
        belong to this very module: `copy.deepcopy` and pickles leave them out. An error of a hook leaves the call. Who
        calls ``forward`` itself goes past them.

        Args:
            hook: ``hook(module, args, output)`` with the positional arguments of the call as a tuple; what it returns
                takes the place of the output, unless it is None.
            with_kwargs: whether it is called as ``hook(module, args, kwargs, output)`` instead, also with the keyword
                arguments, as a dict.

        Returns:
            a handle, whose ``remove()`` ends it.

        Raises:
            TypeError: if the hook is no function.

        >>> import minigrad as mg
        >>> relu = mg.nn.ReLU()
        >>> handle = relu.register_forward_hook(lambda module, args, output: output * 10)
        >>> relu(mg.tensor([-1.0, 2.0]))
        tensor([ 0., 20.])
        >>> handle.remove()
        >>> relu(mg.tensor([-1.0, 2.0]))
        tensor([0., 2.])
        """
        hooks: Callbacks = vars(self).setdefault("_forward_hooks", Callbacks())  # no __setattr__: it is no content
        if with_kwargs or not callable(hook):
            return hooks.add(hook)
        return hooks.add(lambda module, args, kwargs, output: hook(module, args, output))

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, entry, _ in walk("", dict(vars(cls))):
            if isinstance(entry, (Module, Parameter, Buffer)) or _lost(entry, None):
                raise TypeError(
                    f"{cls.__name__}.{name}: modules do not search their class, and a {type(entry).__name__} lies "
                    "there: assign it in __init__, to self"
                )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; what would silently be neither trained nor saved is refused, also in containers.

        Raises:
            TypeError: if ``value`` takes the place of a parameter but is none (None is fine), or of a buffer but is no
                untracked tensor; if it is or holds a tensor that requires a gradient but is no :class:`Parameter`, a
                tensor that is not declared, outside of calls (see :class:`Module`), an iterator, or a container that
                hides parameters or modules.
        """
        held = vars(self).get(name)
        if isinstance(held, Buffer) and value is not None and not isinstance(value, (Parameter, Buffer)):
            if not isinstance(value, Tensor) or value.node is not None:
                raise TypeError(
                    f"{type(self).__name__}.{name} is a buffer: assign an untracked tensor or None (of a tracked one "
                    f"its .detach()), or write into .{name}.data, instead of {describe(value)}"
                )
            buffer = Buffer(0, persistent=held.persistent)
            buffer.data, value = value.data, buffer
        if value is not None and not isinstance(value, Parameter) and isinstance(held, Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter: assign an nn.Parameter (or None), or write "
                f"into .{name}.data, instead of {describe(value)}"
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
        """Take the name that another module has for this one; its own parameters note it, for drawings."""
        object.__setattr__(self, "_name", name)
        for _, entry, _ in walk("", vars(self)):
            if isinstance(entry, Parameter):
                entry.owner = name

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Declare a tensor (or array) as part of the state that is not trained: ``self.name = nn.Buffer(tensor)``.

        Args:
            tensor: a :class:`Buffer` is taken as it is, with what it says of itself.
            persistent: whether it is in ``state_dict``, and so saved and loaded.

        Raises:
            ValueError: if the name has a dot or is that of something else.
            TypeError: if it is no tensor or array of numbers.

        >>> module = Module()
        >>> module.register_buffer("mean", np.zeros(2))
        >>> module.mean
        Buffer(tensor([0., 0.], dtype=float64))
        """
        if not name.isidentifier():
            raise ValueError(f"{type(self).__name__}.register_buffer: {name!r} is no attribute's name")
        if hasattr(self, name) and not isinstance(getattr(self, name), Buffer):
            raise ValueError(f"{type(self).__name__}.register_buffer: there is another attribute {name}")
        setattr(self, name, tensor if isinstance(tensor, Buffer) else Buffer(tensor, persistent=persistent))

    # --- walks -----------------------------------------------------------------------------------

    def _walk(self, strict: bool = False) -> Iterator[tuple[str, Any]]:
        """Every module, parameter and buffer in the tree with its name, once each, parents first.

        ``strict`` refuses what would be lost, such as a tensor that was appended to a list after this was assigned.
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
        """This module (under the name "") and all below it, parents first, each once."""
        return ((name, value) for name, value in self._walk() if isinstance(value, Module))

    def modules(self) -> Iterator[Module]:
        """This module and all below it, parents first, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters of this module and all below it with their dotted names, each once."""
        return ((name, value) for name, value in self._walk(strict=True) if isinstance(value, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """The parameters of this module and all below it, each once, as an optimiser wants them."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """The buffers of this module and all below it with their dotted names, each once."""
        return ((name, value) for name, value in self._walk(strict=True) if isinstance(value, Buffer))

    def buffers(self) -> Iterator[Buffer]:
        """The buffers of this module and all below it, each once."""
        return (buffer for _, buffer in self.named_buffers())

    def train(self: M, mode: bool = True) -> M:
        """Put this module and all below it into training mode (dropout is active), and return it."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Put this module and all below it into evaluation mode, and return it."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    # --- state -----------------------------------------------------------------------------------

    def _named(self) -> dict[str, Parameter | Buffer]:
        named: dict[str, Parameter | Buffer] = {}
        for name, value in self._walk(strict=True):
            if isinstance(value, Module) or not getattr(value, "persistent", True):
                continue
            if name in named:  # only possible with dots, or 1 beside "1", as keys of a dict
                raise ValueError(f"{type(self).__name__}: two parameters have the name {name}")
            node = value.node
            if node is not None and (node.shape, node.dtype) != (value.shape, value.dtype):
                raise TypeError(
                    f"{type(self).__name__}: {name} is {node.dtype} {node.shape}, its .data was replaced by "
                    f"{describe(value)}: write into .data, or assign another nn.Parameter"
                )
            named[name] = value
        return named

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and persistent buffers by name, ready for :func:`minigrad.save`.

        Raises:
            ValueError: if two of them have the same name.
            TypeError: if there is a tensor that requires a gradient and is no parameter (see :class:`Module`), or a
                parameter whose ``.data`` was replaced by an array of another shape or dtype.

        >>> from minigrad import nn
        >>> {name: array.shape for name, array in nn.Linear(2, 3).state_dict().items()}
        {'weight': (2, 3), 'bias': (3,)}
        """
        return {name: tensor.data.copy() for name, tensor in self._named().items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadReport:
        """Write arrays into the parameters and buffers of the same names, in place: all of them, or none.

        Args:
            state: arrays, tensors or numbers by name, each of the shape and dtype of what has that name.
            strict: refuse missing and unexpected names too; wrong shapes and dtypes are always refused.

        Returns:
            the names left out, as ``(missing, unexpected)``; both empty if ``strict``.

        Raises:
            ValueError: names every missing, unexpected and misshaped entry; nothing has been written.
            TypeError: if the state is no mapping, or has tensors of PyTorch, whose layouts are others.

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
                raise TypeError(f"{caller}: {name} is a tensor of PyTorch. Use mg.interop.load_torch(module, state).")
        arrays = matching_arrays(caller, {name: tensor.data for name, tensor in named.items()}, state, strict)
        for name, array in arrays.items():
            written(named[name].data)
            named[name].data[...] = array
        return LoadReport([name for name in named if name not in state], [name for name in state if name not in named])

    # --- drawing as text -------------------------------------------------------------------------

    if TYPE_CHECKING:  # attached by minigrad.render

        def _repr_svg_(self) -> str | None: ...

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses of a module without submodules."""
        return ""

    def __repr__(self) -> str:
        """The tree of modules, a line each."""
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
    """Copies of a state's arrays, in native byte order, by the expected names; all that does not fit is one error.

    Args:
        caller: the method whose argument the state is.
        expected: an array of the right shape and dtype for each name.
        state: arrays, tensors or numbers by name.
        strict: refuse missing and unexpected names too.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"{caller}: the state must map names to arrays, not be {describe(state)}")
    complaints = [f"{name} is missing" for name in expected if strict and name not in state]
    complaints += [f"{name} is unexpected" for name in state if strict and name not in expected]
    arrays: dict[str, Array] = {}
    for name in [name for name in expected if name in state]:
        here = expected[name]
        try:  # a copy: the state may hold the very arrays that will be written into
            array = np.array(as_array(plain(state[name]), rounded=here.dtype != np.float64))
        except (TypeError, ValueError) as error:
            complaints.append(f"{name}: {error}")
            continue
        arrays[name] = array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.shape != here.shape or array.dtype != here.dtype:
            turned = array.ndim > 1 and array.T.shape == here.shape != array.shape
            hint = ": its transpose fits. Load PyTorch's weights by mg.interop.load_torch." if turned else ""
            complaints.append(f"{name} is {describe(here)} here, {describe(array)} in the state{hint}")
        elif not here.flags.writeable:
            complaints.append(f"{name} is read-only here")
    if complaints:
        raise ValueError("\n  ".join([f"{caller}: nothing was loaded:", *complaints]))
    return arrays


def submodules(module: Module) -> Iterator[tuple[str, Module]]:
    """The modules that a module holds directly or in (nested) containers, repeated ones too."""
    for name, entry, hiding in walk("", vars(module)):
        if isinstance(entry, Module) and hiding is None:
            yield name, entry


def _trained(module: Module) -> dict[str, Any]:
    """The parameters that require a gradient, by name."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


register_tree(Module, _trained)

"""Modules: objects that hold parameters, buffers and other modules, and know them by name.

There is no registry beside the object: a module's parameters and submodules are what its attributes
hold, directly or in lists, tuples and dicts. Walks over a tree of modules keep a stack, never recurse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ..callbacks import Handle
from ..core import Leaf, Tensor, current_scope, plain, set_scope
from ..overwrites import written
from ..spec import Array, as_array, describe
from .attributes import SEARCHED, entries, is_iterator, walk
from .forward_hooks import ForwardHooks
from .parameters import Buffer, Parameter

__all__ = ["Buffer", "LoadReport", "Module", "Parameter"]

M = TypeVar("M", bound="Module")

_TURNED = ": its transpose fits; what comes from PyTorch is loaded by mg.interop.load_torch"

_PLAIN = {bool, int, float, str, type(None)}  # what most attributes are, and what holds nothing


class LoadReport(NamedTuple):
    """What :meth:`Module.load_state_dict` left out: names without an entry, entries without a name."""

    missing: list[str]
    unexpected: list[str]


def _entries(name: str, value: Any) -> list[tuple[str, Any]]:
    """The named contents of a module, list, tuple or dict; nothing of anything else."""
    if isinstance(value, Module):
        prefix = f"{name}." if name else ""
        return [(prefix + key, entry) for key, entry in vars(value).items()]
    return entries(name, value)


def _lost(value: Any, hiding: Any) -> str:
    """Why what a module would be given is neither trained nor saved, and what to do; empty if all is well."""
    tracked = isinstance(value, Tensor) and isinstance(value.node, Leaf)
    if hiding is not None:
        if tracked or isinstance(value, (Module, Parameter, Buffer)):
            what = f"a {type(hiding).__name__}, and a {'tensor' if isinstance(value, Tensor) else 'module'} lies in it"
            return f"modules do not search {what}: use a list, tuple or dict"
    elif tracked and not isinstance(value, Parameter):
        return (
            "a tensor that requires a gradient is trained only as an nn.Parameter: wrap it in one; "
            "if it is a constant, assign its .data"
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
    _forward_hooks: ForwardHooks | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        path = current_scope()
        try:  # as `scope`, without what a context manager costs
            if path is not None:
                set_scope((*path, self._name or type(self).__name__))
            output = self.forward(*args, **kwargs)
            return output if self._forward_hooks is None else self._forward_hooks.run(self, args, kwargs, output)
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
        hooks = vars(self).setdefault("_forward_hooks", ForwardHooks())  # no __setattr__: it is no content
        handle: Handle = hooks.register(hook, with_kwargs)
        return handle

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            for _, entry, _ in walk(name, value, Module):
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
            value = self._as_buffer(name, value, held.persistent)
        if value is not None and not isinstance(value, Parameter) and isinstance(held, Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter: assign an nn.Parameter (or None), or write "
                f"into .{name}.data, instead of {describe(value)}"
            )
        found = list(walk(name, value, Module))
        for key, entry, hiding in found:
            reason = _lost(entry, hiding) or self._undeclared(entry, hiding)
            if reason:
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
        for key, value in vars(self).items():
            for _, entry, _ in walk(key, value, Module):
                if isinstance(entry, Parameter):
                    entry.owner = name

    def _as_buffer(self, name: str, value: Any, persistent: bool) -> Buffer:
        if not isinstance(value, Tensor) or value.node is not None:
            raise TypeError(
                f"{type(self).__name__}.{name} is a buffer: assign an untracked tensor or None (of a tracked one its "
                f".detach()), or write into .{name}.data, instead of {describe(value)}"
            )
        buffer = Buffer(0, persistent=persistent)
        buffer.data = value.data
        return buffer

    def _undeclared(self, value: Any, hiding: Any) -> str:
        """What is refused only where it is assigned, and outside of calls."""
        if is_iterator(value):
            return f"a {type(value).__name__} can be read only once: make a list of it"
        # Within a call the scope has a name, and under no_grad there is none at all: results are not tracked there.
        plain = isinstance(value, Tensor) and value.node is None and not isinstance(value, (Parameter, Buffer))
        if plain and hiding is None and current_scope() == ():
            return (
                "a tensor that would be neither trained nor saved: declare it, as an nn.Parameter or an nn.Buffer; "
                "a constant may be an ndarray, its .data"
            )
        return ""

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
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            name, value = stack.pop()
            if type(value) in _PLAIN:
                continue
            if not isinstance(value, (Module, Parameter, Buffer, *SEARCHED)):
                if strict:
                    self._refuse_lost(name, value)
                continue
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, (Module, Parameter, Buffer)):
                yield name, value
            stack.extend(reversed(_entries(name, value)))

    def _refuse_lost(self, name: str, value: Any) -> None:
        for key, entry, hiding in walk(name, value, Module):
            reason = _lost(entry, hiding)
            if reason:
                raise TypeError(f"{type(self).__name__}.{key}: {reason}")

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
          weight is float32 (2, 3) here, float32 (3, 2) in the state: its transpose fits; what comes from PyTorch is ...
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
        stack: list[tuple[str, str, Module | None]] = [("", "", self)]  # indent, label; None closes
        while stack:
            indent, label, module = stack.pop()
            if module is None:
                lines.append(f"{indent})")
                continue
            title = f"{indent}{label}{type(module).__name__}"
            children = list(submodules(module))
            if not children:
                lines.append(f"{title}({module.extra_repr()})")
            elif id(module) in shown:  # shared, or a reference back to a parent
                lines.append(f"{title}(...)")
            else:
                shown.add(id(module))
                lines.append(f"{title}(")
                stack.append((indent, "", None))
                stack.extend((indent + "  ", f"({name}): ", child) for name, child in reversed(children))
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
            hint = _TURNED if array.ndim > 1 and array.T.shape == here.shape != array.shape else ""
            complaints.append(f"{name} is {describe(here)} here, {describe(array)} in the state{hint}")
        elif not here.flags.writeable:
            complaints.append(f"{name} is read-only here")
    if complaints:
        raise ValueError("\n  ".join([f"{caller}: nothing was loaded:", *complaints]))
    return arrays


def submodules(module: Module) -> Iterator[tuple[str, Module]]:
    """The modules that a module holds directly or in (nested) containers, repeated ones too."""
    seen: set[int] = set()
    stack = list(reversed(_entries("", module)))
    while stack:
        name, value = stack.pop()
        if isinstance(value, Module):
            yield name, value
        elif isinstance(value, SEARCHED) and id(value) not in seen:
            seen.add(id(value))
            stack.extend(reversed(_entries(name, value)))

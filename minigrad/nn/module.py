"""Modules: objects that hold parameters and other modules, and know them by name.

There is no registry beside the object: a module's parameters and submodules are what its attributes
hold, directly or in lists, tuples and dicts. Walks over a tree of modules keep a stack, never recurse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ..core import Leaf, Tensor, current_scope, set_scope
from ..spec import Array, as_array, describe
from ..writes import written

__all__ = ["LoadReport", "Module", "Parameter"]

M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A tensor that a module owns and an optimiser trains: it requires a gradient from the start.

    Args:
        data: floating numbers as for :func:`minigrad.tensor`, of any shape; copied.
        dtype: another dtype to convert to.

    Raises:
        TypeError: if the data are not real floats.

    >>> Parameter([1.0, 2.0])
    Parameter(tensor([1., 2.], requires_grad=True))
    """

    __slots__ = ("_name",)

    def __init__(self, data: Any, dtype: Any = None) -> None:
        super().__init__(data, dtype, requires_grad=True)
        self._name = ""

    @property
    def name(self) -> str:
        """The attribute under which a module holds it; drawings call it so."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name
        if isinstance(self.node, Leaf):
            self.node.name = name

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        twin = Parameter(self.data)
        twin.name = self.name
        if self.grad is not None:
            twin.grad = self.grad.copy()
        twin.requires_grad = self.requires_grad  # false for a frozen one
        memo[id(self)] = twin
        return twin

    def __repr__(self) -> str:
        return f"Parameter({super().__repr__()})"


class LoadReport(NamedTuple):
    """What :meth:`Module.load_state_dict` left out: names without an entry, entries without a name."""

    missing: list[str]
    unexpected: list[str]


def _entries(name: str, value: Any) -> list[tuple[str, Any]]:
    """The named contents of a module, list, tuple or dict; nothing of anything else."""
    prefix = f"{name}." if name else ""
    if isinstance(value, Module):
        return [(prefix + key, entry) for key, entry in vars(value).items()]
    if isinstance(value, dict):
        return [(f"{prefix}{key}", entry) for key, entry in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"{prefix}{i}", entry) for i, entry in enumerate(value)]
    return []


class Module:
    """The base of everything that holds parameters.

    A subclass assigns parameters and submodules to attributes and defines ``forward``; calling the
    module calls ``forward`` within a :func:`minigrad.scope` of the module's name, so that drawings of
    the graph are grouped by module. A parameter or module reached twice counts once, under its first
    name. (An ``__init__`` need not call the base's: there is nothing to set up.)

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

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        path = current_scope()
        try:  # as `scope`, without what a context manager costs
            if path is not None:
                set_scope((*path, self._name or type(self).__name__))
            return self.forward(*args, **kwargs)
        finally:
            set_scope(path)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a tensor that would silently go untrained is refused, also in a list, tuple or dict.

        Raises:
            TypeError: if ``value`` takes the place of a parameter but is none (None is fine), or is a
                tensor that requires a gradient but no :class:`Parameter`.
        """
        if value is not None and not isinstance(value, Parameter) and isinstance(vars(self).get(name), Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter: assign an nn.Parameter (or None), or write "
                f"into .{name}.data, instead of {describe(value)}"
            )
        held = [(name, value), *([] if isinstance(value, Module) else _entries(name, value))]
        for key, entry in held:
            if isinstance(entry, Tensor) and isinstance(entry.node, Leaf) and not isinstance(entry, Parameter):
                raise TypeError(
                    f"{type(self).__name__}.{key}: a tensor that requires a gradient is trained only as an "
                    "nn.Parameter: wrap it in one, or assign its .detach()"
                )
        object.__setattr__(self, name, value)
        for key, entry in held:
            if isinstance(entry, Module):
                object.__setattr__(entry, "_name", key)
            elif isinstance(entry, Parameter):
                entry.name = key

    # --- walks -----------------------------------------------------------------------------------

    def _walk(self) -> Iterator[tuple[str, Any]]:
        """Every module and parameter in the tree with its name, once each, parents first."""
        seen: set[int] = set()
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            name, value = stack.pop()
            if not isinstance(value, (Module, Parameter, dict, list, tuple)) or id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, (Module, Parameter)):
                yield name, value
            stack.extend(reversed(_entries(name, value)))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module (under the name "") and all below it, parents first, each once."""
        return ((name, value) for name, value in self._walk() if isinstance(value, Module))

    def modules(self) -> Iterator[Module]:
        """This module and all below it, parents first, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters of this module and all below it with their dotted names, each once."""
        return ((name, value) for name, value in self._walk() if isinstance(value, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """The parameters of this module and all below it, each once, as an optimiser wants them."""
        return (parameter for _, parameter in self.named_parameters())

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

    def _named(self) -> dict[str, Parameter]:
        named: dict[str, Parameter] = {}
        for name, parameter in self.named_parameters():
            if name in named:  # only possible with dots, or 1 beside "1", as keys of a dict
                raise ValueError(f"{type(self).__name__}: two parameters have the name {name}")
            named[name] = parameter
        return named

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters by name, ready for :func:`minigrad.save`.

        Raises:
            ValueError: if two parameters have the same name.

        >>> from minigrad import nn
        >>> {name: array.shape for name, array in nn.Linear(2, 3).state_dict().items()}
        {'weight': (2, 3), 'bias': (3,)}
        """
        return {name: parameter.data.copy() for name, parameter in self._named().items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadReport:
        """Write arrays into the parameters of the same names, in place: all of them, or none.

        Args:
            state: arrays, tensors or numbers by name, each of its parameter's shape and dtype.
            strict: refuse missing and unexpected names too; wrong shapes and dtypes are always refused.

        Returns:
            the names left out, as ``(missing, unexpected)``; both empty if ``strict``.

        Raises:
            ValueError: names every missing, unexpected and misshaped entry; nothing has been written.

        >>> from minigrad import nn
        >>> nn.Linear(2, 3).load_state_dict({"weight": np.zeros((3, 2), np.float32)})
        Traceback (most recent call last):
        ValueError: Linear.load_state_dict: nothing was loaded:
          bias is missing
          weight is float32 (2, 3) here, float32 (3, 2) in the state
        """
        named = self._named()
        missing = [name for name in named if name not in state]
        unexpected = [name for name in state if name not in named]
        complaints = [f"{name} is missing" for name in missing] if strict else []
        complaints += [f"{name} is unexpected" for name in unexpected] if strict else []
        arrays: dict[str, Array] = {}
        for name, parameter in named.items():
            if name in state:
                value = state[name]
                try:  # a copy in native byte order: the state may be made of views of these very parameters
                    array = np.array(value.data if isinstance(value, Tensor) else as_array(value))
                except (TypeError, ValueError) as error:
                    complaints.append(f"{name}: {error}")
                    continue
                array = array.astype(array.dtype.newbyteorder("="), copy=False)
                if array.shape != parameter.shape or array.dtype != parameter.dtype:
                    complaints.append(f"{name} is {describe(parameter)} here, {describe(array)} in the state")
                elif not parameter.data.flags.writeable:
                    complaints.append(f"{name} is read-only here")
                arrays[name] = array
        if complaints:
            raise ValueError("\n  ".join([f"{type(self).__name__}.load_state_dict: nothing was loaded:", *complaints]))
        for name, array in arrays.items():
            named[name].data[...] = array
            written(named[name].data)
        return LoadReport(missing, unexpected)

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


def submodules(module: Module) -> Iterator[tuple[str, Module]]:
    """The modules that a module holds directly or in (nested) containers, repeated ones too."""
    seen: set[int] = set()
    stack = list(reversed(_entries("", module)))
    while stack:
        name, value = stack.pop()
        if isinstance(value, Module):
            yield name, value
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            stack.extend(reversed(_entries(name, value)))

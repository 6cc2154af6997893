"""Containers of modules: a sequence, a list and a dict.

The modules are attributes named 0, 1, 2, … or by the given names, so parameters are called ``0.weight`` as in PyTorch.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from .module import Module

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


def _checked(module: Any, what: str) -> Module:
    if not isinstance(module, Module):
        raise TypeError(f"{what} must be a module, not {type(module).__name__}")
    return module


class Sequential(Module):
    """Call modules in order, each on the result of the previous one; named 0, 1, 2, ...

    Supports ``len``, iteration and indexing: a number returns a module, and a slice a Sequential of the same modules
    with the same names, as in PyTorch.

    Raises:
        TypeError: if an argument is not a module.

    >>> from minigrad import nn
    >>> Sequential(nn.Linear(2, 3), nn.Tanh())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
    )
    """

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            setattr(self, str(i), _checked(module, f"Sequential: argument {i}"))

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return iter([value for name, value in vars(self).items() if name.isdecimal()])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getitem__(self, index: int | slice) -> Any:
        if not isinstance(index, slice):
            return list(self)[index]
        part = Sequential()
        vars(part).update([(name, value) for name, value in vars(self).items() if name.isdecimal()][index])
        return part  # without an assignment, so its modules keep their names and the original its scopes


class _Container(Module):
    """A container that is not called itself; each module's name is the container's name and its own."""

    def _held(self) -> dict[str, Module]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Module)}

    def _put(self, name: str, module: Module) -> None:
        setattr(self, name, module)
        module._rename(f"{self._name}.{name}" if self._name else name)

    def _rename(self, name: str) -> None:
        super()._rename(name)
        for key, module in self._held().items():
            module._rename(f"{name}.{key}")

    def __len__(self) -> int:
        return len(self._held())


class ModuleList(_Container):
    """A list of modules for use in ``forward``; named 0, 1, 2, ...

    Supports the operations of lists: ``len``, iteration, indexing (a slice gives a ModuleList), assignment and deletion
    by number, ``append``, ``extend``, ``insert`` and ``pop``. A deletion or insertion renumbers the modules. Modules
    also search plain lists in their attributes for parameters, but a ModuleList is a module itself.

    Raises:
        TypeError: if a value is not a module. IndexError: if an index is out of range.

    >>> from minigrad import nn
    >>> class Deep(nn.Module):
    ...     def __init__(self):
    ...         self.layers = ModuleList(nn.Linear(3, 3) for _ in range(2))
    ...     def forward(self, x):
    ...         for layer in self.layers:
    ...             x = x + layer(x)
    ...         return x
    >>> [name for name, _ in Deep().named_parameters()]
    ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._held().values()))

    def __getitem__(self, index: int | slice) -> Any:
        if not isinstance(index, slice):
            return list(self)[index]
        part = ModuleList()
        vars(part).update((str(i), module) for i, module in enumerate(list(self)[index]))
        return part  # without an assignment, so its modules keep their names in scopes

    def __setitem__(self, index: int, module: Module) -> None:
        place = range(len(self))[operator.index(index)]
        self._put(str(place), _checked(module, f"ModuleList[{index}]"))

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._renumber(modules)

    def append(self, module: Module) -> ModuleList:
        """Append a module, and return the list."""
        self._put(str(len(self)), _checked(module, "ModuleList.append: the argument"))
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Append modules, and return the list; on an error, append none."""
        checked = [_checked(module, f"ModuleList: module {i}") for i, module in enumerate(modules)]
        for module in checked:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Insert a module before an index."""
        modules = list(self)
        modules.insert(index, _checked(module, "ModuleList.insert: the argument"))
        self._renumber(modules)

    def pop(self, index: int = -1) -> Module:
        """Remove a module, and return it."""
        module: Module = self[operator.index(index)]
        del self[index]
        return module

    def _renumber(self, modules: Iterable[Module]) -> None:
        for name in self._held():
            del vars(self)[name]
        for i, module in enumerate(modules):
            self._put(str(i), module)


class ModuleDict(_Container, MutableMapping[str, Module]):
    """A dict of modules for use in ``forward``.

    It has the methods of a dict and keeps the order of insertion.

    Args:
        modules: a mapping, or pairs of name and module.

    Raises:
        TypeError: if a value is not a module, or a name is not a string.
        KeyError: if a name is empty, contains a dot, is an attribute of the module, or does not exist.

    >>> from minigrad import nn
    >>> choices = ModuleDict({"relu": nn.ReLU(), "gelu": nn.GELU()})
    >>> choices["relu"]([-1.0]), "tanh" in choices
    (tensor([0.]), False)
    """

    __eq__, __hash__ = object.__eq__, object.__hash__  # a module equals itself only

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        self.update(modules)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._held()))

    def __getitem__(self, name: str) -> Module:
        return self._held()[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self._put(self._allowed(name), _checked(module, f"ModuleDict[{name!r}]"))

    def __delitem__(self, name: str) -> None:
        del self._held()[name]  # a KeyError if there is none
        del vars(self)[name]

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:  # type: ignore[override]
        """Add or replace modules by name; on an error, change nothing."""
        given = dict(modules)
        checked = {self._allowed(name): _checked(module, f"ModuleDict[{name!r}]") for name, module in given.items()}
        for name, module in checked.items():
            self._put(name, module)

    def _allowed(self, name: str) -> str:
        """Return a name if a module can be an attribute of this name; raise otherwise."""
        if not isinstance(name, str):
            raise TypeError(f"ModuleDict: a name must be a string, not {name!r}")
        if not name or "." in name or hasattr(type(self), name) or (name in vars(self) and name not in self):
            raise KeyError(f"ModuleDict: {name!r} cannot be a name: it is empty, has a dot, or is another attribute")
        return name

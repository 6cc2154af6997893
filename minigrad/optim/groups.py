"""What an optimiser is given: parameters, or groups of them with options of their own.

A group is a dict as PyTorch's are: ``params``, and every option of the optimiser by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core import Leaf, Tensor
from ..spec import describe

__all__ = ["Shared", "groups_of", "tensors"]


def tensors(caller: str, params: Iterable[Tensor]) -> list[Tensor]:
    """The parameters as a list, each once; leaves of a floating dtype, or constants (frozen ones)."""
    if isinstance(params, Tensor):
        raise TypeError(f"{caller}: params must be an iterable of tensors, not one tensor: pass [tensor]")
    if not _has_entries(params):
        raise TypeError(f"{caller}: params must be an iterable of tensors, not {_advice(params)}")
    unique = list({id(p): p for p in params}.values())
    for i, p in enumerate(unique):
        if not isinstance(p, Tensor):
            raise TypeError(f"{caller}: parameter {i} must be a Tensor, not {type(p).__name__}")
        if p.node is not None and not isinstance(p.node, Leaf):
            raise ValueError(f"{caller}: parameter {i} ({describe(p)}) is the result of an operation, not a leaf")
        if p.node is not None and (p.node.shape, p.node.dtype) != (p.shape, p.dtype):
            raise TypeError(
                f"{caller}: parameter {i} is {p.node.dtype} {p.node.shape}, its .data was replaced by {describe(p)}: "
                "write into .data, or make a new parameter"
            )
        if p.dtype.kind != "f":
            raise TypeError(f"{caller}: parameter {i} must be of a floating dtype, not {describe(p)}")
    return unique


def _has_entries(params: Any) -> bool:
    """Whether it can be iterated over; NumPy's arrays without axes only seem so."""
    return isinstance(params, Iterable) and getattr(params, "shape", None) != ()


def _advice(params: Any) -> str:
    """What was given for parameters, and what was meant."""
    if hasattr(params, "parameters"):
        return f"a {type(params).__name__}: pass its .parameters()"
    return f"a {type(params).__name__}: call it" if callable(params) else describe(params)


def groups_of(caller: str, params: Any) -> list[Mapping[str, Any]]:
    """The groups that were given, or one of all parameters."""
    if isinstance(params, Mapping):
        raise TypeError(f"{caller}: params must be a list of groups, not one: pass [{{'params': ...}}]")
    if isinstance(params, Tensor) or not _has_entries(params):
        return [{"params": params}]
    given = list(params)
    if not any(isinstance(group, Mapping) for group in given):
        return [{"params": given}]
    for k, group in enumerate(given):
        if not isinstance(group, Mapping):
            raise TypeError(
                f"{caller}: params must be tensors, or groups of them ({{'params': ..., 'lr': ...}}), not both: "
                f"item {k} is {describe(group)}"
            )
    return given


class Shared:
    """An option as an attribute: the one value that all parameter groups of an optimiser share.

    Where groups differ there is no such value, and one rate for all would undo what they were made for: both reading
    and writing raise.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Any, owner: type) -> Any:
        return self if optimizer is None else self._value(optimizer)

    def __set__(self, optimizer: Any, value: Any) -> None:
        self._value(optimizer)
        for group in optimizer.param_groups:
            group[self.name] = value

    def _value(self, optimizer: Any) -> Any:
        first, *others = (group.get(self.name) for group in optimizer.param_groups)
        if any(value != first for value in others):
            raise ValueError(
                f"{type(optimizer).__name__}: {self.name} is {', '.join(map(str, (first, *others)))} in its "
                f"{len(others) + 1} groups: ask for, or set, param_groups[i][{self.name!r}]"
            )
        return first

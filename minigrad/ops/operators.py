"""Tensor's operators and methods: each is a primitive, attached to the class here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import Tensor
from . import elementwise, reductions, selection

__all__: list[str] = []


def _swapped(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The operator for a tensor on the right."""

    def call(self: Tensor, other: Any) -> Any:
        return function(other, self)

    return call


_BINARY = {"add": elementwise.add, "sub": elementwise.subtract, "mul": elementwise.multiply,
           "truediv": elementwise.divide, "pow": elementwise.power}  # fmt: skip
_COMPARISONS = {"lt": selection.less, "le": selection.less_equal, "gt": selection.greater,
                "ge": selection.greater_equal, "eq": selection.equal, "ne": selection.not_equal}  # fmt: skip

for _name, _function in _BINARY.items():
    setattr(Tensor, f"__{_name}__", _function)
    setattr(Tensor, f"__r{_name}__", _swapped(_function))
for _name, _function in _COMPARISONS.items():
    setattr(Tensor, f"__{_name}__", _function)
for _name, _function in {
    "__neg__": elementwise.negative, "__abs__": elementwise.absolute,
    "sum": reductions.sum, "mean": reductions.mean, "max": reductions.max, "min": reductions.min,
    "astype": selection.astype,
}.items():  # fmt: skip
    setattr(Tensor, _name, _function)

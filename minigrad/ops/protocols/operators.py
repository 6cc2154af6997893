"""Tensor's operators and methods: each is a primitive, attached to the class here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import Tensor, plain
from ...spec import describe
from .. import cumulative, elementwise, indexing, ordering, products, reductions, selection, shaping

__all__ = ["LOGICAL"]


def _swapped(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The operator for a tensor on the right."""

    def call(self: Tensor, other: Any) -> Any:
        return function(other, self)

    return call


_BINARY = {"add": elementwise.add, "sub": elementwise.subtract, "mul": elementwise.multiply,
           "truediv": elementwise.divide, "floordiv": selection.floor_divide, "mod": elementwise.remainder,
           "pow": elementwise.power, "matmul": products.matmul}  # fmt: skip
_COMPARISONS = {"lt": selection.less, "le": selection.less_equal, "gt": selection.greater,
                "ge": selection.greater_equal, "eq": selection.equal, "ne": selection.not_equal}  # fmt: skip


def _on_booleans(symbol: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A logical operator, which refuses numbers."""

    def call(*operands: Any) -> Any:
        for operand in operands:
            if np.asarray(plain(operand)).dtype != bool:
                raise TypeError(f"{symbol} is for booleans, not {describe(operand)}: compare it with something")
        return function(*operands)

    return call


# For masks; NumPy's operators on integers work on bits, which nothing here does.
LOGICAL = {"and": _on_booleans("&", selection.logical_and), "or": _on_booleans("|", selection.logical_or),
           "xor": _on_booleans("^", selection.logical_xor),
           "invert": _on_booleans("~", selection.logical_not)}  # fmt: skip

for _name in ("and", "or", "xor"):
    setattr(Tensor, f"__{_name}__", LOGICAL[_name])
    setattr(Tensor, f"__r{_name}__", _swapped(LOGICAL[_name]))
Tensor.__invert__ = LOGICAL["invert"]  # type: ignore[method-assign]
for _name, _function in _BINARY.items():
    setattr(Tensor, f"__{_name}__", _function)
    setattr(Tensor, f"__r{_name}__", _swapped(_function))
for _name, _function in _COMPARISONS.items():
    setattr(Tensor, f"__{_name}__", _function)
for _name, _function in {
    "__neg__": elementwise.negative, "__abs__": elementwise.absolute,
    "sum": reductions.sum, "mean": reductions.mean, "max": reductions.max, "min": reductions.min,
    "all": reductions.all, "any": reductions.any, "argmax": reductions.argmax, "argmin": reductions.argmin,
    "cumsum": reductions.cumsum, "prod": reductions.prod, "std": reductions.std, "var": reductions.var,
    "cumprod": cumulative.cumprod, "argsort": ordering.argsort, "sort": ordering.sort,
    "astype": selection.astype, "clip": selection.clip, "round": selection.round,
    "ravel": shaping.ravel, "repeat": shaping.repeat, "squeeze": shaping.squeeze, "swapaxes": shaping.swapaxes,
    "diagonal": indexing.diagonal, "__getitem__": indexing.getitem,
}.items():  # fmt: skip
    setattr(Tensor, _name, _function)


def _reshape(self: Tensor, *shape: Any) -> Any:
    return shaping.reshape(self, shape[0] if len(shape) == 1 else shape)


def _transpose(self: Tensor, *axes: Any) -> Any:
    order = axes[0] if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)) else axes
    return shaping.transpose(self, None if order is None or len(order) == 0 else order)


def _copy(self: Tensor) -> Any:
    """A tensor with memory of its own, through which gradients flow."""
    return selection.astype(self, self.dtype)


def _flatten(self: Tensor) -> Any:
    """The entries as a vector with memory of its own, as NumPy's; :func:`.shaping.ravel` may share it."""
    return shaping.ravel(_copy(self))


Tensor.dot = products.dot  # type: ignore[assignment]
Tensor.__pos__ = _copy  # type: ignore[method-assign]
Tensor.copy = _copy  # type: ignore[method-assign]
Tensor.flatten = _flatten  # type: ignore[method-assign]
Tensor.reshape = _reshape  # type: ignore[method-assign]
Tensor.transpose = _transpose  # type: ignore[method-assign]
Tensor.T = property(lambda self: shaping.transpose(self))  # type: ignore[assignment]
Tensor.mT = property(lambda self: shaping.swapaxes(self, -1, -2))  # type: ignore[assignment]

"""Graphs in notebooks, only when asked for: tensors and modules then show themselves as SVG."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

from ..core import Leaf, Tensor
from ..nn.module import Module
from .dot import to_dot
from .drawing import layout, layout_program

__all__ = ["notebook"]

_options: dict[str, Any] | None = None  # None while it is off
_last: WeakKeyDictionary[Module, ref[Tensor]] = WeakKeyDictionary()
_plain_call: Callable[..., Any] = Module.__call__


def notebook(on: bool = True, **options: Any) -> None:
    """Let notebooks show the graph behind a tensor, and of a module the graph of its last call, or stop that.

    A tensor without a graph, a leaf, and a module that has not been called since, or whose output is gone, are shown as
    text as ever. (Of a module's output only a weak reference is kept; of several tensors the first that has a graph.)

    Args:
        on: whether to show graphs; off at the start.
        options: those of :func:`to_dot`, for all graphs.

    Raises:
        ModuleNotFoundError: if there is no layout program; says how to get one.

    >>> import minigrad as mg
    >>> notebook(False)
    >>> (mg.tensor(1.0, requires_grad=True) * 2)._repr_svg_() is None
    True
    """
    global _options
    if on:
        layout_program()
    _options = dict(options) if on else None
    _last.clear()
    # Replaced only while it is on, so that a call costs nothing more otherwise.
    Module.__call__ = _remembering_call if on else _plain_call  # type: ignore[method-assign]


def _remembering_call(self: Module, *args: Any, **kwargs: Any) -> Any:
    result = _plain_call(self, *args, **kwargs)
    if (output := _first_tracked(result)) is not None:
        _last[self] = ref(output)
    return result


def _first_tracked(result: Any) -> Tensor | None:
    """The first tensor with a graph in nested tuples, lists and dicts."""
    stack = [result]
    while stack:
        value = stack.pop()
        if isinstance(value, Tensor) and value.node is not None:
            return value
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, (tuple, list)):
            stack.extend(reversed(value))
    return None


def _svg_of_tensor(self: Tensor) -> str | None:
    """Its graph as SVG while :func:`minigrad.render.notebook` is on."""
    if _options is None or self.node is None or isinstance(self.node, Leaf):
        return None
    return layout(to_dot(self, **_options), "svg").decode()


def _svg_of_module(self: Module) -> str | None:
    """The graph of its last call as SVG while :func:`minigrad.render.notebook` is on."""
    last = _last.get(self)
    output = None if last is None else last()
    return None if output is None else _svg_of_tensor(output)


Tensor._repr_svg_ = _svg_of_tensor  # type: ignore[method-assign]
Module._repr_svg_ = _svg_of_module  # type: ignore[method-assign]

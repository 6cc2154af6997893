"""Graphs in notebooks, only when asked for: tensors and modules then show themselves as SVG."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

from ...backward import graph_of
from ...core import Leaf, Node, Tensor, recording
from ...nn.module import Module
from ...recording import record
from ..request import checked_names
from .document import to_dot
from .layout import lay_out, layout_program

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
        options: those of :func:`to_dot`, for all graphs; of names, each graph has those of tensors that are in it.

    Raises:
        TypeError, ValueError: for an option that does not fit, at once.
        ModuleNotFoundError: if there is no layout program; says how to get one.

    >>> import minigrad as mg
    >>> notebook(False)
    >>> (mg.tensor(1.0, requires_grad=True) * 2)._repr_svg_() is None
    True
    """
    global _options
    if on:
        layout_program()
        _try(options)
    _options = dict(options) if on else None
    _last.clear()
    # Replaced only while it is on, so that a call costs nothing more otherwise.
    Module.__call__ = _remembering_call if on else _plain_call  # type: ignore[method-assign]


def _try(options: dict[str, Any]) -> None:
    """Draw a graph that has all that can be asked for, so that what does not fit is seen."""
    checked_names(options.get("names"))
    with recording(), record(lines=False):
        x = Tensor(1.0, requires_grad=True)
        y = x * x
        y.backward()
    to_dot(y, **options | {"names": None})


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
    return lay_out(to_dot(self, **_options | {"names": _names_within(self.node)}), "svg").decode()


def _names_within(node: Node) -> dict[str, Tensor]:
    """The names that were given to tensors in the graph behind a node."""
    names = checked_names((_options or {}).get("names"))
    nodes = set(graph_of([node]).nodes) if names else set()
    return {name: tensor for name, tensor in names.items() if tensor.node in nodes}


def _svg_of_module(self: Module) -> str | None:
    """The graph of its last call as SVG while :func:`minigrad.render.notebook` is on."""
    last = _last.get(self)
    output = None if last is None else last()
    return None if output is None else _svg_of_tensor(output)


Tensor._repr_svg_ = _svg_of_tensor  # type: ignore[method-assign]
Module._repr_svg_ = _svg_of_module  # type: ignore[method-assign]

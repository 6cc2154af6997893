"""What a drawing is asked for, checked: tensors, their names, and how much of the graph behind them is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..core import Tensor
from ..nn.module import Module
from ..primitives import PRIMITIVES

__all__ = ["Depth", "Request", "Unroll", "checked_names", "requested"]

Unroll = Literal["steps", "fold", "primitive"]
Depth = int | Literal["auto"] | None


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be drawn.

    tensors: the outputs, each with a graph. names: names of tensors: leaves, outputs, and what is between, whose vertex
    then says it. unroll: 'primitive' shows a sequence primitive as one box; 'steps' every step; 'fold' the first and
    the last of equal steps, and how many are between them. max_nodes: a picture with more operations is folded in
    any case, and if that is not enough the nearest to the outputs are kept, with the number of the others. expand:
    names of primitives that are shown as the composition of simpler ones that is their reference. depth: scopes
    that are this deep are one vertex each; None leaves all open, 'auto' those of a picture that is small or asked for
    in detail. title: stands above.
    """

    tensors: tuple[Tensor, ...]
    names: Mapping[str, Tensor]
    unroll: Unroll
    max_nodes: int
    expand: frozenset[str]
    title: str
    depth: Depth = None


def requested(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll = "fold",
    max_nodes: int = sys.maxsize,
    names: Mapping[str, Tensor] | None = None,
    expand: Iterable[str] = (),
    title: str = "",
    depth: Depth = None,
) -> Request:
    """The request of these arguments; a TypeError or ValueError that says what would fit if one does not.

    >>> requested(Tensor(1.0, requires_grad=True), unroll="all")
    Traceback (most recent call last):
        ...
    ValueError: render: unroll must be 'steps', 'fold' or 'primitive', not 'all'
    """
    if type(max_nodes) is not int or max_nodes < 1:
        raise ValueError(f"render: max_nodes must be an int of at least 1, not {max_nodes!r}")
    if unroll not in ("steps", "fold", "primitive"):
        raise ValueError(f"render: unroll must be 'steps', 'fold' or 'primitive', not {unroll!r}")
    if not isinstance(title, str):
        raise TypeError(f"render: title must be a str, not {title!r}")
    if depth not in (None, "auto") and (type(depth) is not int or depth < 1):
        raise ValueError(f"render: depth must be an int of at least 1, 'auto' or None, not {depth!r}")
    outputs, expanded = _with_graphs(tensors), _with_references(expand)
    return Request(outputs, checked_names(names), unroll, max_nodes, expanded, title, depth)


def _with_graphs(tensors: Tensor | Iterable[Tensor]) -> tuple[Tensor, ...]:
    """One tensor or several; each has a graph."""
    outputs = (tensors,) if isinstance(tensors, Tensor) else _several(tensors)
    if not outputs:
        raise ValueError("render: there is no tensor to draw")
    for number, output in enumerate(outputs):
        if not isinstance(output, Tensor):
            kind = type(output).__name__
            raise TypeError(f"render: expected a Tensor or several, not {kind} (number {number} of those given)")
        if output.node is None:
            raise ValueError(
                "render: this tensor has no graph: nothing behind it requires a gradient, or it was made under no_grad"
            )
    return outputs


def _several(tensors: Any) -> tuple[Tensor, ...]:
    """What was given as several tensors."""
    kind = type(tensors).__name__
    if isinstance(tensors, Module):
        raise TypeError(
            f"render: expected a Tensor or several, not the module {kind}: a graph is that of a call, so draw what the "
            f"module returns; summary(module, *inputs) lists its layers"
        )
    if isinstance(tensors, (str, bytes, np.ndarray, Mapping)) or not isinstance(tensors, Iterable):
        raise TypeError(f"render: expected a Tensor or several, not {'None' if tensors is None else kind}")
    return tuple(tensors)


def checked_names(names: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """The names of tensors as they were given; a TypeError that says what would fit if they are none."""
    fits = "such as {'x': x}"
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"render: names must be a mapping from names to tensors, {fits}, not {type(names).__name__}")
    for name, tensor in (names or {}).items():
        if not isinstance(name, str):
            raise TypeError(f"render: names: a key must be a name, {fits}, not a {type(name).__name__}")
        if not isinstance(tensor, Tensor):
            raise TypeError(f"render: names: {name!r} must name a Tensor, {fits}, not a {type(tensor).__name__}")
    return dict(names or {})


def _with_references(expand: Any) -> frozenset[str]:
    """Names of primitives, each with a reference that can be shown in its place."""
    names = (expand,) if isinstance(expand, str) or not isinstance(expand, Iterable) else tuple(expand)
    if strange := [name for name in names if not isinstance(name, str)]:
        raise TypeError(f"render: expand must be names of primitives, such as {{'lstm_step'}}, not {strange[0]!r}")
    known = {primitive.name for primitive in PRIMITIVES.values() if primitive.reference is not None}
    if unknown := sorted(set(names) - known):
        raise ValueError(
            f"render: expand: {', '.join(unknown)} has no reference; these have one: {', '.join(sorted(known))}"
        )
    return frozenset(names)

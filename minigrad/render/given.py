"""What a drawing is given, checked: tensors and the names of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..core import Node, Tensor
from ..nn.module import Module

__all__ = ["as_tensors", "checked_names", "checked_title", "known_names", "names_of_primitives"]


def as_tensors(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """One tensor or several as a list; each has a graph."""
    outputs = [tensors] if isinstance(tensors, Tensor) else _several(tensors)
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


def _several(tensors: Any) -> list[Tensor]:
    """What was given as several tensors."""
    kind = type(tensors).__name__
    if isinstance(tensors, Module):
        raise TypeError(
            f"render: expected a Tensor or several, not the module {kind}: a graph is that of a call, so draw what the "
            f"module returns; summary(module, *inputs) lists its layers"
        )
    if isinstance(tensors, (str, bytes, np.ndarray, Mapping)) or not isinstance(tensors, Iterable):
        raise TypeError(f"render: expected a Tensor or several, not {'None' if tensors is None else kind}")
    return list(tensors)


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


def known_names(names: Mapping[str, Tensor] | None, nodes: set[Node]) -> dict[tuple[Node, int], str]:
    """The names of outputs of nodes."""
    known = {}
    for name, tensor in checked_names(names).items():
        if tensor.node is None:
            raise ValueError(f"render: names: {name!r} is not in the graph: it is a constant, without a gradient")
        if tensor.node not in nodes:
            raise ValueError(f"render: names: {name!r} is not in the graph: nothing that is drawn was made from it")
        known[tensor.node, tensor.index] = name
    return known


def names_of_primitives(expand: Any) -> tuple[str, ...]:
    """The names of primitives to expand; a TypeError if they are none."""
    names = (expand,) if isinstance(expand, str) or not isinstance(expand, Iterable) else tuple(expand)
    if strange := [name for name in names if not isinstance(name, str)]:
        raise TypeError(f"render: expand must be names of primitives, such as {{'lstm_step'}}, not {strange[0]!r}")
    return names


def checked_title(title: Any) -> str:
    """The title; a TypeError if it is no text."""
    if not isinstance(title, str):
        raise TypeError(f"render: title must be a str, not {title!r}")
    return title

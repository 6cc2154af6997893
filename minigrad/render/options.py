"""The options that all writers share: their checks, and the picture that they ask for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..core import Tensor
from ..nn.module import Module
from ..rules import PRIMITIVES
from .expansion import expanded, unrolled
from .fold import closed, folded, limited, readable_depth
from .nodes import picture_of
from .picture import Picture
from .repeats import steps_between
from .scopes import grouped

__all__ = ["Depth", "Unroll", "check_choice", "check_count", "checked_names", "drawn_picture", "whole_picture"]

Unroll = Literal["steps", "fold", "primitive"]
Depth = int | Literal["auto"] | None


def drawn_picture(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll,
    max_nodes: int,
    names: Mapping[str, Tensor] | None = None,
    expand: Iterable[str] = (),
    depth: Depth = None,
    title: str = "",
) -> Picture:
    """The picture that a drawing shows.

    Args:
        tensors: the outputs, each with a graph.
        unroll: 'primitive' shows a sequence primitive as one box; 'steps' every step; 'fold' the first and the last of
            equal steps, and the number of those between.
        max_nodes: a picture with more operations is folded in any case. If that is not enough, those nearest to the
            outputs are kept, with the number of the others.
        names: names of tensors.
        expand: names of primitives that are shown as their references.
        depth: scopes at this depth are one vertex each. None leaves all open. 'auto' chooses a depth, or None if the
            picture is small or shows every step or a reference.
        title: only checked.

    Raises:
        TypeError, ValueError: if an argument does not fit.

    >>> import minigrad as mg
    >>> y = mg.tensor([1.0], requires_grad=True)
    >>> for _ in range(20):
    ...     y = mg.tanh(y)
    >>> [vertex.label for vertex in drawn_picture(y, unroll="fold", max_nodes=9).vertices]
    ['input', 'tanh', '18 more like this', 'tanh']
    """
    check_count("max_nodes", max_nodes)
    references = _with_references(expand)
    if not isinstance(title, str):
        raise TypeError(f"render: title must be a str, not {title!r}")
    if depth not in (None, "auto") and (type(depth) is not int or depth < 1):
        raise ValueError(f"render: depth must be an int of at least 1, 'auto' or None, not {depth!r}")
    picture = whole_picture(tensors, unroll, names, references, max_nodes if unroll == "steps" else 0)
    count = sum(vertex.stands_for or 1 for vertex in picture.vertices if not vertex.is_leaf)
    # a step that stands for several may be there though all would fit: expanding can make the picture smaller
    if unroll == "fold" or steps_between(picture) or count > max_nodes:
        picture = folded(picture)
    if depth == "auto":
        depth = None if unroll == "steps" or references else readable_depth(picture)
    if depth is not None:
        picture = closed(picture, int(depth))
    return limited(picture, max_nodes)


def whole_picture(
    tensors: Tensor | Iterable[Tensor],
    unroll: Unroll,
    names: Mapping[str, Tensor] | None,
    expand: Iterable[str],
    most: int = sys.maxsize,
) -> Picture:
    """The picture before a loop is folded or anything left out.

    A long sequence has one step for all between the first and the last, if `unroll` is 'fold' or the picture would have
    more than `most` operations.
    """
    check_choice("unroll", unroll, ("steps", "fold", "primitive"))
    outputs, references = _with_graphs(tensors), _with_references(expand)
    picture = picture_of(outputs, checked_names(names))
    if unroll != "primitive":
        picture = unrolled(picture, most if unroll == "steps" else 0)
    return grouped(expanded(picture, references))


def check_choice(option: str, value: object, choices: Sequence[str]) -> None:
    """Raise a ValueError if the value of an option is none of its choices.

    >>> check_choice("unroll", "all", ("steps", "fold", "primitive"))
    Traceback (most recent call last):
        ...
    ValueError: render: unroll must be 'steps', 'fold' or 'primitive', not 'all'
    """
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(f"render: {option} must be {', '.join(others)} or {last}, not {value!r}")


def check_count(option: str, value: object) -> None:
    """Raise a ValueError if the value of an option is no positive int."""
    if type(value) is not int or value < 1:
        raise ValueError(f"render: {option} must be an int of at least 1, not {value!r}")


def _with_graphs(tensors: Any) -> tuple[Tensor, ...]:
    """One tensor or several, each with a graph."""
    kind = type(tensors).__name__
    if isinstance(tensors, Module):
        raise TypeError(
            f"render: expected a Tensor or several, not the module {kind}: a graph is that of a call, so draw what the "
            f"module returns; summary(module, *inputs) lists its layers"
        )
    if isinstance(tensors, (str, bytes, np.ndarray, Mapping)) or not isinstance(tensors, (Tensor, Iterable)):
        raise TypeError(f"render: expected a Tensor or several, not {'None' if tensors is None else kind}")
    outputs = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
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


def checked_names(names: Any) -> dict[str, Tensor]:
    """A mapping from names to tensors, or a TypeError."""
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
    """Names of primitives that have a reference."""
    names = (expand,) if isinstance(expand, str) or not isinstance(expand, Iterable) else tuple(expand)
    if strange := [name for name in names if not isinstance(name, str)]:
        raise TypeError(f"render: expand must be names of primitives, such as {{'lstm_step'}}, not {strange[0]!r}")
    known = {primitive.name for primitive in PRIMITIVES.values() if primitive.reference is not None}
    if unknown := sorted(set(names) - known):
        raise ValueError(
            f"render: expand: {', '.join(unknown)} has no reference; these have one: {', '.join(sorted(known))}"
        )
    return frozenset(names)

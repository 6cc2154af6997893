"""Check the options that all writers share, and build the picture that they describe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..core import Tensor
from ..nn.module import Module
from ..primitives import PRIMITIVES
from ..spec import Array
from .closing import closed, is_one_of, limited, readable_depth
from .expansion import expanded, unrolled
from .fold import folded
from .heat import mark_births
from .labels import title_parts
from .nodes import picture_of
from .picture import Picture

__all__ = [
    "Depth",
    "Unroll",
    "check_choice",
    "check_count",
    "checked_names",
    "drawn_picture",
    "whole_picture",
    "with_graphs",
]

Unroll = Literal["steps", "fold", "primitive"]
Depth = int | Literal["auto"] | None


def drawn_picture(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll,
    max_nodes: int,
    names: Mapping[str, Tensor | Module | Array] | None = None,
    expand: Iterable[str | Module] = (),
    collapse: Iterable[str | Module] = (),
    depth: Depth = None,
    title: str = "",
    direction: str = "TB",
) -> Picture:
    """Return the picture that a drawing shows.

    Args:
        tensors: the outputs, each with a graph.
        unroll: 'primitive' shows a sequence primitive as one box; 'steps' every step; 'fold' one of equal steps, and
            their number.
        max_nodes: a picture with more operations is always folded. If that is not enough, only the operations nearest
            to the outputs are kept, with a count of the rest.
        names: names of tensors, arrays and modules.
        expand: names of primitives to replace by their references; or modules, or names of frames, to show open while
            all others are closed.
        collapse: modules, or names of frames, to show as one vertex.
        depth: show each scope at this depth as one vertex. None leaves all open. 'auto' chooses a depth, or None if the
            picture is small or shows every step or a reference.
        title, direction: only checked.

    Raises:
        TypeError, ValueError: if an argument is invalid.

    >>> import minigrad as mg
    >>> y = mg.tensor([1.0], requires_grad=True)
    >>> for _ in range(20):
    ...     y = mg.tanh(y)
    >>> [vertex.label for vertex in drawn_picture(y, unroll="fold", max_nodes=9).vertices]
    ['input', 'tanh']
    """
    check_count("max_nodes", max_nodes)
    check_choice("direction", direction, ("TB", "BT", "LR", "RL"))
    if not isinstance(title, str):
        raise TypeError(f"render: title must be a str, not {title!r}")
    if depth not in (None, "auto") and (type(depth) is not int or depth < 1):
        raise ValueError(f"render: depth must be an int of at least 1, 'auto' or None, not {depth!r}")
    expand, collapse = _listed(expand), _listed(collapse)
    primitives = {primitive.name for primitive in PRIMITIVES.values()}
    opened = [x for x in expand if not (isinstance(x, str) and x in primitives)]
    picture = whole_picture(tensors, unroll, names, [x for x in expand if isinstance(x, str) and x in primitives])
    _check_frames("expand", opened, picture)
    _check_frames("collapse", collapse, picture)
    if opened or collapse:  # before folding, which merges the frames of several modules
        outermost = depth if isinstance(depth, int) else 1 if opened else None
        picture, depth = closed(picture, outermost, opened=opened, collapsed=collapse), None
    folds = unroll == "fold" or sum(not vertex.is_leaf for vertex in picture.vertices) > max_nodes
    simple = folded(picture) if folds else picture
    level = readable_depth(simple) if depth == "auto" and unroll != "steps" and not expand else depth
    if isinstance(level, int):
        simple = closed(picture, level, skips=depth == "auto")  # before folding, so that equal modules fold, too
        simple = folded(simple) if folds else simple
    return limited(simple, max_nodes)


def whole_picture(
    tensors: Tensor | Iterable[Tensor],
    unroll: Unroll,
    names: Mapping[str, Tensor | Module | Array] | None,
    expand: Iterable[str],
) -> Picture:
    """Return the picture before loops are folded or vertices left out."""
    check_choice("unroll", unroll, ("steps", "fold", "primitive"))
    outputs, references = with_graphs(tensors), _with_references(expand)
    picture = picture_of(outputs, checked_names(names))
    if unroll != "primitive":
        picture = unrolled(picture)
    mark_births(picture)
    return expanded(picture, references)


def check_choice(option: str, value: object, choices: Sequence[str]) -> None:
    """Raise a ValueError if the value of an option is not one of its choices.

    >>> check_choice("unroll", "all", ("steps", "fold", "primitive"))
    Traceback (most recent call last):
        ...
    ValueError: render: unroll must be 'steps', 'fold' or 'primitive', not 'all'
    """
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(f"render: {option} must be {', '.join(others)} or {last}, not {value!r}")


def check_count(option: str, value: object) -> None:
    """Raise a ValueError if the value of an option is not a positive int."""
    if type(value) is not int or value < 1:
        raise ValueError(f"render: {option} must be an int of at least 1, not {value!r}")


def with_graphs(tensors: Any) -> tuple[Tensor, ...]:
    """Return a tuple of tensors, each with a graph."""
    if isinstance(tensors, Module):
        raise TypeError(
            f"render: expected one or more tensors, not the module {type(tensors).__name__}. Draw the tensor that the "
            f"module returns; summary(module, *inputs) lists its layers."
        )
    several = isinstance(tensors, Iterable) and not isinstance(tensors, (Tensor, str, bytes, np.ndarray, Mapping))
    outputs = tuple(tensors) if several else (tensors,)
    if not outputs:
        raise ValueError("render: there is no tensor to draw")
    for number, output in enumerate(outputs):
        if not isinstance(output, Tensor):
            place = f" (number {number} of the arguments)" if several else ""
            raise TypeError(f"render: expected one or more tensors, not {type(output).__name__}{place}")
        if output.node is None:
            raise ValueError(
                "render: this tensor has no graph: none of its inputs requires a gradient, or it was made under no_grad"
            )
    return outputs


def checked_names(names: Any) -> dict[str, Tensor | Module | Array]:
    """Return a mapping from names to tensors, arrays and modules; raise a TypeError for anything else."""
    names = {} if names is None else names
    example = "render: names must map names to tensors, arrays or modules, such as {'x': x}"
    if not isinstance(names, Mapping):
        raise TypeError(f"{example}, not {type(names).__name__}")
    for name, value in names.items():
        if not (isinstance(name, str) and isinstance(value, (Tensor, Module, np.ndarray))):
            pair = f"{name!r} to a {type(value).__name__}" if isinstance(name, str) else f"a {type(name).__name__}"
            raise TypeError(f"{example}, not {pair}")
    return dict(names)


def _listed(values: Any) -> list[Any]:
    """Return the values of `expand` or `collapse`, of which there may be one."""
    single = isinstance(values, (str, Module)) or not isinstance(values, Iterable)
    return [values] if single else list(values)


def _shown(value: Any) -> str:
    """Return the repr of a value, or the class of one that has a long repr."""
    return type(value).__name__ if isinstance(value, (Module, Tensor, np.ndarray)) else repr(value)


def _check_frames(option: str, frames: Sequence[Any], picture: Picture) -> None:
    """Raise unless each value is a module that was called in the graph, or the name of a frame."""
    # by identity, because frames of several modules may have equal titles
    titles = {id(title): title for vertex in picture.vertices for title in vertex.around}.values()
    for frame in frames:
        if not isinstance(frame, (str, Module)):
            more = "names of primitives, " if option == "expand" else ""
            raise TypeError(f"render: {option} must be {more}modules or names of frames, not {_shown(frame)}")
        if not any(is_one_of(title, [frame]) for title in titles):
            known = ", ".join(sorted({title_parts(title)[0] for title in titles})) or "none"
            raise ValueError(f"render: {option}: {_shown(frame)} is not a frame of the graph. Its frames are: {known}")


def _with_references(expand: Iterable[Any]) -> frozenset[str]:
    """Return names of primitives; raise if one has no reference."""
    names = _listed(expand)
    if strange := [name for name in names if not isinstance(name, str)]:
        value = _shown(strange[0])
        raise TypeError(f"render: expand must be names of primitives, such as {{'lstm_step'}}, not {value}")
    known = {primitive.name for primitive in PRIMITIVES.values() if primitive.reference is not None}
    if unknown := sorted(set(names) - known):
        raise ValueError(
            f"render: expand: {', '.join(unknown)} has no reference; these have one: {', '.join(sorted(known))}"
        )
    return frozenset(names)

"""Which picture a drawing shows: unrolled, expanded, folded and cut down as asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from ...core import Tensor
from ..given import names_of_primitives
from ..picture import Picture, named_within, picture_of
from .expand import expanded
from .fold import folded, limited
from .order import grouped
from .unroll import unrolled

__all__ = ["Unroll", "arranged", "whole"]

Unroll = Literal["steps", "fold", "primitive"]


def arranged(
    tensors: Tensor | Iterable[Tensor],
    unroll: Unroll = "fold",
    max_nodes: int = 1000,
    names: Mapping[str, Tensor] | None = None,
    expand: Iterable[str] = (),
) -> Picture:
    """The picture that a drawing shows.

    unroll: 'primitive' shows a sequence primitive as one box; 'steps' every step; 'fold' the first and the last of
    equal steps, and how many are between them. max_nodes: a picture with more operations is folded in any case, and if
    that is not enough the nearest to the outputs are kept, with the number of the others. names: names of tensors:
    leaves, outputs, and what is between, whose vertex then has the name as a remark. expand: names of primitives that
    are shown as the composition of simpler ones that is their reference, such as {'lstm_step'}.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0], requires_grad=True)
    >>> [vertex.label for vertex in arranged(mg.tanh(x), names={"x": x}).vertices]
    ['x', 'tanh']
    """
    if type(max_nodes) is not int or max_nodes < 1:
        raise ValueError(f"render: max_nodes must be an int of at least 1, not {max_nodes!r}")
    picture = whole(tensors, unroll, names, expand)
    if unroll == "fold" or sum(not vertex.is_leaf for vertex in picture.vertices) > max_nodes:
        picture = folded(picture)
    return limited(picture, max_nodes)


def whole(
    tensors: Tensor | Iterable[Tensor],
    unroll: Unroll = "fold",
    names: Mapping[str, Tensor] | None = None,
    expand: Iterable[str] = (),
) -> Picture:
    """The picture of :func:`arranged` before anything is folded or left out."""
    if unroll not in ("steps", "fold", "primitive"):
        raise ValueError(f"render: unroll must be 'steps', 'fold' or 'primitive', not {unroll!r}")
    primitives = names_of_primitives(expand)
    picture = picture_of(tensors, names)
    asked = len(picture.outputs)
    picture = Picture(picture.vertices, [*picture.outputs, *named_within(picture, names)])
    if unroll != "primitive":
        picture = unrolled(picture)
    return _remarked(grouped(expanded(picture, primitives)), asked)


def _remarked(picture: Picture, asked: int) -> Picture:
    """The picture with only the outputs that were asked for; what the others name says so itself."""
    for source, slot, name in picture.outputs[asked:]:
        vertex = picture.vertices[source]
        remark = f"[{slot}] {name}" if len(vertex.specs) > 1 else name
        vertex.remark = f"{vertex.remark}, {remark}" if vertex.remark else remark
    return Picture(picture.vertices, picture.outputs[:asked])

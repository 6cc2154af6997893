"""Which picture a drawing shows: unrolled, expanded, folded and cut down as asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from ..core import Tensor
from .expand import expanded
from .fold import folded, limited
from .order import grouped
from .picture import Picture, picture_of
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
    that is not enough the nearest to the outputs are kept, with the number of the others. names: names of leaves
    and outputs. expand: names of primitives that are shown as the composition of simpler ones that is their reference,
    such as {'lstm_step'}.

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
    picture = picture_of(tensors, names)
    if unroll != "primitive":
        picture = unrolled(picture)
    return grouped(expanded(picture, expand))

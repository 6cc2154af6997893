"""The passes in their order: unrolled, expanded, ordered; then folded, closed and cut down."""

from __future__ import annotations

from ..picture import Picture
from ..request import Request
from .close import closed, readable_depth
from .expand import expanded
from .fold import folded, limited
from .order import grouped
from .repeats import steps_between
from .unroll import unrolled

__all__ = ["arranged", "whole"]


def arranged(picture: Picture, request: Request) -> Picture:
    """The picture that a drawing shows.

    >>> import minigrad as mg
    >>> from minigrad.render.request import requested
    >>> from minigrad.render.reading.nodes import picture_of
    >>> y = mg.tensor([1.0], requires_grad=True)
    >>> for _ in range(20):
    ...     y = mg.tanh(y)
    >>> [vertex.label for vertex in arranged(picture_of([y], {}), requested(y)).vertices]
    ['input', 'tanh', '18 more like this', 'tanh']
    """
    picture = whole(picture, request)
    # a step that stands for several may be there though all would fit: expanding can make the picture smaller
    if request.unroll == "fold" or steps_between(picture) or _count(picture) > request.max_nodes:
        picture = folded(picture)
    if (depth := _depth(picture, request)) is not None:
        picture = closed(picture, depth)
    return limited(picture, request.max_nodes)


def whole(picture: Picture, request: Request) -> Picture:
    """The picture of :func:`arranged` before a loop is folded or anything left out.

    Of a long sequence whose steps will be folded one is there for all between the first and the last.
    """
    if request.unroll != "primitive":
        picture = unrolled(picture, request.max_nodes if request.unroll == "steps" else 0)
    return grouped(expanded(picture, request.expand))


def _depth(picture: Picture, request: Request) -> int | None:
    """The depth from which scopes are closed; who asks for every step or for what primitives are made of sees it."""
    if request.depth != "auto":
        return request.depth
    return None if request.unroll == "steps" or request.expand else readable_depth(picture)


def _count(picture: Picture) -> int:
    """How many operations a picture shows or stands for."""
    return sum(vertex.stands_for or 1 for vertex in picture.vertices if not vertex.is_leaf)

"""What is drawn as a small stub beside each vertex that uses it, instead of once with an edge to each use."""

from __future__ import annotations

from collections import Counter

from .picture import Picture, Vertex

__all__ = ["marks", "stubbed"]

_USES = {"input": 2, "operation": 8}
"""How often these are used at most if they have an edge to each use; `dot` takes minutes for a result with 60, and
for an attention over 8 steps whose weights have no names."""


def stubbed(picture: Picture) -> set[int]:
    """What stands as stubs: parameters, and inputs and operations that would tie the drawing together.

    What the steps of a row take a part of each ties nothing.
    """
    uses = Counter(edge.source for vertex in picture.vertices for edge in vertex.inputs if not edge.part)
    numbered = enumerate(picture.vertices)
    return {number for number, vertex in numbered if _is_stubbed(vertex, uses[number])}


def _is_stubbed(vertex: Vertex, uses: int) -> bool:
    return vertex.kind == "parameter" or (vertex.kind in _USES and uses > _USES[vertex.kind])


def marks(picture: Picture, numbers: set[int]) -> dict[int, str]:
    """A name for each operation that stands as stubs."""
    operations = [number for number in sorted(numbers) if not picture.vertices[number].is_leaf]
    return {number: f"v{i}" for i, number in enumerate(operations, 1)}

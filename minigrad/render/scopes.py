"""The scopes of a picture as a tree."""

from __future__ import annotations

from .picture import Picture

__all__ = ["Scope", "scopes_of"]


class Scope:
    """A scope: the vertices directly in it, and the scopes in it by name."""

    def __init__(self) -> None:
        self.vertices: list[int] = []
        self.inner: dict[str, Scope] = {}


def scopes_of(picture: Picture) -> Scope:
    """The outermost scope of a picture. A step that stands in a row needs no scope of its own; leaves are outside."""
    root = Scope()
    for number, vertex in enumerate(picture.vertices):
        tree = root
        in_row = vertex.step is not None and vertex.kind == "operation"
        for name in () if vertex.is_leaf else vertex.scope[:-1] if in_row else vertex.scope:
            tree = tree.inner.setdefault(name, Scope())
        tree.vertices.append(number)
    return root

"""Pictures of tensors in one call, and the invariants of every picture."""

from __future__ import annotations

from minigrad.render import nodes
from minigrad.render.options import drawn_picture, whole_picture


def picture_of(tensors, names=None):
    """The graph of tensors, unchanged."""
    return nodes.picture_of(tensors if isinstance(tensors, (tuple, list)) else [tensors], names or {})


def whole(tensors, unroll="fold", names=None, expand=()):
    """The picture before loops are folded."""
    return whole_picture(tensors, unroll, names, expand)


def arranged(tensors, unroll="fold", max_nodes=1000, names=None, expand=()):
    """The picture that a drawing shows."""
    return drawn_picture(tensors, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand)


def check(picture):
    """Assert the invariants: edges come from earlier vertices, or along a loop, and carry an existing output."""
    for number, vertex in enumerate(picture.vertices):
        for edge in vertex.inputs:
            assert 0 <= edge.source < number
            assert 0 <= edge.slot < len(picture.vertices[edge.source].specs)
        for edge in vertex.feedback:
            assert vertex.folds
            assert 0 <= edge.slot < len(picture.vertices[edge.source].specs)
        assert not (vertex.is_leaf and vertex.inputs)
        assert (vertex.stands_for > 0) == (vertex.kind in ("omitted", "module") or len(vertex.folds) > 0)
    kinds = [vertex.is_leaf for vertex in picture.vertices]
    assert kinds == sorted(kinds, reverse=True), "leaves come first"
    for output in picture.outputs:
        assert output.slot < len(picture.vertices[output.source].specs)
    return picture


def labels(picture):
    return [vertex.label for vertex in picture.vertices]


def operations(picture):
    """How many operations a picture shows or stands for."""
    return sum(vertex.stands_for or 1 for vertex in picture.vertices if not vertex.is_leaf)

"""Vertices sorted by their scopes: what that leaves as it is."""

from __future__ import annotations

from collections import Counter

from hypothesis import given

from minigrad.render.expansion import unrolled
from minigrad.render.scopes import grouped
from tests.render.graphs import graphs
from tests.render.pictures import check, picture_of


def identities(picture):
    """A name for each vertex that sorting does not change."""
    return [
        (vertex.node, vertex.label, vertex.step, vertex.inputs[0].slot if vertex.label == "stack" else 0)
        for vertex in picture.vertices
    ]


@given(graphs())
def test_sorting_by_scope_keeps_all_vertices_and_edges(outputs):
    before = unrolled(picture_of(outputs))
    after = check(grouped(before))
    old, new = identities(before), identities(after)
    assert Counter(old) == Counter(new)
    edges_before = {(old[i], old[e.source], *e[1:]) for i, v in enumerate(before.vertices) for e in v.inputs}
    edges_after = {(new[i], new[e.source], *e[1:]) for i, v in enumerate(after.vertices) for e in v.inputs}
    assert edges_before == edges_after
    assert [old[o.source] for o in before.outputs] == [new[o.source] for o in after.outputs]

"""Graphs as mappings from each vertex to its parents, as networkx has them."""

from __future__ import annotations

import networkx


def as_networkx(parents):
    graph = networkx.DiGraph()
    graph.add_nodes_from(parents)
    graph.add_edges_from((u, v) for v, several in parents.items() for u in several)
    return graph


def edges_of(parents):
    return [(u, v) for v, several in parents.items() for u in several]

"""A topological order of 1,000,000 vertices and 3,000,000 edges, from an array of edges to the order.

rustworkx builds its graph from a list of pairs. "rustworkx from the array" makes that list of the array each time;
"rustworkx" is given it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work

__all__ = ["cases"]

_LEVELS = 24


def cases(quick: bool = False) -> list[Case]:
    """Wide graphs, random ones, and chains with further edges."""
    n = 1000 if quick else 1_000_000
    graphs: dict[str, tuple[Callable[[int], Any], float]] = {
        f"{_LEVELS} levels": (_wide, 1.0), "random": (_random, 1.0), "chain": (_chain, 3.0),
    }  # fmt: skip
    return [
        _case(f"{name}, {n:,} vertices", partial(graph, n), n, most)
        for name, (graph, most) in list(graphs.items())[: 1 if quick else None]
    ]


def _case(name: str, graph: Callable[[], Any], n: int, most: float) -> Case:
    peers = {"rustworkx": False, "rustworkx from the array": True}
    rivals = [
        Rival("minigrad", "minigrad", partial(_minigrad, graph, n)),
        *(Rival(peer, peer, partial(_rustworkx, graph, n, array), ("rustworkx",)) for peer, array in peers.items()),
    ]
    return Case(name, rivals, [Aim(peer, most) for peer in peers], threads=(1,))


def _renamed(n: int, edges: Any) -> Any:
    """The vertices under random names and the edges in random order, int64 (E, 2)."""
    import numpy as np

    rng = np.random.default_rng(1)
    return np.ascontiguousarray(rng.permutation(n)[rng.permutation(edges)])


def _wide(n: int) -> Any:
    """Levels of equal size, edges from each to the next."""
    import numpy as np

    rng = np.random.default_rng(0)
    width = n // _LEVELS
    level = rng.integers(_LEVELS - 1, size=3 * n)
    return _renamed(n, np.stack([level * width, (level + 1) * width], 1) + rng.integers(width, size=(3 * n, 2)))


def _random(n: int) -> Any:
    """Edges from any vertex to any later one."""
    return _renamed(n, _forward(n, 3 * n))


def _chain(n: int) -> Any:
    """A path through all vertices, and twice as many edges that run forward along it."""
    import numpy as np

    path = np.stack([np.arange(n - 1), np.arange(1, n)], 1)
    return _renamed(n, np.concatenate([path, _forward(n, 2 * n)]))


def _forward(n: int, count: int) -> Any:
    """So many pairs i < j, each as likely as any other."""
    import numpy as np

    rng = np.random.default_rng(0)
    first = rng.integers(n, size=count)
    return np.sort(np.stack([first, (first + rng.integers(1, n, size=count)) % n], 1), axis=1)


def _checked(n: int, edges: Any, order: Any) -> dict[str, Any]:
    """Orders may differ; each must hold every vertex once, and no edge may run backwards."""
    import numpy as np

    vertices = np.asarray(order)
    place = np.empty(n, np.int64)
    place[vertices] = np.arange(len(vertices))
    return {
        "vertices once": np.array([np.array_equal(np.sort(vertices), np.arange(n))]),
        "edges backwards": np.array([np.count_nonzero(place[edges[:, 0]] >= place[edges[:, 1]])]),
    }


def _minigrad(graph: Callable[[], Any], n: int) -> Work:
    from minigrad.graph import topological_order_of_edges

    edges = graph()

    def run() -> Any:
        return topological_order_of_edges(n, edges)

    return Work(run, lambda: _checked(n, edges, run().nodes))


def _rustworkx(graph: Callable[[], Any], n: int, array: bool) -> Work:
    import rustworkx

    edges = graph()
    pairs = None if array else list(map(tuple, edges.tolist()))

    def run() -> Any:
        digraph = rustworkx.PyDiGraph()
        # A tenth faster than adding the vertices first; vertices after the last one in an edge are added last.
        digraph.extend_from_edge_list(list(map(tuple, edges.tolist())) if pairs is None else pairs)
        digraph.add_nodes_from(range(digraph.num_nodes(), n))
        return rustworkx.topological_sort(digraph)

    return Work(run, lambda: _checked(n, edges, run()))

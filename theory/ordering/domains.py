"""The examples for the claims on topological order: drawn graphs, all small ones, large ones, and recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad as mg
from minigrad.graph import Cycle, Order
from theory.domains import enumerated, sampled
from theory.ordering.certificates import is_acyclic
from theory.ordering.graphs import LABELLED_DAGS, every_digraph, parents_of_edges
from theory.refutation import require

Digraph = Mapping[int, tuple[int, ...]]


# Drawn and shrunk by Hypothesis -------------------------------------------------------------------


@st.composite
def digraphs(draw: st.DrawFn, least: int = 0, most: int = 8) -> Digraph:
    """Draw any graph of `least` to `most` vertices, also with loops and repeated edges.

    >>> from hypothesis import find
    >>> find(digraphs(), lambda parents: len(parents) == 2 and any(parents.values()))
    {0: (0,), 1: ()}
    """
    n = draw(st.integers(least, most))
    return parents_of_edges(n, draw(_pairs(n)))


@st.composite
def dags(draw: st.DrawFn, most: int = 12) -> tuple[Digraph, Order[int]]:
    """Draw an order, and a graph whose edges all go forward in it.

    >>> from hypothesis import find
    >>> find(dags(), lambda example: any(example[0].values()))
    ({0: (), 1: (0,)}, Order(nodes=(0, 1)))
    """
    order = draw(st.integers(0, most).flatmap(lambda n: st.permutations(range(n))))
    pairs = [(min(pair), max(pair)) for pair in draw(_pairs(len(order))) if pair[0] != pair[1]]
    return parents_of_edges(len(order), [(order[i], order[j]) for i, j in pairs]), Order(tuple(order))


def _pairs(n: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    number = st.integers(0, max(0, n - 1))
    return st.lists(st.tuples(number, number), max_size=3 * n)


@dataclass(frozen=True)
class Disputed:
    """A graph with a cycle, and an order of its vertices that claims to be topological."""

    parents: Digraph
    cycle: Cycle[int]
    order: Order[int]


@st.composite
def disputed(draw: st.DrawFn, most: int = 8) -> Disputed:
    """Draw a graph, add a cycle through some of its vertices, and draw any order of them.

    >>> from hypothesis import find
    >>> find(disputed(), lambda case: len(case.cycle.nodes) == 2)
    Disputed(parents={0: (1,), 1: (0,)}, cycle=Cycle(nodes=(0, 1)), order=Order(nodes=(0, 1)))
    """
    parents = dict(draw(digraphs(1, most)))
    cycle = draw(st.permutations(list(parents)))[: draw(st.integers(1, len(parents)))]
    for before, v in zip(cycle, cycle[1:] + cycle[:1], strict=True):
        parents[v] = (*parents[v], before)
    return Disputed(parents, Cycle(tuple(cycle)), Order(tuple(draw(st.permutations(list(parents))))))


# Every small graph --------------------------------------------------------------------------------


def small_digraphs(max_examples: int, most: int = 5) -> Iterator[Digraph]:
    """Yield every graph of 1 to 3 vertices with loops.

    From 100 examples on also those of 4 vertices without loops (4,626 in all), from 1000 on those of 4 vertices with
    loops and, if `most` is 5, of 5 vertices without loops (1,114,642 in all).

    >>> [len(list(small_digraphs(examples))) for examples in (1, 100)]
    [530, 4626]
    """
    for n in (1, 2, 3):
        yield from every_digraph(n, loops=True)
    if max_examples >= 100:
        yield from every_digraph(4, loops=max_examples >= 1000)
    if max_examples >= 1000 and most >= 5:
        yield from every_digraph(5)


def small_dags(max_examples: int, least: int = 0) -> Iterator[Digraph]:
    """Yield every DAG of `least` to 3 vertices, from 100 examples on to 4, from 1000 on to 5 (29,854 in all).

    >>> [len(list(small_dags(examples))) for examples in (1, 100)]
    [30, 573]
    """
    most = 5 if max_examples >= 1000 else 4 if max_examples >= 100 else 3
    for n in range(least, most + 1):
        yield from filter(is_acyclic, every_digraph(n))


def counted(max_examples: int) -> list[tuple[int, bool]]:
    """Return the families (n, loops) whose DAGs are counted: all graphs of n vertices, with loops or without.

    >>> counted(100)
    [(1, False), (1, True), (2, False), (2, True), (3, False), (3, True), (4, False)]
    """
    families = [(n, loops) for n in (1, 2, 3) for loops in (False, True)] + [(4, False)]
    return [*families, (4, True), (5, False)] if max_examples >= 1000 else families


# Large random graphs ------------------------------------------------------------------------------


LARGE = 100_000
"""Vertices of a large graph."""


@dataclass(frozen=True)
class PlantedGraph:
    """A random DAG on the vertices 0 … n-1, and a cycle to plant in it.

    dag: its edges, of shape (E, 2), rows (u, v). cycle: through vertices of it. planted: the edges of both.
    """

    n: int
    dag: np.ndarray
    cycle: Cycle[int]

    @property
    def planted(self) -> np.ndarray:
        around = np.array(self.cycle.nodes)
        return np.concatenate([self.dag, np.stack([around, np.roll(around, -1)], axis=1)])


def planted_graph(n: int, cycle_length: int, seed: int, edges_per_vertex: int = 2) -> PlantedGraph:
    """Make a random DAG of n vertices, and a cycle of the given length through random vertices.

    `edges_per_vertex * n` edges join random vertices in the direction of a random order.

    >>> planted_graph(4, 2, seed=0).cycle
    Cycle(nodes=(2, 3))
    """
    random = np.random.default_rng(seed)
    pairs = random.integers(0, n, (edges_per_vertex * n, 2))
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    order = random.permutation(n)  # edges go forward in it
    return PlantedGraph(n, order[pairs], Cycle(tuple(random.permutation(n)[:cycle_length].tolist())))


def planted_graphs(max_examples: int, first_seed: int = 0) -> Iterator[PlantedGraph]:
    """Yield graphs of 3 vertices with a cycle of 3, 2 and 1, and one of 100,000 vertices for every 100 examples.

    >>> [(graph.n, graph.cycle.nodes) for graph in planted_graphs(99)]
    [(3, (2, 0, 1)), (3, (2, 1)), (3, (1,))]
    """
    for length in (3, 2, 1):
        yield planted_graph(3, length, seed=first_seed + length)
    for seed in range(first_seed, first_seed + max_examples // 100):
        yield planted_graph(LARGE, (LARGE, 2, 1)[seed % 3], seed, edges_per_vertex=1)


# Programs that minigrad records -------------------------------------------------------------------


Step = tuple[str, int, int]
OPERATIONS = "leaf", "tanh", "add", "multiply", "split"


def programs(most: int = 12) -> st.SearchStrategy[list[Step]]:
    """Draw programs for `run_program`.

    >>> from hypothesis import find
    >>> find(programs(), lambda steps: len(steps) == 2)
    [('leaf', 0, 0), ('leaf', 0, 0)]
    """
    number = st.integers(0, most)
    return st.lists(st.tuples(st.sampled_from(OPERATIONS), number, number), max_size=most)


def run_program(steps: Sequence[Step], entries: int = 0) -> list[mg.Tensor]:
    """Run a program on minigrad; return its tensors in the order of their creation.

    The program begins with a tensor that requires a gradient. A step (name, i, j) applies an operation to the earlier
    tensors i and j, modulo their number. 'leaf' makes another tensor that requires a gradient, 'tanh' uses i only, and
    'split' makes two tensors by one node. All tensors have the same number of entries, by default none.

    >>> tensors = run_program([("tanh", 0, 0), ("add", 0, 1)])
    >>> [tensor.node for tensor in tensors]
    [<leaf float32 (0,)>, <tanh float32 (0,)>, <add float32 (0,)>]
    """
    values = np.linspace(-1, 1, entries, dtype=np.float32)
    tensors = [mg.tensor(values, requires_grad=True)]
    for name, i, j in steps:
        x, y = tensors[i % len(tensors)], tensors[j % len(tensors)]
        if name == "leaf":
            tensors.append(mg.tensor(values, requires_grad=True))
        elif name == "tanh":
            tensors.append(mg.tanh(x))
        elif name in ("add", "multiply"):
            tensors.append(getattr(mg, name)(x, y))
        else:
            tensors += mg.split(mg.concatenate([x, x]) if entries else x, 2)
    return tensors


# The domains, and what they promise ---------------------------------------------------------------


def _has_edge(parents: Digraph) -> bool:
    return any(parents.values())


def _has_long_cycle(parents: Digraph) -> bool:
    """Return whether there is a cycle through two or more vertices, not just a loop."""
    return not is_acyclic({v: tuple(u for u in several if u != v) for v, several in parents.items()})


_REPEATED: dict[str, Callable[[Digraph], bool]] = {
    "an edge twice": lambda parents: any(len(set(several)) < len(several) for several in parents.values())
}
_EDGES: dict[str, Callable[[Digraph], bool]] = {
    "an edge": _has_edge,
    "a path of two edges": lambda parents: any(parents[u] and u != v for v, us in parents.items() for u in us),
    "a vertex with two parents": lambda parents: any(len(set(several)) > 1 for several in parents.values()),
    "two sources, and edges": lambda parents: _has_edge(parents) and sum(not s for s in parents.values()) > 1,
}  # fmt: skip
_ANY: dict[str, Callable[[Digraph], bool]] = {
    **_EDGES,
    "a loop": lambda parents: any(v in several for v, several in parents.items()),
    "a cycle through two vertices": _has_long_cycle,
    "edges, but no cycle": lambda parents: _has_edge(parents) and is_acyclic(parents),
}  # fmt: skip
_DRAWN: dict[str, Callable[[Digraph], bool]] = {
    **_ANY, **_REPEATED, "8 vertices": lambda parents: len(parents) == 8,
    "a cycle, and a source with a child": lambda parents: (
        _has_long_cycle(parents) and any(not parents[u] for several in parents.values() for u in several)
    ),
}  # fmt: skip


def _certify_ordered(example: tuple[Digraph, Order[int]]) -> None:
    """Require only that the order has all vertices; the proposition checks that edges go forward in it."""
    require(sorted(example[1].nodes) == sorted(example[0]), "the order has not the vertices of the graph")


def _of(part: Callable[[Any], Digraph], reaches: Mapping[str, Callable[[Digraph], bool]]) -> dict[str, Any]:
    """Return features of a graph that is part of an example."""
    return {name: lambda example, met=met: met(part(example)) for name, met in reaches.items()}


ANY_GRAPHS = sampled(digraphs(), _DRAWN)
STUCK_OR_NOT = sampled(digraphs() | disputed().map(lambda case: case.parents), _DRAWN)  # the latter have long cycles
ORDERED_DAGS = sampled(
    dags(),
    {
        **_of(lambda example: example[0], {**_EDGES, **_REPEATED}),
        "12 vertices": lambda example: len(example[0]) == 12,
        "vertices that are not numbered in order": lambda example: list(example[1].nodes) != sorted(example[0]),
    },
    _certify_ordered,
)
DISPUTED = sampled(
    disputed(),
    {
        "a cycle through one vertex": lambda case: len(case.cycle.nodes) == 1,
        "a cycle through four vertices": lambda case: len(case.cycle.nodes) == 4,
        "a cycle in which the order has several edges backward": lambda case: _falls(case) > 1,
        "8 vertices": lambda case: len(case.parents) == 8,
    },
)


_OPERATIONS: dict[str, Any] = {
    f"the operation {name}": lambda steps, name=name: name in [step[0] for step in steps]
    for name in ("leaf", "tanh", "add", "multiply", "split")
}
PROGRAMS = sampled(programs(), {"12 operations": lambda steps: len(steps) == 12, **_OPERATIONS})


def _falls(case: Disputed) -> int:
    """Count the edges of the cycle that go backward in the order."""
    place = case.order.nodes.index
    around = zip(case.cycle.nodes, case.cycle.nodes[1:] + case.cycle.nodes[:1], strict=True)
    return sum(place(u) >= place(v) for u, v in around)


def _number_of_digraphs(examples: int, most: int = 5) -> int:
    sizes = [2, 2**4, 2**9]
    sizes += [2**16] if examples >= 1000 else [2**12] if examples >= 100 else []
    return sum(sizes) + (2**20 if examples >= 1000 and most >= 5 else 0)


def _number_of_dags(examples: int, least: int = 0) -> int:
    return sum(LABELLED_DAGS[least : (6 if examples >= 1000 else 5 if examples >= 100 else 4)])


def _certify_dag(parents: Digraph) -> None:
    require(is_acyclic(parents), "the graph has a cycle")


SMALL_DIGRAPHS = enumerated(small_digraphs, _number_of_digraphs, _ANY)
SMALL_DIGRAPHS_OF_4 = enumerated(partial(small_digraphs, most=4), partial(_number_of_digraphs, most=4), _ANY)
SMALL_DAGS = enumerated(small_dags, _number_of_dags, _EDGES, _certify_dag)
LARGER_SMALL_DAGS = sampled(partial(small_dags, least=2), _EDGES, _certify_dag)
DENSE = enumerated([8, 16, 32, 64], 4)
"""Numbers of vertices, at which counting walks in integers of 8, 16, 32 or 64 bits overflows to 0."""
COUNTED = enumerated(counted, lambda examples: 9 if examples >= 1000 else 7)


def _certify_planted(graph: PlantedGraph) -> None:
    around = graph.cycle.nodes
    require(graph.n in (3, LARGE), f"it has {graph.n:,} vertices, not 3 or {LARGE:,}")
    require(len(set(around)) == len(around), "the planted cycle has a vertex twice")
    require(len(graph.planted) == len(graph.dag) + len(around), "the cycle is not planted")


_CYCLES: dict[str, Any] = {f"a cycle of {k}": lambda graph, k=k: len(graph.cycle.nodes) == k for k in (1, 2, 3)}
PLANTED = sampled(
    planted_graphs, {"an edge": lambda graph: len(graph.dag) > 0, **_CYCLES}, _certify_planted, seeded=True
)

"""The examples that the claims on topological order are tried on: strategies, small graphs, and large ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

import minigrad as mg
from minigrad.graph import Cycle, Order
from theory.ordering_certificates import is_acyclic
from theory.ordering_graphs import every_digraph, parents_of_edges

__all__ = ["Disputed", "PlantedGraph", "Step", "counted", "dags", "digraphs", "disputed", "planted_graph",
           "planted_graphs", "programs", "run_program", "small_dags", "small_digraphs"]  # fmt: skip

Digraph = Mapping[int, tuple[int, ...]]


# Drawn and shrunk by Hypothesis -------------------------------------------------------------------


@st.composite
def digraphs(draw: st.DrawFn, least: int = 0, most: int = 8) -> Digraph:
    """Any graph of `least` to `most` vertices, also with loops and repeated edges.

    >>> from hypothesis import find
    >>> find(digraphs(), lambda parents: len(parents) == 2 and any(parents.values()))
    {0: (0,), 1: ()}
    """
    n = draw(st.integers(least, most))
    return parents_of_edges(n, draw(_pairs(n)))


@st.composite
def dags(draw: st.DrawFn, most: int = 12) -> tuple[Digraph, Order[int]]:
    """A graph whose edges all go forward in an order that is drawn first, and that order.

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
    """A graph with a cycle, and an order of its vertices that is said to be topological."""

    parents: Digraph
    cycle: Cycle[int]
    order: Order[int]


@st.composite
def disputed(draw: st.DrawFn, most: int = 8) -> Disputed:
    """Any graph with a cycle added, through vertices that are drawn, and any order of its vertices.

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
    """Every graph of 1 to 3 vertices with loops; the further, the more examples are asked for.

    From 100 examples on also those of 4 vertices without loops (4,626 in all), from 1000 on those of 4 vertices with
    loops and, if `most` is 5, of 5 vertices without (1,114,642 in all).

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
    """Every DAG of `least` to 3 vertices; from 100 examples on to 4, from 1000 on to 5 (29,854 with the empty one).

    >>> [len(list(small_dags(examples))) for examples in (1, 100)]
    [30, 573]
    """
    most = 5 if max_examples >= 1000 else 4 if max_examples >= 100 else 3
    for n in range(least, most + 1):
        yield from filter(is_acyclic, every_digraph(n))


def counted(max_examples: int) -> list[tuple[int, bool]]:
    """The families (n, loops), all graphs of n vertices with loops or without, whose DAGs are counted.

    >>> counted(100)
    [(1, False), (1, True), (2, False), (2, True), (3, False), (3, True), (4, False)]
    """
    families = [(n, loops) for n in (1, 2, 3) for loops in (False, True)] + [(4, False)]
    return [*families, (4, True), (5, False)] if max_examples >= 1000 else families


# Large random graphs ------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlantedGraph:
    """A random DAG on the vertices 0 … n-1, and a cycle to be planted in it.

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
    """A random graph of n vertices, and a cycle of the given length through random vertices.

    Two random vertices are joined in the direction of a random order, `edges_per_vertex * n` times.

    Raises:
        ValueError: if `cycle_length` is not 1 … n.

    >>> planted_graph(4, 2, seed=0).cycle
    Cycle(nodes=(2, 3))
    """
    if not 1 <= cycle_length <= n:
        raise ValueError(f"planted_graph: the cycle's length must be 1 … n, n = {n}; got {cycle_length}")
    random = np.random.default_rng(seed)
    pairs = random.integers(0, n, (edges_per_vertex * n, 2))
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    order = random.permutation(n)  # edges go from what is earlier in it to what is later
    return PlantedGraph(n, order[pairs], Cycle(tuple(random.permutation(n)[:cycle_length].tolist())))


def planted_graphs(max_examples: int) -> Iterator[PlantedGraph]:
    """Graphs of 3 vertices with a cycle of 3, 2 and 1, and for every hundred examples one of 100,000 vertices.

    >>> [(graph.n, graph.cycle.nodes) for graph in planted_graphs(99)]
    [(3, (2, 0, 1)), (3, (2, 1)), (3, (1,))]
    """
    for length in (3, 2, 1):
        yield planted_graph(3, length, seed=length)
    for seed in range(max_examples // 100):
        yield planted_graph(100_000, (100_000, 2, 1)[seed % 3], seed, edges_per_vertex=1)


# Programs that minigrad records -------------------------------------------------------------------


Step = tuple[str, int, int]
OPERATIONS = "leaf", "tanh", "add", "multiply", "split"


def programs(most: int = 12) -> st.SearchStrategy[list[Step]]:
    """Programs for `run_program`.

    >>> from hypothesis import find
    >>> find(programs(), lambda steps: len(steps) == 2)
    [('leaf', 0, 0), ('leaf', 0, 0)]
    """
    number = st.integers(0, most)
    return st.lists(st.tuples(st.sampled_from(OPERATIONS), number, number), max_size=most)


def run_program(steps: Sequence[Step]) -> list[mg.Tensor]:
    """Run a program on minigrad: its tensors, in the order in which they were made.

    The program begins with a tensor that requires a gradient. A step (name, i, j) applies an operation to the
    tensors i and j made so far, counted modulo how many there are; 'leaf' makes another tensor that requires
    a gradient, 'tanh' uses i only, and 'split' makes two tensors by one node. Only the graph matters, so the
    tensors have no entries.

    >>> tensors = run_program([("tanh", 0, 0), ("add", 0, 1)])
    >>> [tensor.node for tensor in tensors]
    [<leaf float32 (0,)>, <tanh float32 (0,)>, <add float32 (0,)>]
    """
    tensors = [mg.tensor([], requires_grad=True)]
    for name, i, j in steps:
        x, y = tensors[i % len(tensors)], tensors[j % len(tensors)]
        if name == "leaf":
            tensors.append(mg.tensor([], requires_grad=True))
        elif name == "tanh":
            tensors.append(mg.tanh(x))
        elif name in ("add", "multiply"):
            tensors.append(getattr(mg, name)(x, y))
        elif name == "split":
            tensors += mg.split(x, 2)
        else:
            raise ValueError(f"run_program: {name!r} is not an operation; they are {', '.join(OPERATIONS)}")
    return tensors

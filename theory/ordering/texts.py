"""What is said of the claims 2-1 and 2-2: statements, proofs, and the examples that `theory show` works through."""

from __future__ import annotations

from minigrad.graph import Cycle, Order, topological_order
from theory.claims import Corrected, Statement
from theory.ordering.graphs import show_cycle, show_graph
from theory.ordering.proofs import Removal, removals, remove_sources, violated_edge

__all__ = ["CORRECTED_1", "CYCLIC", "LAYER", "PROOF_1", "PROOF_2", "PURPORTED", "STATEMENT_1", "STATEMENT_2",
           "cycle_of_example", "show_contradiction", "show_removals"]  # fmt: skip

LAYER = {"x": (), "W": (), "b": (), "Wx": ("W", "x"), "z": ("Wx", "b"), "h": ("z",), "loss": ("h", "W")}
"""The graph of a layer and its regularised loss: z = Wx + b, h = tanh(z), loss = |h|^2 + |W|^2."""

CYCLIC = {"a": (), "b": ("a", "e"), "c": ("b",), "d": ("c", "a"), "e": ("d",), "f": ("c", "e")}
"""A graph with one cycle."""

PURPORTED = Order(tuple("abcdef"))
"""An order of its vertices that is claimed to be topological."""

STATEMENT_1 = Statement(
    "Every finite directed acyclic graph (DAG) has a topological order. Proof as printed: a DAG has a vertex without "
    "incoming edges; remove it; what is left is cyclic; repeat; the order of removal is topological.",
    "Every finite directed acyclic graph (DAG) has a topological order: a sequence of all its vertices in which "
    r"$u$ comes before $v$ for every edge $u \to v$. Proof as printed: a DAG has a vertex without incoming edges (the "
    "lemma); remove it; what is left is *cyclic*; repeat; the order of removal is topological.",
)

CORRECTED_1 = Corrected(
    "Every finite DAG has a topological order: a DAG that is not empty has a vertex without incoming edges; remove it; "
    "what is left is acyclic; repeat until nothing is left; the order of removal is topological.",
    "Every finite DAG has a topological order: a DAG that is not empty has a vertex without incoming edges; remove it; "
    "what is left is *acyclic*; repeat until nothing is left; the order of removal is topological.",
    by=("the step",),
)

PROOF_1 = r"""*Lemma.* Let the graph have $n \ge 1$ vertices. Walk from any vertex to a parent of it, again and again.
Either the walk ends, in a vertex without incoming edges, or it has $n + 1$ vertices, two of which are the same: between
them lies a cycle. A DAG has none, so the walk ends.

*Theorem.* Remove that vertex and its edges. A cycle of what is left would be a cycle of the whole, so what is left is
a DAG again (not cyclic, as is printed), with one vertex less; after $n$ steps nothing is left. For an edge
$u \to v$, $v$ cannot be removed while $u$ is there, so $u$ is removed before $v$.

On a graph with cycles the same construction ends with a graph in which every vertex has a parent, where the walk
of the lemma closes a cycle. So each graph gives an order or a cycle, and 2-2 says that none gives both.

The printed step is refuted by every DAG. The smallest that leaves a vertex has two; one vertex would do if
the empty graph that it leaves is counted, as that has no cycle either."""

STATEMENT_2 = Statement(
    "A graph with a topological order is a DAG.",
    r"A graph that has a topological order is a DAG: around a cycle $v_0 \to v_1 \to \dots \to v_0$ the order "
    r"would need $v_0 < v_1 < \dots < v_0$.",
)

PROOF_2 = r"""Let $p(v)$ be the position of $v$ in the order, so that $p(u) < p(v)$ for every edge $u \to v$. Along
a cycle $v_0 \to v_1 \to \dots \to v_{k-1} \to v_0$ that gives $p(v_0) < p(v_1) < \dots < p(v_{k-1}) < p(v_0)$, so
$p(v_0) < p(v_0)$, which is false. Read backwards: of any cycle and any order, whoever proposes them, one edge
of the cycle goes backward in the order. So an order proves that there is no cycle and a cycle that there is no order,
and either can be checked without knowing how it was found.

For an automatic differentiation it says that a trace has no cycle: an operation is recorded after its inputs exist,
so the order in which the operations ran is topological."""


def show_removals() -> str:
    """The construction on the graph of a layer, step by step; and on a graph with a cycle, where it is stuck."""
    lines = [f"the graph of a layer: {show_graph(LAYER)}", "", "removed   what is left"]
    removed = []
    for step in removals(LAYER):
        assert isinstance(step, Removal)  # the graph is acyclic
        removed.append(step.vertex)
        lines.append(f"{step.vertex:8}  {show_graph(step.left)}")
    lines += ["", f"topological order: {', '.join(removed)}", "", f"a graph with a cycle: {show_graph(CYCLIC)}"]
    stuck = remove_sources(CYCLIC)
    assert not isinstance(stuck, Order)  # it has a cycle
    lines += [f"removed: {', '.join(stuck.removed)}; then every vertex has a parent: {show_graph(stuck.left)}"]
    return "\n".join([*lines, f"cycle: {show_cycle(stuck.cycle)}"])


def show_contradiction() -> str:
    """A cycle, the positions that an order gives to its vertices, and the edge that refutes the order."""
    cycle = cycle_of_example()
    position = {v: i for i, v in enumerate(PURPORTED.nodes, 1)}
    lines = [f"the graph: {show_graph(CYCLIC)}", f"a cycle in it: {show_cycle(cycle)}"]
    lines += [f"said to be a topological order: {', '.join(PURPORTED.nodes)}", ""]
    for u, v in zip(cycle.nodes, (*cycle.nodes[1:], cycle.nodes[0]), strict=True):
        holds = "holds" if position[u] < position[v] else "is false"
        lines.append(f"the edge {u} -> {v} needs {position[u]} < {position[v]}, which {holds}")
    u, v = violated_edge(PURPORTED, cycle)
    return "\n".join([*lines, "", f"so {u} -> {v} refutes the order; every other order fails somewhere, too"])


def cycle_of_example() -> Cycle[str]:
    """The cycle of the example as minigrad's sort finds it from e.

    >>> show_cycle(cycle_of_example())
    'b -> c -> d -> e -> b'
    """
    found = topological_order("e", CYCLIC.__getitem__)
    assert isinstance(found, Cycle)
    return found

"""The claims 2-1 and 2-2 in words: a DAG has a topological order, and a graph that has one is a DAG."""

from __future__ import annotations

from collections.abc import Iterator

from minigrad.graph import Order
from theory.certificates import Certificate, certificate
from theory.claims import Claim, Corrected, Statement
from theory.ordering import checks, domains
from theory.ordering.figures import draw_contradiction, draw_removals
from theory.ordering.graphs import CYCLIC, LAYER, PURPORTED, cycle_of_example, show_cycle, show_graph
from theory.ordering.proofs import Removal, removals, remove_sources, violated_edge
from theory.propositions import Proposition

__all__ = ["CLAIM_2_1", "CLAIM_2_2", "show_contradiction", "show_removals"]

# 2-1: every DAG has a topological order -----------------------------------------------------------

STATEMENT_1 = Statement(
    "Every finite directed acyclic graph (DAG) has a topological order. Proof as printed: a DAG has a vertex without "
    "incoming edges; remove it; the remaining graph is cyclic; repeat; the order of removal is topological.",
    "Every finite directed acyclic graph (DAG) has a topological order: a sequence of all its vertices in which "
    r"$u$ comes before $v$ for every edge $u \to v$. Proof as printed: a DAG has a vertex without incoming edges (the "
    "lemma); remove it; the remaining graph is *cyclic*; repeat; the order of removal is topological.",
)

CORRECTED_1 = Corrected(
    "Every finite DAG has a topological order. A DAG that is not empty has a vertex without incoming edges. Remove "
    "it: the remaining graph is acyclic. Repeat until nothing is left; the order of removal is topological.",
    "Every finite DAG has a topological order. A DAG that is not empty has a vertex without incoming edges. Remove "
    "it: the remaining graph is *acyclic*. Repeat until nothing is left; the order of removal is topological.",
    by=("the lemma", "the step"),
)

PROOF_1 = r"""*Lemma.* Let the graph have $n \ge 1$ vertices. (The printed lemma omits this: the empty graph is a DAG
without any vertex.) Start at any vertex and walk repeatedly to a parent. Either the walk ends in a vertex without
incoming edges, or it reaches $n+1$ vertices, so one vertex repeats, and the walk contains a cycle. A DAG has no cycle,
so the walk ends.

*Theorem.* Remove that vertex and its edges. A cycle in the remaining graph would be a cycle of the whole graph, so the
remaining graph is a DAG (not cyclic, as printed). After $n$ steps nothing is left. For an edge $u \to v$, $v$ cannot be
removed while $u$ remains, so $u$ is removed before $v$. The empty graph has the empty order.

The construction stops on a cyclic graph when every remaining vertex has a parent. The walk of the lemma then finds a
cycle. So each graph gives an order or a cycle, and by 2-2 never both.

Every DAG of two or more vertices refutes the printed step."""

PROPOSITIONS_1 = (
    Proposition(
        "what is left is cyclic",
        "After a vertex without incoming edges is removed from a DAG of two or more vertices, the remaining graph is "
        "cyclic.",
        checks.what_is_left_is_cyclic,
        domains.LARGER_SMALL_DAGS,
        "proof",
        show=show_graph,
        false=True,
    ),
    Proposition(
        "the theorem",
        "Every DAG has a topological order: minigrad's sort and the construction both find one (up to 12 vertices).",
        checks.has_an_order,
        domains.ORDERED_DAGS,
        show=lambda example: show_graph(example[0]),
    ),
    Proposition(
        "the lemma without vertices",
        "A DAG has a vertex without incoming edges, as printed.",
        checks.has_a_source,
        domains.SMALL_DAGS,
        "proof",
        show=show_graph,
        false=True,
    ),
    Proposition(
        "the lemma",
        "A DAG that is not empty has a vertex without incoming edges: walking back from any vertex ends in one, or "
        "closes a cycle if the graph has cycles (up to 8 vertices).",
        checks.lemma_holds,
        domains.ANY_GRAPHS,
        "corrected",
        show=show_graph,
    ),
    Proposition(
        "the step",
        "If you remove a vertex without incoming edges from a DAG, the remaining graph is acyclic. The order of "
        "removal is topological (up to 4 vertices; up to 5 with --examples 1000).",
        checks.what_is_left_is_acyclic,
        domains.SMALL_DAGS,
        "corrected",
        show=show_graph,
    ),
    Proposition(
        "the construction on any graph",
        "Removing sources gives an order if the graph is acyclic. Otherwise it leaves a graph in which every vertex "
        "has a parent, which contains a cycle; graphlib agrees (up to 8 vertices).",
        checks.construction_ends,
        domains.STUCK_OR_NOT,
        "general",
        show=show_graph,
    ),
    Proposition(
        "an order or a cycle",
        "Each graph gives an order or a cycle, certified by definition (up to 3 vertices with loops, 4 without; with "
        "--examples 1000 up to 4 with loops and 5 without).",
        checks.order_or_cycle,
        domains.SMALL_DIGRAPHS,
        "general",
        show=show_graph,
    ),
    Proposition(
        "dense graphs",
        "The complete graph of 4 vertices with loops and isolated vertices is cyclic. The graph of all edges that go "
        "forward in an order is not (8, 16, 32 and 64 vertices).",
        checks.dense_graphs_are_decided,
        domains.DENSE,
        "general",
        show=lambda n: f"{n} vertices",
    ),
    Proposition(
        "corrupted orders",
        "The checks reject an order that lacks, adds or repeats a vertex, that reverses an edge, or whose graph has a "
        "self-loop (up to 12 vertices).",
        checks.spoilt_order_is_refused,
        domains.ORDERED_DAGS,
        "general",
        show=lambda example: f"{show_graph(example[0])}; order {example[1].nodes}",
    ),
    Proposition(
        "corrupted cycles",
        "The checks reject a cycle that is empty, goes round twice, repeats a vertex, names a vertex outside the graph "
        "or lacks an edge (up to 8 vertices).",
        checks.spoilt_cycle_is_refused,
        domains.DISPUTED,
        "general",
        show=lambda case: f"{show_graph(case.parents)}; {show_cycle(case.cycle)}",
    ),
    Proposition(
        "the number of DAGs",
        "Of the labelled graphs with 1 to 4 vertices, 1, 3, 25 and 543 can be sorted, as OEIS A003024 and a recurrence "
        "say, with or without loops (with --examples 1000 also 29,281 with 5, and loops with 4).",
        checks.count_is_right,
        domains.COUNTED,
        "general",
        show=lambda domain: f"{domain[0]} vertices, {'with' if domain[1] else 'without'} loops",
    ),
    Proposition(
        "large graphs",
        "The sort returns an order for random DAGs, and a cycle once a cycle is planted in them (3 vertices; 100,000 "
        "for every 100 examples).",
        checks.large_graph_is_sorted,
        domains.PLANTED,
        "general",
        show=lambda graph: f"{graph.n:,} vertices, {len(graph.dag):,} edges; a cycle {show_cycle(graph.cycle)}",
    ),
    Proposition(
        "minigrad's graphs",
        "The sort orders the nodes that minigrad records for a program of up to 12 operations, inputs first.",
        checks.trace_is_sorted,
        domains.PROGRAMS,
        "general",
    ),
    Proposition(
        "minigrad's reverse pass",
        "A certified reverse pass visits the nodes of such a program in reverse topological order. Each edge carries "
        "one cotangent, and each node receives their sum.",
        checks.pass_is_certified,
        domains.PROGRAMS,
        "general",
    ),
)


def show_removals() -> str:
    """Write the construction on the graph of a layer, and on a graph with a cycle, where it gets stuck."""
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


def certify() -> Iterator[Certificate]:
    """Certify an order or a cycle of both graphs that are shown, and of all graphs of up to 3 vertices with loops."""
    for parents in (LAYER, CYCLIC, *domains.SMALL_DIGRAPHS.examples(1)):
        named = {str(v): [str(u) for u in several] for v, several in parents.items()}
        found = remove_sources(named)
        if isinstance(found, Order):
            yield certificate("order", parents=named, order=found.nodes)
        else:
            yield certificate("cycle", parents=named, cycle=found.cycle.nodes)


CLAIM_2_1 = Claim(
    number="2-1",
    title="Every DAG has a topological order",
    statement=STATEMENT_1,
    source="homework 2-1",
    propositions=PROPOSITIONS_1,
    corrected=CORRECTED_1,
    proof=PROOF_1,
    draw=draw_removals,
    interactive="ordering",
    display=show_removals,
    certify=certify,
)

# 2-2: a graph with a topological order is a DAG ---------------------------------------------------

STATEMENT_2 = Statement(
    "A graph with a topological order is a DAG.",
    r"A graph that has a topological order is a DAG: around a cycle $v_0 \to v_1 \to \dots \to v_0$ the order "
    r"would need $v_0<v_1<\dots<v_0$.",
)

PROOF_2 = r"""Let $p(v)$ be the position of $v$ in the order, so that $p(u)<p(v)$ for every edge $u \to v$. Around a
cycle $v_0 \to v_1 \to \dots \to v_{k-1} \to v_0$ that gives $p(v_0)<p(v_1)<\dots<p(v_{k-1})<p(v_0)$, which is false. So
a graph with a topological order has no cycle, and a graph with a cycle has no topological order.

A trace of operations has no cycle: each is recorded after its inputs, so the order of recording is topological."""

PROPOSITIONS_2 = (
    Proposition(
        "the theorem",
        "A graph whose edges go forward in an order has no cycle: no walk along edges comes back (up to 12 vertices).",
        checks.ordered_graph_has_no_cycle,
        domains.ORDERED_DAGS,
        show=lambda example: f"{show_graph(example[0])}; order {example[1].nodes}",
    ),
    Proposition(
        "the contradiction",
        "In any order some edge of a cycle goes backward, so an order and a cycle are never both valid (up to 8 "
        "vertices).",
        checks.cycle_refutes_every_order,
        domains.DISPUTED,
        "proof",
        show=lambda case: f"{show_graph(case.parents)}; {show_cycle(case.cycle)}; order {case.order.nodes}",
    ),
    Proposition(
        "never both",
        "The sequences of a graph's vertices include a topological order or a cycle, never both (up to 3 vertices with "
        "loops, 4 without; up to 4 with loops with --examples 1000).",
        checks.never_both,
        domains.SMALL_DIGRAPHS_OF_4,
        "general",
        show=show_graph,
    ),
    Proposition(
        "minigrad's graphs",
        "The order in which a program of up to 12 operations makes its nodes is topological; a trace that is "
        "changed to contain a cycle is rejected.",
        checks.trace_has_no_cycle,
        domains.PROGRAMS,
        "general",
    ),
)


def show_contradiction() -> str:
    """Write a cycle, the positions of its vertices in an order, and the edge that refutes the order."""
    cycle = cycle_of_example()
    position = {v: i for i, v in enumerate(PURPORTED.nodes, 1)}
    lines = [f"the graph: {show_graph(CYCLIC)}", f"a cycle in it: {show_cycle(cycle)}"]
    lines += [f"said to be a topological order: {', '.join(PURPORTED.nodes)}", ""]
    for u, v in zip(cycle.nodes, (*cycle.nodes[1:], cycle.nodes[0]), strict=True):
        holds = "holds" if position[u] < position[v] else "is false"
        lines.append(f"the edge {u} -> {v} needs {position[u]} < {position[v]}, which {holds}")
    u, v = violated_edge(PURPORTED, cycle)
    return "\n".join([*lines, "", f"so {u} -> {v} refutes the order; every other order fails somewhere, too"])


CLAIM_2_2 = Claim(
    number="2-2",
    title="A graph with a topological order is a DAG",
    statement=STATEMENT_2,
    source="homework 2-2",
    propositions=PROPOSITIONS_2,
    proof=PROOF_2,
    draw=draw_contradiction,
    exercise=(
        "If an edge goes backward in some order of the vertices, the graph has a cycle.",
        r"One edge $u \to v$, in the order $v$, $u$: another order is topological.",
    ),
    display=show_contradiction,
    certify=certify,
)

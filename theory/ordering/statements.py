"""All that is said of the claims 2-1 and 2-2: a DAG has a topological order, and a graph that has one is a DAG.

The theorems are functions in `theory.ordering.proofs`; `theory.ordering.checks` confronts them with the graphs of
`theory.ordering.domains`: every small one, random ones up to 100,000 vertices, and those that minigrad records.
"""

from __future__ import annotations

from minigrad.graph import Order
from theory.claims import FALSE, HOLDS, Claim, Corrected, Statement
from theory.ordering import checks, domains
from theory.ordering.figures import draw_contradiction, draw_removals
from theory.ordering.graphs import CYCLIC, LAYER, PURPORTED, cycle_of_example, show_cycle, show_graph
from theory.ordering.proofs import Removal, removals, remove_sources, violated_edge
from theory.propositions import Proposition

__all__ = ["CLAIM_2_1", "CLAIM_2_2", "show_contradiction", "show_removals"]

# 2-1: every DAG has a topological order -----------------------------------------------------------

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

A reverse pass needs such an order, read backwards: $v$ has a use $u$ if $v \to u$, and the cotangent of $v$ is the sum
of what its uses send back, which is complete once all of them have been visited.

The printed step is refuted by every DAG. The smallest that leaves a vertex has two; one vertex would do if
the empty graph that it leaves is counted, as that has no cycle either."""

PROPOSITIONS_1 = (
    Proposition(
        "what is left is cyclic",
        "After a vertex without incoming edges is removed from a DAG of two or more, what is left is cyclic.",
        checks.what_is_left_is_cyclic,
        domains.LARGER_SMALL_DAGS,
        show=show_graph,
        false=True,
    ),
    Proposition(
        "the theorem",
        "Every DAG has a topological order: of DAGs of up to 12 vertices, which are drawn, minigrad's sort and "
        "the construction both find one.",
        checks.has_an_order,
        domains.ORDERED_DAGS,
        show=lambda example: show_graph(example[0]),
    ),
    Proposition(
        "the lemma",
        "A DAG has a vertex without incoming edges: walking back from any vertex ends in one; in graphs with "
        "cycles, which are drawn too, of up to 8 vertices, it may close a cycle.",
        checks.lemma_holds,
        domains.ANY_GRAPHS,
        show=show_graph,
    ),
    Proposition(
        "the step",
        "After each removal from a DAG all else stays and what is left is acyclic; the order of removal is "
        "topological (every DAG of up to 3 vertices; 4 from 100 examples on, 5 from 1000 on).",
        checks.what_is_left_is_acyclic,
        domains.SMALL_DAGS,
        "corrected",
        show=show_graph,
    ),
    Proposition(
        "the construction on any graph",
        "Of graphs of up to 8 vertices, the removal of sources ends with an order exactly if the graph is "
        "acyclic, else with a graph where every vertex has a parent, and a cycle in it; graphlib agrees.",
        checks.construction_ends,
        domains.STUCK_OR_NOT,
        "general",
        show=show_graph,
    ),
    Proposition(
        "an order or a cycle",
        "A graph gives an order or a cycle, certified by definition (all with up to 3 vertices and loops, 4 "
        "without from 100 examples on; from 1000 on 4 with loops, 5 without).",
        checks.order_or_cycle,
        domains.SMALL_DIGRAPHS,
        "general",
        show=show_graph,
    ),
    Proposition(
        "spoilt orders",
        "The checks of an order, by definition and minigrad's, refuse one with a vertex too few or too many, a "
        "vertex twice, the ends of an edge exchanged, or of a graph with a loop (orders of graphs of up to 12 "
        "vertices are drawn).",
        checks.spoilt_order_is_refused,
        domains.ORDERED_DAGS,
        "general",
        show=lambda example: f"{show_graph(example[0])}; order {example[1].nodes}",
    ),
    Proposition(
        "spoilt cycles",
        "The checks of a cycle refuse the empty one, one that goes round twice or has a vertex twice, or a "
        "vertex that the graph has not, and one of which an edge is missing (graphs of up to 8 vertices are "
        "drawn).",
        checks.spoilt_cycle_is_refused,
        domains.DISPUTED,
        "general",
        show=lambda case: f"{show_graph(case.parents)}; {show_cycle(case.cycle)}",
    ),
    Proposition(
        "the number of DAGs",
        "Of the labelled graphs of 1, 2, 3, 4 vertices 1, 3, 25, 543 are sorted, loops allowed or not (of 4 "
        "from 1000 examples on, and 29,281 of 5), as many as OEIS A003024 and a recurrence say.",
        checks.count_is_right,
        domains.COUNTED,
        "general",
        show=lambda domain: f"{domain[0]} vertices, {'with' if domain[1] else 'without'} loops",
    ),
    Proposition(
        "large graphs",
        "Random DAGs of 3 vertices, and one of 100,000 for every 100 examples, give an order, with a cycle "
        "planted a cycle.",
        checks.large_graph_is_sorted,
        domains.PLANTED,
        "general",
        show=lambda graph: f"{graph.n:,} vertices, {len(graph.dag):,} edges; a cycle {show_cycle(graph.cycle)}",
    ),
    Proposition(
        "minigrad's graphs",
        "The nodes that minigrad records behind a random program of up to 12 operations are sorted, inputs first.",
        checks.trace_is_sorted,
        domains.PROGRAMS,
        "general",
    ),
    Proposition(
        "minigrad's reverse pass",
        "A reverse pass through such a program visits its nodes in the reverse of an order: each edge carries one "
        "cotangent, before the node that it goes to is visited, which is given their sum; by a certificate.",
        checks.pass_is_certified,
        domains.PROGRAMS,
        "general",
    ),
)


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


CLAIM_2_1 = Claim(
    number="2-1",
    title="Every DAG has a topological order",
    statement=STATEMENT_1,
    source="homework 2-1",
    propositions=PROPOSITIONS_1,
    expected=FALSE,
    corrected=CORRECTED_1,
    proof=PROOF_1,
    draw=draw_removals,
    display=show_removals,
)

# 2-2: a graph with a topological order is a DAG ---------------------------------------------------

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

PROPOSITIONS_2 = (
    Proposition(
        "the theorem",
        "A graph whose edges go forward in an order has no cycle: no walk along edges comes back (graphs of up "
        "to 12 vertices are drawn).",
        checks.ordered_graph_has_no_cycle,
        domains.ORDERED_DAGS,
        show=lambda example: f"{show_graph(example[0])}; order {example[1].nodes}",
    ),
    Proposition(
        "the contradiction",
        "An edge of a cycle goes backward in any order, so both are never valid (graphs of up to 8 vertices "
        "are drawn, with a cycle and an order).",
        checks.cycle_refutes_every_order,
        domains.DISPUTED,
        show=lambda case: f"{show_graph(case.parents)}; {show_cycle(case.cycle)}; order {case.order.nodes}",
    ),
    Proposition(
        "never both",
        "Among all sequences of its vertices a graph has an order or a cycle, never both (all with up to 3 "
        "vertices and loops, 4 without from 100 examples on; from 1000 on 4 with loops).",
        checks.never_both,
        domains.SMALL_DIGRAPHS_OF_4,
        show=show_graph,
    ),
    Proposition(
        "minigrad's graphs",
        "The order in which a random program of up to 12 operations makes its nodes is topological; a trace "
        "bent into a cycle is refused.",
        checks.trace_has_no_cycle,
        domains.PROGRAMS,
    ),
)


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


CLAIM_2_2 = Claim(
    number="2-2",
    title="A graph with a topological order is a DAG",
    statement=STATEMENT_2,
    source="homework 2-2",
    propositions=PROPOSITIONS_2,
    expected=HOLDS,
    proof=PROOF_2,
    draw=draw_contradiction,
    display=show_contradiction,
)

"""Topological order: a DAG has one (2-1), and a graph that has one is a DAG (2-2).

The theorems are functions in `theory.ordering.proofs`; `theory.ordering.checks` confronts them with the graphs of
`theory.ordering.domains`: every small one, random ones up to 100,000 vertices, and those that minigrad records.
"""

from __future__ import annotations

from theory.claims import FALSE, HOLDS, Claim, Proposition
from theory.ordering import checks, domains, texts
from theory.ordering.figures import draw_contradiction, draw_removals
from theory.ordering.graphs import show_cycle, show_graph
from theory.registry import register

__all__ = ["CLAIM_2_1", "CLAIM_2_2"]

CLAIM_2_1 = register(
    Claim(
        number="2-1",
        title="Every DAG has a topological order",
        statement=texts.STATEMENT_1,
        source="homework 2-1",
        expected=FALSE,
        corrected=texts.CORRECTED_1,
        proof=texts.PROOF_1,
        draw=draw_removals,
        display=texts.show_removals,
        propositions=(
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
                "The nodes that minigrad records behind a random program of up to 12 operations are sorted, inputs "
                "first.",
                checks.trace_is_sorted,
                domains.PROGRAMS,
                "general",
            ),
        ),
    )
)

CLAIM_2_2 = register(
    Claim(
        number="2-2",
        title="A graph with a topological order is a DAG",
        statement=texts.STATEMENT_2,
        source="homework 2-2",
        expected=HOLDS,
        proof=texts.PROOF_2,
        draw=draw_contradiction,
        display=texts.show_contradiction,
        propositions=(
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
        ),
    )
)

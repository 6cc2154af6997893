"""What the claims 2-1 and 2-2 say of one graph: each function raises :class:`theory.Refuted` where it is false.

The theorems' own functions in `theory.ordering.proofs` are run, and minigrad's sort, which shares nothing with them;
what they return is checked by the definitions in `theory.ordering.certificates`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from operator import attrgetter
from typing import Any

import numpy as np

from minigrad.backward import graph_of
from minigrad.check import certify_backward
from minigrad.graph import Cycle, Order, certify, topological_order, topological_order_of_edges
from theory.ordering.certificates import check, check_cycle, check_order, cycles, is_acyclic, orders
from theory.ordering.domains import Digraph, Disputed, PlantedGraph, Step, run_program
from theory.ordering.graphs import (
    LABELLED_DAGS,
    bend,
    count_by_recurrence,
    every_digraph,
    parents_of_edges,
    parents_of_trace,
    show_graph,
    sorted_by_graphlib,
)
from theory.ordering.proofs import Removal, removals, remove_sources, source_or_cycle, violated_edge
from theory.refutation import Refuted, accepts, require

# 2-1: every DAG has a topological order -----------------------------------------------------------


def what_is_left_is_cyclic(parents: Digraph) -> None:
    """The step as it is printed, on a DAG of at least two vertices, so that something is left."""
    step = next(removals(parents))
    if isinstance(step, Removal):
        found = f"after {step.vertex} is removed, what is left ({show_graph(step.left)}) has no cycle"
        require(not is_acyclic(step.left), found)


def has_an_order(example: tuple[Digraph, Order[int]]) -> None:
    """minigrad's sort and the proof's construction both order a DAG."""
    parents, _ = example
    for result in (topological_order(parents, parents.__getitem__), remove_sources(parents)):
        check_ordered(result, parents)


def check_ordered(result: object, parents: Mapping[Any, Any]) -> None:
    """Raise Refuted unless the result is a topological order."""
    if not isinstance(result, Order):
        raise Refuted("a DAG is reported to have a cycle")
    check(result, parents)


def has_a_source(parents: Digraph) -> None:
    """The lemma as it is printed: a DAG has a vertex without incoming edges."""
    require(any(not several for several in parents.values()), "no vertex has no incoming edges")


def lemma_holds(parents: Digraph) -> None:
    """From every vertex of any graph the walk ends in a source or closes a cycle; in a DAG it ends in a source."""
    acyclic = is_acyclic(parents)
    if parents and acyclic:
        has_a_source(parents)
    for start in parents:
        found = source_or_cycle(parents, start)
        if isinstance(found, Cycle):
            check(found, parents)
            require(not acyclic, "the lemma found a cycle in a DAG")
        else:
            require(len(parents[found.vertex]) == 0, f"the source {found.vertex} has parents")


def what_is_left_is_acyclic(parents: Digraph) -> None:
    """Each step of the construction on a DAG removes a source, keeps everything else, and leaves an acyclic graph."""
    before: Mapping[int, Any] = parents
    removed = []
    for step in removals(parents):
        if isinstance(step, Cycle):
            raise Refuted("the construction finds a cycle in a DAG")
        removed.append(step.vertex)
        require(len(before[step.vertex]) == 0, f"{step.vertex} is removed but has parents")
        stays = {v: {u for u in several if u != step.vertex} for v, several in before.items() if v != step.vertex}
        require({v: set(several) for v, several in step.left.items()} == stays, "more or less than a vertex is removed")
        require(is_acyclic(step.left), f"after {step.vertex} is removed, what is left has a cycle")
        before = step.left
    check(Order(tuple(removed)), parents)


def construction_ends(parents: Digraph) -> None:
    """The construction gives an order, or is stuck with a graph that has no source but a cycle; so does graphlib."""
    result = remove_sources(parents)
    other = sorted_by_graphlib(parents)
    require(isinstance(result, Order) == isinstance(other, Order), "graphlib disagrees")
    check(other, parents)
    require(isinstance(result, Order) == is_acyclic(parents), "an order is found of a cyclic graph, or none of a DAG")
    if isinstance(result, Order):
        check(result, parents)
        return
    rest = {v: set(several) for v, several in parents.items()}
    for vertex in result.removed:
        require(len(rest.pop(vertex)) == 0, f"{vertex} is removed but has parents")
        rest = {v: several - {vertex} for v, several in rest.items()}
    require({v: set(several) for v, several in result.left.items()} == rest, "what is left is not what is not removed")
    require(all(rest.values()), "a source is left")
    check(result.cycle, result.left)
    check(result.cycle, parents)


def order_or_cycle(parents: Digraph) -> None:
    """minigrad's sort is certified, and the proof's construction, which shares nothing with it, agrees."""
    result = topological_order(parents, parents.__getitem__)
    check(result, parents)
    other = remove_sources(parents)
    require(isinstance(result, Order) == isinstance(other, Order), "the sort and the removal of sources disagree")
    check(other if isinstance(other, Order) else other.cycle, parents)


def dense_graphs_are_decided(n: int) -> None:
    """Many walks join the same vertices: 4 of them with all edges and loops, and all vertices in an order."""
    cyclic = {v: tuple(range(4)) if v < 4 else () for v in range(n)}
    ordered = {v: tuple(range(v)) for v in range(n)}
    require(not is_acyclic(cyclic), "a graph with loops has no walk of any length")
    require(is_acyclic(ordered), "a walk of a graph whose edges go forward comes back")
    for parents in (cyclic, ordered):
        order_or_cycle(parents)


def count_is_right(domain: tuple[int, bool]) -> None:
    """Of all graphs of n vertices, with or without loops, the number that can be sorted is the known number of DAGs."""
    n, loops = domain
    found = Counter(type(topological_order(graph, graph.__getitem__)) for graph in every_digraph(n, loops))
    require(found.total() == 2 ** (n * n if loops else n * (n - 1)), f"there are {found.total()} graphs")
    for count, how in ((found[Order], "by sorting"), (count_by_recurrence(n), "by the recurrence")):
        require(count == LABELLED_DAGS[n], f"there are {count} DAGs {how}, {LABELLED_DAGS[n]} are known")


def large_graph_is_sorted(graph: PlantedGraph) -> None:
    """A DAG is sorted, and with a cycle planted it is not: by minigrad and by the construction."""
    for edges, kind in ((graph.dag, Order), (graph.planted, Cycle)):
        parents = parents_of_edges(graph.n, edges)
        removal = remove_sources(parents)
        by_removal = removal if isinstance(removal, Order) else removal.cycle
        for result in (topological_order_of_edges(graph.n, edges), by_removal):
            require(isinstance(result, kind), f"a {kind.__name__} was planted, a {type(result).__name__} is found")
            check(result, parents)
    check_cycle(graph.cycle.nodes, parents)


def trace_is_sorted(steps: list[Step]) -> None:
    """From the nodes that nothing uses, all nodes of a program are found; minigrad and the construction sort them."""
    tensors = run_program(steps)
    made = {tensor.node: tensor.node.parents for tensor in tensors if tensor.node is not None}
    used = {parent for several in made.values() for parent in several}
    ends = [tensor for tensor in tensors if tensor.node not in used]
    parents = parents_of_trace(ends)
    require(parents == made, "the graph is not that of the nodes that were made")
    by_minigrad = graph_of([tensor.node for tensor in ends if tensor.node is not None])
    steps_at_most = islice(removals(parents), len(parents))  # more would be wrong
    step_by_step = Order(tuple(step.vertex for step in steps_at_most if isinstance(step, Removal)))
    for result in (by_minigrad, remove_sources(parents), step_by_step):
        check_ordered(result, parents)


def pass_is_certified(steps: list[Step]) -> None:
    """A reverse pass from each node that nothing uses is certified, and its visits, read backwards, are an order."""
    tensors = [tensor for tensor in run_program(steps, entries=3) if tensor.node is not None]
    used = {parent for tensor in tensors if tensor.node is not None for parent in tensor.node.parents}
    for end in (tensor for tensor in tensors if tensor.node not in used):
        try:
            certificate = certify_backward(end, np.ones(end.shape))
        except ValueError as wrong:
            raise Refuted(str(wrong)) from wrong
        visited = tuple(visit.node for visit in reversed(certificate.visits))
        check_order(visited, parents_of_trace([end]))


# 2-2: a graph with a topological order is a DAG ---------------------------------------------------


def ordered_graph_has_no_cycle(example: tuple[Digraph, Order[int]]) -> None:
    """A graph made along an order: no walk comes back, and neither the sort nor the lemma finds a cycle."""
    parents, order = example
    check(order, parents)
    require(is_acyclic(parents), "a walk comes back to where it began")
    require(isinstance(topological_order(parents, parents.__getitem__), Order), "the sort found a cycle")
    for start in parents:
        require(not isinstance(source_or_cycle(parents, start), Cycle), f"the walk from {start} found a cycle")


def cycle_refutes_every_order(case: Disputed) -> None:
    """The contradiction: an edge of the cycle goes backward in the order, and both checks refuse the order."""
    check(case.cycle, case.parents)
    u, v = violated_edge(case.order, case.cycle)
    around = list(zip(case.cycle.nodes, case.cycle.nodes[1:] + case.cycle.nodes[:1], strict=True))
    require((u, v) in around, f"{u} -> {v} is not an edge of the cycle")
    require(case.order.nodes.index(u) >= case.order.nodes.index(v), f"{u} -> {v} goes forward in the order")
    require(not accepts(check_order, case.order.nodes, case.parents), "an order of a cyclic graph is accepted")
    by_minigrad = accepts(certify, case.order, case.parents, case.parents.__getitem__)
    require(not by_minigrad, "minigrad certifies an order of a cyclic graph")


def never_both(parents: Digraph) -> None:
    """The sequences of vertices include an order or a cycle, never both."""
    order, cycle = next(orders(parents), None), next(cycles(parents), None)
    require(order is None or cycle is None, f"it has the order {order} and the cycle {cycle}")
    require(order is not None or cycle is not None, "it has neither an order nor a cycle")
    require((cycle is None) == is_acyclic(parents), "its adjacency matrix contradicts that")


def trace_has_no_cycle(steps: list[Step]) -> None:
    """The order in which nodes are made is topological; a parent made after its child is a cycle and is rejected."""
    nodes = dict.fromkeys(tensor.node for tensor in run_program(steps) if tensor.node is not None)
    made = Order(tuple(nodes))
    check(made, {node: node.parents for node in made.nodes})
    require(is_acyclic({node: node.parents for node in made.nodes}), "a trace has a cycle")
    bend(made)
    cycle = topological_order(made.nodes, attrgetter("parents"))
    if isinstance(cycle, Order):
        raise Refuted("a trace that was changed to contain a cycle is sorted")
    check(cycle, {node: node.parents for node in made.nodes})
    u, v = violated_edge(made, cycle)
    require(v is made.nodes[0], f"{v} was made after its parent {u}, so that edge is not to blame")
    try:
        graph_of(list(made.nodes))
    except ValueError as error:
        require("cycle" in str(error), f"minigrad rejects a cycle with: {error}")
    else:
        raise Refuted("minigrad's reverse pass would walk a cycle")


# Invalid certificates -----------------------------------------------------------------------------


def accepted_order(nodes: Any, parents: Digraph) -> bool:
    """Return whether either check accepts a sequence of vertices as an order."""
    return accepts(check_order, nodes, parents) or accepts(certify, Order(nodes), parents, parents.__getitem__)


def accepted_cycle(nodes: Any, parents: Digraph) -> bool:
    """Return whether either check accepts a sequence of vertices as a cycle."""
    return accepts(check_cycle, nodes, parents) or accepts(certify, Cycle(nodes), parents, parents.__getitem__)


def spoilt_order_is_refused(example: tuple[Digraph, Order[int]]) -> None:
    """Reject corrupted orders: a missing, extra, repeated or replaced vertex, a loop, or a reversed edge."""
    parents, (nodes, n) = example[0], (example[1].nodes, len(example[0]))
    check(example[1], parents)  # which both accept
    require(not accepted_order((*nodes, n), parents), "an order with a vertex outside the graph is accepted")
    for i, v in enumerate(nodes):
        require(not accepted_order(nodes[:i] + nodes[i + 1 :], parents), f"the order is accepted without {v}")
        require(not accepted_order((*nodes, v), parents), f"the order is accepted with {v} twice")
        looped = {w: (*several, v) if w == v else several for w, several in parents.items()}
        require(not accepted_order(nodes, looped), f"the order is accepted with a loop at {v}")
        if n > 1:
            twice = (*nodes[:i], nodes[i - 1], *nodes[i + 1 :])
            require(not accepted_order(twice, parents), f"the order is accepted with {nodes[i - 1]} in place of {v}")
    for v, several in parents.items():
        for u in several:
            exchanged = tuple({u: v, v: u}.get(w, w) for w in nodes)
            require(not accepted_order(exchanged, parents), f"the order is accepted with {v} before its parent {u}")


def spoilt_cycle_is_refused(case: Disputed) -> None:
    """Reject corrupted cycles: walked twice, empty, with a repeated or foreign vertex, or with a missing edge."""
    nodes, parents = case.cycle.nodes, case.parents
    check(case.cycle, parents)  # which both accept
    require(not accepted_cycle((), parents), "a cycle without vertices is accepted")
    require(not accepted_cycle((*nodes, *nodes), parents), "a cycle is accepted that goes round twice")
    require(not accepted_cycle((*nodes, len(parents)), parents), "a cycle with a vertex outside the graph is accepted")
    with_loop = {v: (*several, v) for v, several in parents.items()}
    require(not accepted_cycle((*nodes, nodes[-1]), with_loop), f"a cycle is accepted with {nodes[-1]} twice")
    for u, v in zip(nodes, nodes[1:] + nodes[:1], strict=True):
        cut = {w: tuple(x for x in several if (x, w) != (u, v)) for w, several in parents.items()}
        require(not accepted_cycle(nodes, cut), f"a cycle is accepted without its edge {u} -> {v}")

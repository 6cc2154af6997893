"""The claims 2-1 and 2-2: their verdicts, pictures and texts, and that every wrong formula is noticed."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tests.theory.mutation import Mutant, wrong
from theory import CLAIMS
from theory.ordering.certificates import check_order
from theory.ordering.figures import draw_contradiction, draw_removals
from theory.ordering.graphs import CYCLIC, LAYER, PURPORTED, cycle_of_example, show_graph
from theory.ordering.statements import CLAIM_2_1, CLAIM_2_2
from theory.page import save_figure


def test_every_dag_has_an_order_but_not_by_the_printed_step():
    verdict = CLAIM_2_1.check(20)
    assert verdict.outcome == "false as printed"
    assert [r.proposition.name for r in verdict.results if not r.holds] == ["what is left is cyclic"]
    assert verdict.counterexample == {0: (), 1: ()}
    assert verdict.results[0].shown == "2 vertices without edges"
    assert verdict.results[0].message == "after 0 is removed, what is left (1 vertex without edges) has no cycle"
    assert "what is left is acyclic" in verdict.corrected.text
    assert CLAIM_2_1.counterexample() == {0: (), 1: ()}


def test_a_graph_with_an_order_is_a_dag():
    assert CLAIM_2_2.check(20).outcome == "holds"
    assert CLAIM_2_2.counterexample(20) is None


def test_every_dag_refutes_the_printed_step():
    proposition = CLAIM_2_1.propositions[0]
    dags = proposition.examples.examples(100)
    assert len(dags) == 3 + 25 + 543
    for parents in dags:
        with pytest.raises(AssertionError, match="has no cycle"):
            proposition.check(parents)


def test_counterexamples_can_be_written():
    for claim in (CLAIM_2_1, CLAIM_2_2):
        for proposition in claim.propositions:
            shown = [proposition.show(example) for example in proposition.examples.examples(2)[:2]]
            assert all(shown), proposition.name
            assert not any("\n" in text for text in shown)


@pytest.mark.slow
@pytest.mark.parametrize(("claim", "name", "cases", "cases_in_full"), [
    (CLAIM_2_1, "the step", 573, 29_854),
    (CLAIM_2_1, "an order or a cycle", 4_626, 1_114_642),
    (CLAIM_2_1, "the number of DAGs", 7, 9),
    (CLAIM_2_1, "large graphs", 4, 13),
    (CLAIM_2_2, "never both", 4_626, 66_066),
])  # fmt: skip
def test_every_small_graph(claim, name, cases, cases_in_full, full):
    """In full every labelled digraph of 4 vertices with loops and of 5 without: a minute."""
    (proposition,) = [p for p in claim.propositions if p.name == name]
    result = proposition.examine(1000 if full else 100, 0)
    assert result.holds, result.message
    assert result.cases == (cases_in_full if full else cases)


@pytest.mark.slow
@pytest.mark.parametrize("claim", [CLAIM_2_1, CLAIM_2_2])
def test_sampled_propositions_at_length(claim, full):
    """In full a thousand examples each."""
    for proposition in claim.propositions:
        if not proposition.exhaustive and not proposition.false:
            result = proposition.examine(1000 if full else 60, 1)
            assert result.holds, result.message


# Texts and pictures -------------------------------------------------------------------------------


def test_what_is_shown():
    text = CLAIM_2_1.show()
    order = re.search("topological order: (.*)", text).group(1).split(", ")
    check_order(order, LAYER)
    assert "z         2 vertices; h -> loss" in text.replace("W -> loss, ", "")
    assert text.endswith("cycle: c -> d -> e -> b -> c")
    text = CLAIM_2_2.show()
    assert show_graph(CYCLIC) in text
    assert "e -> b needs 5 < 2, which is false" in text
    assert text.count("which holds") == 3
    assert "e -> b refutes the order" in text


@pytest.mark.parametrize("number", ["2-1", "2-2"])
def test_the_same_picture_gives_the_same_bytes(number, tmp_path):
    for name in ("a.svg", "b.svg"):
        save_figure(CLAIMS[number], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def texts_in(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_picture_of_the_removals_says_the_order():
    panels = draw_removals().axes
    assert len(panels) == len(LAYER) + 1
    removed = [panel.get_title().split("remove ")[1] for panel in panels[:-1]]
    check_order(removed, LAYER)
    for i, panel in enumerate(panels[:-1], 1):
        assert "order: " + ", ".join(removed[:i]) in texts_in(panel)
    places = {text.get_text(): text.get_position()[0] for text in panels[-1].texts}
    assert all(places[u] < places[v] for v, several in LAYER.items() for u in several)


def test_picture_of_the_contradiction_shows_the_positions():
    graph, plot = draw_contradiction().axes
    assert set(texts_in(graph)) == {*CYCLIC, *map(str, range(1, len(CYCLIC) + 1))}
    cycle = cycle_of_example().nodes
    heights = [list(line.get_ydata()) for line in plot.lines]
    positions = [PURPORTED.nodes.index(v) + 1 for v in (*cycle, cycle[0])]
    assert heights == list(map(list, pairwise(positions)))
    falling = [line.get_linestyle() for line in plot.lines if line.get_ydata()[0] >= line.get_ydata()[1]]
    assert falling == ["--"]


# Wrong formulas -----------------------------------------------------------------------------------


def proofs(old, new, **options):
    return Mutant("ordering.proofs", old, new, **options)


def certificates(old, new, **options):
    return Mutant("ordering.certificates", old, new, **options)


def graphs(old, new, **options):
    return Mutant("ordering.graphs", old, new, **options)


def domains(old, new, **options):
    return Mutant("ordering.domains", old, new, **options)


def checks(old, new, **options):
    return Mutant("ordering.checks", old, new, **options)


MUTANTS = [
    # the lemma
    proofs("while several := parents[vertex]:", "while several := parents[vertex][1:]:"),
    proofs("walk = list(step)[step[vertex] :]", "walk = list(step)[step[vertex] + 1 :]"),
    proofs("walk = list(step)[step[vertex] :]", "walk = list(step)"),
    proofs("Cycle(tuple(reversed(walk)))", "Cycle(tuple(walk))"),
    proofs("step[vertex] = len(step)", "step[vertex] = len(step) + 1"),
    proofs("return Source(vertex)", "return Source(next(iter(parents)))"),
    proofs("vertex = next(iter(several))", "vertex = next(iter(parents))"),
    proofs("vertex = next(iter(several))", "vertex = list(several)[-1]",
           equivalent="any parent will do: the lemma leaves the choice free"),
    # the construction, step by step
    proofs("if u != vertex) for v, several in parents.items() if v != vertex}", "if u != vertex) "
           "for v, several in parents.items()}"),
    proofs("tuple(u for u in several if u != vertex)", "tuple(several)"),
    proofs("tuple(u for u in several if u != vertex)", "tuple(u for u in several if u == vertex)"),
    proofs("tuple(u for u in several if u != vertex)", "()"),
    proofs("left = without(left, found.vertex)", "left = without(parents, found.vertex)"),
    proofs("yield Removal(found.vertex, left)", "yield Removal(found.vertex, parents)"),
    # the construction by counting
    proofs("tuple(dict.fromkeys(several))", "tuple(several)",
           equivalent="a repeated parent is counted twice and taken off twice"),
    proofs("children[parent].append(vertex)", "children[vertex].append(parent)"),
    proofs("count = {v: len(several)", "count = {v: len(several) - 1"),
    proofs("count = {v: len(several)", "count = {v: len(several) + 1"),
    proofs("removed = [v for v in parents if count[v] == 0]", "removed = [v for v in parents if count[v] <= 1]"),
    proofs("removed = [v for v in parents if count[v] == 0]", "removed = [v for v in parents if not children[v]]"),
    proofs("count[child] -= 1", "count[child] -= 2"),
    proofs("            if count[child] == 0:", "            if count[child] == 1:"),
    proofs("            if count[child] == 0:", "            if count[child] >= 0:"),
    proofs("if len(removed) == len(parents)", "if len(removed) >= len(parents) - 1"),
    proofs("if len(removed) == len(parents)", "if removed"),
    proofs("return Order(tuple(removed))", "return Order(tuple(removed[::-1]))"),
    proofs("return Order(tuple(removed))", "return Order(tuple(parents))"),
    proofs("if count[u]) for v in parents if count[v]}", "if not count[u]) for v in parents if count[v]}"),
    proofs("if count[u]) for v in parents if count[v]}", "if count[u]) for v in parents}"),
    proofs("if count[u]) for v in parents if count[v]}", "if u != v) for v in parents if count[v]}"),
    proofs("return Stuck(tuple(removed),", "return Stuck(tuple(removed[1:]),"),
    # the contradiction
    proofs("if position[u] >= position[v])", "if position[u] != position[v] - 1)"),
    proofs("if position[u] >= position[v])", "if True)"),
    proofs("(*cycle.nodes[1:], cycle.nodes[0])", "(cycle.nodes[-1], *cycle.nodes[:-1])"),
    proofs("position = {v: i for", "position = {v: -i for"),
    proofs("return next((u, v)", "return next((v, u)"),
    # the definitions: an order
    certificates("if position[parent] >= position[vertex]:", "if position[parent] > position[vertex]:"),
    certificates("if position[parent] >= position[vertex]:", "if position[parent] <= position[vertex]:"),
    certificates("if position[parent] >= position[vertex]:", "if False:"),
    certificates("if position[parent] >= position[vertex]:", "if position[parent] != position[vertex] - 1:"),
    # … a cycle
    certificates("before = cycle[-1]", "before = cycle[0]"),
    certificates("        before = vertex", "        pass"),
    certificates("before not in parents[vertex]", "vertex not in parents[before]"),
    certificates("before not in parents[vertex]", "False"),
    # … an acyclic graph
    certificates("A[index[parent], index[vertex]] = True", "A[index[vertex], index[parent]] = True",
                 equivalent="a graph is acyclic exactly if the graph with all edges turned round is"),
    certificates("A[index[parent], index[vertex]] = True", "A[index[vertex], index[vertex]] = True"),
    certificates("while length < len(index):", "while length < len(index) - 1:"),
    certificates("while length < len(index):", "while length < len(index) // 2:"),
    certificates("power @ power, 2 * length", "power @ power, 4 * length"),
    certificates("power @ power, 2 * length", "power, 2 * length"),
    certificates("power @ power, 2 * length", "power * power, 2 * length"),
    certificates("power @ power, 2 * length", "power @ A, length + 1", equivalent="the powers one by one"),
    certificates("return not power.any()", "return not power.all()"),
    certificates("return not power.any()", "return not power.diagonal().any()"),
    # … all orders and all cycles
    certificates("permutations(parents):", "permutations(parents, max(1, len(parents) - 1)):"),
    certificates("permutations(parents, length)", "permutations(parents, 1)"),
    certificates("range(1, len(parents) + 1)", "range(1, len(parents))"),
    certificates("range(1, len(parents) + 1)", "range(2, len(parents) + 1)"),
    # graphs
    graphs("parents[v].append(u)", "parents[u].append(v)"),
    graphs("parents[v].append(u)", "parents[v].append(v)"),
    graphs("found[node] = node.parents", "found[node] = ()"),
    graphs("found[node] = node.parents", "found[node] = node.parents[:1]"),
    graphs("to_visit += node.parents", "to_visit += node.parents[1:]"),
    graphs("if loops or v not in subset", "if v not in subset"),
    graphs("if loops or v not in subset", "if True"),
    graphs("mask >> u & 1", "mask >> u & 2"),
    graphs("for mask in range(2**n)]", "for mask in range(2**n - 1)]"),
    # their number
    graphs("(-1) ** (k + 1)", "(-1) ** k"),
    graphs("comb(m, k)", "comb(m - 1, k - 1)"),
    graphs("2 ** (k * (m - k))", "2 ** (k * (m - k - 1))"),
    graphs("2 ** (k * (m - k))", "2 ** (m - k)"),
    graphs("* a[m - k]", "* a[k - 1]"),
    graphs("for k in range(1, m + 1))", "for k in range(1, m))"),
    graphs("a = [1]", "a = [0]"),
    graphs("543, 29281)", "545, 29281)"),
    # graphs that are drawn
    domains("(min(pair), max(pair))", "pair"),
    domains("if pair[0] != pair[1]]", "]"),
    domains("parents[v] = (*parents[v], before)", "parents[before] = (*parents[before], v)"),
    domains("parents[v] = (*parents[v], before)", "parents[v] = (before,)",
            equivalent="it takes edges away that the cycle does not need"),
    domains("np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)", "pairs[pairs[:, 0] != pairs[:, 1]]"),
    domains("np.roll(around, -1)", "around"),
    domains("order[pairs]", "order[pairs[:, ::-1]]", equivalent="a random order turned round is a random order"),
    # what is said of a graph
    checks("require(not is_acyclic(step.left), found)", "require(is_acyclic(step.left), found)"),
    checks("require(not acyclic,", "require(acyclic,"),
    checks("require(len(parents[found.vertex]) == 0,", "require(len(parents[found.vertex]) == 1,"),
    checks("require(is_acyclic(step.left),", "require(not is_acyclic(step.left),"),
    checks("        before = step.left", "        pass"),
    checks("== is_acyclic(parents), \"an order is", "!= is_acyclic(parents), \"an order is"),
    checks("(graph.planted, Cycle)", "(graph.dag, Cycle)"),
    graphs("error.args[1][:-1]", "error.args[1]"),
    graphs("error.args[1][:-1]", "error.args[1][-2::-1]"),
    checks("order is None or cycle is None", "order is None and cycle is None"),
    graphs("first.parents = (newest,)", "newest.parents = (first,)"),
    graphs("first = made.nodes[0]", "first = made.nodes[-1]"),
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.module.partition('_')[2]}: {m.old} -> {m.new}")
def test_a_wrong_formula_is_noticed(mutant):
    assert wrong([mutant], examples=20) == []

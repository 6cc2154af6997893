"""The claims 2-1 and 2-2: their verdicts, counterexamples, and words."""

from __future__ import annotations

import re

import pytest

from theory.ordering.certificates import check_order
from theory.ordering.graphs import CYCLIC, LAYER, show_graph
from theory.ordering.statements import CLAIM_2_1, CLAIM_2_2


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

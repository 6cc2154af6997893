"""Wrong formulas of the claims 2-1 and 2-2 on purpose, each noticed by one of them."""

from __future__ import annotations

import pytest

from tests.theory.mutation import Mutant, noticed


def proofs(old, new, **options):
    return Mutant("ordering.proofs", old, new, **options)


def certificates(old, new, **options):
    return Mutant("ordering.certificates", old, new, **options)


def checker(old, new, **options):
    return Mutant("checker", old, new, numbers=("2-1", "2-2"), **options)


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
    checker("if position[parent] >= position[vertex]:", "if position[parent] > position[vertex]:"),
    checker("if position[parent] >= position[vertex]:", "if position[parent] <= position[vertex]:"),
    checker("if position[parent] >= position[vertex]:", "if False:"),
    checker("if position[parent] >= position[vertex]:", "if position[parent] != position[vertex] - 1:"),
    # … a cycle
    checker("before = cycle[-1]", "before = cycle[0]"),
    checker("        before = vertex", "        pass"),
    checker("before not in parents[vertex]", "vertex not in parents[before]"),
    checker("before not in parents[vertex]", "False"),
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
    certificates("permutations(parents) if", "permutations(parents, max(1, len(parents) - 1)) if"),
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


@pytest.mark.slow
def test_a_wrong_formula_is_noticed(mutant):
    """A sample of the mutants; with --full, all of them."""
    assert noticed(mutant, examples=20) != bool(mutant.equivalent)

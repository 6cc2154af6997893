"""Errors in the mathematics of topological order; see `theory.mutation`."""

from __future__ import annotations

from theory.mutation import Mutant

__all__ = ["MUTANTS"]

MUTANTS = (
    Mutant("2-1", "ordering/graphs.py", "2 ** (k * (m - k))", "2 ** (m - k)",
           "all sources have the same children", "count_by_recurrence(3)"),
    Mutant("2-1", "ordering/proofs.py", "count = {v: len(several) for v, several in distinct.items()}",
           "count = {v: len(several) for v, several in parents.items()}",
           "a repeated edge is counted twice, but removed once", 'remove_sources({"a": "", "b": "aa"})'),
    Mutant("2-1", "ordering/proofs.py", "Cycle(tuple(reversed(walk)))", "Cycle(tuple(walk))",
           "a cycle goes from child to parent", 'source_or_cycle({"a": "c", "b": "a", "c": "b"})'),
    Mutant("2-1", "ordering/proofs.py", "walk = list(step)[step[vertex] :]", "walk = list(step)",
           "a cycle includes the way to it", 'source_or_cycle({"a": "b", "b": "a", "c": "b"}, "c")'),
    Mutant("2-1", "ordering/certificates.py", "while length < len(index):", "while 2 * length < len(index):",
           "walks of half the length count as cycles", 'is_acyclic({"a": "", "b": "a", "c": "b"})'),
    Mutant("2-1", "ordering/certificates.py", "range(1, len(parents) + 1)", "range(1, len(parents))",
           "cycles through all vertices are left out", 'len(list(cycles({"a": "b", "b": "a"})))'),
    Mutant("2-2", "ordering/proofs.py", "if position[u] >= position[v])", "if position[u] > position[v])",
           "a loop violates no order", 'violated_edge(Order(("a",)), Cycle(("a",)))'),
)  # fmt: skip
"""Planted errors, which the claims must notice."""

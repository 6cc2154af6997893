"""Claims 2-1 and 2-2: a graph has a topological order if and only if it has no cycle.

`statements` holds all the text, `domains` the examples, `checks` the checkers, and `figures` the pictures. The other
modules hold the mathematics, and `certificates` checks its results.
"""

from __future__ import annotations

from theory.ordering.mutants import MUTANTS
from theory.ordering.statements import CLAIM_2_1, CLAIM_2_2

__all__ = ["CLAIMS", "MUTANTS"]

CLAIMS = (CLAIM_2_1, CLAIM_2_2)

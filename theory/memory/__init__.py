"""Claims 4-1 to 4-5: folklore about vanishing and exploding gradients, and what holds instead.

`statements` holds all the text, `domains` the examples, `checks` the checkers, and `figures` the pictures.
`contraction` holds the mathematics, and `certificates` checks its results.
"""

from __future__ import annotations

from theory.memory.mutants import MUTANTS
from theory.memory.statements import CLAIM_4_1, CLAIM_4_2, CLAIM_4_3, CLAIM_4_4, CLAIM_4_5

__all__ = ["CLAIMS", "MUTANTS"]

CLAIMS = (CLAIM_4_1, CLAIM_4_2, CLAIM_4_3, CLAIM_4_4, CLAIM_4_5)

"""Claim 3-2: gradients of a linear recurrence vanish or explode by the spectral radius.

`statements` holds all the words; `domains` the examples, `checks` what is checked of them, `figures` the pictures. The
other modules are the mathematics by its name, and `certificates`, which checks what it finds.
"""

from __future__ import annotations

from theory.eigenvalues.mutants import MUTANTS
from theory.eigenvalues.statements import CLAIM_3_2

__all__ = ["CLAIMS", "MUTANTS"]

CLAIMS = (CLAIM_3_2,)

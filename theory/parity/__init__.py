"""Claims 3-1 and "3-1 alt": recurrent units compute the parity of the bits so far.

`statements` holds all the words; `domains` the examples, `checks` what is checked of them, `figures` the pictures. The
other modules are the mathematics by its name, and `certificates`, which checks what it finds.
"""

from __future__ import annotations

from theory.parity.mutants import MUTANTS
from theory.parity.statements import CLAIM_3_1, CLAIM_3_1_ALT

__all__ = ["CLAIMS", "MUTANTS"]

CLAIMS = (CLAIM_3_1, CLAIM_3_1_ALT)

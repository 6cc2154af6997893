"""Claims 1-1 to 1-3: a convolution is a matrix, and a transposed one a convolution in another order.

`statements` holds all the words; `domains` the examples, `checks` what is checked of them, `figures` the pictures. The
other modules are the mathematics, by its name.
"""

from __future__ import annotations

from theory.convolution.mutants import MUTANTS
from theory.convolution.statements import CLAIM_1_1, CLAIM_1_2, CLAIM_1_3

__all__ = ["CLAIMS", "MUTANTS"]

CLAIMS = (CLAIM_1_1, CLAIM_1_2, CLAIM_1_3)

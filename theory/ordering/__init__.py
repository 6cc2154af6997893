"""Claims 2-1 and 2-2: a graph has a topological order exactly if it has no cycle.

`statements` holds all the words; `domains` the examples, `checks` what is checked of them, `figures` the pictures. The
other modules are the mathematics by its name, and `certificates`, which checks what it finds.
"""

from __future__ import annotations

from theory.ordering.statements import CLAIM_2_1, CLAIM_2_2

__all__ = ["CLAIMS"]

CLAIMS = (CLAIM_2_1, CLAIM_2_2)

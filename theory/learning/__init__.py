"""Claims 6-1 to 6-5: what optimisers and automatic differentiation do, and what is often said of them.

`statements` holds all the words; `domains` the examples, `checks` what is checked of them, `figures` the pictures.
`descent` and `derivatives` are the mathematics, and `certificates` checks what they find.
"""

from __future__ import annotations

from theory.learning.mutants import MUTANTS
from theory.learning.statements import CLAIMS

__all__ = ["CLAIMS", "MUTANTS"]

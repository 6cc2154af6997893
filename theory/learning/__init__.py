"""Claims 6-1 to 6-5: folklore about optimisers and automatic differentiation, and what holds instead.

`statements` holds all the text, `domains` the examples, `checks` the checkers, and `figures` the pictures.
`descent` and `derivatives` hold the mathematics, and `certificates` checks its results.
"""

from __future__ import annotations

from theory.learning.mutants import MUTANTS
from theory.learning.statements import CLAIMS

__all__ = ["CLAIMS", "MUTANTS"]

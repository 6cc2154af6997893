"""Claims 5-1 to 5-6: folklore about layers and units, and what holds instead.

`statements` holds all the text, `domains` the examples, `checks` the checkers, and `figures` the pictures.
`attention`, `networks` and `softmax` hold the mathematics, and `certificates` checks its results.
"""

from __future__ import annotations

from theory.layers.mutants import MUTANTS
from theory.layers.statements import CLAIMS

__all__ = ["CLAIMS", "MUTANTS"]

"""Claims 5-1 to 5-6: what layers and units can do.

`statements` holds all the words; `domains` the examples, `checks` what is checked of them, `figures` the pictures. The
other modules are the mathematics by its name, and `certificates`, which checks what it finds.
"""

from __future__ import annotations

from theory.layers.mutants import MUTANTS
from theory.layers.statements import CLAIMS

__all__ = ["CLAIMS", "MUTANTS"]

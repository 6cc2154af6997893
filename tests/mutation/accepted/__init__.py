"""Mutants that no test can kill, with the reason: they do the same as the original, or do it only more slowly.

An entry is (function, part before, part after). A campaign fails if one of them does not survive, or exists no more.
"""

from . import arrays, engine, families, layers, linear_algebra, rules  # noqa: F401  what each judges is put into ACCEPTED
from .reasons import ACCEPTED, ANY

__all__ = ["ACCEPTED", "ANY"]

"""Claims about networks as code: each can be run, varied and trusted.

`theory.CLAIMS` maps the homework's numbers to claims. From the command line, `theory` checks them all; see
`theory --help`.
"""

from __future__ import annotations

from theory import convolution, eigenvalues  # noqa: F401 - they register 1-1 to 1-3, and 3-2
from theory.claims import Claim, Proposition, Refuted, Result, Statement, Verdict, agree, every, require
from theory.registry import CLAIMS, claim, register

__all__ = [
    "CLAIMS", "Claim", "Proposition", "Refuted", "Result", "Statement", "Verdict",
    "agree", "claim", "every", "register", "require",
]  # fmt: skip

"""Claims about networks as code, each with a verdict.

`theory.CLAIMS` maps numbers to claims. The command `theory` checks all of them; see `theory --help`.

>>> "3-1" in CLAIMS
True
>>> CLAIMS["3-1"].counterexample()
(1, 1)
"""

from __future__ import annotations

from minigrad.runtime.extras import require as _package

_package("hypothesis", "theory")  # its error says how to install it

from theory.claims import Claim, Corrected, Statement, Verdict  # noqa: E402
from theory.domains import Domain, enumerated, every, sampled, stratified  # noqa: E402
from theory.propositions import Proposition, Result  # noqa: E402
from theory.refutation import Refuted, agree, require  # noqa: E402
from theory.registry import CLAIMS, claim, register  # noqa: E402

__all__ = [
    "CLAIMS", "Claim", "Corrected", "Domain", "Proposition", "Refuted", "Result", "Statement", "Verdict",
    "agree", "claim", "enumerated", "every", "register", "require", "sampled", "stratified",
]  # fmt: skip

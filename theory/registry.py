"""The claims by number, and two ways to add your own.

The short way is for a statement about every example of one domain:

>>> import numpy as np
>>> import minigrad as mg
>>> from hypothesis import strategies as st
>>> from theory import agree, claim, CLAIMS

>>> @claim("odd", "tanh is an odd function", domain=st.floats(-5, 5))
... def tanh_is_odd(x):
...     agree(mg.tanh(-x).numpy(), -mg.tanh(x).numpy(), "tanh(-x)")

>>> tanh_is_odd.check(max_examples=20).outcome
'no counterexample'
>>> del CLAIMS["odd"]

The long way is for several propositions, proofs and pictures: make a :class:`Claim` and `register` it.
Each family of this package (such as `theory.parity`) has its claims in `CLAIMS`, which this module registers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from theory import convolution, eigenvalues, layers, learning, memory, mutants, ordering, parity
from theory.claims import Claim, Corrected, Statement
from theory.domains import Domain, Source
from theory.mutation import Mutant
from theory.propositions import Proposition

__all__ = ["CLAIMS", "MUTANTS", "claim", "register"]

CLAIMS: dict[str, Claim] = {}
"""Every registered claim by its number, in the order of registration."""

MUTANTS: list[Mutant] = [*mutants.MUTANTS]
"""The errors that `theory mutate` plants."""


def register(claim: Claim) -> Claim:
    """Add a claim to `CLAIMS` and return it. A number that is taken raises ValueError."""
    if claim.number in CLAIMS:
        raise ValueError(f"register: claim {claim.number} already exists: {CLAIMS[claim.number].title}")
    CLAIMS[claim.number] = claim
    return claim


def claim(
    number: str,
    statement: str,
    domain: Domain | Source,
    source: str = "",
    latex: str = "",
    corrected: str | None = None,
    check_corrected: Callable[[Any], None] | None = None,
) -> Callable[[Callable[[Any], None]], Claim]:
    """Return a decorator that registers a checker as a claim of one proposition; see the module's example.

    The checker takes an example of the domain, raises :class:`theory.Refuted` (with `theory.require` or
    `theory.agree`) if the statement is false for it, and returns nothing. An example for which it calls neither does
    not meet the premise. If you expect the statement to be refuted,
    pass `corrected`, the statement that holds instead, and `check_corrected`, its checker on the same domain.

    Raises:
        ValueError: if one of `corrected` and `check_corrected` is given without the other.
    """
    if (corrected is None) != (check_corrected is None):
        raise ValueError(f"claim {number}: pass both corrected=text and check_corrected=checker, or neither")

    def decorate(check: Callable[[Any], None]) -> Claim:
        propositions = [Proposition(statement, statement, check, domain, false=corrected is not None)]
        instead = None
        if corrected is not None and check_corrected is not None:
            instead = Corrected(corrected, by=(corrected,))
            propositions.append(Proposition(corrected, corrected, check_corrected, domain, "corrected"))
        return register(
            Claim(
                number=number,
                title=statement,
                statement=Statement(statement, latex),
                source=source,
                propositions=tuple(propositions),
                corrected=instead,
                proof=(check.__doc__ or "").strip(),
            )
        )

    return decorate


for _family in (convolution, ordering, parity, eigenvalues, memory, layers, learning):  # in the order of the numbers
    for _claim in _family.CLAIMS:
        register(_claim)
    MUTANTS.extend(_family.MUTANTS)

"""Small propositions and claims to try the machinery with."""

from __future__ import annotations

from hypothesis import strategies as st

from theory import Claim, Proposition, Statement, require


def at_most(bound):
    def check(x):
        require(x <= bound, f"{x} is above {bound}")

    return check


def proposition(role="printed", bound=100, domain=None, **options):
    domain = st.integers(0, 100) if domain is None else domain
    return Proposition(f"at most {bound}, {role}", f"x <= {bound}", at_most(bound), domain, role, **options)


def a_claim(*propositions, **options):
    return Claim("x", "title", Statement("text"), "here", propositions, **options)

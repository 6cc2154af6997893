"""Claims by their number, and one's own."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from theory import CLAIMS, claim, register, require


@pytest.fixture
def registry():
    before = dict(CLAIMS)
    yield CLAIMS
    CLAIMS.clear()
    CLAIMS.update(before)


def test_registration(registry):
    def not_negative(x):
        require(x * x >= 0, f"{x} squared is {x * x}")

    own = {"domain": st.integers(-5, 5), "corrected": "they are not negative"}

    @claim("own", "squares are positive", check_corrected=not_negative, **own)
    def positive(x):
        """A square is a product of two numbers of one sign, or 0."""
        require(x * x > 0, f"{x} squared is {x * x}")

    assert registry["own"] is positive
    verdict = positive.check(100)
    assert (verdict.outcome, verdict.counterexample) == ("false as printed", 0)
    assert positive.proof.startswith("A square")
    with pytest.raises(ValueError, match="a claim own already"):
        register(positive)
    with pytest.raises(ValueError, match="claim other: what holds instead needs both: corrected=text and check_corr"):
        claim("other", "squares are positive", **own)

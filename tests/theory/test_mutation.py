"""The harness of mutants notices what is wrong, and leaves theory as it was."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from tests.theory.convolution.test_mutants import MUTANTS as CONVOLUTION
from tests.theory.eigenvalues.test_mutants import MUTANTS as EIGENVALUES
from tests.theory.layers.test_mutants import MUTANTS as LAYERS
from tests.theory.learning.test_mutants import MUTANTS as LEARNING
from tests.theory.memory.test_mutants import MUTANTS as MEMORY
from tests.theory.mutation import Mutant, noticed
from tests.theory.ordering.test_mutants import MUTANTS as ORDERING
from tests.theory.parity.test_mutants import MUTANTS as PARITY
from theory import CLAIMS

STEP = "return (np.asarray(a) > 0).astype(np.float64)"


def test_harness():
    before = dict(CLAIMS), {name: module for name, module in sys.modules.items() if name.startswith("theory")}
    assert noticed(Mutant("parity.units", "return h + x - 2 * h * x", "return h + x", numbers=("3-1",)), 5)
    assert not noticed(Mutant("parity.units", "return h + x - 2 * h * x", "return h + x - h * x * 2", "same"), 1)
    with pytest.raises(AssertionError, match="make it compute something wrong"):
        noticed(Mutant("parity.units", "return h + x - 2 * h * x", "return y", numbers=("3-1",)), 5)
    with pytest.raises(AssertionError, match="stands there 0 times"):
        noticed(Mutant("parity.units", "no such text", ""))
    after = dict(CLAIMS), {name: module for name, module in sys.modules.items() if name.startswith("theory")}
    assert after == before


def test_a_claim_that_is_refuted_without_the_mutant_notices_nothing(monkeypatch):
    def wrong(example):
        raise AssertionError("refuted")

    propositions = tuple(dataclasses.replace(p, check=wrong) for p in CLAIMS["3-1"].propositions)
    monkeypatch.setitem(CLAIMS, "3-1", dataclasses.replace(CLAIMS["3-1"], propositions=propositions))
    with pytest.raises(AssertionError, match=r"3-1 .* without a mutant"):
        noticed(Mutant("parity.units", "return h + x - 2 * h * x", "return h + x", numbers=("3-1",)), 6)


@pytest.mark.parametrize("mutants", [CONVOLUTION, EIGENVALUES, LAYERS, LEARNING, MEMORY, ORDERING, PARITY])
def test_every_mutant_can_be_made(mutants):
    for mutant in mutants:
        compile(mutant.source, mutant.module, "exec")

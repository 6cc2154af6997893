"""The harness of wrong formulas: it notices what is wrong, and only that."""

from __future__ import annotations

import sys

import pytest

import theory
from tests.theory.mutation import Mutant, above, noticed, wrong
from theory import CLAIMS

FORMULA = """
def half(x):
    return x // 2
"""

CLAIM = """
CLAIM = Claim("half", "", Statement(""), "", (Proposition("half", "half is at most all", check, st.integers(0, 50)),))
"""

ABOVE = (
    """
from hypothesis import strategies as st
from theory import {module}, Claim, Proposition, Statement, require
from theory.formula import half

def check(x):
    require({module}.half(x) == half(x) <= x, "larger")
"""
    + CLAIM
)

SOURCE = (
    """
from hypothesis import strategies as st
from theory import Claim, Proposition, Statement, require

def half(x):
    return x // 2

def check(x):
    require(half(x) <= x, "larger")
"""
    + CLAIM
)


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "sample.py").write_text(SOURCE)
    monkeypatch.setattr(theory, "__file__", str(tmp_path / "__init__.py"))


@pytest.mark.usefixtures("module")
def test_harness():
    before = dict(CLAIMS)
    harmful, harmless = Mutant("sample", "x // 2", "x * 2"), Mutant("sample", "x // 2", "x // 3")
    assert noticed(harmful)
    with pytest.raises(AssertionError, match="make it compute something wrong"):
        noticed(Mutant("sample", "x // 2", "y // 2"))
    assert not noticed(harmless)
    assert wrong([harmful]) == []
    assert wrong([harmless]) == [str(harmless)]
    assert wrong([Mutant("sample", "x // 2", "x // 3", equivalent="still at most x")]) == []
    assert wrong([Mutant("sample", "x // 2", "x * 2", equivalent="no")]) != []
    assert dict(CLAIMS) == before


@pytest.mark.usefixtures("module")
def test_a_mutant_whose_text_is_gone_is_an_error():
    with pytest.raises(AssertionError, match="stands there 0 times"):
        noticed(Mutant("sample", "x // 5", "x"))


@pytest.mark.parametrize("middle", [(), ("between",)])
def test_a_mutant_of_a_helper_is_seen_through_the_modules_that_import_it(tmp_path, monkeypatch, middle):
    (tmp_path / "formula.py").write_text(FORMULA)
    for name in middle:
        (tmp_path / f"{name}.py").write_text("from theory.formula import half")
    (tmp_path / "above.py").write_text(ABOVE.format(module="between" if middle else "formula"))
    monkeypatch.setattr(theory, "__file__", str(tmp_path / "__init__.py"))
    before = dict(CLAIMS), set(sys.modules), set(vars(theory))
    assert above("formula") == (*middle, "above")
    assert noticed(Mutant("formula", "x // 2", "x * 2"))
    assert not noticed(Mutant("formula", "x // 2", "x // 3"))
    assert (dict(CLAIMS), set(sys.modules), set(vars(theory))) == before

"""The harness of wrong formulas: it notices what is wrong, and only that."""

from __future__ import annotations

import pytest

import theory
from tests.theory.mutation import Mutant, noticed, wrong
from theory import CLAIMS

SOURCE = '''
from hypothesis import strategies as st
from theory import claim, require

def half(x):
    return x // 2

@claim("half", "half of a number is at most the number", st.integers(0, 50))
def check(x):
    require(half(x) <= x, "larger")
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "sample.py").write_text(SOURCE)
    monkeypatch.setattr(theory, "__file__", str(tmp_path / "__init__.py"))


@pytest.mark.usefixtures("module")
def test_harness():
    before = dict(CLAIMS)
    harmful, harmless = Mutant("sample", "x // 2", "x * 2"), Mutant("sample", "x // 2", "x // 3")
    assert noticed(harmful)
    assert noticed(Mutant("sample", "x // 2", "y // 2"))
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

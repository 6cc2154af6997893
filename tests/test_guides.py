"""The guides' code runs."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.primitives import PRIMITIVES

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("page", ["derivatives.md"])
def test_a_guides_code_runs(page):
    known = set(PRIMITIVES)
    mg.manual_seed(0)
    try:
        result = doctest.testfile(str(DOCS / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    finally:
        for key in PRIMITIVES.keys() - known:
            del PRIMITIVES[key]
    assert result.failed == 0
    assert result.attempted > 20

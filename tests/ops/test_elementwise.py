"""Elementwise primitives."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive
from tests.strategies import broadcastable

CASES = {
    "add": broadcastable().map(Case),
    "multiply": broadcastable().map(Case),
}

@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))

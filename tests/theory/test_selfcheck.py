"""The machinery's test of itself, and that it notices."""

from __future__ import annotations

import pytest

from theory.selfcheck import check_machinery


def test_the_machinery_is_sound():
    check_machinery()


@pytest.mark.parametrize("wrong", ["require", "agree"])
def test_a_machinery_that_is_not_is_noticed(wrong, monkeypatch):
    monkeypatch.setattr(f"theory.selfcheck.{wrong}", lambda *arguments: None)
    with pytest.raises(ValueError, match="the machinery of claims is broken, so no verdict means anything"):
        check_machinery()

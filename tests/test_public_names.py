"""The list of public names compares checkouts, and the pages mention every name of minigrad."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import minigrad as mg
from tests import public_names

ROOT = Path(__file__).parent.parent


@pytest.fixture
def against_itself(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["public_names", "--against", str(ROOT)])


def test_a_checkout_has_all_names_of_itself(against_itself, capsys):
    assert public_names.main() == 0
    assert capsys.readouterr().out.startswith("0 lines")


def test_missing_names_and_options_are_printed(against_itself, capsys, monkeypatch):
    monkeypatch.setattr(public_names, "listed", lambda documented: set())
    assert public_names.main() == 1
    lines = capsys.readouterr().out.splitlines()
    wanted = {"minigrad.grad", "minigrad.grad(argnums) is optional", "minigrad.nn.Linear(bias) is argument 2",
              "minigrad.Tensor.T", "captioning train --epochs", "theory check --examples",
              "minigrad.runtime argument command tune"}  # fmt: skip
    assert wanted <= set(lines)


def test_pages_mention_every_name_of_minigrad():
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    words = {word for page in pages for word in re.findall(r"\w+", page.read_text(encoding="utf-8"))}
    assert set(mg.__all__) <= words

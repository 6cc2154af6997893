"""The pages with code cells run from top to bottom; their assertions state what the text says."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

import minigrad as mg

DOCS = Path(__file__).parent.parent / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
NOTEBOOKS = [*TUTORIALS, DOCS / "guides/train_a_model.md"]
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?::[^\n]*\n)*(.*?)^```$", re.DOTALL | re.MULTILINE)


def code_of(page):
    return "\n".join(CELL.findall(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_tutorial(page, tmp_path, monkeypatch):
    code = code_of(page)
    if "IPython" in code:
        pytest.importorskip("IPython", reason="no jupyter: IPython is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mg.manual_seed(0)
    exec(compile(code, str(page), "exec"), {"__name__": "__main__"})


def test_autodiff_from_nothing_has_at_most_250_lines():
    (page,) = [page for page in TUTORIALS if page.stem == "autodiff_from_nothing"]
    assert 100 < sum(1 for line in code_of(page).splitlines() if line.strip()) <= 250

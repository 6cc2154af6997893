"""The tutorials run from top to bottom, and autodiff from nothing stays short."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "docs/tutorials"
NAMES = ["autodiff_from_nothing", "caption_your_photos", "claims_as_code", "cs231n"]


def cells(name):
    """The code cells of a tutorial."""
    return re.findall(r"^```\{code-cell\}\n(.*?)^```$", (FOLDER / f"{name}.md").read_text("utf-8"), re.M | re.S)


@pytest.mark.parametrize("name", NAMES)
def test_a_tutorial_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = {"__name__": "__main__"}
    for number, code in enumerate(cells(name)):
        exec(compile(code, f"{name}.md, cell {number}", "exec"), names)


def test_autodiff_from_nothing_has_at_most_250_lines():
    assert 100 < sum(1 for code in cells("autodiff_from_nothing") for line in code.splitlines() if line.strip()) <= 250

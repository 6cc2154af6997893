"""The figures that are kept: the page of them is what the command prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import tables
from benchmarks.results import Results

ROOT = Path(__file__).parents[2]
MEASURED = sorted((ROOT / "benchmarks" / "measured").glob("*.json"))


def test_there_are_figures():
    assert MEASURED


def test_the_page_has_them():
    page = (ROOT / "docs" / "performance_figures.md").read_text(encoding="utf-8")
    for results in Results.by_machine(map(Results.load, MEASURED)):
        assert tables.markdown(results) in page


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_rivals_agreed_and_ran(path):
    for row in Results.load(path).rows:
        for rival in row.rivals:
            assert not rival.failed
            assert rival.difference <= 1e-5 or row.job == "decoding" or "beam" in row.case, (row.case, rival)

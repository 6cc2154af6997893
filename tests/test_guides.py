"""The guides' code runs."""

from __future__ import annotations

import doctest
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

import minigrad as mg
from minigrad.primitives import PRIMITIVES
from tests.peers import pytorch

DOCS = Path(__file__).parent.parent / "docs"


@contextmanager
def primitives_of_the_page() -> Iterator[None]:
    """What a page declares is forgotten behind it."""
    known = set(PRIMITIVES)
    mg.manual_seed(0)
    try:
        yield
    finally:
        for key in PRIMITIVES.keys() - known:
            del PRIMITIVES[key]


@pytest.mark.parametrize("page", ["derivatives.md"])
def test_a_guides_code_runs(page):
    with primitives_of_the_page():
        result = doctest.testfile(str(DOCS / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
    assert result.attempted > 20


# --- coming from PyTorch: two columns ----------------------------------------------------------------------

PAGE = (DOCS / "coming_from_pytorch.md").read_text(encoding="utf-8")
_CELL = r"<td>\n\n```python\n(.*?)```\n\n</td>"
_ROW = re.compile(rf"<tr>(<!-- differs -->)?{_CELL}{_CELL}</tr>", re.DOTALL)
_OF_BOTH = re.compile(r"\n\n```python\n(.*?)```\n\n(?!</td>)", re.DOTALL)  # a block between the tables uses both


class Row(NamedTuple):
    """What stands side by side, and whether it is said to give something else."""

    line: int
    theirs: str
    ours: str
    differs: bool


def line_of(place: int) -> int:
    return PAGE.count("\n", 0, place) + 1


ROWS = [Row(line_of(m.start()), m[2], m[3], bool(m[1])) for m in _ROW.finditer(PAGE)]
_TABLES_BLANKED = _ROW.sub(lambda m: re.sub(r"\S", " ", m[0]), PAGE)  # so that places stay
OF_BOTH = [(line_of(m.start(1)), m[1]) for m in _OF_BOTH.finditer(_TABLES_BLANKED)]


def run(blocks: list[tuple[int, str]]) -> int:
    """Run blocks one after the other, with names in common; how many examples there were."""
    names: dict[str, object] = {}  # a test of doctest has a copy of the names that it is given, and is asked for it
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    page = "coming_from_pytorch.md"
    with primitives_of_the_page():
        for line, code in blocks:
            test = doctest.DocTestParser().get_doctest(code, names, page, page, line)
            runner.run(test, clear_globs=False)
            names = test.globs
    assert runner.failures == 0
    return runner.tries


def printed(code: str) -> list[str]:
    """The numbers and truth values that a block prints, without those in names of types."""
    outputs = "\n".join(example.want for example in doctest.DocTestParser().get_examples(code))
    return re.findall(r"(?<![\w.])-?\d+\.?\d*(?:e[+-]?\d+)?\b|\b(?:True|False|None)\b", outputs)


def test_every_table_of_the_page_is_read():
    assert len(ROWS) == PAGE.count("<tr>") - PAGE.count("<th>PyTorch</th>")
    assert len(ROWS) > 20


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("folder")
def test_the_column_of_minigrad_runs():
    assert run([(row.line, row.ours) for row in ROWS]) > 60


@pytest.mark.usefixtures("folder")
def test_the_column_of_pytorch_runs_where_it_is():
    theirs = [(row.line, row.theirs) for row in ROWS]
    if pytorch():
        with warnings.catch_warnings(action="ignore"):  # PyTorch's, of itself
            assert run(theirs) > 60
            assert run([*theirs, *((row.line, row.ours) for row in ROWS), *OF_BOTH]) > 120


@pytest.mark.parametrize("row", [row for row in ROWS if not row.differs], ids=lambda row: f"line {row.line}")
def test_both_columns_print_the_same(row):
    """Where they run, doctest compares what is printed with the page; so the page's texts are what is compared."""
    assert printed(row.theirs) == printed(row.ours)

"""docs/comparison.md: each yes of minigrad names a test that there is, and figures of minigrad are those of today."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
TABLES = {
    lines[0].strip(): [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    for lines in (section.splitlines() for section in PAGE.split("\n## ")[1:])
}
FEATURES = {row[0]: row[1:] for name, table in TABLES.items() if name != "What shows it" for row in table[2:]}
TESTS = re.findall(r"^\| (.+?) \| \[(tests/[\w/]+\.py)::(\w+)\]\(\.\./([\w/.]+)\) \|$", PAGE, re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def claimed() -> list[str]:
    """The features that minigrad has, by the page."""
    return [feature for feature, cells in FEATURES.items() if re.match(r"(yes|part)\b", cells[0])]


def test_each_yes_of_minigrad_has_a_test_and_each_test_a_yes():
    assert [feature for feature, *_ in TESTS] == claimed()
    assert len(TESTS) == len(TABLES["What shows it"]) - 2


@pytest.mark.parametrize(("feature", "file", "name", "link"), TESTS, ids=[feature for feature, *_ in TESTS])
def test_it_is_there(feature, file, name, link):
    assert file == link
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name.startswith("test_")
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_row_has_a_cell_for_each_framework():
    assert len(FEATURES) > 50
    assert {len(cells) for cells in FEATURES.values()} == {6}


def test_every_note_is_used_and_every_use_has_one():
    notes = re.findall(r"^\[\^(\w+)\]:", PAGE, re.MULTILINE)
    used = re.findall(r"\[\^(\w+)\](?!:)", PAGE)
    assert len(notes) == len(set(notes))
    assert set(notes) == set(used)


def lines_of(files: list[Path]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def number(feature: str) -> float:
    """What the page says of minigrad, without its note."""
    return float(re.match(r"[\d.]+", FEATURES[feature][0])[0])


def test_the_lines_are_counted():
    everything = [*(ROOT / "minigrad").rglob("*.py")]
    reading = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    core = [ROOT / name for name in re.findall(r"^\| \d+ \| \[[\w./]+\]\(\.\./([\w./]+)\)", reading, re.MULTILINE)]
    assert number("lines of Python, in thousands[^lines]") == pytest.approx(lines_of(everything) / 1000, rel=0.1)
    assert number("of these the core") == pytest.approx(lines_of(core) / 1000, abs=0.1)


def test_the_size_is_that_of_the_files():
    files = [p for p in (ROOT / "minigrad").rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert number("MB of its own, installed") == pytest.approx(sum(p.stat().st_size for p in files) / 1e6, rel=0.15)


def test_what_it_needs_is_what_the_project_says():
    assert [re.match(r"\w+", needed)[0] for needed in PROJECT["dependencies"]] == ["numpy"]
    assert FEATURES["needs"][0] == "NumPy"
    assert PROJECT["requires-python"] == f">={FEATURES['Python'][0]}"
    assert PROJECT["license"] == FEATURES["licence"][0]


def room(name: str) -> ModuleType:
    """A module of the script that tries what the page says of others; it imports nothing of them."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "comparison_checks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_reads_the_page_as_this_file_does():
    page = room("common")
    for column, peer in enumerate(page.PACKAGES, 1):
        words = {feature: re.match(r"yes|part|no\b", cells[column]) for feature, cells in FEATURES.items()}
        assert dict(page.cells(peer)) == {feature: word[0] for feature, word in words.items() if word}


def test_what_the_script_searches_for_are_features():
    definitions = room("common")
    assert set(definitions.DEFINITIONS) | definitions.NOT_TRIED <= set(FEATURES)

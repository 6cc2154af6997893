"""docs/reading.md: what it says of the core's files is so, and its example runs."""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

import pytest

from minigrad.primitives import PRIMITIVES

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d) \| \[([\w./]+)\]\(\.\./minigrad/([\w./]+)\) \| (\d+) \|", PAGE, re.MULTILINE)
CORE = [name for _, name, _, _ in ROWS]
TAIL = PAGE.split("## Helpers")[1].split("After the core")[0]
HELPERS = re.findall(r"\[[\w./]+\]\(\.\./minigrad/([\w/]+\.py)\)", TAIL)


def lines_of(name: str) -> int:
    return len((ROOT / "minigrad" / name).read_text(encoding="utf-8").splitlines())


def test_the_table_has_eight_files_in_order():
    assert [number for number, _, _, _ in ROWS] == list("12345678")
    assert all(name == link for _, name, link, _ in ROWS)


@pytest.mark.parametrize(("name", "lines"), [(name, int(lines)) for _, name, _, lines in ROWS])
def test_a_file_has_as_many_lines_as_the_page_says(name, lines):
    assert lines == lines_of(name)


def test_the_lines_add_up():
    (total,) = re.findall(r"together \| (\d+) \|", PAGE)
    assert int(total) == sum(map(lines_of, CORE))
    assert int(total) < 2500  # what can be read in an evening


def imports_of(name: str) -> set[str]:
    """The files of minigrad that a file imports when it is imported, relative to minigrad/."""
    found = set()
    for node in ast.parse((ROOT / "minigrad" / name).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = "/".join([*Path(name).parts[:-1], *(node.module or "").split(".")]) if node.module else ""
            found |= {f"{base}.py"} if base else {f"{alias.name}.py" for alias in node.names}
    return found


@pytest.mark.parametrize("name", CORE)
def test_a_file_imports_only_those_before_it_and_helpers(name):
    assert imports_of(name) <= {*CORE[: CORE.index(name)], *HELPERS}


def test_every_helper_is_used_by_the_core_and_is_small():
    assert set(HELPERS) == set().union(*map(imports_of, CORE)) - set(CORE)
    assert all(lines_of(name) < 250 for name in HELPERS)


def test_what_is_left_where_some_is_skipped():
    """Skipped is from the first line of a definition to that of the next one that is not named."""

    def span(name: str, first: str, after: str) -> int:
        text = (ROOT / "minigrad" / name).read_text(encoding="utf-8")
        return text[text.index(f"def {first}(") : text.index(f"{after}")].count("\n")

    skipped = span("graph/order.py", "certify", "def dependents(")
    skipped += span("primitives.py", "_call_unary", "def _call(")
    (said,) = re.findall(r"What is left is some ([\d,]+) lines", PAGE)
    assert abs(sum(map(lines_of, CORE)) - skipped - int(said.replace(",", ""))) < 100


def test_the_readme_says_how_many_lines_there_are():
    (said,) = re.findall(r"eight files with ([\d,]+) lines", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert abs(sum(map(lines_of, CORE)) - int(said.replace(",", ""))) < 100


@pytest.mark.parametrize("name", CORE)
def test_the_definitions_that_the_page_points_to_are_in_their_file(name):
    (paragraph,) = re.findall(rf"^\d\. \*\*{re.escape(name)}\*\*\.(.*?)(?=^\d\. |\n\n)", PAGE, re.MULTILINE | re.DOTALL)
    text = (ROOT / "minigrad" / name).read_text(encoding="utf-8")
    named = re.findall(r"`([\w.]+)`", paragraph)
    assert named
    for words in named:
        assert all(word in text for word in words.split(".")), words


def test_the_example_runs():
    try:
        result = doctest.testfile(
            str(ROOT / "docs" / "reading.md"), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
        )
    finally:
        for key in [key for key in PRIMITIVES if key.endswith(".cube")]:
            del PRIMITIVES[key]
    assert result.failed == 0
    assert result.attempted > 10


def test_the_plain_reverse_pass_is_on_the_page_as_it_stands():
    code = (ROOT / "tests" / "plain.py").read_text(encoding="utf-8")
    functions = code[code.index("def gradients(") :]
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "def gradients(" in block]
    assert block == f"import numpy as np\n\n\n{functions}"


def test_the_plain_reverse_pass_is_some_twenty_lines():
    code = (ROOT / "tests" / "plain.py").read_text(encoding="utf-8")
    function = code[code.index("def gradients(") : code.index("def behind(")]
    *_, body = function.split('"""')
    assert len([line for line in body.splitlines() if line.strip()]) <= 20

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
CORE = re.findall(r"^\| \d+ \| \[[\w./]+\]\(\.\./minigrad/([\w./]+)\) \|", PAGE, re.MULTILINE)


def imports_of(name: str, everywhere: bool = False) -> set[str]:
    """The files of minigrad that a file imports when it is imported; or also within functions."""
    found = set()
    tree = ast.parse((ROOT / "minigrad" / name).read_text(encoding="utf-8"))
    typing = {id(part) for node in ast.walk(tree) if isinstance(node, ast.If) for part in ast.walk(node)}
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in typing:
            base = "/".join([*Path(name).parts[:-1], *(node.module or "").split(".")]) if node.module else ""
            found |= {f"{base}.py"} if base else {f"{alias.name}.py" for alias in node.names}
    return found


@pytest.mark.parametrize("name", CORE)
def test_a_file_of_the_core_imports_only_those_before_it(name):
    assert imports_of(name) <= set(CORE[: CORE.index(name)])


def test_the_page_has_all_that_the_core_imports():
    closure: set[str] = set()
    todo = ["gradients.py", "transforms.py"]
    while todo:
        name = todo.pop()
        if name not in closure:
            closure.add(name)
            todo += imports_of(name, everywhere=True)
    assert closure == set(CORE)


@pytest.mark.parametrize("name", CORE)
def test_the_definitions_that_the_page_points_to_are_in_their_file(name):
    (paragraph,) = re.findall(
        rf"^\d+\. \*\*{re.escape(name)}\*\*\.(.*?)(?=^\d+\. |\n\n)", PAGE, re.MULTILINE | re.DOTALL
    )
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

"""The packages, their data and their requirements as pyproject.toml has them, and what people are told to install."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from minigrad.runtime import extras

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
PACKAGES = ("minigrad", "captioning", "theory")


def name_of(requirement):
    """The package that a requirement asks for."""
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def test_every_extra_that_is_asked_for_exists_and_brings_what_is_missing():
    asked = set()
    for path in (p for package in (*PACKAGES, "benchmarks") for p in (ROOT / package).rglob("*.py")):
        asked |= set(re.findall(r'(?:require|_package|how_to_install)\("(\w+)[\w.]*", "(\w+)"', path.read_text()))
    asked -= {(module, extra) for module, extra in asked if module in {"json", "no_such_module"}}  # the doctest's
    assert len(asked) >= 6
    for module, extra in asked:
        if module in EXTRAS:  # how_to_install("viz", "graphviz_pure")
            module, extra = extra, module
        distribution = extras._DISTRIBUTIONS.get(module, module)
        assert distribution in {name_of(requirement) for requirement in EXTRAS[extra]}, f"{extra} lacks {module}"


def test_every_requirement_is_pinned():
    pinned = {name_of(line) for line in (ROOT / "constraints.txt").read_text().split()}
    needed = {name_of(r) for several in [*EXTRAS.values(), PROJECT["project"]["dependencies"]] for r in several}
    assert needed - {PROJECT["project"]["name"]} <= pinned


def test_every_folder_of_modules_is_a_package_and_every_other_file_is_its_data():
    data = PROJECT["tool"]["setuptools"]["package-data"]
    listed = {file for package, patterns in data.items() for pattern in patterns
              for file in ROOT.joinpath(*package.split(".")).glob(pattern)}  # fmt: skip
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path in listed or (path.suffix == ".py" and (path.parent / "__init__.py").exists()), path


def test_messages_and_pages_name_the_distribution_and_not_the_other_project_of_the_index():
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    found = [page.name for page in pages if re.search(r"pip install[^\n`]*\bminigrad(?![\w-])(?!\.)", page.read_text())]
    files = [p for package in (*PACKAGES, "benchmarks", "examples") for p in (ROOT / package).rglob("*.py")]
    found += [path.name for path in files if "pip install" in path.read_text()]
    assert found == ["extras.py"]

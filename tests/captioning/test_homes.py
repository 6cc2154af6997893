"""A name has one home, the module that defines it, and is imported from there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import captioning

ROOT = Path(captioning.__file__).parent
TRAINING = sorted((ROOT / "training").glob("[!_]*.py"))
MODULES = sorted(ROOT.rglob("[!_]*.py"))


def imports_of(path):
    """The imports `from … import …` of a file."""
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize("name", captioning.__all__)
def test_the_package_takes_names_from_their_homes(name):
    assert getattr(captioning, name).__module__ == captioning._HOME_OF[name]

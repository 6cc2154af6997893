"""What `import minigrad` takes beyond importing NumPy: fresh interpreters, one after the other, from start to end."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from benchmarks.job import Aim, Case, Rival, Work

__all__ = ["cases"]


def cases(quick: bool = False) -> list[Case]:
    """The one import, beside NumPy's and PyTorch's."""
    rivals = [
        Rival("minigrad", "minigrad", partial(_import, "minigrad")),
        Rival("NumPy", "NumPy", partial(_import, "numpy")),
        Rival("PyTorch", "PyTorch", partial(_import, "torch"), ("torch",)),
    ]
    return [Case("import minigrad", rivals, [Aim("NumPy", 0.1, difference=True)], threads=(1,))]


def _import(module: str) -> Work:
    """An interpreter that starts, imports a module and ends."""
    return Work(lambda: subprocess.run([sys.executable, "-P", "-c", f"import {module}"], check=True))

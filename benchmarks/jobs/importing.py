"""The time of `import minigrad` beyond importing NumPy: fresh interpreters, one after the other, from start to end.

Bytecode is kept between them, as it is for users: where the environment forbids it (PYTHONDONTWRITEBYTECODE), every
import would compile every file again, which takes longer than everything else.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

from benchmarks.job import Case, Rival, Work

__all__ = ["cases"]


def cases(quick: bool = False) -> list[Case]:
    """The one import, beside NumPy's and PyTorch's."""
    rivals = [
        Rival("minigrad", "minigrad", partial(_import, "minigrad")),
        Rival("NumPy", "NumPy", partial(_import, "numpy")),
        Rival("PyTorch", "PyTorch", partial(_import, "torch"), ("torch",)),
    ]
    return [Case("import minigrad", rivals, threads=(1,))]


def _import(module: str) -> Work:
    """An interpreter that starts, imports a module and ends."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-P", "-c", f"import {module}"]
    subprocess.run(command, check=True, env=environment)  # compiles what is not compiled yet
    return Work(lambda: subprocess.run(command, check=True, env=environment))

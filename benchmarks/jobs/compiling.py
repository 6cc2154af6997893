"""torch.compile, where there is a compiler for it."""

from __future__ import annotations

import os
import shutil
from typing import Any

from benchmarks.job import Unavailable

__all__ = ["compiled"]


def compiled(function: Any, **options: Any) -> Any:
    """The function or module as torch.compile makes it; it compiles at the first calls, which are not timed."""
    import torch

    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise Unavailable(f"torch.compile needs a C++ compiler, and {compiler} is not there")
    return torch.compile(function, **options)

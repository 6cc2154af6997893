"""Describe the machine of a run: processor, system, versions, and the kernel that NumPy's BLAS chose."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import minigrad

__all__ = ["HAND_CHOSEN", "commit", "describe", "kernel"]

HAND_CHOSEN = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Environment variables that override OpenBLAS's choice of kernel."""


def describe() -> dict[str, str]:
    """Return the description by name, without paths of this machine."""
    chosen = [f"{name}={os.environ[name]}" for name in HAND_CHOSEN if name in os.environ]
    return {
        "processor": _processor(),
        "processors": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "BLAS": ", ".join([kernel(), *(f"chosen by hand: {words}" for words in chosen)]),
        "products": minigrad.runtime.signature(),
        "loops": f"llvmlite {version('llvmlite')}" if find_spec("llvmlite") else "NumPy",
        "minigrad": minigrad.__version__ + commit(Path(__file__).resolve().parents[1]),
    }


def kernel() -> str:
    """Return the BLAS that NumPy calls and the kernel it chose here, such as ``openblas 0.3.31 (SkylakeX)``."""
    import numpy  # noqa: F401  (loads the BLAS)

    try:
        from threadpoolctl import threadpool_info
    except ModuleNotFoundError:
        return "unknown without threadpoolctl"
    found = [pool for pool in threadpool_info() if pool["user_api"] == "blas" and "numpy" in pool["filepath"]]
    words = [f"{p['internal_api']} {p['version']} ({p.get('architecture', 'unknown kernel')})" for p in found]
    return ", ".join(words) or "unknown BLAS"


def _processor() -> str:
    """Return the processor's name and its widest relevant vector instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", "").split()
    width = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")
    return ", ".join(filter(None, [fields.get("model name", platform.machine()), width]))


def commit(root: Path) -> str:
    """Return the commit of a checkout in brackets, and whether files differ from it; empty if there is none."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return f" ({said.stdout.strip()})" if said.returncode == 0 else ""

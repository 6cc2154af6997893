"""Run programs on several ranks of the real mpiexec; tests are skipped without MPI."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
PATIENCE = 300  # seconds for any program of these tests, on a busy machine

needs_mpi = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or MPIEXEC is None, reason="no MPI: mpi4py or mpiexec is not installed"
)


def surroundings(**more):
    """An environment in which results do not depend on the number of processors."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **more}


def command_line(ranks, *arguments):
    return [MPIEXEC, "-n", str(ranks), sys.executable, *map(str, arguments)]


def start(ranks, *arguments, **options):
    """Start a Python program on ranks, with arguments such as ``"-m", "captioning", …``."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command_line(ranks, *arguments), env=surroundings(), cwd=ROOT, **pipes, **options)


def run(ranks, *arguments, status=0):
    """Run a Python program on ranks, one of them without mpiexec; return its output and errors."""
    line = command_line(ranks, *arguments) if ranks > 1 else [sys.executable, *map(str, arguments)]
    done = subprocess.run(line, env=surroundings(), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
                          check=False)  # fmt: skip
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr

"""Freed memory is used again without the help of the kernel."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

ITERATIONS = """
import resource, sys
import numpy as np
if sys.argv[1] == "with":
    import minigrad
def iteration():
    arrays = [np.ones(3_000_000, np.uint8) for _ in range(6)]
iteration(), iteration()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    iteration()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


gnu = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another platform: not the GNU C library")


def run(code: str, *arguments: str, value: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {name: text for name, text in os.environ.items() if name != "MINIGRAD_KEEP_MEMORY"}
    if value is not None:
        env["MINIGRAD_KEEP_MEMORY"] = value
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=env)


def faults(how: str, value: str | None = None) -> int:
    """The number of pages that the system gives to twenty iterations."""
    done = run(ITERATIONS, how, value=value)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@gnu
def test_an_iteration_asks_for_no_new_pages_unless_it_is_switched_off():
    assert faults("with") < 100 < 10_000 < faults("with", "0")


def test_wrong_values_are_an_error():
    done = run("import minigrad", value="no")
    assert done.returncode == 1
    assert "ValueError: MINIGRAD_KEEP_MEMORY must be 0 (do not keep freed memory) or 1" in done.stderr

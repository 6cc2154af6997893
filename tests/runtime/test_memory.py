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
exec(sys.argv[1])
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


def faults(before: str, value: str | None = None) -> int:
    """The number of pages that the system gives to twenty iterations, after some code."""
    done = run(ITERATIONS, before, value=value)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


ON_REQUEST = "import minigrad as mg; mg.runtime.keep_memory()"
FOR_A_PARAMETER = "import minigrad as mg; mg.nn.Parameter([1.0])"


@gnu
@pytest.mark.parametrize("code", [ON_REQUEST, FOR_A_PARAMETER])
def test_an_iteration_asks_for_no_new_pages_unless_it_is_switched_off(code):
    assert faults(code) < 100 < 10_000 < faults(code, "0")


@gnu
def test_an_import_changes_nothing():
    assert min(faults("import minigrad"), faults("")) > 10_000


@pytest.mark.parametrize("code", [ON_REQUEST, FOR_A_PARAMETER])
def test_wrong_values_are_an_error(code):
    done = run(code, value="no")
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: MINIGRAD_KEEP_MEMORY must be 1 or 0, not 'no'\n")

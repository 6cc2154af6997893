"""Memory that is given back is used again without the kernel's help."""

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
    """How many pages the system gives to twenty iterations."""
    done = run(ITERATIONS, how, value=value)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@gnu
@pytest.mark.parametrize("value", [None, "", "1"])
def test_an_iteration_asks_for_no_new_pages(value):
    assert faults("with", value) < 100 < faults("without", value)


@gnu
def test_the_environment_turns_it_off():
    assert faults("with", "0") > 10_000


@pytest.mark.parametrize("value", ["no", "2", "off"])
def test_other_values_are_an_error_that_says_which_would_do(value):
    done = run("import minigrad", value=value)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ValueError: MINIGRAD_KEEP_MEMORY must be 0 (do not keep freed memory) or 1 (keep it), not {value!r}"
    )

"""Memory that is given back is used again without the kernel's help."""

from __future__ import annotations

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library keeps memory so")
def test_an_iteration_asks_for_no_new_pages():
    def faults(how):
        said = subprocess.run([sys.executable, "-c", ITERATIONS, how], capture_output=True, text=True, check=True)
        return int(said.stdout)

    without, with_it = faults("without"), faults("with")
    assert with_it < 100 < without

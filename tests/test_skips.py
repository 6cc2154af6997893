"""A run lists what it skipped and how to run it. Any other skip fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUITE = """
import pytest

def test_runs():
    pass

@pytest.mark.parametrize("page", [1, 2])
def test_pages(page):
    pytest.skip("no browser: chromium did not start")
"""


def test_skips_are_listed_and_others_fail_the_run(tmp_path):
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_a.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", "."]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for status, last in ((0, "skipped 2: no browser"), (1, "skipped for a reason that is not allowed: test_b.py")):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == status, done.stdout + done.stderr
        assert last in done.stdout
        (tmp_path / "test_b.py").write_text("import pytest\npytest.skip('no time', allow_module_level=True)\n")

"""A run says what it skipped and how to run that; `--skipped` runs just that; other skips fail the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SUITE = """
import os, pytest

def test_runs():
    pass

@pytest.mark.parametrize("page", [1, 2])
def test_pages(page):
    if "THERE" not in os.environ:
        pytest.skip("no browser: chromium did not start")

def test_photos():
    pytest.skip("no real data: CAPTIONING_DATA is unset")
"""
BROWSER = "2: no browser; to run them: apt-get install chromium chromium-driver"


@pytest.fixture
def run(tmp_path):
    """Runs a small suite with the hooks of this one; the status and the lines it prints."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_a.py").write_text(SUITE)

    def run(*options, **environment):
        command = [sys.executable, "-m", "pytest", "-q", *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout.splitlines()

    return run


def test_the_last_lines_say_what_was_skipped_and_it_runs_alone_later(run):
    status, lines = run("-n", "1")
    assert status == 0
    assert lines[-4] == f"skipped {BROWSER}"
    assert lines[-3].startswith("skipped 1: no real data; to run them: CAPTIONING_DATA=DIR, ")
    assert lines[-2] == 'then these alone: make test PYTEST="-n auto --skipped"'
    assert lines[-1].startswith("1 passed, 3 skipped")
    status, lines = run("--skipped", "--deselect", "test_a.py::test_photos", THERE="1")
    assert status == 0
    assert lines[-1].startswith("2 passed, 2 deselected")
    status, lines = run("--skipped")  # what did not run is still known
    assert status == 0
    assert lines[-1].startswith("1 skipped, 3 deselected")


def test_any_other_skip_fails_the_run(run, tmp_path):
    (tmp_path / "test_a.py").write_text("import pytest\ndef test_late():\n    pytest.skip('no time')\n")
    (tmp_path / "test_b.py").write_text("import pytest\npytest.skip('no time', allow_module_level=True)\n")
    status, lines = run()
    assert status == 1
    forbidden = [line for line in lines if line.startswith("skipped for a reason that is not allowed: ")]
    assert [line.split(": ")[1] for line in forbidden] == ["test_b.py", "test_a.py::test_late"]
    (tmp_path / "test_a.py").unlink()
    (tmp_path / "test_b.py").write_text("")
    assert run("--skipped")[0] == 0  # there is nothing to run

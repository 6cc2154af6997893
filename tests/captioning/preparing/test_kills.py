"""A data set whose making was killed again and again is the same as an unbroken one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.captioning.preparing.photo_sources import write_folder

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_kills(tmp_path, full):
    kills = 20 if full else 3
    source = write_folder(tmp_path / "photos", 70)
    command = [sys.executable, "-m", "tests.captioning.preparing.killed", str(source), str(tmp_path), str(kills)]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=ROOT, timeout=3600)
    assert done.returncode == 0, done.stderr
    found = re.match(rf"{kills} killed, (\d+) of them with features, (\d+) with regions", done.stdout)
    assert 0 < int(found[1]) <= int(found[2])  # what makes regions is found before the features

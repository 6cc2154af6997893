"""A data set with one damaged file opens and passes its check, or is refused in one line that names the file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_every_damaged_file_is_used_or_refused_in_one_line(full):
    seeds = 1000 if full else 20
    command = [sys.executable, "-m", "tests.captioning.data.damaged", "0", str(seeds)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    found = [json.loads(line) for line in ran.stdout.splitlines()]  # at the crash of a process the last has no end
    assert ran.returncode == 0, (ran.returncode, found[-1:], ran.stderr[-500:])
    ended = [each["ended"] for each in found if "ended" in each]
    assert len(ended) == seeds
    refused = [each for each in ended if each != "fine"]
    assert seeds / 3 < len(refused) < seeds  # some damage hits what nobody reads
    wrong = [each for each in refused if not each.startswith("DataError: FOLDER/") or "\n" in each or len(each) > 600]
    assert not wrong, wrong[:10]

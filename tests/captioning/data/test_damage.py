"""A data set with one damaged file opens and passes its check, or is refused in one line that names the file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOME, ALL = 30, 1000


def endings(first: int, stop: int) -> Iterator[tuple[int, str, str]]:
    """Of each seed what was damaged and how it ended; where a process died, that is how, and the next one goes on."""
    while first < stop:
        command = [sys.executable, "-m", "tests.captioning.data.damaged", str(first), str(stop)]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        assert lines, ran.stderr
        what = {line["seed"]: line["what"] for line in lines if "what" in line}
        ended = {line["seed"]: line["ended"] for line in lines if "ended" in line}
        for seed, damage in what.items():
            yield seed, damage, ended.get(seed, f"the process died of signal {-ran.returncode}: {ran.stderr[-500:]}")
        first = max(what) + 1


@pytest.mark.slow
def test_every_damaged_file_is_used_or_refused_in_one_line(full):
    found = list(endings(0, ALL if full else SOME))
    assert len(found) == (ALL if full else SOME)
    refused = [ended for _, _, ended in found if ended != "fine"]
    assert len(found) / 3 < len(refused) < len(found)  # some damage hits what nobody reads
    wrong = [line for line in found if line[2] != "fine" and not _is_one_line_that_names_a_file(line[2])]
    assert not wrong, "\n".join(map(str, wrong[:10]))


def _is_one_line_that_names_a_file(ended: str) -> bool:
    return ended.startswith("DataError: FOLDER/") and len(ended.splitlines()) == 1 and len(ended) < 600

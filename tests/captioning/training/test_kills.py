"""A training that is killed, whenever, goes on to the bits of an unbroken one, or begins anew by the same command."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from captioning.cli.entry import main
from tests.captioning.cli.commands import SMALL

ROOT = Path(__file__).parents[3]
RENAMES = 14  # at least so many has a run of this size


def campaign(command, resume, out, kills):
    """What `killed_runs` says of these kills."""
    out.parent.mkdir()
    plan = {"command": command, "resume": resume, "out": str(out), "kills": kills}
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "MINIGRAD_KEEP_MEMORY": "1"}
    done = subprocess.run([sys.executable, "-m", "tests.captioning.training.killed_runs"], input=json.dumps(plan),
                          capture_output=True, text=True, check=False, cwd=ROOT, env=surroundings)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def drawn(number, renames=RENAMES):
    """So many kills: at renames, spread over all of them, and every third one at a random time."""
    random.seed(number)
    kills = []
    for k in range(number):
        at = 1 + round(k * (renames - 1) / max(number - 1, 1))
        kills.append(["time", random.random()] if k % 3 == 2 else [random.choice(["before", "after"]), at])
    return kills


def judge(results):
    unbroken, *broken = results
    for result in broken:
        assert result["files"] == unbroken["files"], result
        assert result["left"] == [], result
    assert any("resume" in result["ways"] for result in broken)
    assert sum(result["killed"] for result in broken) >= len(broken)


@pytest.mark.slow
def test_a_training_that_is_killed(small_folder, tmp_path, full):
    out = tmp_path / "runs" / "run"
    options = ["--validate-every", "3", "--checkpoint-every", "2", "--dropout", "0.3"]
    command = ["train", "--data", str(small_folder), "--out", str(out), *SMALL, *options]
    resume = ["train", "--out", str(out), "--resume", "--checkpoint-every", "2", "--quiet"]
    first = [["before", 3], ["before", 4], ["after", 4]]  # before the first checkpoint, and around the folder's name
    results = campaign(command, resume, out, first + drawn(97 if full else 3))
    judge(results)
    assert results[1]["ways"][:2] == results[2]["ways"][:2] == ["anew", "anew"]
    assert results[3]["ways"][:2] == ["anew", "resume"]


@pytest.mark.slow
def test_a_refinement_that_is_killed(small_folder, tmp_path, full):
    start, out = tmp_path / "start", tmp_path / "runs" / "run"
    assert main(["train", "--data", str(small_folder), "--out", str(start), *SMALL]) == 0
    options = ["--rounds", "2", "--round-epochs", "1", "--drafts", "2", "--batch-size", "10", "--quiet"]
    begin = ["refine", str(start), "--data", str(small_folder), "--out", str(out)]
    command = [*begin, "--checkpoint-every", "2", *options]
    resume = ["refine", "--out", str(out), "--resume", "--checkpoint-every", "2", "--quiet"]
    judge(campaign(command, resume, out, [["after", 5], *drawn(20 if full else 1)]))


@pytest.mark.slow
def test_a_self_critical_training_that_is_killed(small_folder, tmp_path, full):
    start, out = tmp_path / "start", tmp_path / "runs" / "run"
    assert main(["train", "--data", str(small_folder), "--out", str(start), *SMALL]) == 0
    options = ["--epochs", "3", "--drafts", "3", "--longest", "8", "--batch-size", "5", "--quiet"]
    begin = ["reinforce", str(start), "--data", str(small_folder), "--out", str(out)]
    command = [*begin, "--checkpoint-every", "2", *options]
    resume = ["reinforce", "--out", str(out), "--resume", "--checkpoint-every", "2", "--quiet"]
    judge(campaign(command, resume, out, [["after", 5], *drawn(20 if full else 1)]))

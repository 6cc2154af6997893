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
OPTIONS = {
    "train": ["--validate-every", "3", "--dropout", "0.3"],
    "refine": ["--rounds", "2", "--round-epochs", "1", "--drafts", "2", "--batch-size", "10", "--quiet"],
    "reinforce": ["--epochs", "3", "--drafts", "3", "--longest", "8", "--batch-size", "5", "--quiet"],
}


def drawn(number):
    """Kills at renames, spread over all of them, and every third one at a random time."""
    random.seed(number)
    kills = []
    for k in range(number):
        at = 1 + round(k * (RENAMES - 1) / max(number - 1, 1))
        kills.append(["time", random.random()] if k % 3 == 2 else [random.choice(["before", "after"]), at])
    return kills


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_a_training_that_is_killed(name, small_folder, tmp_path, full):
    """By default one kill of each command, just after a checkpoint; in full at all renames and at random times."""
    out, begin = tmp_path / "runs" / "run", [name]
    out.parent.mkdir()
    if name == "train":
        begin += SMALL
    else:
        begin += [str(tmp_path / "start")]
        assert main(["train", "--data", str(small_folder), "--out", begin[1], *SMALL]) == 0
    always = ["--out", str(out), "--checkpoint-every", "2"]
    command = [*begin, "--data", str(small_folder), *always, *OPTIONS[name]]
    kills = [["before", 3], ["before", 4], ["after", 4], *drawn(97 if name == "train" else 20)] if full else []
    plan = {"command": command, "resume": [name, "--resume", "--quiet", *always], "out": str(out),
            "kills": [["after", 6], *kills]}  # fmt: skip
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "MINIGRAD_KEEP_MEMORY": "1"}
    done = subprocess.run([sys.executable, "-m", "tests.captioning.training.killed_runs"], input=json.dumps(plan),
                          capture_output=True, text=True, check=False, cwd=ROOT, env=surroundings)  # fmt: skip
    assert done.returncode == 0, done.stderr
    unbroken, *broken = json.loads(done.stdout.splitlines()[-1])
    for result in broken:
        assert result["files"] == unbroken["files"], result
        assert result["left"] == [], result
    assert "resume" in broken[0]["ways"]
    assert sum(result["killed"] for result in broken) >= len(broken)
    for result in broken:  # before the folder has its name there is nothing to resume
        assert result["kill"] not in (["before", 3], ["before", 4]) or result["ways"][1] == "anew"

"""A training that is killed, whenever, goes on to the bits of an unbroken one, or begins anew by the same command."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from captioning.cli.entry import main
from tests.captioning.cli.commands import SMALL
from tests.parallel.ranks import ROOT, surroundings

RENAMES = 14  # at least so many has a run of this size
OPTIONS = {
    "train": ["--validate-every", "3", "--dropout", "0.3"],
    "refine": ["--rounds", "2", "--round-epochs", "1", "--drafts", "2", "--batch-size", "10", "--quiet"],
    "reinforce": ["--epochs", "3", "--drafts", "3", "--longest", "8", "--batch-size", "5", "--quiet"],
}


def drawn(number):
    """Kills at renames, spread over all of them, and every third one at a random time."""
    random.seed(number)
    for k in range(number):
        at = 1 + round(k * (RENAMES - 1) / (number - 1))
        yield ["time", random.random()] if k % 3 == 2 else [random.choice(["before", "after"]), at]


@pytest.mark.slow
def test_a_training_that_is_killed(small_folder, tmp_path, full):
    """By default one kill of each command, just after a checkpoint; in full at all renames and at random times."""
    data, start, plans = ["--data", str(small_folder)], str(tmp_path / "start"), []
    assert main(["train", *data, "--out", start, *SMALL]) == 0
    for name, options in OPTIONS.items():
        out = tmp_path / name / "run"
        out.parent.mkdir()
        command = [name, *(SMALL if name == "train" else [start]), *data, *options]
        always = ["--out", str(out), "--checkpoint-every", "2"]
        kills = [["before", 3], ["before", 4], *drawn(97 if name == "train" else 20)] if full else []
        plans.append({"command": [*command, *always], "resume": [name, "--resume", "--quiet", *always],
                      "out": str(out), "kills": [["after", 6], *kills]})  # fmt: skip
    program = [sys.executable, "-m", "tests.captioning.training.killed_runs"]
    done = subprocess.run(program, input=json.dumps(plans), capture_output=True, text=True, check=False, cwd=ROOT,
                          env=surroundings(MINIGRAD_KEEP_MEMORY="1"))  # fmt: skip
    assert done.returncode == 0, done.stderr

"""A training that is killed, whenever, goes on to the bits of an unbroken one, or begins anew by the same command.

This is also a program. It runs the plans, a JSON list of arguments of `campaign` on its input, and raises an error on a
fault. All runs are children of one process that has imported everything, so that each takes a fraction of a second.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import captioning.training.solver  # noqa: F401
from captioning.cli.entry import main
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL
from tests.parallel.ranks import ROOT, surroundings

FILES = ("weights.safetensors", "checkpoint.safetensors", "history.jsonl", "settings.json", "targets.safetensors")
RENAMES = 14  # at least so many has a run of this size
OPTIONS = {
    "train": ["--validate-every", "3", "--dropout", "0.3"],
    "refine": ["--rounds", "2", "--round-epochs", "1", "--drafts", "2", "--batch-size", "10", "--quiet"],
    "reinforce": ["--epochs", "3", "--drafts", "3", "--longest", "8", "--batch-size", "5", "--quiet"],
}


def is_killed(arguments, when, number):
    """Run a command line in a child process, which is killed as `when` and `number` say; return whether it was."""
    pid = os.fork()
    if pid == 0:
        status = 3
        try:
            die_at_renames(when, number)
            status = main(arguments)
        finally:
            os._exit(status)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, (arguments, when, number, status)
    return os.WIFSIGNALED(status)


def die_at_renames(when, number):
    """Let this process be killed before or after the `number`-th renaming."""
    count = itertools.count(1)

    def dying(rename):
        def call(*given, **options):
            now = next(count) == number
            if now and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*given, **options)
            if now and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)

        return call

    os.replace, os.rename = dying(os.replace), dying(os.rename)


def campaign(command, resume, out, kills):
    """Kill new runs and their continuations; what goes on with them leaves the files of an unbroken run.

    kills: ["before" | "after", n] for just before or after the n-th renaming of a file or folder.
    """
    out = Path(out)
    assert not is_killed(command, "never", 0)
    unbroken = files_of(out)
    for when, number in kills:
        shutil.rmtree(out)
        for kill in ((when, number), (when, number), ("never", 0)):
            resumed = out.exists()
            if not is_killed(resume if resumed else command, *kill):
                break  # the kill came too late, or there was none
        assert resumed or number < 4 or when == "before", (when, number)  # the folder gets its name at the fourth
        assert (files_of(out), [*out.parent.iterdir()], [*out.glob(".*")]) == (unbroken, [out], []), (when, number)


def files_of(folder):
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}


@pytest.mark.slow
def test_a_training_that_is_killed(small_folder, tmp_path, full):
    """By default one kill of each command, just after a checkpoint; in full before and after each renaming."""
    data, start, plans = ["--data", str(small_folder)], str(tmp_path / "start"), []
    assert main(["train", *data, "--out", start, *SMALL]) == 0
    for name, options in OPTIONS.items():
        out = tmp_path / name / "run"
        out.parent.mkdir()
        command = [name, *(SMALL if name == "train" else [start]), *data, *options]
        always = ["--out", str(out), "--checkpoint-every", "2"]
        kills = [[when, n] for n in range(1, RENAMES + 1) for when in ("before", "after")]
        plans.append({"command": [*command, *always], "resume": [name, "--resume", "--quiet", *always],
                      "out": str(out), "kills": kills if full else [["after", 6]]})  # fmt: skip
    program = [sys.executable, "-m", "tests.captioning.training.test_kills"]
    done = subprocess.run(program, input=json.dumps(plans), capture_output=True, text=True, check=False, cwd=ROOT,
                          env=surroundings(MINIGRAD_KEEP_MEMORY="1"))  # fmt: skip
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    Run.draw_curve = lambda run: None
    for plan in json.load(sys.stdin):
        campaign(**plan)

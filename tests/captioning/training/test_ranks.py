"""Trainings on several ranks: the run folders of one process, whichever rank dies on the way."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from captioning.cli.entry import main
from tests.captioning.training.small_trainings import same_files
from tests.parallel.ranks import needs_mpi, run, start

pytestmark = needs_mpi

SMALL = ["--hidden", 12, "--wordvec", 8, "--batch-size", 10]
WITHIN = 30  # seconds in which a job ends after one of its ranks has died
COMMANDS = {
    "train": [*SMALL, "--epochs", 18, "--dropout", "0.3", "--validate-every", 23, "--average", "0.9", "--buckets", 2,
              "--scheduled-sampling", "0.3"],
    "refine": ["--rounds", 2, "--round-epochs", 1, "--drafts", 4, "--neighbours", 3, "--batch-size", 10],
    "reinforce": ["--epochs", 2, "--drafts", 3, "--longest", 8, "--batch-size", 7, "--dropout", "0.3"],
}  # fmt: skip
RESUMED_BY = {"train": 3, "refine": 2}  # ranks that resume a run which two ranks began
PROGRAM = """
import sys
from captioning.cli.entry import main
from captioning.training.run_folder import Run

Run.draw_curve = lambda run: None  # which takes longer than these trainings
sys.exit(main(sys.argv[1:]))
"""
ENDLESS = {"train": ["--epochs", 4000], "refine": ["--round-epochs", 4000], "reinforce": ["--epochs", 4000]}


def call(ranks, *words, status=0):
    return run(ranks, "-c", PROGRAM, *words, status=status)


@pytest.fixture(scope="module")
def begun(small_folder, tmp_path_factory):
    """The words that begin each command: of a new run, or of one that starts from another."""
    out = tmp_path_factory.mktemp("runs") / "begun"
    data = ["--data", small_folder, "--quiet"]
    assert main(list(map(str, ["train", *data, *SMALL, "--epochs", 3, "--out", out]))) == 0
    return {name: [name, *([] if name == "train" else [out]), *data, "--threads", 1] for name in COMMANDS}


@pytest.fixture(scope="module")
def alone(begun, tmp_path_factory):
    """The time that a training in one process took, and its folder."""
    out, begin = tmp_path_factory.mktemp("runs") / "alone", time.monotonic()
    call(1, *begun["train"], *COMMANDS["train"], "--shards", 4, "--out", out)
    return time.monotonic() - begin, out


@pytest.mark.parametrize("name", COMMANDS)
def test_ranks_leave_the_run_of_one_process_with_as_many_shards(begun, alone, tmp_path, name):
    """Also where another number of ranks goes on with a run that was stopped."""
    command, expected, out = [*begun[name], *COMMANDS[name], "--shards", 4], alone[1], tmp_path / "parts"
    if name != "train":
        call(1, *command, "--out", expected := tmp_path / "alone")
    said, err = call(2, *command, "--out", out, *(["--max-iterations", 3] if name in RESUMED_BY else []))
    if name in RESUMED_BY:
        assert err.count("stopped after iteration 3 of") == 1
        assert f"mpiexec -n 2 captioning {name} --out {out} --resume" in err
        said, _ = call(RESUMED_BY[name], name, "--out", out, "--resume", "--quiet")
    assert len(re.findall(r"trained \d+ iterations", said)) == 1
    assert same_files(out, expected)
    assert json.loads((out / "settings.json").read_text())["shards"] == 4


@pytest.mark.slow
def test_mistakes_are_reported_once(begun, tmp_path, full):
    """By default one that is met in the training."""
    for name, options, message in (
        ("refine", ["--batch-size", 7, "--learning-rate", "1e30"], "the loss is nan"),
        ("train", [*SMALL, "--shards", 1], "2 ranks need at least as many shards, but there are 1"),
    )[: 2 if full else 1]:
        said, err = call(2, *begun[name], *options, "--out", tmp_path / name, status=2)
        assert (said, len(err.splitlines()), message in err) == ("", 1, True), err


@pytest.mark.slow
def test_sigterm_stops_all_ranks_at_the_same_iteration(begun, tmp_path, full):
    """Launchers signal one rank after the other; by then some have stopped for the others' sake."""
    for name in COMMANDS if full else ["train"]:
        out = tmp_path / name
        job = start(2, "-c", PROGRAM, *begun[name], *COMMANDS[name], *ENDLESS[name], "--out", out)
        await_checkpoint(out, job)
        if name == "train":
            for rank, process in sorted(ranks_of(job).items(), reverse=True):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)
                time.sleep(0.6 if rank else 0)
        else:
            job.send_signal(signal.SIGTERM)
        _, err = job.communicate(timeout=WITHIN)
        assert job.returncode == 128 + signal.SIGTERM, err
        (stop,) = re.findall(r"stopped after iteration (\d+) of", err)
        losses = [line for line in (out / "history.jsonl").read_text().splitlines() if '"loss"' in line]
        assert len(losses) == int(stop)


def await_checkpoint(folder, job):
    while not (folder / "history.jsonl").exists():
        assert job.poll() is None, job.communicate()
        time.sleep(0.02)


def ranks_of(job):
    """The processes of a job that are ranks, and which."""
    said = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in said.splitlines()]
    family, found = {job.pid}, {}
    for _ in range(4):
        family |= {child for child, parent in pairs if parent in family}
    for process in family:
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            rank = next((int(entry[9:]) for entry in environment if entry.startswith(b"PMI_RANK=")), None)
            if rank is not None and PROGRAM.encode() in Path(f"/proc/{process}/cmdline").read_bytes():
                found[rank] = process
    return found


@pytest.mark.slow
def test_a_rank_that_is_killed_leaves_a_run_that_goes_on_to_the_same_bits(begun, alone, tmp_path, full):
    """Any rank, at any moment (by default one, in the middle of the training); other numbers of ranks go on."""
    chance, killed, (usual, unbroken) = random.Random(0), 0, alone
    command = [*begun["train"], *COMMANDS["train"], "--checkpoint-every", 2, "--shards", 4]
    for turn in range(50 if full else 1):
        out = tmp_path / f"run{turn}"
        job = start(4 if full else 2, "-c", PROGRAM, *command, "--out", out)
        if turn == 0:  # in the middle of training for sure
            await_checkpoint(out, job)
        else:
            time.sleep(chance.random() * usual)
        if victims := ranks_of(job):
            with contextlib.suppress(OSError):
                os.kill(victims[chance.choice(sorted(victims))], signal.SIGKILL)
            job.communicate(timeout=WITHIN)
            killed += job.returncode != 0  # else it was done
        job.communicate()
        words = ["train", "--resume", "--quiet"] if (out / "settings.json").exists() else command
        call(chance.choice([1, 2, 3, 4]) if full else 1, *words, "--out", out)
        assert same_files(out, unbroken), turn
    assert killed

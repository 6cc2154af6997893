"""Trainings on several ranks: the run folders of one process, whoever dies on the way."""

from __future__ import annotations

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

from tests.parallel.ranks import needs_mpi, run, start

pytestmark = needs_mpi

SMALL = ["--hidden", "12", "--wordvec", "8", "--batch-size", "10", "--quiet", "--threads", "1"]
FILES = ("weights.safetensors", "checkpoint.safetensors", "history.jsonl")
REFINE = ["refine", "--rounds", 2, "--round-epochs", 2, "--drafts", 4, "--neighbours", 3, "--batch-size", 10]
REINFORCE = ["reinforce", "--epochs", 3, "--drafts", 3, "--longest", 8, "--batch-size", 7, "--dropout", "0.3"]
WITHIN = 30  # seconds in which a job ends of which a rank has died


def train(ranks, *options, status=0):
    return run(ranks, "-m", "captioning", "train", *options, status=status)


def files_of(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def losses(folder):
    lines = map(json.loads, (folder / "history.jsonl").read_text().splitlines())
    return [line.get("loss", line.get("val_loss")) for line in lines]


@pytest.mark.parametrize("cell", [["--cell", "lstm", "--average", "0.9"], ["--cell", "gru", "--buckets", "2"]])
def test_ranks_leave_the_run_of_one_process_with_as_many_shards(small_folder, tmp_path, cell):
    options = ["--data", small_folder, *SMALL, "--epochs", 2, "--dropout", "0.3", "--validate-every", 3, *cell,
               "--scheduled-sampling", "0.3"]  # fmt: skip
    train(1, *options, "--out", tmp_path / "alone", "--shards", 4)
    for ranks in (2, 4):
        out = tmp_path / f"ranks{ranks}"
        said, _ = train(ranks, *options, "--out", out, "--shards", 4)
        assert said.count("trained 10 iterations") == 1
        assert files_of(out) == files_of(tmp_path / "alone")
        assert not (out / ".lock").exists()


def test_shards_have_the_losses_of_the_whole_batch_to_rounding(small_folder, tmp_path):
    options = ["--data", small_folder, *SMALL, "--epochs", 2, "--dropout", 0]
    train(1, *options, "--out", tmp_path / "whole")
    train(2, *options, "--out", tmp_path / "halves")
    assert losses(tmp_path / "halves") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)


def test_another_number_of_ranks_goes_on_to_the_same_bits(small_folder, tmp_path):
    options = ["--data", small_folder, *SMALL, "--epochs", 2, "--dropout", "0.3"]
    train(1, *options, "--out", tmp_path / "unbroken", "--shards", 4)
    out = tmp_path / "run"
    _, err = train(4, *options, "--out", out, "--max-iterations", 3)
    assert err.count("stopped after iteration 3 of 10") == 1
    assert f"go on with: mpiexec -n 4 captioning train --out {out} --resume" in err
    train(2, "--out", out, "--resume", "--quiet", "--max-iterations", 7)
    train(1, "--out", out, "--resume", "--quiet")
    assert files_of(out) == files_of(tmp_path / "unbroken")
    assert json.loads((out / "settings.json").read_text())["shards"] == 4


def test_mistakes_are_told_once(small_folder, tmp_path):
    options = ["--data", small_folder, *SMALL, "--epochs", 2]
    out = tmp_path / "run"
    for given, told in (
        (["--out", tmp_path / "none", "--resume"], "there is no such run folder"),
        ([*options, "--out", out, "--shards", 1], "2 ranks need as many shards, and there are to be 1"),
        ([*options, "--out", out, "--shards", 11], "batches of 10 cannot be cut into 11 shards"),
        ([*options, "--out", out, "--learning-rate", "1e30"], "the loss is nan"),
    ):
        said, err = train(2, *given, status=2)
        assert said == ""
        assert len(err.splitlines()) == 1
        assert told in err
    train(1, *options, "--out", tmp_path / "alone", "--max-iterations", 1)
    _, err = train(2, "--out", tmp_path / "alone", "--resume", status=2)
    assert "start at most 1 rank, or --shards 2 goes on with weights that differ in their last digits" in err


def test_sigterm_stops_all_ranks_at_the_same_iteration(small_folder, tmp_path):
    out = tmp_path / "run"
    job = start(2, "-m", "captioning", "train", "--data", small_folder, *SMALL, "--epochs", 4000, "--out", out)
    await_checkpoint(out, job)
    job.send_signal(signal.SIGTERM)
    _, err = job.communicate(timeout=WITHIN)
    assert job.returncode == 128 + signal.SIGTERM
    assert len(re.findall(r"stopped after iteration \d+ of", err)) == 1
    _, err = train(1, "--out", out, "--resume", "--quiet", "--max-iterations", len(losses(out)))
    assert "stopped after iteration" in err


@pytest.fixture(scope="module")
def begun(small_folder, tmp_path_factory):
    """A run to start from."""
    out = tmp_path_factory.mktemp("runs") / "begun"
    train(1, "--data", small_folder, *SMALL, "--epochs", 8, "--out", out)
    return out


def further(ranks, command, start, out, *options, status=0):
    words = [command[0], start, "--out", out, *command[1:], "--quiet", "--threads", 1, *options]
    return run(ranks, "-m", "captioning", *words, status=status)


def on(ranks, command, out, *options, status=0):
    """Go on with it."""
    words = [command[0], "--out", out, "--resume", "--quiet", *options]
    return run(ranks, "-m", "captioning", *words, status=status)


def all_of(folder):
    """What a further training leaves, to the bit."""
    names = [*FILES, "settings.json", *(["targets.safetensors"] if (folder / "targets.safetensors").exists() else [])]
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize("command", [REFINE, REINFORCE], ids=lambda words: words[0])
def test_ranks_train_further_as_one_process_with_as_many_shards(begun, tmp_path, command):
    further(1, command, begun, tmp_path / "alone", "--shards", 4)
    for ranks in (2, 4):
        out = tmp_path / f"ranks{ranks}"
        said, _ = further(ranks, command, begun, out, "--shards", 4)
        assert len(re.findall(r"trained \d+ iterations", said)) == 1
        assert all_of(out) == all_of(tmp_path / "alone")
        assert not (out / ".lock").exists()


@pytest.mark.parametrize(("command", "stops"), [(REFINE, (2, 5)), (REFINE, (10, 13)), (REINFORCE, (3, 7))],
                         ids=["refine", "refine, at a round's beginning", "reinforce"])  # fmt: skip
def test_another_number_of_ranks_trains_on_to_the_same_bits(begun, tmp_path, command, stops):
    further(1, command, begun, tmp_path / "unbroken", "--shards", 4)
    out = tmp_path / "run"
    _, err = further(4, command, begun, out, "--max-iterations", stops[0])
    assert f"go on with: mpiexec -n 4 captioning {command[0]} --out {out} --resume" in err
    on(2, command, out, "--max-iterations", stops[1])
    on(1, command, out, "--max-iterations", stops[1] + 1)
    on(3, command, out)
    assert all_of(out) == all_of(tmp_path / "unbroken")


def test_what_cannot_be_trained_further_is_told_once(begun, tmp_path):
    for command, given, told in (
        (REFINE, [tmp_path / "none", "--out", tmp_path / "run"], "there is no such run folder"),
        (REINFORCE, ["--out", tmp_path / "run"], "reinforce needs the run to start from, or --resume with --out alone"),
        (REFINE, [begun, "--out", tmp_path / "run", "--batch-size", 3, "--shards", 4], "batches of 3 cannot be cut"),
        (REINFORCE, [begun, "--out", begun], "exists already"),
        (REFINE, [begun, "--out", tmp_path / "run", "--learning-rate", "1e30"], "the loss is nan"),
    ):
        said, err = run(2, "-m", "captioning", command[0], *given, "--quiet", status=2)
        assert said == ""
        assert len(err.splitlines()) == 1, err
        assert told in err


@pytest.mark.parametrize("command", [REFINE, REINFORCE], ids=lambda words: words[0])
def test_sigterm_stops_all_ranks_of_a_further_training(begun, tmp_path, command):
    out, endless = tmp_path / "run", {"refine": ["--round-epochs", 4000], "reinforce": ["--epochs", 4000]}[command[0]]
    words = [*command[1:], "--out", out, "--quiet", "--threads", 1, *endless]
    job = start(2, "-m", "captioning", command[0], begun, *words)
    await_checkpoint(out, job)
    job.send_signal(signal.SIGTERM)
    _, err = job.communicate(timeout=WITHIN)
    assert job.returncode == 128 + signal.SIGTERM
    assert len(re.findall(r"stopped after iteration \d+ of", err)) == 1
    _, err = on(1, command, out, "--max-iterations", len(losses(out)))
    assert "stopped after iteration" in err


def await_checkpoint(folder, job):
    while not (folder / "history.jsonl").exists():
        assert job.poll() is None, job.communicate()
        time.sleep(0.02)


def ranks_of(job):
    """The processes of a job that are ranks, and which."""
    found = {}
    for process in descendants(job.pid):
        try:
            environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            arguments = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        rank = next((int(entry[9:]) for entry in environment if entry.startswith(b"PMI_RANK=")), None)
        if rank is not None and b"\0captioning\0" in arguments:
            found[rank] = process
    return found


def descendants(process):
    said = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in said.splitlines()]
    found = {process}
    for _ in range(4):
        found |= {child for child, parent in pairs if parent in found}
    return found


@pytest.mark.parametrize("gap", [0.05, 0.6])
def test_a_signal_that_reaches_some_ranks_later_stops_them_all_the_same(small_folder, tmp_path, gap):
    """Launchers signal one rank after the other; by then some have stopped, or are done, for the others' sake."""
    out = tmp_path / "run"
    job = start(
        3, "-m", "captioning", "train", "--data", small_folder, *SMALL, "--out", out, "--quiet", "--epochs", 40000
    )
    await_checkpoint(out, job)
    ranks = ranks_of(job)
    for rank in (1, 0, 2):
        with contextlib.suppress(ProcessLookupError):
            os.kill(ranks[rank], signal.SIGTERM)
        time.sleep(gap if rank == 1 else 0)
    _, err = job.communicate(timeout=WITHIN)
    assert job.returncode == 128 + signal.SIGTERM, err
    assert len(re.findall(r"stopped after iteration \d+ of", err)) == 1


@pytest.mark.slow
def test_a_rank_that_is_killed_leaves_a_run_that_goes_on_to_the_same_bits(small_folder, tmp_path, full):
    """Any rank, at any moment from the start of the job; other numbers of ranks go on."""
    chance = random.Random(0)
    options = ["--data", small_folder, *SMALL, "--epochs", 12, "--dropout", "0.3", "--checkpoint-every", 2]
    begun = time.monotonic()
    train(4, *options, "--out", tmp_path / "unbroken")
    usual = time.monotonic() - begun
    killed = 0
    for turn in range(50 if full else 3):
        out = tmp_path / f"run{turn}"
        job = start(4, "-m", "captioning", "train", *options, "--out", out)
        if turn == 0:  # in the middle of training for sure
            await_checkpoint(out, job)
        else:
            time.sleep(chance.random() * usual)
        victims = ranks_of(job)
        if victims:
            killed += kill(job, chance.choice(sorted(victims)), victims)
        job.communicate()
        ranks = chance.choice([1, 2, 3, 4])
        if (out / "settings.json").exists():
            train(ranks, "--out", out, "--resume", "--quiet", "--checkpoint-every", 2)
        else:  # it was killed before there was anything
            train(ranks, *options, "--out", out, "--shards", 4)
        assert files_of(out) == files_of(tmp_path / "unbroken"), (turn, ranks)
    assert killed


def kill(job, rank, victims):
    """Kill a rank; whether it ended the job, and not that itself."""
    begun = time.monotonic()
    try:
        os.kill(victims[rank], signal.SIGKILL)
    except OSError:
        return False
    job.communicate(timeout=WITHIN)
    assert time.monotonic() - begun < WITHIN
    return job.returncode != 0  # else it was done

"""Training on features that stay in their files, and do not fit into memory: a thread reads them ahead."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import captioning.training.solver
from benchmarks.large_data import dropping_cache
from captioning.data.dataset import open_captions
from captioning.data.folder import features_path
from captioning.data.synthetic import COCO, Size, write_synthetic
from captioning.training.refinement import Refinement, Rounds
from captioning.training.self_critical import SelfCritical
from captioning.training.solver import Solver
from tests.captioning.training.small_trainings import SHORT, make_model, make_solver, same, weights

SETTINGS = dataclasses.replace(SHORT, buckets=2)
OF_PICTURES = dataclasses.replace(SHORT, batch_size=5)


@pytest.fixture
def in_files(small_folder):
    """The small data set, whose features are read batch by batch."""
    with open_captions(small_folder, cache_bytes=0) as data:
        yield data


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("reading-ahead")]


def watch(solver, act=lambda count: None):
    """The names of the threads that read batches, in a list that grows; act: called with its length."""
    inner, names = solver._ahead.function, []

    def read(rows):
        names.append(threading.current_thread().name)
        act(len(names))
        return inner(rows)

    solver._ahead.function = read
    return names


KINDS = {
    "train": lambda data: Solver(make_model(data, dropout=0.3), data.train, data.val, SETTINGS),
    "refine": lambda data: Refinement(make_model(data), data.train, data.val, SETTINGS, Rounds(2, 1)),
    "reinforce": lambda data: SelfCritical(make_model(data, dropout=0.3), data.train, data.val, OF_PICTURES),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_are_those_of_features_in_memory(small_data, in_files, kind, monkeypatch):
    """Of a training in memory, one that reads ahead (and is stopped once), and one that does not read ahead."""
    memory, ahead = KINDS[kind](small_data), KINDS[kind](in_files)
    here, there = watch(memory), watch(ahead)
    history = memory.train()
    ahead.train(max_iterations=7)
    assert ahead.train() == history
    assert same(weights(memory), weights(ahead))
    assert set(here) == {threading.main_thread().name}
    assert {name.rpartition("_")[0] for name in there} == {"reading-ahead"}
    assert len(here) <= len(there) <= len(here) + 2  # only what was read ahead of the stop is read twice
    assert not readers()
    monkeypatch.setattr(captioning.training.solver, "AHEAD", 0)
    behind = KINDS[kind](in_files)
    behind._ahead.threaded = False
    assert behind.train() == history


def test_ctrl_c_while_a_batch_is_read_stops_the_training(in_files):
    solver = make_solver(in_files)
    watch(solver, lambda count: count == 4 and os.kill(os.getpid(), signal.SIGINT))
    solver.train()
    assert (solver.interrupted, solver.stopped_by, solver.iteration <= 4) == (True, signal.SIGINT, True)
    assert not readers()
    assert len(solver.train()) == 15 + 3  # goes on to the end: an entry for each iteration and validation


PROGRAM = """
import json, resource, sys
from pathlib import Path
import nltk.translate.bleu_score  # which takes much memory to be imported
import numpy as np
from captioning.data.dataset import open_captions
from captioning.data.dataset import fingerprint
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from captioning.evaluation.split_scores import evaluate
from captioning.data.splits import images_of_part
from captioning.training.settings import Settings
from captioning.training.solver import Solver

folder, hidden, cache, allowed, iterations = sys.argv[1], *map(int, sys.argv[2:])
model = Captioner(Vocabulary.from_json(folder + "/coco2014_vocab.json"), 4096, hidden // 2, hidden, rng=0)
lines = Path("/proc/self/status").read_text().splitlines()
taken = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, (taken + allowed, taken + allowed))
with open_captions(folder, cache_bytes=cache) as data:
    try:
        np.ones(data.train.features.shape, np.float32)
    except MemoryError:
        whole_fits = False
    else:
        whole_fits = True
    data.check()
    fingerprint(data)
    solver = Solver(model, data.train, data.val, Settings(batch_size=100, learning_rate=2e-3))
    losses = [entry["loss"] for entry in solver.train(max_iterations=iterations)]
    images = evaluate(model, data.val, images_of_part(data.val, most=50))["images"]
print(json.dumps({"whole fits": whole_fits, "losses": losses, "images": images}))
"""

SMALL = Size(images=(8_000, 100), captions=(20_000, 250), columns=4096, words=100)
"""Features of 131 MB, for a process that may have 120 MB more than the model: two blocks of 64 MiB are too many."""


@pytest.mark.slow
def test_training_has_less_memory_than_the_features_take(tmp_path, full):
    """Checking, fingerprint, training and an evaluation, with the page cache dropped; in full COCO's size within 1 GiB.

    The limit is RLIMIT_DATA: what the process allocates. `benchmarks.large_data` counts page cache, too.
    """
    if sys.platform != "linux":
        pytest.skip("another platform: RLIMIT_DATA and /proc are Linux's")
    size = COCO if full else SMALL
    folder = tmp_path / "data"
    write_synthetic(folder, size)
    hidden, cache, allowed = (512, 256 * 2**20, 2**30) if full else (64, 2**20, 120_000_000)
    assert allowed < size.images[0] * size.columns * 4
    iterations = 300 if full else 40
    command = [sys.executable, "-c", PROGRAM, str(folder), *map(str, (hidden, cache, allowed, iterations))]
    with dropping_cache(features_path(folder, "train", pca=False)):
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["whole fits"], found["images"], len(found["losses"])) == (False, 50, iterations)
    assert sum(found["losses"][-10:]) < 0.7 * sum(found["losses"][:10])

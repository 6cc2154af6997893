"""Training on features that stay in their files: a thread reads them ahead, and nothing else is different."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import threading
import time

import h5py
import numpy as np
import pytest

import captioning.training.solver
from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.training.refinement import Refinement, Rounds
from captioning.training.self_critical import SelfCritical
from captioning.training.solver import Solver
from tests.captioning.training.small_trainings import SHORT, make_model, same, weights

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
    assert not readers()
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


def test_damage_raises_an_error_with_file_and_row(small_folder, tmp_path):
    """In the iteration whose batch has the row, as without reading ahead."""
    folder = shutil.copytree(small_folder, tmp_path / "data")
    path = folder / "train2014_vgg16_fc7_pca.h5"
    with h5py.File(path) as file:
        features = file["features"][()]
    with h5py.File(path, "w") as file:
        rows = file.create_dataset("features", data=features, chunks=(1, 6), fletcher32=True)
        offset = rows.id.get_chunk_info(13).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(offset)
        raw.write(b"\xff" * 4)
    with open_captions(folder, cache_bytes=0) as data:
        solver = Solver(make_model(data), data.train, data.val, SETTINGS)
        with pytest.raises(DataError, match=r"pca\.h5: features: row 13"):
            solver.train()
        assert not readers()
        batches = np.split(solver._order_of(0), range(10, 48, 10))
        assert [13 in data.train.image_idxs[batch] for batch in batches].index(True) == solver.iteration


def test_a_signal_while_a_batch_is_read_stops_the_training(in_files):
    solver = Solver(make_model(in_files), in_files.train, in_files.val, SETTINGS)
    watch(solver, lambda count: count == 4 and os.kill(os.getpid(), signal.SIGTERM))
    solver.train()
    assert (solver.interrupted, solver.stopped_by) == (True, signal.SIGTERM)
    assert 1 <= solver.iteration <= 4
    assert not readers()
    assert len(solver.train()) == 15 + 3  # goes on to the end: an entry for each iteration and validation


def test_a_second_interrupt_while_the_training_waits_for_a_batch(in_files):
    solver = Solver(make_model(in_files), in_files.train, in_files.val, SETTINGS)
    waiting = threading.Event()

    def act(count):
        if count == 4:
            os.kill(os.getpid(), signal.SIGINT)
            while signal.getsignal(signal.SIGINT) != signal.default_int_handler:  # until the first one was handled
                waiting.wait(0.01)
            os.kill(os.getpid(), signal.SIGINT)
            waiting.wait(0.2)

    watch(solver, act)
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    deadline = time.monotonic() + 10
    while readers() and time.monotonic() < deadline:  # the interrupt ends the waiting; the reading ends by itself
        time.sleep(0.01)
    assert not readers()
    assert solver.iteration <= 5

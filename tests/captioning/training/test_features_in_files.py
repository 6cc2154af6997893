"""Training on features that stay in their files: a thread reads them ahead, and nothing else is different."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import threading

import h5py
import numpy as np
import pytest

import captioning.training.solver
from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
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
    alive = [thread for thread in threading.enumerate() if thread.is_alive()]
    return [thread for thread in alive if thread.name.startswith("reading-ahead")]


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


def test_damage_raises_an_error_with_the_file(small_folder, tmp_path):
    """In the iteration whose batch has the row, as without reading ahead."""
    folder = shutil.copytree(small_folder, tmp_path / "data")
    with h5py.File(folder / "train2014_vgg16_fc7_pca.h5", "r+") as file:
        file["features"][13] = np.nan
    with open_captions(folder, cache_bytes=0) as data:
        solver = make_solver(data)
        with pytest.raises(DataError, match=r"pca\.h5: features: row 13"):
            solver.train()
        assert not readers()
        images = data.train.image_idxs[solver._order_of(0)].tolist()
        assert images.index(13) // 10 == solver.iteration


def test_ctrl_c_while_a_batch_is_read_stops_the_training_and_a_second_one_ends_it(in_files):
    waiting = threading.Event()

    def act(count):
        if count in (4, 10):
            os.kill(os.getpid(), signal.SIGINT)
            waiting.wait(0.05)
        if count == 10:
            while signal.getsignal(signal.SIGINT) != signal.default_int_handler:  # until the first one is handled
                waiting.wait(0.01)
            os.kill(os.getpid(), signal.SIGINT)
            waiting.wait(0.1)

    solver = make_solver(in_files)
    watch(solver, act)
    solver.train()
    assert (solver.interrupted, solver.stopped_by, solver.iteration <= 4) == (True, signal.SIGINT, True)
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    for thread in readers():  # the interrupt ends the waiting; the reading ends by itself
        thread.join(10)
    assert not readers()

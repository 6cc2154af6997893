"""Training on features that stay in their files: a thread reads them ahead, and nothing else is different."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import threading

import h5py
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


def test_damage_raises_an_error_with_the_file(small_folder, tmp_path):
    """In the iteration whose batch has the row, as without reading ahead."""
    folder = shutil.copytree(small_folder, tmp_path / "data")
    path = folder / "train2014_vgg16_fc7_pca.h5"
    with h5py.File(path, "r+") as file:
        features = file["features"][()]
        del file["features"]
        rows = file.create_dataset("features", data=features, chunks=(1, 6), fletcher32=True)
        offset = rows.id.get_chunk_info(13).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(offset)
        raw.write(b"\xff" * 4)
    with open_captions(folder, cache_bytes=0) as data:
        solver = make_solver(data)
        with pytest.raises(DataError, match=r"pca\.h5: features"):
            solver.train()
        assert not readers()
        images = data.train.image_idxs[solver._order_of(0)].tolist()
        assert images.index(13) // 10 == solver.iteration


@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_while_a_batch_is_read_stops_the_training(in_files, signals):
    """The second Ctrl-C interrupts it while it waits for the batch."""
    solver, going_on = make_solver(in_files), threading.Event()

    def act(count):
        if count == 4:
            os.kill(os.getpid(), signal.SIGINT)
            while signal.getsignal(signal.SIGINT) != signal.default_int_handler:  # until it is handled
                going_on.wait(0.01)
            if signals == 2:
                os.kill(os.getpid(), signal.SIGINT)
                going_on.wait(0.2)

    watch(solver, act)
    if signals == 1:
        solver.train()
        assert (solver.interrupted, solver.stopped_by, solver.iteration <= 4) == (True, signal.SIGINT, True)
        assert not readers()
        assert len(solver.train()) == 15 + 3  # goes on to the end: an entry for each iteration and validation
    else:
        with pytest.raises(KeyboardInterrupt):
            solver.train()
        for thread in readers():  # the interrupt ends the waiting; the reading ends by itself
            thread.join(10)
        assert not readers()

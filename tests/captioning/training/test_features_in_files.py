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
from captioning.training.schedules import batches_from

import captioning.training.solver
from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.models.captioner import Captioner
from captioning.training.refinement import Refinement, Rounds
from captioning.training.run_folder import Run
from captioning.training.run_settings import settings_of
from captioning.training.self_critical import SelfCritical
from captioning.training.settings import Settings
from captioning.training.solver import Solver

SHORT = Settings(epochs=3, batch_size=10, learning_rate=5e-3, buckets=2)


@pytest.fixture
def in_files(small_folder):
    """The small data set, whose features are read batch by batch."""
    with open_captions(small_folder, cache_bytes=0) as data:
        yield data


def make_model(data):
    return Captioner(data.vocabulary, 6, 8, 12, rng=0, dropout=0.3)


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("reading-ahead")]


def watch_reading(solver):
    """Which threads read batches, in a list that grows while the solver trains."""
    inner, names = solver._ahead.function, []

    def read(rows):
        names.append(threading.current_thread().name)
        return inner(rows)

    solver._ahead.function = read
    return names


KINDS = {
    "train": lambda data: Solver(make_model(data), data.train, data.val, SHORT),
    "refine": lambda data: Refinement(make_model(data), data.train, data.val, SHORT, Rounds(2, 1)),
    "reinforce": lambda data: SelfCritical(
        make_model(data), data.train, data.val, dataclasses.replace(SHORT, buckets=1, batch_size=5)
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_are_those_of_features_in_memory(small_data, in_files, kind, monkeypatch):
    """Of a training in memory, one that reads ahead, and one that does not; only the second has a thread."""
    memory, ahead = KINDS[kind](small_data), KINDS[kind](in_files)
    monkeypatch.setattr(captioning.training.solver, "AHEAD", 0)
    behind = KINDS[kind](in_files)
    behind._ahead.threaded = False
    here, there, now = (watch_reading(solver) for solver in (memory, ahead, behind))
    history = memory.train()
    now_history = behind.train()
    monkeypatch.setattr(captioning.training.solver, "AHEAD", 2)
    assert ahead.train() == history == now_history
    weights = memory.model.state_dict()
    for other in (ahead, behind):
        assert all(np.array_equal(weights[name], array) for name, array in other.model.state_dict().items())
    assert {*here, *now} == {threading.main_thread().name}
    assert {name.rpartition("_")[0] for name in there} == {"reading-ahead"}
    assert len(there) == len(here)  # nothing is read twice
    assert not readers()


def test_a_resumed_training_has_the_same_bits(in_files, tmp_path):
    """Stopped within an epoch, where batches were read ahead that were not trained on."""
    whole = Solver(make_model(in_files), in_files.train, in_files.val, SHORT)
    history = whole.train()
    settings = settings_of(make_model(in_files), SHORT, in_files)
    run = Run.create(tmp_path / "run", settings, in_files.vocabulary)
    stopped = Solver(make_model(in_files), in_files.train, in_files.val, SHORT, run)
    stopped.train(max_iterations=7)
    assert not readers()
    resumed = Solver(make_model(in_files), in_files.train, in_files.val, SHORT, Run.open(tmp_path / "run"))
    resumed.resume()
    assert resumed.train() == history
    weights = whole.model.state_dict()
    assert all(np.array_equal(weights[name], array) for name, array in resumed.model.state_dict().items())
    assert stopped.train() == history  # the same solver goes on, too


def test_damage_is_told_by_the_training_with_file_and_row(small_folder, tmp_path):
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
        solver = Solver(make_model(data), data.train, data.val, SHORT)
        with pytest.raises(DataError, match=r"pca\.h5: features: row 13: cannot be read, the file is damaged"):
            solver.train()
        assert not readers()
        batches = batches_from(solver._order_of(0), SHORT.batch_size, 0, most=5)
        assert [13 in data.train.image_idxs[batch] for batch in batches].index(True) == solver.iteration


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_batch_is_read_stops_the_training(in_files, number):
    solver = Solver(make_model(in_files), in_files.train, in_files.val, SHORT)
    inner, count = solver._ahead.function, []

    def read(rows):
        count.append(rows)
        if len(count) == 4:
            os.kill(os.getpid(), number)
        return inner(rows)

    solver._ahead.function = read
    solver.train()
    assert solver.interrupted
    assert solver.stopped_by == number
    assert 1 <= solver.iteration <= 4
    assert not readers()
    assert len(solver.train()) == 15 + 3  # goes on to the end: an entry for each iteration and validation


def test_an_impatient_interrupt_while_it_waits_for_a_batch(in_files):
    """The second Ctrl-C is an exception wherever the training is: here it waits for a disk that takes long."""
    solver = Solver(make_model(in_files), in_files.train, in_files.val, SHORT)
    inner, waiting, count = solver._ahead.function, threading.Event(), []

    def read(rows):
        count.append(rows)
        if len(count) == 4:
            os.kill(os.getpid(), signal.SIGINT)
            while signal.getsignal(signal.SIGINT) != signal.default_int_handler:  # until the first one was heard
                waiting.wait(0.01)
            os.kill(os.getpid(), signal.SIGINT)
            waiting.wait(0.2)
        return inner(rows)

    solver._ahead.function = read
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    deadline = time.monotonic() + 10
    while readers() and time.monotonic() < deadline:  # an interrupt ends the waiting for what is being read, which
        time.sleep(0.01)  # ends by itself; `join` would not do: an interrupted one takes the thread for stopped
    assert not readers()
    assert solver.iteration <= 5

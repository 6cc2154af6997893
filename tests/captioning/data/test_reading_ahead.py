"""Rows that a thread reads ahead."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

import h5py
import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.features import FeatureRows
from captioning.data.reading_ahead import ReadAhead
from captioning.data.regions import FeaturesAndRegions, RegionRows
from tests.captioning.data.small import write_hdf5

ROWS, COLUMNS = 60, 5


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("reading-ahead")]


@pytest.fixture
def features():
    return np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).astype(np.float32)


@pytest.fixture
def path(tmp_path, features):
    write_hdf5(tmp_path / "f.h5", features=features)
    return tmp_path / "f.h5"


def batches(count=12):
    return list(np.random.default_rng(1).integers(ROWS, size=(count, 7)))


class Slow:
    """Rows whose reading waits for `go`; `asked` has what was asked for, and by whom."""

    def __init__(self, rows):
        self.rows, self.go, self.asked = rows, threading.Event(), []

    def __call__(self, index):
        self.asked.append((index.tolist(), threading.current_thread()))
        assert self.go.wait(10)
        return self.rows[index]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_what_is_given_is_what_the_rows_give(path, features, number):
    wanted = batches()
    with FeatureRows(path, cache_bytes=0) as rows, ReadAhead(rows.__getitem__) as ahead:
        for i, index in enumerate(wanted):
            got = ahead.read(index, upcoming=wanted[i + 1 : i + 1 + number])
            np.testing.assert_array_equal(got, features[index], strict=True)
            got[...] = -1  # is the caller's own


def test_rows_with_regions_are_read_ahead_too(path, features, tmp_path):
    regions = np.random.default_rng(2).integers(256, size=(ROWS, 4, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["regions"] = regions
        file["regions"].attrs.update(scale=np.ones(3, np.float32), offset=np.zeros(3, np.float32))
    first, second = batches(2)
    with (
        FeaturesAndRegions(FeatureRows(path, cache_bytes=0), RegionRows(tmp_path / "r.h5", 2**20)) as rows,
        ReadAhead(rows.__getitem__) as ahead,
    ):
        ahead.read(first, upcoming=[second])
        assert readers()
        np.testing.assert_array_equal(ahead.read(second)[:, :COLUMNS], features[second])
        np.testing.assert_array_equal(ahead.read(first)[:, COLUMNS:], regions[first].reshape(7, 12))


def test_reading_goes_on_while_the_caller_computes(path):
    """The thread asks for the announced rows in their order, and no others."""
    first, second, third = batches(3)
    with FeatureRows(path, cache_bytes=0) as rows:
        slow = Slow(rows)
        slow.go.set()
        with ReadAhead(slow) as ahead:
            ahead.read(first, upcoming=[second, third])
            ahead.read(second, upcoming=[third])
            ahead.read(third)
            (reader,) = readers()
    assert slow.asked == [(index.tolist(), reader) for index in (first, second, third)]


def test_what_is_announced_no_more_is_not_read(path):
    first, second, third, fourth = batches(4)
    with FeatureRows(path, cache_bytes=0) as rows:
        slow = Slow(rows)
        with ReadAhead(slow) as ahead:
            threading.Timer(0.1, slow.go.set).start()
            ahead.read(first, upcoming=[second])
            slow.go.clear()
            threading.Timer(0.2, slow.go.set).start()
            ahead.read(fourth, upcoming=[first])
            ahead.read(fourth)
    read = [index for index, _ in slow.asked]
    assert third.tolist() not in read
    assert read.count(fourth.tolist()) == 2  # what was given is forgotten


def test_rows_that_stand_in_two_batches_are_read_for_both(path, features):
    """As with a batch size of 1, where the captions of a picture may follow each other."""
    index = np.array([3])
    with FeatureRows(path, cache_bytes=0) as rows, ReadAhead(rows.__getitem__) as ahead:
        for _ in range(3):
            np.testing.assert_array_equal(ahead.read(index, upcoming=[index, index]), features[index])


def test_without_a_thread_rows_are_read_when_they_are_asked_for(path, features):
    first, second = batches(2)
    with FeatureRows(path) as rows, ReadAhead(rows.__getitem__, threaded=False) as ahead:
        np.testing.assert_array_equal(ahead.read(first, upcoming=[second]), features[first])
        assert not readers()


def test_outside_of_the_block_it_reads_without_a_thread(path, features):
    first, second = batches(2)
    with FeatureRows(path, cache_bytes=0) as rows:
        ahead = ReadAhead(rows.__getitem__)
        for _ in range(2):
            np.testing.assert_array_equal(ahead.read(first, upcoming=[second]), features[first])
            assert not readers()
            with ahead:
                np.testing.assert_array_equal(ahead.read(first, upcoming=[second]), features[first])
                assert len(readers()) == 1


def test_an_error_comes_up_where_its_rows_are_asked_for(tmp_path, features):
    """Of a damaged chunk and of a number that is not finite: in this thread, with file and row."""
    features[44, 2] = np.inf
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("features", data=features, chunks=(10, COLUMNS), fletcher32=True)
        offset = data.id.get_chunk_info(2).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(offset + 3)
        raw.write(b"\xff\x00\xff")
    good, damaged, infinite = np.array([3, 1]), np.array([50, 27, 4]), np.array([45, 44])
    with FeatureRows(path, cache_bytes=0) as rows, ReadAhead(rows.__getitem__) as ahead:
        ahead.read(good, upcoming=[damaged, infinite])
        with pytest.raises(DataError, match=r"f\.h5: features: row 27: cannot be read, the file is damaged"):
            ahead.read(damaged, upcoming=[infinite, good])
        with pytest.raises(DataError, match=r"f\.h5: features: row 44 has a number that is not finite"):
            ahead.read(infinite, upcoming=[good])
        np.testing.assert_array_equal(ahead.read(good), features[good])
    assert not readers()


def test_an_error_of_the_caller_leaves_no_thread(path):
    first, second, third = batches(3)
    with FeatureRows(path, cache_bytes=0) as rows:
        ahead = ReadAhead(rows.__getitem__)
        with contextlib.suppress(ZeroDivisionError), ahead:
            ahead.read(first, upcoming=[second, third])
            raise ZeroDivisionError
        assert not readers()
        assert not ahead._begun


def test_an_interrupt_while_it_waits_ends_it(path):
    """Ctrl-C is heard at once, and what is being read is waited for; what was only announced is not read."""
    first, second, third = batches(3)
    with FeatureRows(path, cache_bytes=0) as rows:
        slow = Slow(rows)
        threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
        heard = []
        with ReadAhead(slow) as ahead:
            try:
                ahead.read(first, upcoming=[second, third])
            except KeyboardInterrupt:
                heard.append(time.monotonic())
                slow.go.set()
        assert heard
        assert not readers()
        assert slow.asked[0][0] == first.tolist()
        assert third.tolist() not in [index for index, _ in slow.asked]


def test_no_more_is_read_than_was_announced(path):
    """So memory is bounded: by the rows asked for and those announced."""
    wanted = batches(30)
    with FeatureRows(path, cache_bytes=0) as rows:
        slow = Slow(rows)
        slow.go.set()
        with ReadAhead(slow) as ahead:
            for i, index in enumerate(wanted):
                ahead.read(index, upcoming=wanted[i + 1 : i + 3])
                assert len(ahead._begun) <= 2
                assert len(slow.asked) <= i + 3
        assert len(slow.asked) == 30


def test_a_closed_file_is_told_by_the_thread_too(folder):
    with open_captions(folder, cache_bytes=0) as data:
        features = data.train.features
    with ReadAhead(features.__getitem__) as ahead, pytest.raises(DataError, match="the file is closed"):
        ahead.read(np.array([0]))

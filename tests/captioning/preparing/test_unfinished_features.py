"""What a kill, a full disk or a damaged disk leaves of a file of features."""

import resource

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.errors import DataError
from captioning.preparing.unfinished_features import UnfinishedFeatures

KEY, COLUMNS = b"k" * 32, 3
RECORD = 4 * COLUMNS + 4


def rows(start, stop):
    return np.arange(start, stop, dtype=np.float32)[:, None] + np.zeros(COLUMNS, np.float32)


def write(path, number):
    with UnfinishedFeatures(path, KEY, COLUMNS) as file:
        file.append(rows(0, number))
    return path.read_bytes()


def test_rows_are_appended_and_read(tmp_path):
    with UnfinishedFeatures(tmp_path / "rows", KEY, COLUMNS) as file:
        assert (len(file), file.began_with) == (0, 0)
        file.append(rows(0, 5))
        file.append(rows(5, 2000))
        assert len(file) == 2000
        np.testing.assert_array_equal(file.read(3, 7), rows(3, 7), strict=True)
    with UnfinishedFeatures(tmp_path / "rows", KEY, COLUMNS) as file:
        assert (len(file), file.began_with) == (2000, 2000)
        file.keep(7)
        assert len(file) == 7
        file.append(rows(7, 9))
        np.testing.assert_array_equal(file.read(0, 100), rows(0, 9), strict=True)


@given(st.integers(1, 10), st.data())
def test_what_is_not_whole_is_not_taken(tmp_path_factory, number, data):
    path = tmp_path_factory.mktemp("cut") / "rows"
    content = write(path, number)
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    head = len(content) - number * RECORD
    with UnfinishedFeatures(path, KEY, COLUMNS) as file:
        assert len(file) == max(0, (cut - head) // RECORD)
        file.append(rows(len(file), number))
    assert path.read_bytes() == content


@given(st.integers(1, 10), st.data())
def test_a_bit_that_was_lost_is_noticed(tmp_path_factory, number, data):
    path = tmp_path_factory.mktemp("bit") / "rows"
    content = bytearray(write(path, number))
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    content[place] ^= 1 << bit
    path.write_bytes(content)
    head = len(content) - number * RECORD
    with UnfinishedFeatures(path, KEY, COLUMNS) as file:
        assert len(file) == max(0, (place - head) // RECORD)
        np.testing.assert_array_equal(file.read(0, number), rows(0, len(file)), strict=True)


@pytest.mark.parametrize(("key", "columns"), [(b"x" * 32, COLUMNS), (KEY, COLUMNS + 1)])
def test_rows_of_something_else_are_not_gone_on_with(tmp_path, key, columns):
    write(tmp_path / "rows", 5)
    with UnfinishedFeatures(tmp_path / "rows", key, columns) as file:
        assert len(file) == 0


@given(st.integers(1, 6), st.data())
def test_regions_are_whole_with_their_rows_or_not_taken(tmp_path_factory, number, data):
    path, shape = tmp_path_factory.mktemp("regions") / "rows", (4, 5)
    regions = np.random.default_rng(0).integers(0, 256, (number, *shape), np.uint8)
    with UnfinishedFeatures(path, KEY, COLUMNS, shape) as file:
        file.append(rows(0, number), regions)
    content = bytearray(path.read_bytes())
    record = RECORD + 20
    head = len(content) - number * record
    place, bit = data.draw(st.integers(head, len(content) - 1)), data.draw(st.integers(0, 7))
    content[place] ^= 1 << bit
    path.write_bytes(content)
    with UnfinishedFeatures(path, KEY, COLUMNS, shape) as file:
        assert len(file) == (place - head) // record
        file.append(rows(len(file), number), regions[len(file) :])
        np.testing.assert_array_equal(file.read_regions(0, 99), regions, strict=True)
        np.testing.assert_array_equal(file.read(0, 99), rows(0, number), strict=True)
    for other in ((), (5, 4), (4, 6)):
        with UnfinishedFeatures(path, KEY, COLUMNS, other) as file:
            assert len(file) == 0
            file.append(rows(0, number), np.zeros((number, *other), np.uint8) if other else None)


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    """A limit on the size of files stands for it; what was whole before stays."""
    path = tmp_path / "rows"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with UnfinishedFeatures(path, KEY, COLUMNS) as file:
        file.append(rows(0, 10))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with pytest.raises(OSError, match="too large") as caught:
                file.append(rows(10, 200))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    with UnfinishedFeatures(path, KEY, COLUMNS) as file:
        assert 10 <= len(file) <= 1000 // RECORD
        np.testing.assert_array_equal(file.read(0, 999), rows(0, len(file)))


def test_a_file_without_rows_does_not_stay(tmp_path):
    with UnfinishedFeatures(tmp_path / "rows", KEY, COLUMNS):
        pass
    assert list(tmp_path.iterdir()) == []


def test_rows_that_changed_since_they_were_written_are_an_error(tmp_path):
    """A disk that lost a bit, or another process that began the file anew with rows of its own width."""
    with UnfinishedFeatures(tmp_path / "rows", KEY, COLUMNS) as file:
        file.append(rows(0, 5))
        with UnfinishedFeatures(tmp_path / "rows", b"x" * 32, COLUMNS + 2) as other:
            other.append(np.ones((5, COLUMNS + 2)))
        with pytest.raises(DataError, match=r"rows: row 0 is not what was written; start again when no other process"):
            file.read(0, 5)
    with UnfinishedFeatures(tmp_path / "rows", KEY, COLUMNS) as file:
        file.append(rows(0, 5))
        content = bytearray((tmp_path / "rows").read_bytes())
        content[-1 - RECORD] ^= 1
        (tmp_path / "rows").write_bytes(content)
        np.testing.assert_array_equal(file.read(0, 3), rows(0, 3))
        with pytest.raises(DataError, match="row 3 is not what was written"):
            file.read(1, 5)
        (tmp_path / "rows").write_bytes(content[: -2 * RECORD])
        with pytest.raises(DataError, match="row 3 is not what was written"):
            file.read(1, 5)

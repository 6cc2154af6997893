"""A new HDF5 file is there whole or not at all."""

import h5py
import numpy as np
import pytest

from captioning.data.hdf5_writing import new_hdf5
from tests.captioning.full_disks import files_of_at_most


def write(path, rows=1000):
    with new_hdf5(path) as file:
        file.attrs["name"] = "é"
        numbers = file.create_dataset("numbers", (rows, 10), np.float32)
        for start in range(0, rows, 100):
            numbers[start : start + 100] = np.arange(start, start + 100)[:, None]
        file["few"] = [1, 2, 3]


def test_it_has_what_was_written(tmp_path):
    write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["name"] == "é"
        np.testing.assert_array_equal(file["numbers"][()], np.arange(1000.0)[:, None] + np.zeros(10))
        assert file["numbers"].chunks is None
        assert file["few"][()].tolist() == [1, 2, 3]
    write(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("bytes", [0, 50, 2000, 5000, 41_000])
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, bytes):
    """The process goes on, and the older file is there."""
    path = tmp_path / "a.h5"
    path.write_text("old")
    with files_of_at_most(bytes), pytest.raises(OSError, match="too large") as caught:
        write(path)
    assert caught.value.filename == str(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_text() == "old"


def test_an_error_in_the_block_leaves_nothing(tmp_path):
    def fail():
        with new_hdf5(tmp_path / "a.h5") as file:
            file["few"] = [1]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []

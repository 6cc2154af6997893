"""Features read by rows."""

import os

import h5py
import numpy as np
import pytest

from captioning.data.errors import DataError
from captioning.data.features import FeatureRows, repack_features
from tests.captioning.data.small import M_TRAIN, D, make_features, write_hdf5
from tests.captioning.full_disks import files_of_at_most


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        np.int32(3),
        slice(None),
        slice(5, 1, -2),
        [4, 1, 4, 0],
        [2, 3, 4],
        [],
        np.arange(7) % 2 == 0,
        [[1, 2], [0, 1]],
    ],
    ids=str,
)
def test_rows_are_indexed_like_an_array(folder, cache_bytes, index):
    expected = make_features(M_TRAIN)[index]
    with FeatureRows(folder / "train2014_vgg16_fc7_pca.h5", cache_bytes=cache_bytes) as rows:
        got = rows[index]
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected, strict=True)
        got[...] = -1  # what a caller writes does not reach the rows
        np.testing.assert_array_equal(np.asarray(rows), make_features(M_TRAIN))
        with pytest.raises(IndexError):
            rows[M_TRAIN]


def test_half_and_double_features_become_float32(tmp_path):
    for dtype in (np.float16, np.float64):
        write_hdf5(tmp_path / "f.h5", features=make_features(3).astype(dtype))
        with FeatureRows(tmp_path / "f.h5") as rows:
            assert rows[:].dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_a_number_that_is_not_finite_is_an_error_that_names_the_row(tmp_path, bad, cache_bytes):
    features = make_features(6).astype(np.float64)
    features[4, 2] = bad
    write_hdf5(tmp_path / "f.h5", features=features)
    with (
        FeatureRows(tmp_path / "f.h5", cache_bytes=cache_bytes) as rows,
        pytest.raises(DataError, match=r"f\.h5: features: row 4 has a number that is not finite"),
    ):
        rows[[5, 4, 0]]


def test_a_damaged_chunk_is_found_when_it_is_read(tmp_path):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("features", data=make_features(50), chunks=(10, D), fletcher32=True)
        offset = data.id.get_chunk_info(2).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(offset + 3)
        raw.write(b"\xff\x00\xff")
    with FeatureRows(path, cache_bytes=0) as rows:
        np.testing.assert_array_equal(rows[:20], make_features(50)[:20])
        with pytest.raises(DataError, match=r"f\.h5: features: row 21: cannot be read, the file is damaged"):
            rows[[23, 18, 21]]


def test_repacking_keeps_the_numbers_and_drops_the_chunks(tmp_path):
    features = np.random.default_rng(0).standard_normal((500, 40)).astype(np.float32)
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        file.create_dataset("features", data=features, chunks=(100, 4), compression="gzip")
    repack_features(tmp_path / "packed.h5", tmp_path / "flat.h5")
    with h5py.File(tmp_path / "flat.h5") as file:
        assert file["features"].chunks is None
        np.testing.assert_array_equal(file["features"][()], features, strict=True)
    with pytest.raises(DataError):
        repack_features(tmp_path / "missing.h5", tmp_path / "other.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flat.h5", "packed.h5"]


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_repacking_onto_a_full_disk_is_an_error_that_names_the_file(tmp_path, size):
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        file["features"] = np.ones((500, 40), np.float32)
    with files_of_at_most(size), pytest.raises(OSError, match="too large") as caught:
        repack_features(tmp_path / "packed.h5", tmp_path / "flat.h5")
    assert caught.value.filename == str(tmp_path / "flat.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["packed.h5"]


def test_real_rows_in_the_file_equal_rows_in_memory(real):
    path = real.val.features.path
    with FeatureRows(path, cache_bytes=0) as rows:
        chosen = np.random.default_rng(0).integers(1000, size=40)
        np.testing.assert_array_equal(rows[chosen], real.val.features[chosen], strict=True)


def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error_and_no_zeros(tmp_path):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.ones((1000, 64), np.float32)
    with FeatureRows(path, cache_bytes=0) as rows:
        assert rows[[3, 999]].all()
        os.truncate(path, 100_000)
        with pytest.raises(
            DataError, match=r"f\.h5: features: the file has become shorter while it was read, 100,000 "
        ):
            rows[[999]]
